"""Chips: square parts of images about their targets, as classifiers of targets see them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from data.windows import Window, needed, resample

MARGIN = 2.0  # side of a chip, in larger sides of the middlemost target
SIZE = 96  # pixels a side of what is made of it


@dataclass(frozen=True)
class ChipScale:
    """side: of chips, in pixels of their images: of all of them or, `by_range`, of a target at
    1,000 m, and 1,000/r of it at r metres.

    It never follows the image's own box: boxes made from motion are larger for some classes, and
    the size of a chip would give away which.
    """

    side: float
    by_range: bool

    @classmethod
    def fit(cls, boxes: ArrayLike, ranges: Sequence[float | None]) -> "ChipScale":
        """`MARGIN` times the median of the boxes' larger sides; by range where all are known and
        tell sizes, as they do not where recordings have lenses of their own.

        boxes: (N, 4) of x0, y0, x1, y1, N > 0; ranges: in metres.
        """
        boxes = np.asarray(boxes, float)
        sizes = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
        if None not in ranges:
            at_a_kilometre = sizes * np.asarray(ranges, float) / 1000
            # As alike as they are, but for rounding, where there is a single range.
            if _spread(at_a_kilometre) <= _spread(sizes) + 1e-9:
                return cls(MARGIN * float(np.median(at_a_kilometre)), by_range=True)
        return cls(MARGIN * float(np.median(sizes)), by_range=False)

    def side_at(self, range_m: float | None) -> float:
        """Pixels a side for a target at this range; NaN where it goes by an unknown one."""
        if not self.by_range:
            return self.side
        return math.nan if range_m is None else self.side * 1000 / range_m

    def window(self, box: Sequence[float], range_m: float | None) -> Window:
        """The chip about the middle of a box x0, y0, x1, y1."""
        side = self.side_at(range_m)
        x0, y0, x1, y1 = box
        return (x0 + x1 - side) / 2, (y0 + y1 - side) / 2, side, side


def _spread(sizes: np.ndarray) -> float:
    """Median absolute deviation of the logarithms, (N,) -> how unlike sizes are."""
    logs = np.log(sizes)
    return float(np.median(np.abs(logs - np.median(logs))))


def cut_chips(
    images: Tensor,
    boxes: Tensor,
    ranges: Sequence[float | None],
    scale: ChipScale,
    *,
    size: int = SIZE,
) -> Tensor:
    """A square about the middle of each box, resampled: (B, C, H, W) -> (B, C, size, size).

    boxes: (B, 4) of x0, y0, x1, y1 in pixel edges; ranges: in metres, known where `scale` goes by
    them. What lies beyond the image is the image mirrored at its edge.
    """
    chips = []
    for image, box, range_m in zip(images, boxes.tolist(), ranges, strict=True):
        rows, columns, inside = needed(scale.window(box, range_m), *image.shape[-2:], size=size)
        part = image[None, :, rows][..., columns].float()
        chips.append(resample(part, torch.tensor([inside]).to(part), size=size))
    return torch.cat(chips)
