"""Size and mirror of images, on float tensors, so that 16-bit values keep their precision.

`Preprocessing.draw` says how an image comes to its size, `resize_and_cut` brings many to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from data.boxes import clip_boxes
from options import DataOptions
from util.colour import LUMA_WEIGHTS
from util.errors import UserError

RESIZE_AND_CROP = ("resize_and_crop", "scale_width_and_crop")


@dataclass(frozen=True)
class Preprocessing:
    """How images come to the network's size; `training` adds the random crop and mirror.

    Without `training` the resizing is repeated and nothing is cut off: where training resized and
    cropped, the whole image is resized to the crop's size, as in CUT and pix2pix.
    """

    preprocess: str
    load_size: int
    crop_size: int
    flip: bool
    training: bool

    @classmethod
    def from_options(cls, options: DataOptions, *, training: bool) -> "Preprocessing":
        """Raises UserError where the crop is larger than the resized image."""
        resizes = options.preprocess in RESIZE_AND_CROP
        if training and resizes and options.load_size < options.crop_size:
            raise UserError(
                f"--load_size {options.load_size} is smaller than --crop_size "
                f"{options.crop_size}; images are resized first: raise it or lower the crop."
            )
        flip = training and not options.no_flip
        size = options.load_size
        if not training and resizes:
            size = options.crop_size
        return cls(options.preprocess, size, options.crop_size, flip, training)

    def without_margin(self) -> "Preprocessing":
        """Resize straight to the crop's size, as CUT does once the learning rate decays."""
        if self.preprocess not in RESIZE_AND_CROP:
            return self
        return replace(self, load_size=self.crop_size)

    def draw(self, height: int, width: int, rng: np.random.Generator, *, name: str) -> "Placement":
        """How an image of this size comes to the network's, by chance in training.

        Raises UserError for an image, here called `name`, that is smaller than the crop.
        """
        size, kept = self.resized(height, width), self.network_size(height, width, name=name)
        top = left = 0
        if self._crops:
            top, left = (int(rng.integers(length - self.crop_size + 1)) for length in size)
        mirrored = bool(self.flip and rng.random() < 0.5)
        return Placement(size, top, left, *kept, mirrored)

    def network_size(self, height: int, width: int, *, name: str) -> tuple[int, int]:
        """(height, width) to which an image of this size comes, whatever chance decides.

        Raises UserError for an image, here called `name`, that is smaller than the crop.
        """
        size = self.resized(height, width)
        if not self._crops:
            return size
        side = self.crop_size
        if min(size) < side:
            raise UserError(
                f"{name} is {size[1]}x{size[0]} pixels, smaller than --crop_size {side}; "
                "lower it or use --preprocess resize_and_crop."
            )
        return side, side

    @property
    def _crops(self) -> bool:
        return self.training and self.preprocess.endswith("crop")

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """Size (height, width) after resizing, before cropping."""
        if self.preprocess in ("resize_and_crop", "resize"):
            return self.load_size, self.load_size
        if self.preprocess in ("scale_width", "scale_width_and_crop"):
            scaled = max(1, round(self.load_size * height / width))
            if self.preprocess == "scale_width_and_crop":
                scaled = max(scaled, self.crop_size)
            return scaled, self.load_size
        return height, width


@dataclass(frozen=True)
class Placement:
    """How one image comes to its size; shared by the two images of a pair.

    size: height and width after resizing; top, left, height, width: what is kept of that, in
    pixels; mirrored: whether left and right change places.
    """

    size: tuple[int, int]
    top: int
    left: int
    height: int
    width: int
    mirrored: bool

    def cut(self, image: Tensor) -> Tensor:
        """The part of a resized image (..., H, W) that is kept, mirrored or not."""
        kept = image[..., self.top : self.top + self.height, self.left : self.left + self.width]
        return kept.flip(-1) if self.mirrored else kept

    def place(self, boxes: np.ndarray, height: int, width: int) -> np.ndarray:
        """Boxes (N, 4) in an image of this size -> (M, 4) in what is kept of it, clipped."""
        scale = np.array([self.size[1] / width, self.size[0] / height], np.float32)
        corners = boxes.reshape(-1, 2, 2) * scale - np.array([self.left, self.top], np.float32)
        if self.mirrored:
            corners[..., 0] = self.width - corners[:, ::-1, 0]
        return clip_boxes(corners.reshape(-1, 4), self.height, self.width)

    def trim(self, image: np.ndarray) -> tuple[np.ndarray, "Placement"]:
        """What is needed of an image (H, W, ...) that is not resized, and how that is placed."""
        if image.shape[:2] != self.size:
            return image, self
        kept = image[self.top : self.top + self.height, self.left : self.left + self.width]
        return kept, replace(self, size=kept.shape[:2], top=0, left=0)


def resize_and_cut(images: Tensor, placements: Sequence[Placement]) -> list[Tensor]:
    """Images (N, C, H, W) that are resized to one size -> each (C, H', W'), cut and mirrored."""
    (size,) = {placement.size for placement in placements}
    if size != images.shape[-2:]:
        images = resize(images, size)
    return [p.cut(image) for p, image in zip(placements, images, strict=True)]


def resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Antialiased bicubic (..., C, H, W) -> (..., C, *size); never beyond an image's extremes."""
    batch = images.reshape(-1, *images.shape[-3:])
    resized = F.interpolate(batch, size=size, mode="bicubic", align_corners=False, antialias=True)
    low, high = (of(batch, dim=(1, 2, 3), keepdim=True) for of in (torch.amin, torch.amax))
    return resized.clamp(low, high).reshape(*images.shape[:-2], *size)


def to_bands(images: Tensor, bands: int) -> Tensor:
    """(..., 1 or 3, H, W) -> (..., bands, H, W): luminance of RGB, or the grey band repeated."""
    if images.shape[-3] == bands:
        return images
    if bands == 3:
        return images.expand(*images.shape[:-3], 3, -1, -1)
    # In float64, weights normalised to sum to 1: grey stored as RGB comes back exactly.
    colours = zip(LUMA_WEIGHTS, images.double().split(1, dim=-3), strict=True)
    return sum(band * (weight / sum(LUMA_WEIGHTS)) for weight, band in colours).float()
