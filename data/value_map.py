"""The one mapping between file units and the network's [-1, 1], and back."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data.images import read_image, read_type
from data.value_type import UINT8, UINT16, ValueType
from util.errors import UserError

FLOAT_LEVELS = 2**14  # of the range of a map, in histograms of floats


@dataclass(frozen=True)
class ValueMap:
    """Linear map of file values [low, high] to [-1, 1]; type: what the files' values are.

    A checkpoint keeps the map of each domain, so that results come back in the domain's own units.
    """

    low: float
    high: float
    type: ValueType

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "ValueMap":
        """What `record` made."""
        unit = record.get("unit", "counts")
        return cls(record["low"], record["high"], ValueType.from_bits(record["bits"], unit))

    def record(self) -> dict[str, Any]:
        """Plain values for a file: low, high, bits and, of floats, unit."""
        return {"low": self.low, "high": self.high, **self.type.record()}

    @property
    def data_range(self) -> float:
        """What differences of values are measured by: all that the files can hold, 255 or 65535.

        Floats can hold anything: of them it is the range of the map.
        """
        return self.high - self.low if self.type.is_float else self.type.ends[1]

    def levels(self) -> "Levels":
        """The bins that values of this type are counted in."""
        if not self.type.is_float:
            return Levels(2**self.type.bits)
        # A third of the bins for the range itself, whose ends are middles of bins.
        step = (self.high - self.low) / FLOAT_LEVELS
        return Levels(3 * FLOAT_LEVELS + 1, self.low - FLOAT_LEVELS * step, step)

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
        """Floats of any shape and device -> file values of the map's type.

        Whole numbers are rounded and clipped to what files hold; floats are neither.
        """
        values = (tensor.detach().float() + 1) * ((self.high - self.low) / 2) + self.low
        if self.type.is_float:
            return values
        return values.round_().clamp_(*self.type.ends).to(getattr(torch, self.type.dtype))

    def decode(self, tensor: Tensor) -> np.ndarray:
        """Float (1 or 3, H, W) -> file values (H, W) or (H, W, 3), as `counts` makes them."""
        return as_image(self.counts(tensor).cpu())

    def at_bits(self, bits: int) -> "ValueMap":
        """How images of this map are saved with `bits`: 8, 16, or 32 for floats.

        To 8 bits: `low` becomes 0 and `high` 255, as in previews; 16 bits of floats: 0 and 65535.
        16 of 8 bits: a count is 1/257 of a grey level, so that 255 becomes 65535 and steps finer
        than a grey level are kept. Floats are the values of the domain themselves.
        """
        if bits == self.type.bits:
            return self
        if bits == 32:
            return ValueMap(self.low, self.high, ValueType("float32"))
        if bits == 16 and not self.type.is_float:
            return ValueMap(self.low * 257, self.high * 257, UINT16)
        saved = ValueType.from_bits(bits)
        return ValueMap(*map(float, saved.ends), saved)

    def __str__(self) -> str:
        ends = f"{self.low:,.10g} to {self.high:,.10g}"
        return f"{ends}, {self.type}" if self.type.is_float else f"counts {ends} of {self.type}"


@dataclass(frozen=True)
class Levels:
    """Bins for histograms of file values: bin i has those around `first` + i * `step`.

    What lies beyond the first or the last bin is counted there.
    """

    count: int
    first: float = 0.0
    step: float = 1.0

    def bins(self, values: np.ndarray) -> np.ndarray:
        """Values of any shape -> the number of each one's bin, whole numbers."""
        if np.issubdtype(values.dtype, np.unsignedinteger):
            return values
        places = (values - self.first) / self.step
        return np.rint(places, out=places).clip(0, self.count - 1, out=places).astype(np.int32)

    def middles(self) -> np.ndarray:
        """(count,) float64: the middle of each bin."""
        return self.first + self.step * np.arange(self.count)

    def __str__(self) -> str:
        bits = {256: "8 bits", 65536: "16 bits"}
        return bits.get(self.count, f"floats in steps of {self.step:.3g}")


