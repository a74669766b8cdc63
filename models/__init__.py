"""The models by the names that --model takes: those with training steps, and those that are fitted.

A class is imported once it is asked for: who only reads flags does not wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from options import ModelOptions
from options.groups import (
    ClassifierOptions,
    CutGradcamOptions,
    CutOptions,
    Pix2PixGradcamOptions,
    Pix2PixOptions,
    SensorFitOptions,
)

if TYPE_CHECKING:
    from models.base import Model

# Where the class is, and its options.
MODELS: dict[str, tuple[str, type[ModelOptions]]] = {
    "cut": ("models.cut:CutModel", CutOptions),
    "cut_gradcam": ("models.cut_gradcam:CutGradcamModel", CutGradcamOptions),
    "pix2pix": ("models.pix2pix:Pix2PixModel", Pix2PixOptions),
    "pix2pix_gradcam": ("models.pix2pix_gradcam:Pix2PixGradcamModel", Pix2PixGradcamOptions),
    "classifier": ("models.classifier:ClassifierModel", ClassifierOptions),
}
# Options of what is fitted to all images at once, in training/fit.py: the generator alone.
FITTED: dict[str, type[ModelOptions]] = {"sensor_fit": SensorFitOptions}
MODEL_OPTIONS = {name: options for name, (_, options) in MODELS.items()} | FITTED


def model_class(name: str) -> "type[Model]":
    """The class of --model `name`, a key of MODELS."""
    module, _, attribute = MODELS[name][0].partition(":")
    return getattr(import_module(module), attribute)


def flag_of_boxes(name: str, options: ModelOptions) -> str | None:
    """The flag of --model `name`, of MODEL_OPTIONS, that needs boxes of the targets; or None."""
    if name in FITTED:
        return "--fit_target" if options.fit_target else None
    return model_class(name).flag_of_boxes(options)


def reads_boxes(name: str, options: ModelOptions) -> bool:
    """Whether --model `name` uses boxes of targets where there are any, without need of them."""
    return name not in FITTED and model_class(name).reads_boxes(options)
