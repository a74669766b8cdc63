"""A classifier's report for people and programs: sentences, tables, plain values."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from torch import Tensor

from metrics.classifier_report.report import FIGURES, ClassifierReport, Row
from metrics.confusion import is_above_chance
from metrics.notes import FEW_FOR_INTERVALS
from metrics.report.plain_text import format_difference, format_value
from metrics.report.text_tables import markdown_text
from metrics.values import Mean
from util.columns import aligned


def sentences(report: ClassifierReport) -> Iterator[str]:
    """What a reader must know, most important first."""
    everything, chance = report.rows[0], 1 / len(report.classes)
    accuracy, *others = report.balanced_accuracy.items()
    shown = "".join(f", {name} {value:.3f}" for name, value in others)
    sure = "" if is_above_chance(report.confusion) else ": no better than chance"
    yield (
        f"balanced accuracy {accuracy[1]:.3f} on {everything.images} held-out images (chance "
        f"{chance:.3f}{shown}){sure}"
    )
    yield from _not_beaten(report)
    yield from report.notes
    units = sorted({row.units for row in report.rows})
    if units[0] < FEW_FOR_INTERVALS:
        numbers = " to ".join(map(str, dict.fromkeys((units[0], units[-1]))))
        yield f"95 % intervals are over {numbers} {report.units}: too narrow"


def _not_beaten(report: ClassifierReport) -> Iterator[str]:
    """A sentence each baseline and figure in which the classifier is not better than it."""
    for baseline in report.rows[0].differences:
        for key, metric in FIGURES.items():
            measured = {
                row.name: mean
                for row in report.rows
                if (mean := row.differences[baseline].get(key)) and mean.n
            }
            lost = {name: mean for name, mean in measured.items() if not _is_better(mean)}
            shown = [f"{name} ({_difference(key, mean)})" for name, mean in lost.items()]
            if report.rows[0].name in lost and len(lost) > 2:  # the table has the ranges
                shown = [shown[0], f"{len(lost) - 1} of {len(measured) - 1} ranges"]
            if lost:
                yield f"does not beat {baseline} in {metric.title}: {', '.join(shown)}"


def _is_better(difference: Mean) -> bool:
    """By the interval, or where there is none by the value alone."""
    return (difference.ci95[0] if difference.ci95 else difference.number) > 0


def _difference(key: str, mean: Mean) -> str:
    text = format_difference(FIGURES[key], mean.number)
    ends = mean.ci95 and " to ".join(format_difference(FIGURES[key], end) for end in mean.ci95)
    return f"{text}, {ends}" if ends else text


def in_short(row: Row) -> str:
    """The figures of a row in one sentence, those of the baselines in brackets."""
    parts = []
    (_, own), *others = row.figures.items()
    for key, metric in FIGURES.items():
        beside = [
            f"{name} {_value(row, found, key)}"
            for name, found in others
            if key in found and metric.ranked
        ]
        shown = f" ({', '.join(beside)})" if beside else ""
        if key in own and own[key].n:
            parts.append(f"{metric.title} {_value(row, own, key)}{shown}")
    return f"{row.name}, {row.images} images: {', '.join(parts)}"


def terminal(report: ClassifierReport) -> str:
    """The figures of each range and who is taken for whom, in tables of 100 columns."""
    lines = [["held-out images", "n", *(metric.title for metric in FIGURES.values())]]
    for row in report.rows:
        lines.append([row.name, str(row.images), *[""] * len(FIGURES)])
        for name, figures in row.figures.items():
            lines.append([f"  {name}", "", *(_value(row, figures, key) for key in FIGURES)])
            intervals = [_interval(figures, key) for key in FIGURES]
            if any(intervals):
                lines.append(["", "", *intervals])
    tables = [aligned(_less_empty(lines), heads=2)]
    tables += [aligned(_square(*found)) for found in _matrices(report)]
    return "\n\n".join(tables)


def _less_empty(lines: list[list[str]]) -> list[list[str]]:
    """Without the columns of what no contender was measured by."""
    full = [any(line[i].strip("-") for line in lines[1:]) for i in range(len(lines[0]))]
    return [[cell for cell, keep in zip(line, full, strict=True) if keep] for line in lines]


def _value(row: Row, figures: Mapping[str, Mean], key: str) -> str:
    """ "-" for what was not measured; with the number of images where these are not all."""
    mean = figures.get(key)
    if mean is None or not mean.n:
        return "-"
    text = format_value(FIGURES[key], mean.number)
    return text if mean.n == row.images else f"{text} ({mean.n})"


def _interval(figures: Mapping[str, Mean], key: str) -> str:
    mean = figures.get(key)
    if mean is None or mean.ci95 is None:
        return ""
    return "–".join(format_value(FIGURES[key], end) for end in mean.ci95)


def _matrices(report: ClassifierReport) -> Iterator[tuple[str, Sequence[str], Tensor]]:
    """Title, names and counts of each confusion matrix."""
    yield "class \\ taken for", report.classes, report.confusion
    if len(report.kinds) > 1:
        yield "kind \\ taken for", report.kinds, report.kind_confusion


def _square(title: str, names: Sequence[str], counts: Tensor) -> list[list[str]]:
    rows = zip(names, counts.tolist(), strict=True)
    return [[title, *names], *([name, *map(str, row)] for name, row in rows)]


def markdown(report: ClassifierReport) -> str:
    """Sentences and tables."""
    lines = [["held-out images", "n", "", *(metric.title for metric in FIGURES.values())]]
    for row in report.rows:
        for name, figures in row.figures.items():
            cells = [(_value(row, figures, k), _interval(figures, k)) for k in FIGURES]
            shown = [f"{value} ({ends})" if ends else value for value, ends in cells]
            lines.append([row.name, str(row.images), name, *shown])
    tables = [lines, *(_square(*found) for found in _matrices(report))]
    notes = "\n".join(f"- {sentence}" for sentence in sentences(report))
    return "\n\n".join(["# Validation", notes, *map(_markdown_table, tables), ""])


def _markdown_table(lines: Sequence[Sequence[str]]) -> str:
    head, *rows = [[markdown_text(cell) for cell in line] for line in lines]
    ruled = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in ruled)


def plain(report: ClassifierReport) -> dict[str, Any]:
    """As the JSON file and the classifier's own file have it."""
    return {
        "sentences": list(sentences(report)),
        "in_short": in_short(report.rows[0]),
        "balanced_accuracy": dict(report.balanced_accuracy),
        "rows": {row.name: _plain_row(row) for row in report.rows},
        "classes": list(report.classes),
        "confusion": report.confusion.tolist(),
        "kinds": list(report.kinds),
        "kind_confusion": report.kind_confusion.tolist(),
        "intervals_over": report.units,
    }


def _plain_row(row: Row) -> dict[str, Any]:
    """Means with tuples as lists, as JSON would have them."""
    return {
        "images": row.images,
        "units": row.units,
        "figures": _plain_figures(row.figures),
        "less": _plain_figures(row.differences),
    }


def _plain_figures(named: Mapping[str, Mapping[str, Mean]]) -> dict[str, Any]:
    return {of: {key: _plain_mean(m) for key, m in found.items()} for of, found in named.items()}


def _plain_mean(mean: Mean) -> dict[str, Any]:
    return asdict(mean) | {"ci95": mean.ci95 and list(mean.ci95)}
