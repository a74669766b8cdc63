"""From the values of each image to means with their uncertainty, and to sentences about them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from data.value_type import ValueType
from metrics import COMPARISONS, IMAGE_METRICS, PAIR_METRICS
from metrics.bootstrap import confidence_intervals
from metrics.measure import ImageValues

UNDEFINED = dict.fromkeys(("lpips_alex", "lpips_vgg"), "too small for the network")

Summary = dict[str, Any]  # mean, ci95, n, infinite, undefined: see docs/METRICS.md
Summaries = dict[str, Summary | None]  # metric -> summary; None for what was not measured


def summarise(rows: Sequence[ImageValues], group: str) -> Summaries:
    """Every metric of a comparison or of a kind of images.

    Mean over the finite values with its 95 % bootstrap interval, and how many values are finite,
    infinite and undefined (NaN): an infinite PSNR (equal images) would hide all other values, and
    JSON has no infinity. The mean is None where nothing is finite.
    """
    known = PAIR_METRICS if group in COMPARISONS else IMAGE_METRICS
    summaries: Summaries = dict.fromkeys(known)
    measured = [row.values[group] for row in rows if group in row.values]
    if not measured:
        return summaries
    names = [name for name in known if name in measured[0]]
    table = np.array([[values[name] for name in names] for values in measured])
    for name, column, interval in zip(names, table.T, confidence_intervals(table), strict=True):
        finite = column[np.isfinite(column)]
        certain = bool(np.isfinite(interval).all())
        summaries[name] = {
            "mean": math.fsum(finite) / len(finite) if len(finite) else None,
            "ci95": interval.tolist() if certain else None,
            "n": len(finite),
            "infinite": int(np.isinf(column).sum()),
            "undefined": int(np.isnan(column).sum()),
        }
    return summaries


def type_notes(types: Mapping[str, ValueType]) -> Iterator[str]:
    """A sentence for each comparison whose two kinds differ in type; types: by kind."""
    for comparison, kind in COMPARISONS.items():
        if kind in types and types[kind] != types["fake_B"]:
            yield (
                f"{words(comparison)} is not measured: {kind} has {types[kind]} and fake_B "
                f"{types['fake_B']}, and values of two types cannot be compared pixel by pixel."
            )


def caveats(comparison: str, summaries: Summaries) -> Iterator[str]:
    """A sentence for each mean that does not stand for all images."""
    for metric, summary in summaries.items():
        if summary is None:
            continue
        n = summary["n"] + summary["infinite"] + summary["undefined"]
        title = f"{PAIR_METRICS[metric].title.split(' [')[0]} of {words(comparison)}"
        if summary["infinite"]:
            yield (
                f"{title}: {summary['infinite']} of {n} pairs are equal images (infinite), "
                "left out of the mean."
            )
        if summary["undefined"]:
            yield (
                f"{title}: undefined for {summary['undefined']} of {n} pairs "
                f"({UNDEFINED.get(metric, 'a map is constant')}), left out of the mean."
            )


def words(comparison: str) -> str:
    """The name of a comparison as people read it: fake_B vs real_B."""
    return comparison.replace("_vs_", " vs ")
