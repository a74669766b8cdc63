"""A classifier that finds its target, looks at it and names it.

Scores are linear in a mean of the features whose weights, a share of 1 for each position, the
network gives itself (attention pooling, Ilse et al. 2018). Training shows it windows in which the
target may be anywhere; a whole frame it sees twice, as a whole and where it then looks.
"""

import math
from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

from models.networks.classifiers.base import LAST_STAGE, Classifier
from models.networks.layers import BatchNorm

WIDTH = 32  # channels of the first stage; each of the next two has twice as many
FRAME_ZOOM = 2  # the network's pixels for one of a whole frame: 4 of the frame make a position
LOOK_SIZE = 128  # the network's pixels of a window where it looks again: as training shows windows
LOOK_SIDES = (64, 51, 40, 32)  # the frame's pixels in these: how large a target is nobody tells
NEAR_SIDE = 48  # the same of the one window in which a teacher compares images


class AttentionNet(nn.Module):
    """ResNet-18's stages up to the third, half as wide and without its max pooling, 8 pixels a
    position; a layer that says how much a position counts, and one that gives the scores.
    """

    def __init__(self, *, bands: int, classes: int, width: int = WIDTH) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(bands, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = BatchNorm(width)
        self.layer1 = _stage(width, width, stride=1)
        self.layer2 = _stage(width, 2 * width, stride=2)
        self.layer3 = _stage(2 * width, 4 * width, stride=2)
        self.attend = nn.Conv2d(4 * width, 1, 1, bias=False)
        self.fc = nn.Linear(4 * width, classes)
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.attend.weight)  # at first all positions count alike

    def stages(self, x: Tensor) -> Iterator[Tensor]:
        """Each stage's features, of normalised images (B, bands, H, W)."""
        x = F.relu(self.bn1(self.conv1(x)))
        for stage in (self.layer1, self.layer2, self.layer3):
            x = stage(x)
            yield x


def _stage(bands: int, width: int, *, stride: int) -> nn.Sequential:
    """Two basic blocks (He et al. 2016)."""
    shortcut = None
    if stride != 1 or bands != width:
        conv = nn.Conv2d(bands, width, 1, stride=stride, bias=False)
        shortcut = nn.Sequential(conv, BatchNorm(width))
    first = BasicBlock(bands, width, stride, shortcut, norm_layer=BatchNorm)
    return nn.Sequential(first, BasicBlock(width, width, norm_layer=BatchNorm))


