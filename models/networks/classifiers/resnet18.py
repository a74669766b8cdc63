"""ResNet-18 (He et al. 2016) for thermal images."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torchvision.models import resnet18

from models.networks import check_state_dict, load_weights
from models.networks.classifiers.base import LAST_STAGE, STAGES, PooledClassifier, sum_of_bands
from models.networks.layers import BatchNorm
from util.checkpoint import load
from util.errors import UserError


class ResNet18Classifier(PooledClassifier):
    """torchvision's ResNet-18, whose state-dict keys it has; normalised by the training images."""

    netC = "resnet18"
    title = "ResNet-18"
    strides = (4, 8, 16, 32)

    def __init__(self, *, classes: tuple[str, ...], bands: int = 1, **known: Any) -> None:
        super().__init__(classes=classes, bands=bands, **known)
        self.net = resnet18(weights=None, num_classes=len(classes), norm_layer=BatchNorm)
        if bands != 3:
            self.net.conv1 = nn.Conv2d(bands, 64, 7, stride=2, padding=3, bias=False)

    def stages(self, images: Tensor) -> Iterator[Tensor]:
        net = self.net
        x = (self.in_own_bands(images) - self.mean) / self.std
        x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
        for name in STAGES:
            x = net.get_submodule(name)(x)
            yield x

    def head(self, features: Tensor, stage: str = LAST_STAGE) -> Tensor:
        for name in STAGES[STAGES.index(stage) + 1 :]:
            features = self.net.get_submodule(name)(features)
        return self.net.fc(self.net.avgpool(features).flatten(1))

    def start(self, weights_file: Path | None) -> str:
        """torchvision's ImageNet weights, all but the last layer; RGB filters are summed."""
        if weights_file is None:
            return "the ResNet-18 starts from scratch: no --imagenet_weights given"
        path, own = weights_file, self.net.state_dict()
        weights = load(path, hint="name torchvision's resnet18 file with --imagenet_weights")
        check_state_dict(weights, source=str(path))
        weights = dict(weights)
        if "conv1.weight" not in weights or weights["conv1.weight"].shape[1] != 3:
            raise UserError(f"{path} holds no ResNet-18 for RGB images; give torchvision's file.")
        weights["conv1.weight"] = sum_of_bands(weights["conv1.weight"], self.bands)
        weights |= {key: own[key] for key in ("fc.weight", "fc.bias")}
        load_weights(self.net, weights, source=str(path))
        return f"the ResNet-18 starts from {path}"
