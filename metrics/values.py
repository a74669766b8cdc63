"""One number of an evaluation with its uncertainty: a mean over images, or a distance of sets."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Mean:
    """Of a metric over the images of a set, or over trainings; the fields are those of JSON.

    mean: over the finite values, None without any: an infinite PSNR (equal images) would hide all
    other values, and JSON has no infinity; ci95: its 95 % interval, None where it is not defined;
    n, infinite, undefined: how many values are finite, infinite and NaN.
    """

    biased = False  # no field: only distances are

    mean: float | None
    ci95: tuple[float, float] | None
    n: int
    infinite: int
    undefined: int

    @property
    def number(self) -> float:
        """The mean; without a finite value inf where some are infinite, else NaN."""
        if self.mean is None:
            return math.inf if self.infinite else math.nan
        return self.mean

    @property
    def ends(self) -> tuple[float, float] | None:
        """Of the line that shows how sure the number is."""
        return self.ci95

    @property
    def total(self) -> int:
        """Images or trainings, those without a finite value too."""
        return self.n + self.infinite + self.undefined


@dataclass(frozen=True)
class Difference(Mean):
    """Of a metric between two rows, over the images that they share, or over their trainings.

    verdict: what the interval says of the first row; "" where it holds 0, and where neither way is
    better.
    """

    verdict: Literal["better", "worse", ""]


@dataclass(frozen=True)
class TrainingMean(Mean):
    """Of a metric over the trainings of a design. biased: whether a distance among them is."""

    biased: bool


@dataclass(frozen=True)
class Distance:
    """Of two sets of images; the fields are those of the JSON file.

    value: None where it is not defined or infinite; std: deviation over subsets of `subset_size`
    images, for metrics that draw such; n: images of either set; biased: too few for this metric;
    ci95: 95 % interval, for metrics that have one.
    """

    value: float | None
    std: float | None
    n: tuple[int, int]
    subset_size: int | None
    biased: bool
    ci95: tuple[float, float] | None = None

    @property
    def number(self) -> float:
        """The value, NaN without one."""
        return math.nan if self.value is None else self.value

    @property
    def ends(self) -> tuple[float, float] | None:
        """Of the line that shows how sure the number is."""
        if self.ci95:
            return self.ci95
        return (self.number - self.std, self.number + self.std) if self.std else None


Cell = Mean | Distance
Means = Mapping[str, Mean]  # metric -> mean; what was not measured is absent
Distances = Mapping[str, Distance]
