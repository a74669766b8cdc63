"""How the pixels of a set fill the range of their value map: what it cuts off, what it wastes."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from data.value_map import ValueMap, read_depth

SAMPLED = 256  # images, spread over the set
TAIL = 1e-4  # share of the pixels at each end that may be dead, hot or a glint
FULLEST_BIN = 0.01  # share of the pixels at the largest count, above which it is saturation
LEAST_USE = 0.25  # share of the range, below which a narrower one is worth a line


@dataclass(frozen=True)
class RangeUse:
    """Shares, 0 to 1. Of the pixels: beyond the range (below, above), at the `largest` count that
    there is (saturated). Of the range: between the counts `low` and `high` (used), which leave out
    0.01 % of the pixels at each end.
    """

    below: float
    above: float
    saturated: float
    used: float
    largest: int
    low: int
    high: int


def measure_range_use(files: Sequence[Path], value_map: ValueMap) -> RangeUse:
    """Of up to 256 images, spread over the set. Raises UserError for a file of another depth."""

    def histogram(path: Path) -> np.ndarray:
        image = read_depth(path, bits=value_map.bits)
        return np.bincount(image.ravel(), minlength=2**value_map.bits)

    with ThreadPoolExecutor() as pool:
        pixels = sum(pool.map(histogram, files[:: -(-len(files) // SAMPLED)]))
    shares = pixels / pixels.sum()
    counts = np.arange(len(shares))
    largest = int(counts[pixels > 0][-1])
    low, high = (int(end) for end in np.searchsorted(shares.cumsum(), (TAIL, 1 - TAIL)))
    return RangeUse(
        below=float(shares[counts < value_map.low].sum()),
        above=float(shares[counts > value_map.high].sum()),
        saturated=float(shares[largest]),
        used=(high - low) / (value_map.high - value_map.low),
        largest=largest,
        low=low,
        high=high,
    )


def range_warnings(role: str, use: RangeUse) -> Iterator[str]:
    """What a user should know of the value range of domain `role`, a sentence each."""
    if use.below or use.above:
        fate = "go in beyond [-1, 1]" if role == "A" else "are clipped: no translation reaches them"
        yield (
            f"{role}: {percent(use.above)} of the pixels lie above the value range, "
            f"{percent(use.below)} below; they {fate}"
        )
    if use.saturated > FULLEST_BIN:
        yield (
            f"{role}: {percent(use.saturated)} of the pixels have the largest count of all, "
            f"{use.largest:,}: they look saturated"
        )
    if use.used < LEAST_USE:
        yield (
            f"{role}: {percent(1 - 2 * TAIL)} of the pixels use {percent(use.used)} of the value "
            f"range, {use.low:,} to {use.high:,}; a narrower --value_range_{role} shows them better"
        )


class EndsTally:
    """Counts pixels of one kind of image at the ends of [-1, 1], batch by batch.

    beyond: whether values count that lie past an end by half a count or more; otherwise those do
    that reach an end within half a count.
    """

    def __init__(self, value_map: ValueMap, *, beyond: bool) -> None:
        half_a_count = 1 / (value_map.high - value_map.low)
        self.limit = 1 + half_a_count if beyond else 1 - half_a_count
        self.found: Tensor | int = 0
        self.pixels = 0

    def add(self, images: Tensor) -> None:
        """images: of any shape. Waits for no device: the number stays where the images are."""
        self.found = self.found + (images.abs() > self.limit).sum()
        self.pixels += images.numel()

    @property
    def share(self) -> float:
        """0 to 1; 0 before any image."""
        return int(self.found) / max(self.pixels, 1)


def percent(share: float) -> str:
    """As people read it: "3.2 %", "0.0042 %", "99.98 %"."""
    if 0 < share < 1e-5:
        return "under 0.001 %"
    return f"{100 * share:.{4 if share > 0.99 else 2}g} %"
