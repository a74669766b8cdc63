"""The models by the names that --model takes: (model, its options)."""

from models.base import Model
from models.classifier import ClassifierModel
from models.cut import CutModel
from models.pix2pix import Pix2PixModel
from models.pix2pix_gradcam import Pix2PixGradcamModel
from options import (
    ClassifierOptions,
    CutOptions,
    ModelOptions,
    Pix2PixGradcamOptions,
    Pix2PixOptions,
)

MODELS: dict[str, tuple[type[Model], type[ModelOptions]]] = {
    "cut": (CutModel, CutOptions),
    "pix2pix": (Pix2PixModel, Pix2PixOptions),
    "pix2pix_gradcam": (Pix2PixGradcamModel, Pix2PixGradcamOptions),
    "classifier": (ClassifierModel, ClassifierOptions),
}
MODEL_OPTIONS = {name: options for name, (_, options) in MODELS.items()}
