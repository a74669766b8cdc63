"""The record of an evaluation as tables: for the terminal, as Markdown, as CSV."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from metrics import COMPARISONS, IMAGE_METRICS, PAIR_METRICS, SET_METRICS, Metric
from metrics.measure import ImageValues
from metrics.report.format import aligned, format_value
from metrics.summary import words


@dataclass(frozen=True)
class Block:
    """One small table: a line each set, a column each metric that was measured on one of them.

    lines: (name of the set, number of images, metric -> its entry in the record).
    """

    title: str
    metrics: Mapping[str, Metric]
    lines: Sequence[tuple[str, str, Mapping[str, Any]]]

    def columns(self) -> list[str]:
        """Keys of the metrics with at least one value."""
        return [k for k in self.metrics if any(line.get(k) for _, _, line in self.lines)]


def blocks_of(record: Mapping[str, Any]) -> list[Block]:
    """The tables of a record, less those without any value."""
    rows, blocks = record["rows"], []
    for comparison in COMPARISONS:
        lines = [(name, str(row["n"]), row[comparison] or {}) for name, row in rows.items()]
        blocks.append(Block(words(comparison), PAIR_METRICS, lines))
    lines = [
        (name, _sizes(row["sets"]), {k: v for k, v in row["sets"].items() if v})
        for name, row in rows.items()
    ]
    blocks.append(Block("set against real images", SET_METRICS, lines))
    reference = record["reference"]
    real = [(reference["name"], str(reference["n"]), reference["images"])] if reference else []
    lines = [(name, str(row["n"]), row["fake_B"]) for name, row in rows.items()]
    blocks.append(Block("single images", IMAGE_METRICS, [*real, *lines]))
    return [block for block in blocks if block.columns()]


def _sizes(values: Mapping[str, Any]) -> str:
    """How many translations and how many real images, as 50 : 201."""
    sizes = next((value["n"] for value in values.values() if value), None)
    return "-" if sizes is None else f"{sizes[0]} : {sizes[1]}"


def terminal_tables(record: Mapping[str, Any]) -> str:
    """All blocks; below each line of means, where there are any, the 95 % intervals."""
    return "\n\n".join(_terminal_table(block) for block in blocks_of(record))


def _terminal_table(block: Block) -> str:
    columns = block.columns()
    lines = [[block.title, "n", *(block.metrics[key].title for key in columns)]]
    for name, n, entries in block.lines:
        lines.append([name, n, *(_value(key, entries.get(key), n) for key in columns)])
        spread = [_spread(key, entries.get(key)) for key in columns]
        if any(spread):
            lines.append(["", "", *spread])
    return aligned(lines)


def _value(key: str, entry: Mapping[str, Any] | None, n: str) -> str:
    """The number of one cell; "-" for what was not measured; biased ones carry a dagger.

    Of how many images, in brackets, where these are not all n of the set.
    """
    if entry is None:
        return "-"
    value = entry["mean"] if "mean" in entry else entry["value"]
    if value is None:
        return "inf" if entry.get("infinite") else "undefined"
    fewer = isinstance(entry["n"], int) and str(entry["n"]) != n
    marks = "†" * entry.get("biased", False) + f" ({entry['n']})" * fewer
    return format_value(key, value) + marks


def _spread(key: str, entry: Mapping[str, Any] | None) -> str:
    """The interval of a mean, or the deviation over KID's subsets; "" where there is none."""
    if entry is None:
        return ""
    if entry.get("ci95"):
        return "–".join(format_value(key, end) for end in entry["ci95"])
    return f"± {format_value(key, entry['std'])}" if entry.get("std") is not None else ""


def markdown_tables(record: Mapping[str, Any]) -> str:
    """All blocks as Markdown, and the notes below them."""
    parts = []
    for block in blocks_of(record):
        columns = block.columns()
        lines = [
            ["set", "n", *(block.metrics[key].title for key in columns)],
            ["---", "---:", *("---:" for _ in columns)],
        ]
        for name, n, entries in block.lines:
            cells = []
            for key in columns:
                value, spread = _value(key, entries.get(key), n), _spread(key, entries.get(key))
                cells.append(f"{value} ({spread})" if spread else value)
            lines.append([_markdown_text(name), n, *cells])
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        parts.append(f"## {block.title}\n\n{table}\n")
    notes = "\n".join(f"- {_markdown_text(note)}" for note in record["notes"])
    return "\n".join([*parts, notes, ""])


def _markdown_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def table_csv(record: Mapping[str, Any]) -> str:
    """A row each number: set, group, metric, value, its interval or deviation, and n."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["set", "group", "metric", "value", "low", "high", "std", "n"])
    for group, name, key, entry in _numbers(record):
        low, high = entry.get("ci95") or ("", "")
        value = entry["mean"] if "mean" in entry else entry["value"]
        n = entry["n"] if isinstance(entry["n"], int) else min(entry["n"])
        writer.writerow([name, group, key, value, low, high, entry.get("std"), n])
    return text.getvalue()


def _numbers(record: Mapping[str, Any]) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
    """(group, set, metric, entry) of all that was measured."""
    for name, row in record["rows"].items():
        for group in (*COMPARISONS, "fake_B", "sets"):
            for key, entry in (row[group] or {}).items():
                if entry is not None:
                    yield group, name, key, entry
    reference = record["reference"] or {"name": "", "images": {}}
    for key, entry in reference["images"].items():
        if entry is not None:
            yield "real_B", reference["name"], key, entry


def images_csv(rows: Mapping[str, Sequence[ImageValues]]) -> str:
    """A row each image, `image,set,<group>_<metric>,...`; inf and nan stand as such.

    rows: values of the images of each set, by its name. The columns are always the same; what was
    not measured is empty.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [(comparison, key) for comparison in COMPARISONS for key in PAIR_METRICS]
    columns += [(kind, key) for kind in ("fake_B", "real_B") for key in IMAGE_METRICS]
    writer.writerow(["image", "set", *("_".join(column) for column in columns)])
    for name, found in rows.items():
        for row in found:
            cells = (row.values.get(group, {}).get(key, "") for group, key in columns)
            writer.writerow([row.name, name, *cells])
    return text.getvalue()
