"""--like: an earlier run once more, to equal weights, and what is said of what differs."""

import json
import socket
import sys

import numpy as np
import pytest

import train
from data.images import write_image
from models import MODEL_OPTIONS
from options import parse_train
from training.repeat import compared, repeated
from util.errors import UserError
from util.version import VERSION

SMALL = (
    "--model pix2pix --netG resnet_4blocks --ngf 2 --ndf 2 --load_size 36 --crop_size 32 "
    "--num_threads 0 --gpu_ids -1 --no_html --n_epochs 1 --n_epochs_decay 1"
).split()
START = {"version": "1", "commit": "abc", "packages": {"torch": "2"}, "device": "CPU in fp32"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Images, and the run "first" of flags that are no defaults."""
    place = tmp_path_factory.mktemp("repeat")
    rng = np.random.default_rng(0)
    for folder in ("trainA", "trainB"):
        for name in ("1", "2", "3"):
            values = rng.integers(0, 256, (40, 40), dtype=np.uint8)
            write_image(place / "data" / folder / f"{name}.png", values)
    own = ["--dataroot", place / "data", "--seed", 3, "--lr", 0.01, "--direction", "BtoA"]
    call(place, *SMALL, *own, name="first")
    return place


def call(place, *flags, name):
    train.main([*map(str, flags), "--name", name, "--checkpoints_dir", str(place)])
    return place / name


def weights(folder):
    return [(folder / f"latest_net_{network}.pth").read_bytes() for network in "GD"]


def options(folder):
    nested = json.loads((folder / "run.json").read_text())["options"]
    return {name: value for group in nested.values() for name, value in group.items()}


def test_a_repeated_run_has_equal_weights(place, capsys):
    again = call(place, "--like", "first", name="again")
    assert weights(again) == weights(place / "first")
    said = f"{place}/first is repeated: options, data, inputs, versions and device are the same\n"
    assert said in capsys.readouterr().out
    first, second = options(place / "first"), options(again)
    assert {n for n in first if first[n] != second[n]} == {"name", "like"}


def test_a_flag_that_is_given_goes_before_what_was(place, capsys):
    other = call(place, "--like", "first", "--seed", 4, "--resume", name="other")
    assert weights(other) != weights(place / "first")
    said = capsys.readouterr().out
    assert f"{place}/first is repeated; it was made with --seed 3, not 4\n" in said
    first, second = options(place / "first"), options(other)
    changed = {"name", "like", "seed", "resume"}
    assert {n for n in first if first[n] != second[n]} == changed
    call(place, "--like", "first", "--seed", 4, "--resume", name="other")
    assert ": left as it is" in capsys.readouterr().out


def test_a_start_is_recorded_with_its_surroundings(place):
    (start,) = json.loads((place / "first" / "run.json").read_text())["starts"]
    assert (start["argv"], start["version"]) == (sys.argv, VERSION)
    assert start["host"] == socket.gethostname()
    assert start["packages"]["numpy"] == np.__version__
    assert start["device"].endswith(" threads) in fp32") or start["device"].endswith(" in bf16")
    assert start["changed"] == []


@pytest.mark.parametrize(
    ("before", "words"),
    [
        ({}, "is repeated: options, data, inputs, versions and device are the same"),
        ({"version": "0"}, "made with version 0, not 1"),
        ({"commit": None}, "made with commit none, not abc"),
        ({"packages": {"torch": "1", "lpips": "3"}}, "with torch 1, not 2 and with lpips 3, not"),
        ({"device": "H200 in bf16"}, "made on H200 in bf16, not CPU in fp32"),
        ({"inputs": {"training images": "1"}}, "made from other training images"),
        ({"processes": 4}, "made with 4 images a batch, not 1"),
        ({"changed": ["--lr 1, not 2"]}, "its options were changed on its way: --lr 1, not 2"),
        ({"starts": []}, "of an earlier version, which did not record its versions and device"),
    ],
)
def test_what_differs_is_said(tmp_path, before, words):
    config = parse_train(
        ["--like", "first", "--name", "next", "--checkpoints_dir", str(tmp_path)], MODEL_OPTIONS
    )
    stored = {"run": {"model": "cut"}, "data": {}, "model": {}, "training": {}, "display": {}}
    start = {**START, "changed": []}
    now = {"starts": [start], "inputs": {"training images": "2"}}
    earlier = {"options": stored, "value_maps": {}, **now, "starts": [{**start, **before}]}
    earlier |= {n: before[n] for n in ("starts", "inputs", "processes") if n in before}
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "run.json").write_text(json.dumps(earlier))
    assert words in compared(repeated(config), now)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--like", "nowhere"], r"there is no run .*nowhere .*; check --like and --check"),
        (["--like", "../first"], "--like '../first' leaves the folder"),
        (["--continue_train"], "--like begins another run; leave --continue_train out"),
        (["--model", "cut"], "first: it was trained with --model pix2pix, not cut; leave the fl"),
        (["--nce_T", "0.1"], "first: --model pix2pix has no --nce_T; leave the flag out"),
        (["--name", "first"], "first holds a run already; .*choose another --name"),
    ],
)
def test_what_cannot_be_repeated_is_refused_and_leaves_nothing(place, flags, words):
    with pytest.raises(UserError, match=words):
        train.main(["--like", "first", "--name", "none", "--checkpoints_dir", str(place), *flags])
    assert not (place / "none").exists()
