"""How the pixels of a set fill the range of their value map: what it cuts off, what it wastes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce

import numpy as np
from torch import Tensor

from data.datasets import Domain
from data.value_map import ValueMap
from util.distributed import gather

SAMPLED = 256  # images, spread over the set
TAIL = 1e-4  # share of the pixels at each end that may be dead, hot or a glint
FULLEST = 0.01  # share of the pixels at the largest value, above which it is saturation
LEAST_USE = 0.25  # share of the range, below which a narrower one is worth a line


@dataclass(frozen=True)
class RangeUse:
    """Shares, 0 to 1. Of the pixels: beyond the range (below, above), at the `largest` value that
    there is (saturated). Of the range: between the values `low` and `high` (used), which leave out
    0.01 % of the pixels at each end.
    """

    below: float
    above: float
    saturated: float
    used: float
    largest: float
    low: float
    high: float


def measure_range_use(domain: Domain) -> RangeUse:
    """Of up to 256 images, spread over the domain, as it hands them out.

    Raises UserError for a bad image.
    """
    numbers = range(0, len(domain.files), -(-len(domain.files) // SAMPLED))
    with ThreadPoolExecutor() as pool:
        seen = reduce(_Tally.plus, pool.map(lambda number: _tally(domain, number), numbers))
    value_map, values = domain.value_map, domain.value_map.levels().middles()
    total = seen.levels.sum()
    low, high = values[np.searchsorted(seen.levels.cumsum() / total, (TAIL, 1 - TAIL))].tolist()
    return RangeUse(
        below=seen.below / total,
        above=seen.above / total,
        saturated=seen.fullest / total,
        used=(high - low) / (value_map.high - value_map.low),
        largest=seen.largest,
        low=low,
        high=high,
    )


@dataclass(frozen=True)
class _Tally:
    """Pixels of some images: of each level, beyond the range, and (`fullest`) at the `largest`."""

    levels: np.ndarray
    below: int
    above: int
    largest: float
    fullest: int

    def plus(self, other: "_Tally") -> "_Tally":
        largest = max(self.largest, other.largest)
        return _Tally(
            self.levels + other.levels,
            self.below + other.below,
            self.above + other.above,
            largest,
            sum(one.fullest for one in (self, other) if one.largest == largest),
        )


def _tally(domain: Domain, number: int) -> _Tally:
    image, value_map, levels = domain.read(number), domain.value_map, domain.value_map.levels()
    largest = image.max()
    return _Tally(
        np.bincount(levels.bins(image).ravel(), minlength=levels.count),
        np.count_nonzero(image < value_map.low),
        np.count_nonzero(image > value_map.high),
        float(largest),
        np.count_nonzero(image == largest),
    )


def range_warnings(role: str, use: RangeUse) -> Iterator[str]:
    """What a user should know of the value range of domain `role`, a sentence each."""
    if use.below or use.above:
        fate = "go in beyond [-1, 1]" if role == "A" else "are clipped: no translation reaches them"
        yield (
            f"{role}: {percent(use.above)} of the pixels lie above the value range, "
            f"{percent(use.below)} below; they {fate}"
        )
    if use.saturated > FULLEST:
        yield (
            f"{role}: {percent(use.saturated)} of the pixels have the largest value of all, "
            f"{use.largest:,.10g}: they look saturated"
        )
    if use.used < LEAST_USE:
        yield (
            f"{role}: {percent(1 - 2 * TAIL)} of the pixels use {percent(use.used)} of the value "
            f"range, {use.low:,.10g} to {use.high:,.10g}; a narrower --value_range_{role} shows "
            "them better"
        )


class EndsTally:
    """Counts pixels of one kind of image at the ends of [-1, 1], batch by batch.

    beyond: whether values count that lie past an end by half a level or more, of `Levels`;
    otherwise those do that reach an end within half a level.
    """

    def __init__(self, value_map: ValueMap, *, beyond: bool) -> None:
        half_a_level = value_map.levels().step / (value_map.high - value_map.low)
        self.limit = 1 + half_a_level if beyond else 1 - half_a_level
        self.found: Tensor | int = 0
        self.pixels = 0

    def add(self, images: Tensor) -> None:
        """images: of any shape. Waits for no device: the number stays where the images are."""
        self.found = self.found + (images.abs() > self.limit).sum()
        self.pixels += images.numel()

    def add_others(self) -> None:
        """Once all of several processes have added theirs: what the others have counted."""
        counts = gather((int(self.found), self.pixels))
        self.found, self.pixels = map(sum, zip(*counts, strict=True))

    @property
    def share(self) -> float:
        """0 to 1; 0 before any image."""
        return int(self.found) / max(self.pixels, 1)


def percent(share: float) -> str:
    """As people read it: "3.2 %", "0.0042 %", "99.98 %"."""
    if 0 < share < 1e-5:
        return "under 0.001 %"
    return f"{100 * share:.{4 if share > 0.99 else 2}g} %"
