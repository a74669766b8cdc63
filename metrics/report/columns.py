"""The columns of the main table: which there are, and which rows are best in each."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from metrics.metric_properties import GROUPS, Metric
from metrics.record import Record, RowRecord
from metrics.values import Cell


@dataclass(frozen=True)
class Column:
    """group: part of a row, as in GROUPS; key: of the metric."""

    group: str
    key: str

    @property
    def metric(self) -> Metric:
        """What is known of it."""
        return GROUPS[self.group].metrics[self.key]

    def of(self, row: RowRecord) -> Cell | None:
        """The cell of a row; None for what was not measured."""
        return row.cells.get(self.group, {}).get(self.key)

    def of_reference(self, record: Record) -> Cell | None:
        """The cell of the real images, which have metrics of single images only."""
        if self.group != "fake_B" or record.reference is None:
            return None
        return record.reference.means.get(self.key)


def measured_columns(record: Record) -> Iterator[Column]:
    """The columns in which at least one row, or the reference, has something."""
    for name, group in GROUPS.items():
        for key in group.metrics:
            column = Column(name, key)
            cells = [column.of(row) for row in record.rows]
            if any(cell is not None for cell in (*cells, column.of_reference(record))):
                yield column


def best_rows(record: Record, column: Column) -> set[str]:
    """Names of the rows that are best in a column; none where there is nothing to choose from.

    "real" metrics: nearest to the real images, and none without these. Nothing is best where rows
    cannot be ranked: in what is kept of the source, where doing nothing would win; among other real
    images or targets to compare with, depths, or, for what depends on their number, other numbers
    of images; and by a judge that only guesses.
    """
    metric, rows = column.metric, record.rows
    if not (metric.ranked and GROUPS[column.group].ranked):
        return set()
    if record.protocol.guesses(metric):
        return set()
    if column.group == "fake_B_vs_real_B":
        rows = [row for row in rows if not row.unpaired_real_B]
    if len({row.bits.get("fake_B") for row in rows}) > 1:
        return set()
    rows = [row for row in rows if column.of(row)]
    if len({_compared_with(row, column) for row in rows}) > 1:
        return set()
    cells = {row.name: column.of(row) for row in rows}
    if any(cell.biased for cell in cells.values()) and len({c.n for c in cells.values()}) > 1:
        return set()
    numbers = {name: max(cell.number, metric.chance) for name, cell in cells.items()}
    reference = column.of_reference(record)
    real = reference.number if reference else math.nan
    penalty = {
        "higher": lambda number: -number,
        "lower": lambda number: number,
        "real": lambda number: abs(number - real),
    }[metric.better]
    penalties = {name: penalty(number) for name, number in numbers.items()}
    penalties = {name: p for name, p in penalties.items() if not math.isnan(p)}
    best = {name for name, p in penalties.items() if p == min(penalties.values())}
    return best if len(best) < len(penalties) else set()


def _compared_with(row: RowRecord, column: Column) -> str | None:
    """Stands for the real images that the numbers of a column depend on, None for none."""
    if column.group == "sets":
        return row.real.files_sha256 if row.real else None
    return row.targets_sha256 if column.group == "fake_B_vs_real_B" else None
