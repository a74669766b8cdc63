"""What every classifier offers: features and head, so that maps of attention need no hooks."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from util.batch import View
from util.colour import LUMA_WEIGHTS
from util.errors import UserError

# Depths at which classifiers are read; of one with fewer stages, its last is all that follow.
STAGES = ("layer1", "layer2", "layer3", "layer4")
LAST_STAGE = STAGES[-1]

Attention = Literal["gradcam", "hirescam"]


class Classifier(nn.Module, ABC):
    """A network that names what images show, with its own classes, bands and normalisation.

    Everyone hands it images (B, 1 or 3, H, W) in [-1, 1]; grey is repeated, colour becomes
    luminance, where it takes the other. `net` holds the layers, whose state dict is what files
    keep.

    netC, title: its name among flags, and for people. strides: pixels of an image a position of
    each stage's features. first_layer, last_layer: of `net`, the convolution that takes the bands
    and the linear layer that gives the scores. attention: the kind of map that tells where it
    looks, by Grad-CAM or by HiResCAM (models/gradcam.py).
    """

    netC: ClassVar[str]
    title: ClassVar[str]
    strides: ClassVar[tuple[int, ...]]
    first_layer: ClassVar[str] = "conv1"
    last_layer: ClassVar[str] = "fc"
    attention: ClassVar[Attention] = "gradcam"
    net: nn.Module

    def __init__(
        self,
        *,
        classes: tuple[str, ...],
        bands: int = 1,
        mean: float = 0.0,
        std: float = 1.0,
        value_range: tuple[float, float] | None = None,
        value_type: str | None = None,
        view: View = "frame",
        chip_scale: Mapping[str, Any] | None = None,
    ) -> None:
        """classes: names by index; bands: 1 or 3; mean, std: of the training images in [-1, 1];
        value_range: the file values that training mapped to -1 and 1, value_type: what they are
        (DataFacts has both); None where unknown. view: how training showed images, chip_scale: how
        large its chips were; as in DataFacts, too.
        """
        super().__init__()
        self.classes, self.bands = classes, bands
        self.value_range, self.value_type = value_range, value_type
        self.view, self.chip_scale = view, chip_scale
        self.register_buffer("mean", torch.tensor(mean), persistent=False)
        self.register_buffer("std", torch.tensor(std), persistent=False)

    @abstractmethod
    def stages(self, images: Tensor) -> Iterator[Tensor]:
        """Each stage's feature maps (B, C, h, w), from first to last."""

    @abstractmethod
    def head(self, features: Tensor, stage: str = LAST_STAGE) -> Tensor:
        """Scores (B, K) from the feature maps of `stage`."""

    def start(self, weights_file: Path | None) -> str:
        """Take weights to start from; a sentence on what they are, for people.

        weights_file: that of --imagenet_weights, None without. Raises UserError for one that does
        not fit.
        """
        if weights_file is not None:
            raise UserError(
                f"--imagenet_weights is for --netC resnet18, not for {self.netC}; leave it out."
            )
        return f"the {self.title} starts from scratch"

    def depth(self, stage: str) -> int:
        """Which of its own stages `stage` is, from 0."""
        return min(STAGES.index(stage), len(self.strides) - 1)

    def features(self, images: Tensor, stage: str = LAST_STAGE) -> Tensor:
        """Feature maps (B, C, h, w) of the last block of `stage`."""
        wanted = self.depth(stage)
        for place, found in enumerate(self.stages(images)):
            if place == wanted:
                return found
        raise ValueError(f"the {self.title} has no stage {stage}")

    def look(
        self, images: Tensor, features: Tensor | None = None, stage: str = LAST_STAGE
    ) -> Tensor:
        """Scores (B, K) of images; features: those of `stage`, where they are there already."""
        return self.head(self.features(images, stage) if features is None else features, stage)

    def forward(self, images: Tensor) -> Tensor:
        """Scores (B, K) of images (B, 1 or 3, H, W) in [-1, 1]."""
        return self.look(images)

    def learn(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Scores (B, K) of images as training shows them, and the log of the share of each position
        (B, h, w) in them; None where the network has no such shares.
        """
        return self.head(self.features(images)), None

    def pool(self, features: Tensor, stage: str = LAST_STAGE) -> Tensor:
        """What stands for an image as a whole: features (B, C, h, w) of `stage` -> (B, C).

        Of the last stage it has `embedding_size` numbers, and scores are linear in it.
        """
        return features.mean(dim=(2, 3))

    def embedding(self, features: Tensor, stage: str = LAST_STAGE) -> Tensor:
        """What distances between sets of images compare: as `pool`."""
        return self.pool(features, stage)

    @property
    def linear(self) -> nn.Linear:
        """The layer that gives the scores."""
        return self.net.get_submodule(self.last_layer)

    @property
    def embedding_size(self) -> int:
        """Channels of the last stage."""
        return self.linear.in_features

    def score_gradient(self, features: Tensor, label: Tensor, stage: str = LAST_STAGE) -> Tensor:
        """Gradient of the score of class `label` (B,) in the features (B, C, h, w) of `stage`.

        Of their shape, or (B, C, 1, 1) where it is the same at all positions. In eval mode.
        """
        return score_gradient(lambda x: self.head(x, stage), features, label)

    def in_own_bands(self, images: Tensor) -> Tensor:
        """(B, 1 or 3, H, W) -> (B, bands, H, W)."""
        if images.shape[1] == self.bands:
            return images
        return _grey(images).expand(-1, self.bands, -1, -1)

    def expect_range(
        self,
        low: float,
        high: float,
        *,
        value_type: str,
        source: str,
        domain: Literal["A", "B"] = "B",
    ) -> None:
        """From now on take images whose -1 and 1 stand for these file values of a domain.

        value_type: of the values, as in DataFacts. The normalisation is moved along, so that one
        file value looks the same as in training. Raises UserError, naming `source`, where training
        showed no such value.
        """
        if self.value_range is not None:
            if value_type != self.value_type:
                raise UserError(
                    f"{source} knows {self.value_type} images, and those of {domain} are "
                    f"{value_type}; train a classifier on images of this kind."
                )
            own_low, own_high = self.value_range
            if high <= own_low or low >= own_high:
                raise UserError(
                    f"{source} knows file values from {own_low:g} to {own_high:g}, and those of "
                    f"{domain} run from {low:g} to {high:g}; train a classifier on images of this "
                    "kind."
                )
            scale = (high - low) / (own_high - own_low)
            offset = ((high + low) - (own_high + own_low)) / (own_high - own_low)
            self.mean.sub_(offset).div_(scale)
            self.std.div_(scale)
        self.value_range = (low, high)

    def require_frames(self, source: str) -> None:
        """Raises UserError, naming `source`, for one that knows chips alone."""
        if self.view == "chip":
            raise UserError(
                f"{source} was trained on chips, squares about the targets, and knows no whole "
                "images; name it with --chip_classifier of evaluate.py, and another one here."
            )

    def export(self, **report: Any) -> dict[str, Any]:
        """Everything that `load_classifier` needs, and a report on how good it is."""
        return {
            "netC": self.netC,
            "weights": self.net.state_dict(),
            "classes": list(self.classes),
            "bands": self.bands,
            "mean": float(self.mean),
            "std": float(self.std),
            "value_range": self.value_range and list(self.value_range),
            "value_type": self.value_type,
            "view": self.view,
            "chip_scale": self.chip_scale and dict(self.chip_scale),
            **report,
        }


def score_gradient(head: Callable[[Tensor], Tensor], features: Tensor, label: Tensor) -> Tensor:
    """Gradient of the class score in the features, by differentiation: (B, C, h, w), a constant.

    head: features (B, C, h, w) -> scores (B, K); label: (B,) class index of each image. The head
    must treat each image of the batch by itself (eval mode).
    """
    with torch.enable_grad():
        features = features.detach().requires_grad_()
        score = head(features).gather(1, label[:, None]).sum()
        (gradient,) = torch.autograd.grad(score, features)
    return gradient


def pooled_linear_gradient(weight: Tensor, label: Tensor, *, pixels: int) -> Tensor:
    """The same for a head that averages over `pixels` = h*w positions and is linear: exact.

    weight: (K, C); label: (B,). Returns (B, C, 1, 1), equal at all positions.
    """
    return (weight.detach()[label] / pixels)[:, :, None, None]


class PooledClassifier(Classifier):
    """One whose scores are linear in the mean of its last features."""

    def score_gradient(self, features: Tensor, label: Tensor, stage: str = LAST_STAGE) -> Tensor:
        if self.depth(stage) < self.depth(LAST_STAGE):
            return super().score_gradient(features, label, stage)
        pixels = features.shape[2] * features.shape[3]
        return pooled_linear_gradient(self.linear.weight, label, pixels=pixels)


def sum_of_bands(weight: Tensor, bands: int) -> Tensor:
    """Filters (C, 3, k, k) of RGB images for images of `bands`: grey as if it were repeated."""
    return weight.sum(dim=1, keepdim=True) if bands == 1 else weight


def _grey(images: Tensor) -> Tensor:
    """(B, 1 or 3, H, W) -> (B, 1, H, W), luminance as in training data; equal bands stay exact."""
    if images.shape[1] == 1:
        return images
    weights = images.new_tensor(LUMA_WEIGHTS)
    return torch.einsum("bchw,c->bhw", images, weights / weights.sum())[:, None]
