"""What differs from model to model, in one table: the recipes of the papers."""

from collections.abc import Mapping
from typing import Any

PIX2PIX = {
    "dataset_mode": "aligned",
    "netG": "unet_256",
    "no_antialias": True,
    "no_antialias_up": True,
    "no_dropout": False,
    "init_type": "normal",
    "n_epochs": 100,
    "n_epochs_decay": 100,
}

# Images at their own size, of which windows and chips are cut.
WINDOWS_AND_CHIPS = {"preprocess": "none", "lr_policy": "one_cycle", "val_freq": 10}

PRESETS: dict[str, dict[str, Any]] = {
    "cut": {},
    # Beside losses of about 1; that of Pix2Pix is beside an L1 weighted 100 times.
    "cut_gradcam": {"lambda_gradcam": 0.1},
    "fastcut": {
        "nce_idt": False,
        "lambda_NCE": 10.0,
        "flip_equivariance": True,
        "n_epochs": 150,
        "n_epochs_decay": 50,
    },
    "pix2pix": PIX2PIX,
    "pix2pix_gradcam": PIX2PIX,
    # At their own size: resized images have another MTF and other noise than the sensor's.
    "sensor_fit": {"preprocess": "none"},
    "classifier": {
        "dataset_mode": "labeled",
        "preprocess": "resize",
        "load_size": 256,
        "batch_size": 32,
        "lr": 1e-3,
        "beta1": 0.9,
        "n_epochs": 15,
        "n_epochs_decay": 15,
        "val_freq": 1,
    },
    # Rows of --netC, beside that of the classifier.
    "attention": WINDOWS_AND_CHIPS,
    "efficientnet_lite0": WINDOWS_AND_CHIPS,
}

# The option of a model by whose values there are further rows.
VARIANTS = {"cut": "CUT_mode", "cut_gradcam": "CUT_mode", "classifier": "netC"}


def preset(model: str, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Defaults of a model; chosen: what is known of its options."""
    variant = str(chosen.get(VARIANTS.get(model, ""))).lower()
    return PRESETS[model] | PRESETS.get(variant, {})
