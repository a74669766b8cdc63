"""Options of an earlier run: what is taken from there, and what from the command line."""

import pytest

from models import MODEL_OPTIONS
from options import continue_options, parse_train, repeat_options, to_dict


def parse(*flags):
    return parse_train(flags, MODEL_OPTIONS)


@pytest.mark.parametrize("take", [continue_options, repeat_options])
def test_a_run_keeps_the_epoch_that_it_started_from(take):
    """So that it can be repeated once it has gone on."""
    stored = to_dict(parse("--model", "pix2pix", "--pretrained_name", "other", "--epoch", "best"))
    assert take(parse(), stored, MODEL_OPTIONS).run.epoch == "best"


@pytest.mark.parametrize(("take", "device"), [(continue_options, "auto"), (repeat_options, "-1")])
def test_a_run_is_repeated_on_its_device_and_goes_on_anywhere(take, device):
    stored = to_dict(parse("--name", "a", "--checkpoints_dir", "c", "--gpu_ids", "-1"))
    run = take(parse("--name", "b"), stored, MODEL_OPTIONS).run
    assert (run.gpu_ids, run.name, run.checkpoints_dir) == (device, "b", "checkpoints")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--lambda_NCE", "5"), "--model pix2pix has no --lambda_NCE; leave the flag out"),
        (("--epoch_count", "3"), "with --epoch_count 1, not 3; leave"),
        (("--pretrained_name", "other"), "with --pretrained_name first, not other; leave"),
    ],
)
def test_what_means_nothing_to_a_run_that_goes_on_is_refused(flags, words):
    stored = to_dict(parse("--model", "pix2pix", "--pretrained_name", "first"))
    with pytest.raises(ValueError, match=words):
        continue_options(parse(*flags), stored, MODEL_OPTIONS)
    same = continue_options(parse("--pretrained_name", "first"), stored, MODEL_OPTIONS)
    assert to_dict(same) == stored


def test_options_of_all_groups_are_repeated_but_for_what_is_given():
    flags = "--ngf 3 --seed 5 --load_size 40 --no_flip --n_epochs 7 --no_html --nce_layers 0,4"
    stored = to_dict(parse(*flags.split()))
    again = to_dict(
        repeat_options(parse("--ngf", "9", "--no_html", "false"), stored, MODEL_OPTIONS)
    )
    stored["model"]["ngf"], stored["display"]["no_html"] = 9, False
    assert again == stored


@pytest.mark.parametrize(
    ("model", "flag", "value"),
    [
        ("cut", "CUT_mode", "FastCUT"),
        ("cut", "model", "classifier"),
        ("classifier", "netC", "attention"),
    ],
)
def test_what_other_defaults_follow_from_cannot_be_changed(model, flag, value):
    config = parse("--model", value if flag == "model" else model, f"--{flag}", value)
    with pytest.raises(ValueError, match=rf"--{flag} \w+, not {value}; leave the flag out"):
        repeat_options(config, to_dict(parse("--model", model)), MODEL_OPTIONS)
