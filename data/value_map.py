"""The one mapping between file units and the network's [-1, 1], and back."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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

    def counts(self, tensor: Tensor) -> Tensor:
        """Floats of any shape and device -> file values, uint8 or uint16, rounded, clipped."""
        values = (tensor.detach().float() + 1) * ((self.high - self.low) / 2) + self.low
        rounded = values.round_().clamp_(0, 2**self.bits - 1)
        return rounded.to(torch.uint8 if self.bits == 8 else torch.uint16)

    def decode(self, tensor: Tensor) -> np.ndarray:
        """Float (1 or 3, H, W) -> file values (H, W) or (H, W, 3), rounded, clipped to depth."""
        return as_image(self.counts(tensor).cpu())

    def at_depth(self, bits: int) -> "ValueMap":
        """How images of this map are saved with `bits`, 8 or 16.

        8 of 16 bits: `low` becomes 0 and `high` 255, as in previews. 16 of 8 bits: a count is 1/257
        of a grey level, so that 255 becomes 65535 and steps finer than a grey level are kept.
        """
        if bits == self.bits:
            return self
        return EIGHT_BIT if bits == 8 else ValueMap(self.low * 257, self.high * 257, 16)

    def __str__(self) -> str:
        return f"counts {self.low:,.10g} to {self.high:,.10g} of {self.bits} bits"


def recorded_maps(record: Mapping[str, Any]) -> dict[str, ValueMap]:
    """The value map of each domain by its role, from what run.json says."""
    return {role: ValueMap(**ends) for role, ends in record["value_maps"].items()}


def as_image(counts: Tensor) -> np.ndarray:
    """(1 or 3, H, W) of any type on the CPU -> the same memory as (H, W) or (H, W, 3)."""
    bands = counts.numpy()
    return bands[0] if len(bands) == 1 else bands.transpose(1, 2, 0)


EIGHT_BIT = ValueMap(low=0.0, high=255.0, bits=8)


@dataclass(frozen=True)
class Stored:
    """How one kind of image is stored: the map of its domain, and that of its files.

    The two differ where the files have another depth than the domain.
    """

    domain: ValueMap
    files: ValueMap

    def record(self) -> dict[str, Any]:
        """What a count in the files means: times `scale` plus `offset` it is one of the domain.

        bits: of the files; value_range: the values of the domain that are -1 and 1 inside.
        """
        domain, files = self.domain, self.files
        scale = (domain.high - domain.low) / (files.high - files.low)
        return {
            "bits": files.bits,
            "value_range": [domain.low, domain.high],
            "scale": scale,
            "offset": domain.low - files.low * scale,
        }


def find_value_map(
    files: Sequence[Path], *, read: Callable[[Path], np.ndarray] = read_image
) -> ValueMap:
    """The map of a set of images: 0..255 for 8 bits, the extreme counts of the set for 16 bits.

    read: what decodes a file. Raises UserError for a constant 16-bit set.
    """
    if read(files[0]).dtype == np.uint8:
        return EIGHT_BIT

    def extremes(path: Path) -> tuple[int, int]:
        image = read_depth(path, bits=16, read=read)
        return int(image.min()), int(image.max())

    with ThreadPoolExecutor() as pool:
        lows, highs = zip(*pool.map(extremes, files), strict=True)
    if min(lows) == max(highs):
        raise UserError(
            f"all {len(files)} images in {files[0].parent} hold the one value {min(lows)}; "
            "there is nothing to learn from them."
        )
    return ValueMap(low=float(min(lows)), high=float(max(highs)), bits=16)


def given_value_map(file: Path, low: float, high: float, *, flag: str) -> ValueMap:
    """The map of a domain whose `flag` names the ends; its depth is that of `file`.

    Raises UserError for ends that no file of this depth can hold.
    """
    bits = read_image(file).dtype.itemsize * 8
    if low < 0 or high > 2**bits - 1:
        raise UserError(
            f"--{flag} {low:.10g} {high:.10g} does not fit {file}, which has {bits} bits (0 to "
            f"{2**bits - 1}); choose other ends, or auto."
        )
    return ValueMap(low, high, bits)


def read_depth(
    path: Path, *, bits: int, read: Callable[[Path], np.ndarray] = read_image
) -> np.ndarray:
    """What `read` decodes, and a UserError where the file's depth is not `bits`."""
    image = read(path)
    require_depth(path, image.dtype.itemsize * 8, bits=bits)
    return image


def require_depth(path: Path, depth: int, *, bits: int) -> None:
    """Raises UserError where the `depth` of a file is not `bits`."""
    if depth != bits:
        raise UserError(
            f"{path} has {depth} bits where the other images of its domain, or those of training, "
            f"have {bits}; their values cannot be compared: use files of one depth."
        )