def recorded_maps(record: Mapping[str, Any]) -> dict[str, ValueMap]:
    """The value map of each domain by its role, from what run.json says."""
    return {role: ValueMap.from_record(found) for role, found in record["value_maps"].items()}


def as_image(counts: Tensor) -> np.ndarray:
    """(1 or 3, H, W) of any type on the CPU -> the same memory as (H, W) or (H, W, 3)."""
    bands = counts.numpy()
    return bands[0] if len(bands) == 1 else bands.transpose(1, 2, 0)


EIGHT_BIT = ValueMap(low=0.0, high=255.0, type=UINT8)


@dataclass(frozen=True)
class Stored:
    """How one kind of image is stored: the map of its domain, and that of its files.

    The two differ where the files are of another type than the domain.
    """

    domain: ValueMap
    files: ValueMap

    def record(self) -> dict[str, Any]:
        """What a count in the files means: times `scale` plus `offset` it is one of the domain.

        bits and, of floats, unit: of the files; value_range: the values of the domain that are -1
        and 1 inside.
        """
        domain, files = self.domain, self.files
        scale = (domain.high - domain.low) / (files.high - files.low)
        return {
            **files.type.record(),
            "value_range": [domain.low, domain.high],
            "scale": scale,
            "offset": domain.low - files.low * scale,
        }


def find_value_map(
    files: Sequence[Path], *, read: Callable[[Path], np.ndarray] = read_image
) -> ValueMap:
    """The map of a set of images: 0..255 for 8 bits, the extreme values of the set for others.

    read: what decodes a file. Raises UserError for files of several types and for a set of one
    value, but for 8 bits.
    """
    found = _type_of(files[0], read(files[0]))
    if found == UINT8:
        return EIGHT_BIT

    def extremes(path: Path) -> tuple[float, float]:
        image = read(path)
        require_type(path, _type_of(path, image), found)
        return float(image.min()), float(image.max())

    with ThreadPoolExecutor() as pool:
        lows, highs = zip(*pool.map(extremes, files), strict=True)
    low, high = min(lows), max(highs)
    if low == high:
        raise UserError(
            f"all {len(files)} images in {files[0].parent} hold the one value {low:.10g}; "
            "there is nothing to learn from them."
        )
    return ValueMap(low, high, found)


def given_value_map(
    low: float, high: float, found: ValueType, *, flag: str, source: str
) -> ValueMap:
    """The map of a domain whose `flag` names the ends; source: what is of the type `found`.

    Raises UserError for ends that no file of this type can hold.
    """
    least, largest = found.ends
    if low < least or high > largest:
        raise UserError(
            f"--{flag} {low:.10g} {high:.10g} does not fit {source}, which has {found} ({least} to "
            f"{largest}); choose other ends, or auto."
        )
    return ValueMap(low, high, found)


def _type_of(path: Path, image: np.ndarray) -> ValueType:
    """Of what was read; the file says what unit floats are in."""
    return read_type(path) if image.dtype == np.float32 else ValueType(image.dtype.name)


def read_as(
    path: Path, wanted: ValueType, *, read: Callable[[Path], np.ndarray] = read_image
) -> np.ndarray:
    """What `read` decodes, and a UserError where the file has not the wanted kind of numbers.

    Of floats the unit is not looked up here: that of a domain is the first file's.
    """
    image = read(path)
    if image.dtype.name != wanted.dtype:
        require_type(path, ValueType(image.dtype.name), wanted)
    return image


def require_type(path: Path, found: ValueType, wanted: ValueType) -> None:
    """Raises UserError where what was found in a file is not what is wanted."""
    if found != wanted:
        raise UserError(
            f"{path} has {found} where the other images of its domain, or those of training, "
            f"have {wanted}; their values cannot be compared: use files of one type."
        )
