"""Chips: square parts of images about their targets, as judges of classes see them."""

import torch
from torch import Tensor

from data.transforms import resize

MARGIN = 1.5  # side of a chip, in larger sides of the box
SMALLEST = 24  # pixels a side, however small the box: enlarging shows no more
SIZE = 64  # pixels a side of what is made of it


def cut_chips(images: Tensor, boxes: Tensor, *, size: int = SIZE) -> Tensor:
    """A square about the middle of each box, resized: (B, C, H, W) -> (B, C, size, size).

    boxes: (B, 4) of x0, y0, x1, y1 in pixel edges. The square is MARGIN times as large as the
    larger side of the box, SMALLEST at least, and ends at whole pixels; what of it lies beyond the
    image is the image mirrored at its edge. Resizing is antialiased bicubic, in [low, high] of the
    square.
    """
    return torch.stack([_cut(*pair, size) for pair in zip(images, boxes.tolist(), strict=True)])


def _cut(image: Tensor, box: tuple[float, float, float, float], size: int) -> Tensor:
    x0, y0, x1, y1 = box
    side = max(SMALLEST, round(MARGIN * max(x1 - x0, y1 - y0)))
    rows, columns = (
        _mirrored(round(middle - side / 2), side, length).to(image.device)
        for middle, length in zip(((y0 + y1) / 2, (x0 + x1) / 2), image.shape[1:], strict=True)
    )
    square = image[:, rows][:, :, columns]
    return square if side == size else resize(square, (size, size))


def _mirrored(first: int, count: int, length: int) -> Tensor:
    """`count` places from `first` on, those beyond 0 ... length - 1 mirrored at the ends."""
    places = torch.arange(first, first + count) % (2 * length)
    return torch.where(places < length, places, 2 * length - 1 - places)
