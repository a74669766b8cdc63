"""Defaults by model: the recipes of the papers, as users of the public code know them."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from models import MODEL_OPTIONS
from options import parse_train, to_dict
from options.parser import from_dict
from options.presets import PRESETS

# Presets that are not those of a whole model.
VARIANTS = {"fastcut": "cut", "attention": "classifier", "efficientnet_lite0": "classifier"}
ALL = {
    "preprocess": "resize_and_crop",
    "load_size": 286,
    "crop_size": 256,
    "no_flip": False,
    "batch_size": 1,
    "lr": 2e-4,
    "beta1": 0.5,
    "beta2": 0.999,
    "netD": "basic",
    "normG": "instance",
    "normD": "instance",
    "gan_mode": "lsgan",
    "lambda_GAN": 1.0,
    "init_gain": 0.02,
    "input_nc": 1,
    "output_nc": 1,
    "ngf": 64,
    "ndf": 64,
    "epoch_count": 1,
    "lr_policy": "linear",
}
CUT = {
    "dataset_mode": "unaligned",
    "netG": "resnet_9blocks",
    "no_dropout": True,
    "no_antialias": False,
    "no_antialias_up": False,
    "init_type": "xavier",
    "lambda_NCE": 1.0,
    "nce_idt": True,
    "flip_equivariance": False,
    "nce_T": 0.07,
    "num_patches": 256,
    "nce_layers": (0, 4, 8, 12, 16),
    "netF": "mlp_sample",
    "netF_nc": 256,
    "nce_includes_all_negatives_from_minibatch": False,
    "n_epochs": 200,
    "n_epochs_decay": 200,
}
FASTCUT = {
    "lambda_NCE": 10.0,
    "nce_idt": False,
    "flip_equivariance": True,
    "n_epochs": 150,
    "n_epochs_decay": 50,
}
PIX2PIX = {
    "dataset_mode": "aligned",
    "netG": "unet_256",
    "no_dropout": False,
    "no_antialias": True,
    "init_type": "normal",
    "lambda_L1": 100.0,
    "n_epochs": 100,
    "n_epochs_decay": 100,
}


def values(*argv: str) -> dict:
    config = parse_train(argv, MODEL_OPTIONS)
    groups = (config.run, config.data, config.model, config.training, config.display)
    return {f.name: getattr(group, f.name) for group in groups for f in fields(group)}


@pytest.mark.parametrize(
    ("argv", "recipe"),
    [
        ([], ALL | CUT),
        (["--model", "cut", "--CUT_mode", "FastCUT"], ALL | CUT | FASTCUT),
        (["--CUT_mode=fastcut"], ALL | CUT | FASTCUT),
        (["--model", "cut_gradcam"], ALL | CUT | {"lambda_gradcam": 0.1}),
        (["--model", "cut_gradcam", "--CUT_mode", "FastCUT"], ALL | CUT | FASTCUT),
        (["--model", "pix2pix"], ALL | PIX2PIX),
        (["--model", "pix2pix_gradcam"], ALL | PIX2PIX | {"lambda_gradcam": 10.0}),
    ],
)
def test_recipe(argv, recipe):
    found = values(*argv)
    assert {name: found[name] for name in recipe} == recipe


def test_gradcam_looks_at_the_last_stage_and_the_predicted_class():
    found = values("--model", "pix2pix_gradcam")
    assert (found["cam_layer"], found["cam_target"]) == ("layer4", "predicted")


def test_the_classifier_augments_and_splits_by_recording():
    found = values("--model", "classifier")
    assert not found["no_augment"] and found["split_by"] == "group"
    assert found["dataset_mode"] == "labeled" and found["imagenet_weights"] is None


@pytest.mark.parametrize("model", MODEL_OPTIONS)
def test_the_classifier_alone_validates_unasked(model):
    found = values("--model", model)
    assert found["val_freq"] == (1 if model == "classifier" else 0)
    assert (found["val_phase"], found["val_classifier"]) == ("val", None)


@pytest.mark.parametrize(
    ("argv", "name", "value"),
    [
        ("--CUT_mode FastCUT --nce_idt True", "nce_idt", True),
        ("--lambda_NCE 3 --CUT_mode FastCUT", "lambda_NCE", 3.0),
        ("--CUT_mode FastCUT --n_epochs 200", "n_epochs", 200),
        ("--model pix2pix --no_dropout", "no_dropout", True),
        ("--netG resnet_9blocks --model pix2pix", "netG", "resnet_9blocks"),
        ("--model pix2pix --no_antialias False", "no_antialias", False),
        ("--model pix2pix_gradcam --dataset_mode unaligned", "dataset_mode", "unaligned"),
        ("--model pix2pix --normG batch", "normG", "batch"),
        ("--model classifier --batch_size 1", "batch_size", 1),
    ],
)
def test_what_is_typed_goes_before_the_recipe(argv, name, value):
    assert values(*argv.split())[name] == value


def flags_of_recipe(column: int) -> list[str]:
    """Flags in a column of the table of recipes in docs/ARCHITECTURE.md, of train.py alone."""
    text = (Path(__file__).parents[2] / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = text.partition("| | here | pix2pix")[2].partition("\n\n")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    cells = [line.strip("|").split("|")[column] for line in rows if not line.startswith("| `test")]
    return " ".join(re.findall(r"`(--[^`]+)`", " ".join(cells))).split()


@pytest.mark.parametrize(
    ("column", "changed"),
    [
        (1, {}),
        (2, {"normG": "batch", "normD": "batch", "gan_mode": "vanilla"}),
        (
            3,
            {"normG": "batch", "normD": "batch", "no_dropout": True, "init_type": "xavier"}
            | {"lambda_L1": 10.0, "lambda_gradcam": 50.0, "batch_size": 8}
            | {"no_antialias": False},
        ),
    ],
)
def test_documented_flags_make_the_recipes_of_others(column, changed):
    found = values("--model", "pix2pix_gradcam", *flags_of_recipe(column))
    bands = {"input_nc": 3, "output_nc": 3} if column > 1 else {}
    recipe = ALL | PIX2PIX | {"lambda_gradcam": 10.0} | bands | changed
    assert {name: found[name] for name in recipe} == recipe


def test_every_preset_is_an_option_of_its_model():
    for name, preset in PRESETS.items():
        model = VARIANTS.get(name, name)
        assert preset.keys() <= values("--model", model).keys()


@pytest.mark.parametrize("spelling", [["--netC", "attention"], ["--netC=Attention"]])
def test_a_network_brings_its_own_defaults_and_flags_go_before(spelling):
    found = values("--model", "classifier", *spelling, "--val_freq", "3")
    assert (found["netC"], found["lr_policy"], found["val_freq"]) == ("attention", "one_cycle", 3)
    assert found["batch_size"] == 32 and found["preprocess"] == "none"
    assert values("--model", "classifier")["lr_policy"] == "linear"


@pytest.mark.parametrize("netC", ["resnet18", "attention"])
def test_a_run_of_an_earlier_version_has_the_defaults_of_its_network(netC):
    config = parse_train(["--model", "classifier", "--netC", netC], MODEL_OPTIONS)
    stored = to_dict(config)
    for name in ("lr_policy", "val_freq"):
        del stored["training"][name]
    assert from_dict(stored, MODEL_OPTIONS) == config
