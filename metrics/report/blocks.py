"""The tables of an evaluation, whatever shows them: lines of cells, group by group."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from metrics.designs import DesignDifferences, means_over
from metrics.differences import Differences
from metrics.metric_properties import COMPARISONS, GROUPS, Metric
from metrics.record import Record
from metrics.values import Cell

# Group of a row -> title of its table, in the order of the tables.
TITLES = {
    **{comparison: GROUPS[comparison].what for comparison in COMPARISONS},
    "sets": "set against real images",
    "fake_B": "single images",
}
TRAININGS = "trainings"  # which means and intervals of designs are over


@dataclass(frozen=True)
class Line:
    """name: of a set or design; n: what its cells are over, "-" for single values; cells: metric ->
    what was measured.
    """

    name: str
    n: str
    cells: Mapping[str, Cell]


@dataclass(frozen=True)
class Block:
    """One small table: a line each set or design, or each of them less a baseline.

    group: of its metrics, as in GROUPS; counted: what n is the number of; baseline: "" for none.
    """

    group: str
    title: str
    lines: Sequence[Line]
    counted: str = "n"
    baseline: str = ""

    @property
    def metrics(self) -> dict[str, Metric]:
        """Those that were measured on one of the lines."""
        measured = {key for line in self.lines for key in line.cells}
        known = GROUPS[self.group].metrics
        return {key: metric for key, metric in known.items() if key in measured}


def blocks_of(record: Record) -> Iterator[Block]:
    """The tables of a record, those of rows first, less those without any value."""
    kinds = (row_blocks, design_blocks, design_difference_blocks, row_difference_blocks)
    yield from (block for blocks in kinds for block in blocks(record) if block.metrics)


def row_blocks(record: Record) -> Iterator[Block]:
    """The sets, below the real images where these have values."""
    for group, title in TITLES.items():
        lines = []
        if group == "fake_B" and record.reference:
            real = record.reference
            lines.append(Line(real.name, f"{real.n:,}", real.means))
        for row in record.rows:
            cells = row.cells.get(group, {})
            n = _sizes(cells) if group == "sets" else f"{row.n:,}"
            lines.append(Line(row.name, n, cells))
        yield Block(group, title, lines)


def _sizes(cells: Mapping[str, Cell]) -> str:
    """How many translations and how many real images, as 50 : 201."""
    sizes = next((cell.n for cell in cells.values()), None)
    return "-" if sizes is None else f"{sizes[0]:,} : {sizes[1]:,}"


def design_blocks(record: Record) -> Iterator[Block]:
    """Designs beside rows of none and the real images, whose values have no interval here: one
    over images would be read as one over trainings.
    """
    designs = [(d.name, len(d.rows), d.cells) for d in record.designs.means]
    if designs and record.reference:
        real = record.reference
        designs.insert(0, (real.name, 1, means_over([{"fake_B": real.means}])))
    for group, title in TITLES.items():
        lines = [
            Line(name, f"{n}" if n > 1 else "-", cells[group])
            for name, n, cells in designs
            if group in cells
        ]
        yield Block(group, f"{title}, means", lines, counted=TRAININGS)


def design_difference_blocks(record: Record) -> Iterator[Block]:
    """Designs less each baseline, training by training."""
    yield from _less(record.designs.differences, counted=TRAININGS)


def row_difference_blocks(record: Record) -> Iterator[Block]:
    """Rows less each baseline, image by image. Trainings are left out: their designs say more."""
    alone = [found for found in record.differences if found.row not in record.designs.trained]
    yield from _less(alone, counted="n")


def _less(
    differences: Sequence[Differences | DesignDifferences], *, counted: str
) -> Iterator[Block]:
    for baseline, found in groupby(differences, key=lambda differences: differences.baseline):
        rows = list(found)
        for group, what in TITLES.items():
            lines = [Line(r.row, f"{r.n:,}", r.cells[group]) for r in rows if group in r.cells]
            yield Block(group, f"{what}, less {baseline}", lines, counted, baseline)
