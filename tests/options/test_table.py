"""The table of options, as CUT and pix2pix write it."""

import re
from dataclasses import fields

import pytest

from models import MODEL_OPTIONS
from options import option_table, parse_train

LINE = re.compile(r" *(\w+): (.*?) *(?:\t\[default: (.*)\])?")  # as readers of theirs take it apart


VARIANTS = [("cut", "CUT_mode", "FastCUT", "CUT"), ("classifier", "netC", "attention", "resnet18")]


@pytest.mark.parametrize(
    ("model", "variant"), [*((m, ()) for m in MODEL_OPTIONS), *((v[0], v[1:]) for v in VARIANTS)]
)
def test_each_option_has_a_line_and_its_default_if_another(model, variant):
    flags = ["--name", "a run", "--seed", "3", "--max_dataset_size", "9"]
    if variant:
        flags += [f"--{variant[0]}", variant[1]]
    config = parse_train(["--model", model, *flags], MODEL_OPTIONS)
    first, *lines, last = option_table(config).removesuffix("\n").split("\n")
    assert first == "----------------- Options ---------------"
    assert last == "----------------- End -------------------"
    found = {m[1]: (m[2], m[3]) for m in map(LINE.fullmatch, lines)}
    assert list(found) == sorted(found)
    groups = (config.run, config.data, config.model, config.training, config.display)
    assert found.keys() == {item.name for group in groups for item in fields(group)}
    noted = {name: cells for name, cells in found.items() if cells[1] is not None}
    assert noted == {
        "name": ("a run", "experiment_name"),
        "seed": ("3", "0"),
        "max_dataset_size": ("9", "None"),
        **({"model": (model, "cut")} if model != "cut" else {}),
        **({variant[0]: variant[1:]} if variant else {}),
    }


def test_lines_are_spaced_as_there():
    config = parse_train(["--nce_layers", "0,4", "--value_range_A", "1", "2"], MODEL_OPTIONS)
    lines = option_table(config).splitlines()
    assert f"               nce_layers: 0,4{' ' * 27}\t[default: 0,4,8,12,16]" in lines
    assert f"            value_range_A: 1 2{' ' * 27}\t[default: auto]" in lines
    assert f"                 no_flip: False{' ' * 25}".rjust(57) in lines
