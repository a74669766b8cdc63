"""The one mapping between file units and the network's [-1, 1], and back."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data.images import read_image
from util.errors import UserError


@dataclass(frozen=True)
class ValueMap:
    """Linear map of file values [low, high] to [-1, 1]; bits (8 or 16) is the files' depth.

    A checkpoint keeps the map of each domain, so that results come back in the domain's own units.
    """

    low: float
    high: float
    bits: int

    def encode(self, image: np.ndarray) -> Tensor:
        """File values (H, W) or (H, W, 3) -> float tensor (1 or 3, H, W), `low` -> -1, `high` -> 1.

        Values beyond the range go beyond [-1, 1]: nothing is clipped on the way in.
        """
        values = torch.from_numpy(image.astype(np.float32))
        return self.scale(
            values[None] if values.ndim == 2 else values.permute(2, 0, 1).contiguous()
        )

    def scale(self, values: Tensor) -> Tensor:
        """File values in a tensor of any shape and device -> float32, `low` -> -1, `high` -> 1."""
        return (values.float() - self.low) * (2 / (self.high - self.low)) - 1

    def decode(self, tensor: Tensor) -> np.ndarray:
        """Float (1 or 3, H, W) -> file values (H, W) or (H, W, 3), rounded, clipped to depth."""
        values = (tensor.detach().float().cpu() + 1) * ((self.high - self.low) / 2) + self.low
        counts = values.round().clamp(0, 2**self.bits - 1).numpy()
        counts = counts.astype(np.uint8 if self.bits == 8 else np.uint16)
        return counts[0] if counts.shape[0] == 1 else counts.transpose(1, 2, 0)


EIGHT_BIT = ValueMap(low=0.0, high=255.0, bits=8)


def find_value_map(files: Sequence[Path]) -> ValueMap:
    """The map of a set of images: 0..255 for 8 bits, the extreme counts of the set for 16 bits.

    Raises UserError for a constant 16-bit set.
    """
    if read_image(files[0]).dtype == np.uint8:
        return EIGHT_BIT

    def extremes(path: Path) -> tuple[int, int]:
        image = read_depth(path, bits=16)
        return int(image.min()), int(image.max())

    with ThreadPoolExecutor() as pool:
        lows, highs = zip(*pool.map(extremes, files), strict=True)
    if min(lows) == max(highs):
        raise UserError(
            f"all {len(files)} images in {files[0].parent} hold the one value {min(lows)}; "
            "there is nothing to learn from them."
        )
    return ValueMap(low=float(min(lows)), high=float(max(highs)), bits=16)


def read_depth(path: Path, *, bits: int) -> np.ndarray:
    """`read_image`, and a UserError where the file's depth is not `bits`."""
    image = read_image(path)
    depth = image.dtype.itemsize * 8
    if depth != bits:
        raise UserError(
            f"{path} has {depth} bits where the other images of its domain, or those of training, "
            f"have {bits}; their values cannot be compared: use files of one depth."
        )
    return image
