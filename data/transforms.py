"""Size and mirror of images, on float tensors, so that 16-bit values keep their precision."""

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

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

    def draw(self, height: int, width: int, rng: np.random.Generator) -> "Placement":
        """Where to crop an image of this size, and whether to mirror it."""
        height, width = self.resized(height, width)
        top = left = 0
        if self.training and self.preprocess.endswith("crop"):
            top = int(rng.integers(max(0, height - self.crop_size) + 1))
            left = int(rng.integers(max(0, width - self.crop_size) + 1))
        return Placement(top, left, bool(self.flip and rng.random() < 0.5))

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

    def apply(self, image: Tensor, placement: "Placement", *, name: str) -> Tensor:
        """(C, H, W) -> (C, H', W'). Raises UserError for an image smaller than the crop."""
        size = self.resized(*image.shape[-2:])
        if size != image.shape[-2:]:
            image = resize(image, size)
        if self.training and self.preprocess.endswith("crop"):
            side = self.crop_size
            if min(size) < side:
                raise UserError(
                    f"{name} is {size[1]}x{size[0]} pixels, smaller than --crop_size {side}; "
                    "lower it or use --preprocess resize_and_crop."
                )
            top, left = placement.top, placement.left
            image = image[:, top : top + side, left : left + side]
        return image.flip(-1) if placement.mirrored else image


@dataclass(frozen=True)
class Placement:
    """One drawn crop corner in pixels, and mirror; shared by the two images of a pair."""

    top: int
    left: int
    mirrored: bool


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Antialiased bicubic (C, H, W) -> (C, *size); never beyond the image's own extremes."""
    resized = F.interpolate(
        image[None], size=size, mode="bicubic", align_corners=False, antialias=True
    )[0]
    return resized.clamp(image.min(), image.max())


def to_bands(image: Tensor, bands: int) -> Tensor:
    """(1 or 3, H, W) -> (bands, H, W): luminance of RGB, or the grey band repeated."""
    if image.shape[0] == bands:
        return image
    if bands == 3:
        return image.expand(3, -1, -1)
    # Grey stored as RGB comes back exactly: the weights are normalised to sum to 1.
    weights = torch.tensor(LUMA_WEIGHTS, dtype=torch.float64)
    grey = torch.einsum("chw,c->hw", image.double(), weights / weights.sum())
    return grey[None].float()
