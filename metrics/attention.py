"""Where a classifier looks: pure functions of batches of Grad-CAM maps.

Maps are tensors (B, 1, H, W) in [0, 1], all 0 where there is no positive evidence; boxes (B, 4) are
those of `metrics.boxes`, a row of NaN where an image has none. Returned are (B,) float64 tensors.
"""

import torch
from torch import Tensor

from metrics.boxes import inside
from metrics.paired import ssim


def gcss(a: Tensor, b: Tensor) -> Tensor:
    """Grad-CAM structural similarity: `ssim` of two maps with data range 1, in [-1, 1].

    a, b: (B, 1, H, W) in [0, 1]. 1 for equal maps. NaN where both are empty: that the judge sees
    nothing in either is no agreement on where to look.
    """
    empty = (a.amax(dim=(1, 2, 3)) == 0) & (b.amax(dim=(1, 2, 3)) == 0)
    return ssim(a.double(), b.double(), data_range=1.0).masked_fill(empty, torch.nan)


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """Pearson's correlation coefficient of two maps over the pixels, in [-1, 1].

    a, b: (B, 1, H, W). 1 where one map is a positive linear function of the other. NaN where a map
    is constant: its deviation is 0 and the coefficient is not defined.
    """
    a, b = a.double().flatten(1), b.double().flatten(1)
    # Asked of the values: rounding may leave a constant map deviations from its mean.
    constant = (a.amax(1) == a.amin(1)) | (b.amax(1) == b.amin(1))
    value = _cosine(a - a.mean(dim=1, keepdim=True), b - b.mean(dim=1, keepdim=True))
    return value.masked_fill(constant, torch.nan)


def cam_cosine(a: Tensor, b: Tensor) -> Tensor:
    """Cosine of the angle between two maps as vectors, a·b / (|a| |b|); in [0, 1] for maps >= 0.

    a, b: (B, 1, H, W). NaN where a map is all 0: it has no direction.
    """
    return _cosine(a.double().flatten(1), b.double().flatten(1))


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    """Of the rows of two (B, N); NaN for a row of zeros."""
    lengths = torch.linalg.vector_norm(a, dim=1) * torch.linalg.vector_norm(b, dim=1)
    return (torch.linalg.vecdot(a, b) / lengths).clamp(-1, 1)


def pointing_game(maps: Tensor, boxes: Tensor) -> Tensor:
    """1 where the maximum of the map lies inside the box, else 0 (Zhang et al. 2018).

    "Top-down neural attention by excitation backprop", without its tolerance of 15 pixels. Of
    several maxima the first in reading order counts. maps: (B, 1, H, W); boxes: (B, 4). NaN without
    a box and for an empty map.
    """
    hit = _inside(maps, boxes).gather(1, maps.flatten(1).argmax(dim=1, keepdim=True))[:, 0]
    undefined = _without(boxes) | (maps.flatten(1).amax(dim=1) == 0)
    return hit.double().masked_fill(undefined, torch.nan)


def energy_in_box(maps: Tensor, boxes: Tensor) -> Tensor:
    """Share of the map's sum that lies inside the box, in [0, 1] (Wang et al. 2020, Score-CAM).

    The energy-based pointing game; chance is `box_share`. maps: (B, 1, H, W), none negative;
    boxes: (B, 4). NaN without a box and for an empty map.
    """
    energy = maps.double().flatten(1)
    share = (energy * _inside(maps, boxes)).sum(dim=1) / energy.sum(dim=1)
    return share.masked_fill(_without(boxes), torch.nan)


def box_share(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Share of an image's pixels inside its box, in [0, 1]: what a map without aim would reach.

    boxes: (B, 4); size: (H, W) of the images. NaN without a box.
    """
    return inside(boxes, *size).double().mean(dim=(1, 2)).masked_fill(_without(boxes), torch.nan)


def _inside(maps: Tensor, boxes: Tensor) -> Tensor:
    """(B, H·W) of bool: which pixels of each map lie in its box."""
    return inside(boxes, *maps.shape[-2:]).flatten(1)


def _without(boxes: Tensor) -> Tensor:
    return boxes.isnan().any(dim=1)
