"""ResNet-18 for thermal images, cut into features and head so that Grad-CAM needs no hooks."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from models.networks import check_state_dict, load_weights
from models.networks.layers import BatchNorm
from util.checkpoint import load
from util.colour import LUMA_WEIGHTS
from util.errors import UserError

STAGES = ("layer1", "layer2", "layer3", "layer4")


class Classifier(nn.Module):
    """torchvision's ResNet-18 with its own classes, bands and normalisation.

    Everyone hands it images (B, 1 or 3, H, W) in [-1, 1]; grey is repeated, colour becomes
    luminance, where it takes the other.
    classes: names by index; bands: 1 or 3; mean, std: of the training images in [-1, 1];
    value_range: the file values that training mapped to -1 and 1, value_type: what they are
    (DataFacts has both); None where unknown.
    """

    def __init__(
        self,
        *,
        classes: tuple[str, ...],
        bands: int = 1,
        mean: float = 0.0,
        std: float = 1.0,
        value_range: tuple[float, float] | None = None,
        value_type: str | None = None,
    ) -> None:
        super().__init__()
        self.classes, self.bands = classes, bands
        self.value_range, self.value_type = value_range, value_type
        self.register_buffer("mean", torch.tensor(mean), persistent=False)
        self.register_buffer("std", torch.tensor(std), persistent=False)
        self.net = resnet18(weights=None, num_classes=len(classes), norm_layer=BatchNorm)
        if bands != 3:
            self.net.conv1 = nn.Conv2d(bands, 64, 7, stride=2, padding=3, bias=False)

    def features(self, images: Tensor, stage: str = "layer4") -> Tensor:
        """Feature maps (B, C, h, w) of the last block of `stage`."""
        for name, features in self.stages(images):
            if name == stage:
                return features
        raise ValueError(f"there is no stage {stage}")

    def stages(self, images: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Each stage's name and feature maps (B, C, h, w) of its last block, from first to last."""
        if images.shape[1] != self.bands:
            images = _grey(images).expand(-1, self.bands, -1, -1)
        net = self.net
        x = (images - self.mean) / self.std
        x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
        for name in STAGES:
            x = net.get_submodule(name)(x)
            yield name, x

    def head(self, features: Tensor, stage: str = "layer4") -> Tensor:
        """Scores (B, K) from the feature maps of `stage`."""
        for name in STAGES[STAGES.index(stage) + 1 :]:
            features = self.net.get_submodule(name)(features)
        return self.net.fc(self.net.avgpool(features).flatten(1))

    def forward(self, images: Tensor) -> Tensor:
        """Scores (B, K) of images (B, 1 or 3, H, W) in [-1, 1]."""
        return self.head(self.features(images))

    def expect_range(self, low: float, high: float, *, source: str) -> None:
        """From now on take images whose -1 and 1 stand for these file values of domain B.

        The normalisation is moved along, so that one file value looks the same as in training.
        Raises UserError, naming `source`, where training showed no such value.
        """
        if self.value_range is not None:
            own_low, own_high = self.value_range
            if high <= own_low or low >= own_high:
                raise UserError(
                    f"{source} knows file values from {own_low:g} to {own_high:g}, and those of B "
                    f"run from {low:g} to {high:g}; train a classifier on images of this kind."
                )
            scale = (high - low) / (own_high - own_low)
            offset = ((high + low) - (own_high + own_low)) / (own_high - own_low)
            self.mean.sub_(offset).div_(scale)
            self.std.div_(scale)
        self.value_range = (low, high)

    def start_from_imagenet(self, path: Path) -> None:
        """Take torchvision's ImageNet weights, all but the last layer; RGB filters are summed.

        Raises UserError for a file that holds something else.
        """
        weights = load(path, hint="name torchvision's resnet18 file with --imagenet_weights")
        check_state_dict(weights, source=str(path))
        weights = dict(weights)
        own = self.net.state_dict()
        if "conv1.weight" not in weights or weights["conv1.weight"].shape[1] != 3:
            raise UserError(f"{path} holds no ResNet-18 for RGB images; give torchvision's file.")
        if self.bands == 1:
            weights["conv1.weight"] = weights["conv1.weight"].sum(dim=1, keepdim=True)
        weights |= {key: own[key] for key in ("fc.weight", "fc.bias")}
        load_weights(self.net, weights, source=str(path))

    def export(self, **report: Any) -> dict[str, Any]:
        """Everything that `load_classifier` needs, and a report on how good it is."""
        return {
            "weights": self.net.state_dict(),
            "classes": list(self.classes),
            "bands": self.bands,
            "mean": float(self.mean),
            "std": float(self.std),
            "value_range": self.value_range and list(self.value_range),
            "value_type": self.value_type,
            **report,
        }


def _grey(images: Tensor) -> Tensor:
    """(B, 1 or 3, H, W) -> (B, 1, H, W), luminance as in training data; equal bands stay exact."""
    if images.shape[1] == 1:
        return images
    weights = images.new_tensor(LUMA_WEIGHTS)
    return torch.einsum("bchw,c->bhw", images, weights / weights.sum())[:, None]


def load_classifier(path: Path) -> Classifier:
    """A trained classifier, frozen and in eval mode.

    Also takes a bare ResNet-18 state dict, whose classes are then called by their numbers and whose
    images are taken as they are. Raises UserError for any other file.
    """
    content = load(path, hint="train one with --model classifier, or correct --classifier")
    if not isinstance(content, Mapping):
        raise UserError(f"{path} holds no classifier; give a file of --model classifier.")
    if "weights" not in content:
        content = {"weights": content}
    check_state_dict(content["weights"], source=str(path))
    weights = {k.removeprefix("module."): v for k, v in content["weights"].items()}
    if "conv1.weight" not in weights or "fc.weight" not in weights:
        raise UserError(f"{path} holds no ResNet-18 classifier; give a file of --model classifier.")
    numbered = map(str, range(weights["fc.weight"].shape[0]))
    classifier = Classifier(
        classes=tuple(content.get("classes", numbered)),
        bands=weights["conv1.weight"].shape[1],
        mean=content.get("mean", 0.0),
        std=content.get("std", 1.0),
        value_range=content.get("value_range") and tuple(content["value_range"]),
        value_type=content.get("value_type"),
    )
    load_weights(classifier.net, weights, source=str(path))
    return classifier.requires_grad_(False).eval()
