"""Square parts of frames about a target."""

import math
from dataclasses import dataclass

import numpy as np

from data.ground_truth import CentredBox


@dataclass(frozen=True)
class Chip:
    """A square of `side` pixels of a frame, its upper left pixel at (left, top).

    size: pixels a side of the image made of it.
    """

    left: int
    top: int
    side: int
    size: int

    @classmethod
    def about(cls, x: float, y: float, *, side: int, size: int, rows: int, columns: int) -> "Chip":
        """The square centred on (x, y), or moved inside at the border of the frame.

        So every pixel is one of the sensor's. side: no more than rows and columns.
        """
        left, top = (math.floor(centre - side / 2 + 0.5) for centre in (x, y))
        return cls(min(max(left, 0), columns - side), min(max(top, 0), rows - side), side, size)

    def cut(self, frame: np.ndarray) -> np.ndarray:
        """(rows, columns) -> (size, size) of the same type; resized only where side is not size.

        Resizing is antialiased bicubic, rounded for integers, within the square's own extremes.
        """
        square = frame[self.top : self.top + self.side, self.left : self.left + self.side]
        return square if self.side == self.size else _resized(square, self.size)

    def box(self, box: CentredBox) -> CentredBox:
        """A box of the frame in pixels of the chip's image."""
        scale = self.size / self.side
        x, y, width, height = box
        return (x - self.left) * scale, (y - self.top) * scale, width * scale, height * scale


def _resized(square: np.ndarray, size: int) -> np.ndarray:
    # torch takes more memory than all frames in work; only resizing needs it.
    import torch

    from data.transforms import resize

    values = torch.from_numpy(square.astype(np.float64))[None]
    resized = resize(values, (size, size))[0].numpy()
    if square.dtype.kind in "iu":
        resized = np.rint(resized)
    return resized.astype(square.dtype)
