"""From the values of each image to means with their uncertainty, and to sentences about them."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from data.value_type import ValueType
from metrics.bootstrap import confidence_intervals
from metrics.measure import ImageValues
from metrics.metric_properties import COMPARISONS, GROUPS, IMAGE_METRICS, PAIR_METRICS
from metrics.values import Mean, Means


def summarise(images: Sequence[ImageValues], group: str) -> Means:
    """Mean of every metric that was measured of a comparison or of a kind of images."""
    known = PAIR_METRICS if group in COMPARISONS else IMAGE_METRICS
    measured = [image.values[group] for image in images if group in image.values]
    if not measured:
        return {}
    names = [name for name in known if name in measured[0]]
    return means_of(names, np.array([[values[name] for name in names] for values in measured]))


def means_of(
    names: Sequence[str], table: np.ndarray, *, groups: Sequence[str] | None = None
) -> dict[str, Mean]:
    """The mean of each column and its interval. table: (n, names); groups: as for the bootstrap."""
    intervals = confidence_intervals(table, groups=groups)
    return {
        name: mean_of(column, tuple(interval) if np.isfinite(interval).all() else None)
        for name, column, interval in zip(names, table.T, intervals.tolist(), strict=True)
    }


def mean_of(column: np.ndarray, interval: tuple[float, float] | None) -> Mean:
    """Of the finite ones of values (n,)."""
    finite = column[np.isfinite(column)]
    return Mean(
        math.fsum(finite) / len(finite) if len(finite) else None,
        ci95=interval,
        n=len(finite),
        infinite=int(np.isinf(column).sum()),
        undefined=int(np.isnan(column).sum()),
    )


def type_notes(types: Mapping[str, ValueType]) -> Iterator[str]:
    """A sentence for each comparison whose two kinds differ in type; types: by kind."""
    for comparison, kind in COMPARISONS.items():
        what = GROUPS[comparison].what
        if kind in types and types[kind] != types["fake_B"]:
            yield (
                f"{what} is not measured: {kind} has {types[kind]} and fake_B "
                f"{types['fake_B']}, and values of two types cannot be compared pixel by pixel."
            )


def caveats(comparison: str, means: Means) -> Iterator[str]:
    """A sentence for each mean that does not stand for all images."""
    for key, mean in means.items():
        metric = PAIR_METRICS[key]
        title = f"{metric.name} of {GROUPS[comparison].what}"
        if mean.infinite:
            yield (
                f"{title}: {mean.infinite} of {mean.total} pairs are equal images (infinite), "
                "left out of the mean."
            )
        # How many images have no box is said of all metrics of boxes at once.
        if mean.undefined and "boxes" not in metric.needs:
            reason = f" ({metric.undefined})" if metric.undefined else ""
            yield (
                f"{title}: undefined for {mean.undefined} of {mean.total} pairs{reason}, left out "
                "of the mean."
            )
