"""The columns of the main table: which there are, and which rows are best in each."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from metrics import IMAGE_METRICS, PAIR_METRICS, SET_METRICS, Metric

Cell = Mapping[str, Any]  # a mean with its interval, or a value of a set: docs/METRICS.md

UNBIASED = ("kid", "kid_mwir", "mmd")  # estimates that chance takes below 0

# Part of a row -> what its columns are of, and the metrics.
GROUPS = {
    "fake_B_vs_real_B": ("Near the target", "fake_B vs real_B", PAIR_METRICS),
    "real_A_vs_fake_B": ("Kept of the source", "real_A vs fake_B", PAIR_METRICS),
    "sets": ("Sets", "fake_B vs the real images", SET_METRICS),
    "fake_B": ("Target and thermal", "fake_B alone", IMAGE_METRICS),
}


@dataclass(frozen=True)
class Column:
    """group: part of a row, as in GROUPS; key: of the metric."""

    group: str
    key: str
    metric: Metric

    def of(self, row: Mapping[str, Any]) -> Cell | None:
        """The cell of a row; None for what was not measured."""
        return (row.get(self.group) or {}).get(self.key)

    def of_reference(self, report: Mapping[str, Any]) -> Cell | None:
        """The cell of the real images, which have metrics of single images only."""
        if self.group != "fake_B" or report["reference"] is None:
            return None
        return report["reference"]["images"].get(self.key)


def measured_columns(report: Mapping[str, Any]) -> Iterator[Column]:
    """The columns in which at least one row, or the reference, has something."""
    for group, (_, _, metrics) in GROUPS.items():
        for key, metric in metrics.items():
            column = Column(group, key, metric)
            cells = [column.of(row) for row in report["rows"].values()]
            if any(cell is not None for cell in (*cells, column.of_reference(report))):
                yield column


def number_of(cell: Cell | None) -> float | None:
    """The mean or value. Without a finite one: inf for infinite values, NaN for undefined ones.

    None for what was not measured.
    """
    if cell is None:
        return None
    number = cell["mean"] if "mean" in cell else cell["value"]
    if number is None:
        return math.inf if cell.get("infinite") else math.nan
    return number


def best_rows(report: Mapping[str, Any], column: Column) -> set[str]:
    """Names of the rows that are best in a column; none where there is nothing to choose from.

    "real" metrics: nearest to the real images, and none without these. Nothing is best where rows
    cannot be ranked: in what is kept of the source, where doing nothing would win; among targets of
    other scenes, depths, or, for what depends on their number, other numbers of images.
    """
    rows = report["rows"]
    if column.group == "real_A_vs_fake_B" or column.key == "box_share":
        return set()
    if column.group == "fake_B_vs_real_B":
        rows = {name: row for name, row in rows.items() if not row.get("unpaired_real_B")}
    if len({str(row.get("bits", {}).get("fake_B")) for row in rows.values()}) > 1:
        return set()
    cells = [cell for row in rows.values() if (cell := column.of(row))]
    if any(cell.get("biased") for cell in cells) and len({str(c["n"]) for c in cells}) > 1:
        return set()
    numbers = {name: number_of(column.of(row)) for name, row in rows.items()}
    if column.key in UNBIASED:  # below 0 is chance alone
        numbers = {name: n if n is None else max(n, 0.0) for name, n in numbers.items()}
    real = number_of(column.of_reference(report))
    penalty = {
        "higher": lambda number: -number,
        "lower": lambda number: number,
        "real": lambda number: math.nan if real is None else abs(number - real),
    }[column.metric.better]
    penalties = {name: penalty(n) for name, n in numbers.items() if n is not None}
    penalties = {name: p for name, p in penalties.items() if not math.isnan(p)}
    best = {name for name, p in penalties.items() if p == min(penalties.values())}
    return best if len(best) < len(penalties) else set()
