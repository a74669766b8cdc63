"""Augmentation for classifying thermal images.

Gain and offset of a camera, position and size in the frame differ from video to video; a classifier
that sees them fixed learns them in place of the vehicle. What is drawn is drawn an image at a time,
with the image's own generator; what is done with it is done with all images at once.

ThermalChange is for whole frames; in windows and chips place and size come with the cut, and
ToneChange does the rest.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from data.boxes import clip_boxes

GAIN = 0.3  # standard deviation of the log contrast
OFFSET = 0.25  # largest brightness change, in units of [-1, 1]
SHIFT = 0.15  # largest displacement, as a share of the side
SCALE = 0.2  # largest change of size
NOISE = 0.03  # largest noise, standard deviation in units of [-1, 1]
GAMMA = 0.3  # standard deviation of the log exponent
SATURATED = 0.2  # largest share of an image's own extent that is cut off at either end


@dataclass(frozen=True)
class ThermalChange:
    """What is done to images: fields are numbers for one image, tensors (B,) for a batch.

    zoom: distances in the image that were 1 in the result; right, down: where the result's middle
    lies in the image, in half sides; gain: of the contrast; offset: of the brightness, in units of
    [-1, 1]; noise: (C, H, W) or (B, C, H, W), added.
    """

    zoom: float | Tensor
    right: float | Tensor
    down: float | Tensor
    gain: float | Tensor
    offset: float | Tensor
    noise: np.ndarray | Tensor

    @classmethod
    def draw(cls, shape: tuple[int, int, int], rng: np.random.Generator) -> "ThermalChange":
        """At random, for an image of this shape (C, H, W)."""
        zoom = 1 / (1 + rng.uniform(-SCALE, SCALE))
        right, down = rng.uniform(-SHIFT, SHIFT, size=2) * 2
        gain = math.exp(rng.normal(0, GAIN))
        offset = rng.uniform(-OFFSET, OFFSET)
        noise = rng.normal(0, rng.uniform(0, NOISE), size=shape).astype(np.float32)
        return cls(zoom, right, down, gain, offset, noise)

    @classmethod
    def stack(cls, changes: Sequence["ThermalChange"]) -> "ThermalChange":
        """Of single images -> of their batch."""
        numbers = [[c.zoom, c.right, c.down, c.gain, c.offset] for c in changes]
        noise = torch.from_numpy(np.stack([change.noise for change in changes]))
        return cls(*torch.tensor(numbers, dtype=torch.float32).unbind(dim=1), noise)

    def place(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes (N, 4) in an image -> (M, 4) in what becomes of it, clipped; of a single change."""
        size = np.array(self.noise.shape[:-3:-1], np.float32)  # width, height
        middle = np.array([self.right, self.down], np.float32)
        seen = (boxes.reshape(-1, 2, 2) / size * 2 - 1 - middle) / self.zoom
        height, width = self.noise.shape[-2:]
        return clip_boxes(((seen + 1) / 2 * size).astype(np.float32).reshape(-1, 4), height, width)


def augment_thermal(images: Tensor, change: ThermalChange) -> Tensor:
    """Gain, offset, shift, scale and noise: (B, C, H, W) in [-1, 1] -> the same."""
    zoom, right, down, gain, offset = (
        value[:, None, None, None]
        for value in (change.zoom, change.right, change.down, change.gain, change.offset)
    )
    height, width = images.shape[-2:]
    x, y = (_centres(length, images.device) for length in (width, height))
    places = torch.cat(
        [
            (x[:, None] * zoom + right).expand(-1, height, width, 1),
            (y[:, None, None] * zoom + down).expand(-1, height, width, 1),
        ],
        dim=-1,
    )
    moved = F.grid_sample(
        images, places, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    middle = moved.mean(dim=(1, 2, 3), keepdim=True)
    moved = (moved - middle) * gain + middle + offset
    return (moved + change.noise).clamp(-1, 1)


@dataclass(frozen=True)
class ToneChange:
    """What is done to the values of images: fields are numbers for one image, tensors (B,) for a
    batch.

    low, high: where values saturate, in shares of the image's own extent; gamma: exponent, of these
    shares; gain: of the contrast; offset: of the brightness, in units of [-1, 1]; noise: (C, H, W)
    or (B, C, H, W), added.
    """

    low: float | Tensor
    high: float | Tensor
    gamma: float | Tensor
    gain: float | Tensor
    offset: float | Tensor
    noise: np.ndarray | Tensor

    @classmethod
    def draw(cls, shape: tuple[int, int, int], rng: np.random.Generator) -> "ToneChange":
        """At random, for an image of this shape (C, H, W)."""
        low, cut = rng.uniform(0, SATURATED, size=2)
        gamma, gain = np.exp(rng.normal(0, (GAMMA, GAIN)))
        offset = rng.uniform(-OFFSET, OFFSET)
        noise = rng.standard_normal(shape, np.float32) * np.float32(rng.uniform(0, NOISE))
        return cls(low, 1 - cut, gamma, gain, offset, noise)

    @classmethod
    def stack(cls, changes: Sequence["ToneChange"]) -> "ToneChange":
        """Of single images -> of their batch."""
        numbers = [[c.low, c.high, c.gamma, c.gain, c.offset] for c in changes]
        noise = torch.from_numpy(np.stack([change.noise for change in changes]))
        return cls(*torch.tensor(numbers, dtype=torch.float32).unbind(dim=1), noise)


def change_tone(images: Tensor, change: ToneChange) -> Tensor:
    """Saturation, gamma, gain, offset and noise: (B, C, H, W) in [-1, 1] -> the same.

    The offset goes as far as there is room: windows of a dark image would be black all over.
    """
    low, high, gamma, gain, offset = (
        value[:, None, None, None]
        for value in (change.low, change.high, change.gamma, change.gain, change.offset)
    )
    least, most = _extremes(images)
    extent = (most - least).clamp_min(1e-6)
    toned = ((images - least) / extent).clamp(low, high) ** gamma * extent + least
    middle = toned.mean(dim=(1, 2, 3), keepdim=True)
    stretched = (toned - middle) * gain + middle
    least, most = _extremes(stretched)
    moved = stretched + offset.clamp((-1 - least).clamp_max(0), (1 - most).clamp_min(0))
    return (moved + change.noise).clamp(-1, 1)


def _extremes(images: Tensor) -> tuple[Tensor, Tensor]:
    return images.amin(dim=(1, 2, 3), keepdim=True), images.amax(dim=(1, 2, 3), keepdim=True)


def _centres(length: int, device: torch.device) -> Tensor:
    """Pixel centres along a side whose ends are -1 and 1.

    As in F.affine_grid, whose product of matrices may be of TF32 on a GPU: a tenth of a pixel off.
    """
    return torch.linspace(-1, 1, length, device=device) * (length - 1) / length
