"""The record of an evaluation as tables: for the terminal, as Markdown, as CSV."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from metrics.measure import ImageValues
from metrics.metric_properties import COMPARISONS, GROUPS, IMAGE_METRICS, PAIR_METRICS, Metric
from metrics.record import Record
from metrics.report.plain_text import format_difference, format_value
from metrics.values import Cell, Difference, Distance, Mean
from util.columns import aligned

# Group of a row -> title of its table, in the order of the tables.
TITLES = {
    **{comparison: GROUPS[comparison].what for comparison in COMPARISONS},
    "sets": "set against real images",
    "fake_B": "single images",
}


@dataclass(frozen=True)
class Line:
    """name: of the set; n: its number of images; cells: metric -> what was measured."""

    name: str
    n: str
    cells: Mapping[str, Cell]


@dataclass(frozen=True)
class Block:
    """One small table: a line each set, or each set less another.

    metrics: those that were measured on one of them.
    """

    title: str
    metrics: Mapping[str, Metric]
    lines: Sequence[Line]


def blocks_of(record: Record) -> Iterator[Block]:
    """The tables of a record, less those without any value."""
    for group, title in TITLES.items():
        lines = []
        if group == "fake_B" and record.reference:
            real = record.reference
            lines.append(Line(real.name, str(real.n), real.means))
        for row in record.rows:
            cells = row.cells.get(group, {})
            n = _sizes(cells) if group == "sets" else str(row.n)
            lines.append(Line(row.name, n, cells))
        yield from _block(title, group, lines)
    for baseline in dict.fromkeys(found.baseline for found in record.differences):
        differences = [found for found in record.differences if found.baseline == baseline]
        for group, title in TITLES.items():
            lines = [
                Line(found.row, str(found.images), found.cells[group])
                for found in differences
                if group in found.cells
            ]
            yield from _block(f"{title}, less {baseline}", group, lines)


def _block(title: str, group: str, lines: Sequence[Line]) -> Iterator[Block]:
    """None where nothing was measured."""
    measured = {key for line in lines for key in line.cells}
    metrics = {k: metric for k, metric in GROUPS[group].metrics.items() if k in measured}
    if metrics:
        yield Block(title, metrics, lines)


def _sizes(cells: Mapping[str, Cell]) -> str:
    """How many translations and how many real images, as 50 : 201."""
    sizes = next((cell.n for cell in cells.values()), None)
    return "-" if sizes is None else f"{sizes[0]} : {sizes[1]}"


def terminal_tables(record: Record) -> str:
    """All blocks; below each line of means, where there are any, the 95 % intervals."""
    return "\n\n".join(_terminal_table(block) for block in blocks_of(record))


def _terminal_table(block: Block) -> str:
    lines = [[block.title, "n", *_titles(block)]]
    for line in block.lines:
        cells = [(metric, line.cells.get(key)) for key, metric in block.metrics.items()]
        lines.append([line.name, line.n, *[_value(metric, c, line.n) for metric, c in cells]])
        spread = [_spread(metric, cell) for metric, cell in cells]
        if any(spread):
            lines.append(["", "", *spread])
    return aligned(lines, heads=2)


def _titles(block: Block) -> list[str]:
    return [metric.title for metric in block.metrics.values()]


def _value(metric: Metric, cell: Cell | None, n: str) -> str:
    """The number of one cell; "-" for what was not measured; biased ones carry a dagger.

    Of how many images, in brackets, where these are not all n of the set.
    """
    if cell is None:
        return "-"
    if isinstance(cell, Difference):
        text = f"{format_difference(metric, cell.number)} {cell.verdict}".rstrip()
    else:
        text = format_value(metric, cell.number)
    if not math.isfinite(cell.number):
        return text
    if cell.biased:
        text += "†"
    if isinstance(cell, Mean) and str(cell.n) != n:
        text += f" ({cell.n})"
    return text


def _spread(metric: Metric, cell: Cell | None) -> str:
    """The interval of a mean, or the deviation over KID's subsets; "" where there is none."""
    if isinstance(cell, Difference) and cell.ci95:
        return " to ".join(format_difference(metric, end) for end in cell.ci95)
    if cell and cell.ci95:
        return "–".join(format_value(metric, end) for end in cell.ci95)
    if isinstance(cell, Distance) and cell.std is not None:
        return f"± {format_value(metric, cell.std)}"
    return ""


def terminal_notes(record: Record) -> str:
    """All sentences, those that matter most first and apart from the others."""
    parts = {"What matters most:": record.warnings, "Notes:": record.notes}
    return "\n\n".join(
        "\n".join([heading, *(f"- {note}" for note in notes)])
        for heading, notes in parts.items()
        if notes
    )


def markdown_tables(record: Record) -> str:
    """All blocks as Markdown, and the notes below them, those that matter most first."""
    parts = []
    for block in blocks_of(record):
        titles = _titles(block)
        lines = [["set", "n", *titles], ["---", "---:", *["---:" for _ in titles]]]
        for line in block.lines:
            cells = []
            for key, metric in block.metrics.items():
                cell = line.cells.get(key)
                value, spread = _value(metric, cell, line.n), _spread(metric, cell)
                cells.append(f"{value} ({spread})" if spread else value)
            lines.append([markdown_text(line.name), line.n, *cells])
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        parts.append(f"## {block.title}\n\n{table}\n")
    notes = "\n".join(f"- {markdown_text(note)}" for note in (*record.warnings, *record.notes))
    return "\n".join([*parts, notes, ""])


def markdown_text(text: str) -> str:
    """As a cell of a table or an item of a list shows it."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def table_csv(record: Record) -> str:
    """A row each number: set, group, metric, value, its interval or deviation, and n."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["set", "group", "metric", "value", "low", "high", "std", "n"])
    for name, group, key, cell in _numbers(record):
        low, high = cell.ci95 or ("", "")
        if isinstance(cell, Mean):
            writer.writerow([name, group, key, cell.mean, low, high, "", cell.n])
        else:
            writer.writerow([name, group, key, cell.value, low, high, cell.std, min(cell.n)])
    return text.getvalue()


def _numbers(record: Record) -> Iterator[tuple[str, str, str, Cell]]:
    """(set, group, metric, cell) of all that was measured."""
    parts = [
        (row.name, group, GROUPS[group].metrics, row.cells.get(group, {}))
        for row in record.rows
        for group in (*COMPARISONS, "fake_B", "sets")
    ]
    parts += [
        (f"{found.row} less {found.baseline}", group, GROUPS[group].metrics, cells)
        for found in record.differences
        for group, cells in found.cells.items()
    ]
    if record.reference:
        parts.append((record.reference.name, "real_B", IMAGE_METRICS, record.reference.means))
    for name, group, metrics, cells in parts:
        for key in metrics:
            if key in cells:
                yield name, group, key, cells[key]


def images_csv(sets: Mapping[str, Sequence[ImageValues]]) -> str:
    """A row each image, `image,set,<group>_<metric>,...`; inf and nan stand as such.

    sets: name -> values of its images. The columns are always the same; what was
    not measured is empty.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [(comparison, key) for comparison in COMPARISONS for key in PAIR_METRICS]
    columns += [(kind, key) for kind in ("fake_B", "real_B") for key in IMAGE_METRICS]
    writer.writerow(["image", "set", *["_".join(column) for column in columns]])
    for name, images in sets.items():
        for image in images:
            cells = [image.values.get(group, {}).get(key, "") for group, key in columns]
            writer.writerow([image.name, name, *cells])
    return text.getvalue()
