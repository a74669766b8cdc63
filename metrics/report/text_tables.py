"""The record of an evaluation as tables: for the terminal, as Markdown, as CSV."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence

from metrics.measure import ImageValues
from metrics.metric_properties import COMPARISONS, GROUPS, IMAGE_METRICS, PAIR_METRICS, Metric
from metrics.record import Record
from metrics.report.blocks import Block, blocks_of
from metrics.report.plain_text import format_difference, format_value
from metrics.values import Cell, Difference, Distance, Mean
from util.columns import aligned


def terminal_tables(record: Record) -> str:
    """All blocks; below each line of means, where there are any, the 95 % intervals."""
    return "\n\n".join(_terminal_table(block) for block in blocks_of(record))


def _terminal_table(block: Block) -> str:
    lines = [[block.title, block.counted, *_titles(block)]]
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
    if isinstance(cell, Mean) and n not in ("-", f"{cell.n:,}"):
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
        lines = [["set", block.counted, *titles], ["---", "---:", *["---:" for _ in titles]]]
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
    """A row each number: set, group, metric, value, its interval or deviation, n, and what the
    interval is over.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["set", "group", "metric", "value", "low", "high", "std", "n", "over"])
    for name, group, key, cell, over in _numbers(record):
        low, high = cell.ci95 or ("", "")
        if isinstance(cell, Mean):
            writer.writerow([name, group, key, cell.mean, low, high, "", cell.n, over])
        else:
            writer.writerow([name, group, key, cell.value, low, high, cell.std, min(cell.n), over])
    return text.getvalue()


def _numbers(record: Record) -> Iterator[tuple[str, str, str, Cell, str]]:
    """(set, group, metric, cell, what its interval is over) of all that was measured."""
    designs = [design for design in record.designs.means if len(design.rows) > 1]
    parts = [(row.name, row.cells, "images") for row in record.rows]
    parts += [(f"{d.row} less {d.baseline}", d.cells, "recordings") for d in record.differences]
    parts += [(design.name, design.cells, "trainings") for design in designs]
    parts += [
        (f"{d.row} less {d.baseline}", d.cells, "trainings") for d in record.designs.differences
    ]
    for name, cells, over in parts:
        for group in GROUPS:
            for key, cell in cells.get(group, {}).items():
                yield name, group, key, cell, over
    if record.reference:
        for key, cell in record.reference.means.items():
            yield record.reference.name, "real_B", key, cell, "images"


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