class AttentionClassifier(Classifier):
    """Attention pooling over positions of 4 pixels a side; each image is normalised by its own mean
    and deviation, so that gain and level of a sensor say nothing.

    `features` are those of whole frames, which it sees enlarged, or of the chips that it has learnt
    from; `learn` and `looked_at` see windows. `head` gives the scores at first sight, `look` and so
    `forward` those of the second, the mean over windows of the frame.
    """

    netC = "attention"
    title = "attention network"
    strides = (1, 2, 4)
    attention = "hirescam"

    def __init__(self, *, classes: tuple[str, ...], bands: int = 1, **known: Any) -> None:
        super().__init__(classes=classes, bands=bands, **known)
        self.net = AttentionNet(bands=bands, classes=len(classes))

    def stages(self, images: Tensor) -> Iterator[Tensor]:
        yield from self._stages(images, zoom=1 if self.view == "chip" else FRAME_ZOOM)

    def _stages(self, images: Tensor, *, zoom: float) -> Iterator[Tensor]:
        images = self.in_own_bands(images)
        if zoom != 1:
            size = [round(zoom * length) for length in images.shape[-2:]]
            images = F.interpolate(images, size=size, mode="bilinear", align_corners=False)
        yield from self.net.stages(_normalised(images))

    def head(self, features: Tensor, stage: str = LAST_STAGE) -> Tensor:
        pooled = self.pool(self._deepened(features, stage))
        with torch.autocast(features.device.type, enabled=False):
            return self.net.fc(pooled)

    def pool(self, features: Tensor, stage: str = LAST_STAGE) -> Tensor:
        """Of the last stage, with the shares of the positions as weights; else the plain mean."""
        if self.depth(stage) < self.depth(LAST_STAGE):
            return super().pool(features, stage)
        return (features * self.log_shares(features).exp()[:, None]).sum(dim=(2, 3))

    def embedding(self, features: Tensor, stage: str = LAST_STAGE) -> Tensor:
        """Of mean square 1, or distances would be those of the few images that excite it most."""
        pooled = self.pool(features, stage)
        return F.normalize(pooled, dim=1) * math.sqrt(pooled.shape[1])

    def log_shares(self, features: Tensor) -> Tensor:
        """The log of the share of each position in the scores: (B, C, h, w) -> (B, h, w)."""
        with torch.autocast(features.device.type, enabled=False):  # their sum is 1 in fp32
            logits = self.net.attend(features.to(self.net.attend.weight.dtype))
        return logits.flatten(1).log_softmax(dim=1).view_as(logits)[:, 0]

    def learn(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """images: windows or chips, as they come; frames enlarged."""
        *_, features = self._stages(images, zoom=FRAME_ZOOM if self.view == "frame" else 1)
        return self.head(features), self.log_shares(features)

    def look(
        self, images: Tensor, features: Tensor | None = None, stage: str = LAST_STAGE
    ) -> Tensor:
        """Of whole frames, of windows about the position that counts most at first sight, the mean
        over the `LOOK_SIDES`.
        """
        if self.view == "chip":
            return super().look(images, features, stage)
        if features is None:
            features = self.features(images, stage)
        shares = self.log_shares(self._deepened(features, stage))
        places = _peaks(shares, images.shape[-2:])
        scores = [self.head(self.looked_at(images, places, side=side)) for side in LOOK_SIDES]
        return torch.stack(scores).mean(dim=0)

    def looked_at(
        self, images: Tensor, places: Tensor, stage: str = LAST_STAGE, *, side: int = NEAR_SIDE
    ) -> Tensor:
        """Features (B, C, h, w) of windows of frames (B, 1 or 3, H, W), seen larger.

        places: (B, 2), x and y of the middles in pixel edges; side: of the windows, in pixels.
        """
        windows = cut_windows(images, places, side=side)
        stages = self._stages(windows, zoom=LOOK_SIZE / side)
        return next(islice(stages, self.depth(stage), None))

    def score_gradient(self, features: Tensor, label: Tensor, stage: str = LAST_STAGE) -> Tensor:
        """Of the last stage in closed form, so that it has itself a gradient: with shares w and
        weights v of the class and u of the shares, that of Σ w (v·f) is w (v + (v·f − Σ w v·f) u).
        """
        if self.depth(stage) < self.depth(LAST_STAGE):
            return super().score_gradient(features, label, stage)
        shares = self.log_shares(features).exp()[:, None]
        of_class = self.net.fc.weight[label][:, :, None, None]
        told = (features * of_class).sum(dim=1, keepdim=True)
        beyond = told - (shares * told).sum(dim=(2, 3), keepdim=True)
        return shares * (of_class + beyond * self.net.attend.weight)

    def _deepened(self, features: Tensor, stage: str) -> Tensor:
        """Features of the last stage from those of `stage`."""
        for layer in (self.net.layer2, self.net.layer3)[self.depth(stage) :]:
            features = layer(features)
        return features


def _normalised(images: Tensor) -> Tensor:
    """Each image to mean 0 and deviation 1; a flat one becomes 0."""
    variance, mean = torch.var_mean(images, dim=(1, 2, 3), correction=0, keepdim=True)
    return (images - mean) * (variance + 1e-8).rsqrt()


def _peaks(shares: Tensor, size: tuple[int, int]) -> Tensor:
    """Middles (B, 2) of the largest of (B, h, w), x and y in pixel edges of images of `size`."""
    rows, columns = shares.shape[1:]
    peak = shares.flatten(1).argmax(dim=1)
    row, column = peak // columns, peak % columns
    height, width = size
    return torch.stack([(column + 0.5) * (width / columns), (row + 0.5) * (height / rows)], dim=1)


def cut_windows(images: Tensor, places: Tensor, *, side: int) -> Tensor:
    """Squares of `side` whole pixels about places (B, 2): (B, C, H, W) -> (B, C, side, side).

    places: x and y in pixel edges. Squares are moved to lie in the image; one that is smaller goes
    on as its mirror image at the right and below.
    """
    rows, columns = (
        _pixels(middle, side, length)
        for middle, length in zip((places[:, 1], places[:, 0]), images.shape[-2:], strict=True)
    )
    batch = torch.arange(len(images), device=images.device)[:, None, None]
    # Indices around a slice put the bands last.
    return images[batch, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _pixels(middle: Tensor, side: int, length: int) -> Tensor:
    """Which of `length` pixels a square shows: (B,) -> (B, side)."""
    first = (middle - side / 2).round().long().clamp(0, max(0, length - side))
    pixels = (first[:, None] + torch.arange(side, device=middle.device)) % (2 * length)
    return torch.where(pixels < length, pixels, 2 * length - 1 - pixels)
