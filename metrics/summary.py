"""From the values of each image to means, and to the table and CSV that show them."""

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from metrics import ATTENTION_METRICS, COMPARISONS, IMAGE_METRICS, TITLES
from metrics.measure import ImageValues

METRICS = (*IMAGE_METRICS, *ATTENTION_METRICS)

Summary = dict[str, float | int | None]
Means = dict[str, dict[str, Summary | None] | None]  # comparison -> metric -> summary


def summarise(values: Sequence[float]) -> Summary:
    """Mean over the finite values, and how many values are finite, infinite and undefined (NaN).

    An infinite PSNR (equal images) would hide all other values, and JSON has no infinity: such
    values are counted instead. The mean is None where nothing is finite.
    """
    finite = [value for value in values if math.isfinite(value)]
    return {
        "mean": math.fsum(finite) / len(finite) if finite else None,
        "n": len(finite),
        "infinite": sum(map(math.isinf, values)),
        "undefined": sum(map(math.isnan, values)),
    }


def means_of(rows: Sequence[ImageValues]) -> Means:
    """`summarise` for each comparison and metric; None for those that were not measured."""
    means: Means = dict.fromkeys(COMPARISONS)
    for comparison, measured in rows[0].values.items():
        means[comparison] = dict.fromkeys(METRICS)
        for metric in measured:
            means[comparison][metric] = summarise([r.values[comparison][metric] for r in rows])
    return means


def format_table(means: Mapping[str, Any], *, n: int) -> str:
    """Means of n images to four digits, a line each comparison; "-" for what was not measured."""
    lines = [["", "n", *TITLES.values()]]
    for comparison, summaries in means.items():
        cells = [_cell((summaries or {}).get(metric)) for metric in METRICS]
        lines.append([_words(comparison), str(n) if summaries else "-", *cells])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])])
        for line in lines
    )


def _words(comparison: str) -> str:
    return comparison.replace("_vs_", " vs ")


def _cell(summary: Summary | None) -> str:
    if summary is None:
        return "-"
    if summary["mean"] is None:
        return "inf" if summary["infinite"] else "undefined"
    return f"{summary['mean']:.4f}"


def depth_notes(bits: Mapping[str, int]) -> Iterator[str]:
    """A sentence for each comparison whose two kinds differ in depth; bits: kind -> depth."""
    for comparison, kind in COMPARISONS.items():
        if kind in bits and bits[kind] != bits["fake_B"]:
            yield (
                f"{_words(comparison)} is not measured: {kind} has {bits[kind]} bits and fake_B "
                f"{bits['fake_B']}, and counts of 8 and 16 bits cannot be compared pixel by pixel."
            )


def caveats(means: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each mean that does not stand for all images."""
    for comparison, summaries in means.items():
        for metric, summary in (summaries or {}).items():
            if summary is None:
                continue
            n = summary["n"] + summary["infinite"] + summary["undefined"]
            title = f"{TITLES[metric].split(' [')[0]} of {_words(comparison)}"
            if summary["infinite"]:
                yield (
                    f"{title}: {summary['infinite']} of {n} pairs are equal images (infinite), "
                    "left out of the mean."
                )
            if summary["undefined"]:
                yield (
                    f"{title}: undefined for {summary['undefined']} of {n} pairs (a map is "
                    "constant), left out of the mean."
                )


def format_csv(rows: Iterable[ImageValues]) -> str:
    """A row each image, `image,<comparison>_<metric>,...`; inf and nan stand as such.

    The columns are always the same; what was not measured is empty.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [(comparison, metric) for comparison in COMPARISONS for metric in METRICS]
    writer.writerow(["image", *("_".join(column) for column in columns)])
    for row in rows:
        cells = (row.values.get(comparison, {}).get(metric, "") for comparison, metric in columns)
        writer.writerow([row.name, *cells])
    return text.getvalue()
