"""Windows: parts of images, wherever they begin and end, brought to squares of one size.

A window is (left, top, width, height) in pixels of its image, from the image's upper left corner
to that of the window. One with a negative width is shown mirrored: its left edge is then where the
right one would be. Beyond its edges an image is mirrored.
"""

import math

import numpy as np
import torch
from torch import Tensor

from data.boxes import clip_boxes

REACH = 2  # half of the kernel's width, in pixels of what it is as wide as

Window = tuple[float, float, float, float]


def needed(
    window: Window, height: int, width: int, *, size: int, blur: float = 1.0
) -> tuple[np.ndarray, np.ndarray, Window]:
    """What `resample` needs of an image (height, width) to show a window with `size` pixels a side.

    Its rows and columns, as places for an index, and the window in what they select.
    """
    left, top, across, down = window
    rows, columns = _span(top, down, size, blur), _span(left, across, size, blur)
    inside = (left - float(columns[0]), top - float(rows[0]), across, down)
    return _mirrored(rows, height), _mirrored(columns, width), inside


def _span(first: float, length: float, size: int, blur: float) -> np.ndarray:
    """Places along a side, beyond the image, too, from which a window's pixels are made."""
    reach = REACH * max(1.0, abs(length) / size) * blur
    start, stop = min(first, first + length), max(first, first + length)
    return np.arange(math.floor(start - reach), math.ceil(stop + reach))


def _mirrored(places: np.ndarray, length: int) -> np.ndarray:
    """Those beyond 0 ... length - 1 mirrored at the ends, again and again."""
    places = places % (2 * length)
    return np.where(places < length, places, 2 * length - 1 - places)


def resample(images: Tensor, windows: Tensor, *, size: int, blur: Tensor | None = None) -> Tensor:
    """A window (4,) of each image: (B, C, h, w) and (B, 4) -> (B, C, size, size).

    Bicubic (Keys 1981, a = -1/2) and antialiased: the kernel is as wide as pixels of the image or
    of the result, whichever are larger, `blur` (B,) times that. Never beyond an image's extremes.
    """
    rows = _weights(windows[:, 1], windows[:, 3], size, images.shape[-2], blur)
    columns = _weights(windows[:, 0], windows[:, 2], size, images.shape[-1], blur)
    found = rows[:, None] @ images @ columns[:, None].transpose(-1, -2)
    low, high = (of(images, dim=(1, 2, 3), keepdim=True) for of in (torch.amin, torch.amax))
    return found.clamp(low, high)


def _weights(first: Tensor, length: Tensor, size: int, count: int, blur: Tensor | None) -> Tensor:
    """(B, size, count): what each of `count` pixels gives to each of the window's."""
    step = length / size
    width = step.abs().clamp_min(1)
    if blur is not None:
        width = width * blur
    middles = first[:, None] + (torch.arange(size, device=first.device) + 0.5) * step[:, None]
    pixels = torch.arange(count, device=first.device) + 0.5
    weights = _cubic((pixels - middles[..., None]) / width[:, None, None])
    return weights / weights.sum(dim=-1, keepdim=True)


def _cubic(places: Tensor) -> Tensor:
    x = places.abs().clamp_max(2)
    near = (1.5 * x - 2.5) * x * x + 1
    return torch.where(x < 1, near, -0.5 * (x - 1) * (x - 2) ** 2)


def place_boxes(boxes: np.ndarray, window: Window, *, size: int) -> np.ndarray:
    """Boxes (N, 4) of an image -> (M, 4) in pixels of its window, clipped to it."""
    left, top, across, down = window
    corners = (boxes.reshape(-1, 2, 2) - (left, top)) * (size / across, size / down)
    ordered = np.sort(corners, axis=1).astype(np.float32)  # mirrored ones have x0 > x1
    return clip_boxes(ordered.reshape(-1, 4), size, size)
