"""Classifiers by the names that --netC takes, and their files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from models.networks import check_state_dict, load_weights
from models.networks.classifiers.attention import AttentionClassifier
from models.networks.classifiers.base import LAST_STAGE, STAGES, Classifier
from models.networks.classifiers.lite0 import Lite0Classifier
from models.networks.classifiers.resnet18 import ResNet18Classifier
from util.checkpoint import load
from util.errors import UserError

__all__ = [
    "CLASSIFIERS",
    "LAST_STAGE",
    "STAGES",
    "AttentionClassifier",
    "Classifier",
    "Lite0Classifier",
    "ResNet18Classifier",
    "classifier_kind",
    "load_classifier",
]

CLASSIFIERS: dict[str, type[Classifier]] = {
    kind.netC: kind for kind in (ResNet18Classifier, AttentionClassifier, Lite0Classifier)
}


def load_classifier(path: Path) -> Classifier:
    """A trained classifier, frozen and in eval mode.

    Also takes a bare ResNet-18 state dict, whose classes are then called by their numbers and whose
    images are taken as they are. Raises UserError for any other file.
    """
    kind, content, weights = _read(path)
    first, last = f"{kind.first_layer}.weight", f"{kind.last_layer}.weight"
    numbered = map(str, range(weights[last].shape[0]))
    classifier = kind(
        classes=tuple(content.get("classes", numbered)),
        bands=weights[first].shape[1],
        mean=content.get("mean", 0.0),
        std=content.get("std", 1.0),
        value_range=content.get("value_range") and tuple(content["value_range"]),
        value_type=_value_type(content),
        view=content.get("view", "frame"),
        chip_scale=content.get("chip_scale"),
    )
    load_weights(classifier.net, weights, source=str(path))
    return classifier.requires_grad_(False).eval()


def _value_type(content: Mapping[str, Any]) -> str | None:
    """Files of earlier versions do not name it, nor were there floats."""
    value_range = content.get("value_range")
    told = value_range and ("uint16" if value_range[1] > 255 else "uint8")
    return content.get("value_type") or told


def classifier_kind(path: Path) -> type[Classifier]:
    """Of what `load_classifier` gives; no network is made. Raises UserError as that does."""
    return _read(path)[0]


def _read(path: Path) -> tuple[type[Classifier], Mapping[str, Any], dict[str, Tensor]]:
    """What a file holds: the kind of classifier, what is known of it, and its weights."""
    content = load(path, hint="train one with --model classifier, or correct --classifier")
    if not isinstance(content, Mapping):
        raise UserError(f"{path} holds no classifier; give a file of --model classifier.")
    if "weights" not in content:
        content = {"weights": content}
    check_state_dict(content["weights"], source=str(path))
    weights = {k.removeprefix("module."): v for k, v in content["weights"].items()}
    name = content.get("netC", ResNet18Classifier.netC)
    kind = CLASSIFIERS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise UserError(
            f"{path} holds a classifier of another version of this program (--netC {name}); use "
            "that version or another file."
        )
    first, last = f"{kind.first_layer}.weight", f"{kind.last_layer}.weight"
    if first not in weights or last not in weights:
        raise UserError(
            f"{path} holds no {kind.title} classifier; give a file of --model classifier."
        )
    return kind, content, weights
