"""The main table of a report: a row a set, groups of columns, each value with its uncertainty."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from metrics.metric_properties import GROUPS, Metric
from metrics.record import Flips, Record
from metrics.report.blocks import Block
from metrics.report.columns import Column, best_rows
from metrics.report.marks import REFERENCE, Mark
from metrics.report.plain_text import format_deviation, format_difference, format_value
from metrics.values import Cell, Difference, Distance, Mean

if TYPE_CHECKING:
    from dominate.tags import html_tag

DIRECTIONS = {
    "higher": ("↑", "higher is better"),
    "lower": ("↓", "lower is better"),
    "real": ("≈", "near to the real images is better"),
}

STYLE = """
.scroll {
  --shade: color-mix(in srgb, var(--ink) 20%, transparent);
  overflow-x: auto; margin: 0 -1rem;
  /* A shadow where columns are hidden; covers, which scroll along, hide it at the ends. */
  background:
    linear-gradient(90deg, var(--card) 40%, transparent) left / 3rem 100%,
    linear-gradient(270deg, var(--card) 40%, transparent) right / 3rem 100%,
    linear-gradient(270deg, var(--shade), transparent) right / 1rem 100%;
  background-attachment: local, local, scroll; background-repeat: no-repeat;
}
table { border-collapse: separate; border-spacing: 0; font-variant-numeric: tabular-nums; }
th, td { padding: 0.45rem 0.7rem; border-top: 1px solid var(--line); text-align: right; }
th { font-weight: 500; }
td, thead th { white-space: nowrap; }
td { vertical-align: top; line-height: 1.35; }
thead th { border-top: none; padding-block: 0.2rem; vertical-align: bottom; font-size: 0.85rem; }
thead th:first-child { padding-left: 1rem; }
thead th[scope="colgroup"] { padding-top: 0.6rem; text-align: left; }
thead th[scope="colgroup"] small { display: inline; margin-left: 0.5em; }
th[scope="colgroup"], .first { border-left: 1px solid var(--line); }
th[scope="colgroup"] span { position: sticky; left: calc(min(19rem, 44vw) + 1rem); }
tbody th, thead tr:first-child > th:first-child {
  position: sticky; left: 0; z-index: 1; background: var(--card); text-align: left;
}
tbody th {
  /* Lines after the first begin under the name, behind swatch and number. */
  min-width: min(19rem, 44vw); padding-left: 4.4rem; border-right: 1px solid var(--line);
  line-height: 1.35; vertical-align: top; overflow-wrap: anywhere;
}
tbody th .mark { width: 3.4rem; margin: 0 0 0 -3.4rem; }
@media (max-width: 40rem) {
  tbody th { padding-left: 1rem; }
  tbody th .mark { display: block; margin: 0; }
}
.real > * { background: var(--ground); }
td small, th small {
  display: block; color: var(--quiet); font-size: 0.75rem; font-weight: 400; line-height: 1.35;
}
.best, .better { color: var(--accent); font-weight: 700; }
.worse { color: var(--quiet); text-decoration: underline dotted; }
.none { color: var(--quiet); }
.flips { margin-right: 0; }
.flips tbody th { min-width: 0; padding-left: 1rem; }
.kept { background: color-mix(in srgb, var(--ink) 8%, transparent); }
.key { margin: 0.75rem 0 0; color: var(--quiet); font-size: 0.8rem; max-width: 60rem; }
.key b { color: var(--ink); font-weight: 600; }
.key .best { color: var(--accent); font-weight: 700; }
@media print {
  /* As many columns as there are have to share the paper: cells break between their words. */
  .scroll { overflow: visible; margin: 0; background: none; }
  table { width: 100%; font-size: 7pt; }
  .flips table { width: auto; }
  th, td { padding: 0.2rem 0.3rem; }
  td, thead th { white-space: normal; overflow-wrap: anywhere; }
  td small, th small, thead th { font-size: 6pt; }
  tbody th, thead tr:first-child > th:first-child, th[scope="colgroup"] span { position: static; }
  tbody th { min-width: 5rem; padding-left: 0.3rem; }
  tbody th .mark { width: auto; margin: 0 0.4em 0 0; }
}
"""


def typeset(text: str) -> str:
    """A formatted value with the signs that print has and terminals may lack: −0.01, ∞."""
    return text.replace("-", "−").replace("inf", "∞")


def heading(metric: Metric) -> str:
    """Title and direction: PSNR [dB] ↑."""
    return f"{metric.title} {DIRECTIONS[metric.better][0]}"


def main_table(record: Record, columns: Sequence[Column], marks: Mapping[str, Mark]) -> "html_tag":
    """The columns in a box of their own, which scrolls sideways under a first column that stays.

    The real images have a row where they have values.
    marks: of the rows by name.
    """
    from dominate import tags

    body = tags.tbody()
    reference = record.reference
    if reference is not None and any(c.of_reference(record) is not None for c in columns):
        cells = [(c, c.of_reference(record), "") for c in columns]
        body.add(_row(REFERENCE, reference.name, f"{reference.n:,}", cells, cls="real"))
    best = {column: best_rows(record, column) for column in columns}
    for row in record.rows:
        cells = [(c, c.of(row), "best" if row.name in best[c] else "") for c in columns]
        body.add(_row(marks[row.name], row.name, f"{row.n:,}", cells))
    return _scrolling(_head(columns), body)


def block_table(block: Block, marks: Mapping[str, Mark]) -> "html_tag":
    """A row each line; better and worse as intervals tell.

    marks: of sets and real images by name; designs have none.
    """
    from dominate import tags

    columns = [Column(block.group, key) for key in block.metrics]
    body = tags.tbody()
    for line in block.lines:
        cells = [(column, line.cells.get(column.key)) for column in columns]
        judged = [
            (c, cell, cell.verdict if isinstance(cell, Difference) else "") for c, cell in cells
        ]
        body.add(_row(marks.get(line.name), line.name, line.n, judged))
    return _scrolling(_head(columns, counted=block.counted), body)


def flips_table(flips: Flips) -> "html_tag":
    """The classes that occur, by row what they are and by column what the judge takes them for."""
    from dominate import tags

    rows = [place for place, counts in enumerate(flips.counts) if any(counts)]
    columns = [p for p in range(len(flips.classes)) if p in rows or any(r[p] for r in flips.counts)]
    head = tags.tr(tags.th("taken for", scope="col"))
    head.add([tags.th(flips.classes[place], scope="col") for place in columns])
    body = tags.tbody()
    for label in rows:
        row = body.add(tags.tr(tags.th(flips.classes[label], scope="row")))
        for told in columns:
            count = flips.counts[label][told]
            row.add(tags.td(str(count), cls="none" if not count else "kept" * (told == label)))
    return tags.div(tags.table(tags.thead(head), body), cls="scroll flips", tabindex="0")


def _scrolling(head: "html_tag", body: "html_tag") -> "html_tag":
    from dominate import tags

    # Keyboards scroll what can be focused.
    return tags.div(tags.table(head, body), cls="scroll", tabindex="0")


def _head(columns: Sequence[Column], *, counted: str = "n") -> "html_tag":
    from dominate import tags

    groups = tags.tr(tags.th(title, rowspan=2, scope="col") for title in ("set", counted))
    for group, members in groupby(columns, key=lambda column: column.group):
        title, what = GROUPS[group].title, GROUPS[group].what
        span = {"colspan": len(list(members)), "scope": "colgroup"}
        groups.add(tags.th(tags.span(title, tags.small(what)), **span))
    titles = tags.tr()
    for column, starts in _with_starts(columns):
        words = DIRECTIONS[column.metric.better][1]
        titles.add(tags.th(heading(column.metric), scope="col", title=words, cls=starts))
    return tags.thead(groups, titles)


def _with_starts(columns: Sequence[Column]) -> Iterator[tuple[Column, str]]:
    """Each column with the class that draws a line where a group begins."""
    for _, members in groupby(columns, key=lambda column: column.group):
        for place, column in enumerate(members):
            yield column, "" if place else "first"


def _row(
    mark: Mark | None,
    name: str,
    n: str,
    cells: Sequence[tuple[Column, Cell | None, str]],
    cls: str = "",
) -> "html_tag":
    """cells: with what each of them is beside the others: best, better, worse or nothing."""
    from dominate import tags

    title = [mark.swatch(), name] if mark else [name]
    row = tags.tr(tags.th(title, scope="row"), tags.td(n), cls=cls)
    starts = [start for _, start in _with_starts([column for column, _, _ in cells])]
    for (column, cell, rank), start in zip(cells, starts, strict=True):
        row.add(_cell(column.metric, cell, rank, start))
    return row


def _cell(metric: Metric, cell: Cell | None, rank: str, start: str) -> "html_tag":
    from dominate import tags

    if cell is None:
        return tags.td("–", cls=f"none {start}".strip())
    value = typeset(_formatter(cell)(metric, cell.number)) + ("†" if cell.biased else "")
    number = tags.span(value, cls=rank, title=rank) if rank else value
    return tags.td(number, [tags.small(line) for line in _details(metric, cell)], cls=start)


def _formatter(cell: Cell) -> Callable[[Metric, float | None], str]:
    return format_difference if isinstance(cell, Difference) else format_value


def _details(metric: Metric, cell: Cell) -> Iterator[str]:
    """The small lines under a value: its uncertainty, and of how many images it is."""
    if cell.ci95:
        between = " to " if isinstance(cell, Difference) else " – "
        yield between.join(typeset(_formatter(cell)(metric, end)) for end in cell.ci95)
    if isinstance(cell, Mean):
        if cell.n < cell.total:
            yield f"{cell.n:,} of {cell.total:,}"
    else:
        if cell.std is not None:
            yield f"± {format_deviation(cell.std)} ({cell.subset_size:,})"
        yield " : ".join(f"{n:,}" for n in cell.n)


def key_to_signs(record: Record, columns: Sequence[Column]) -> "html_tag":
    """What the signs of the table mean, as far as it has them."""
    from dominate import tags

    cells = [c.of(row) for row in record.rows for c in columns]
    cells += [column.of_reference(record) for column in columns]
    means = [cell for cell in cells if isinstance(cell, Mean)]
    distances = [cell for cell in cells if isinstance(cell, Distance)]
    text = tags.p(cls="key")
    for sign, words in DIRECTIONS.values():
        if any(DIRECTIONS[c.metric.better][0] == sign for c in columns):
            text.add(tags.b(sign), f" {words}. ")
    if any(best_rows(record, column) for column in columns):
        text.add(tags.span("Bold", cls="best"), " is best in its column, however small its lead. ")
    if any(mean.ci95 for mean in means):
        text.add("Small below a value: its 95 % bootstrap interval. ")
    if any(mean.n < mean.total for mean in means):
        text.add(tags.b("49 of 50"), " images are in the mean, others infinite or undefined. ")
    if any(distance.std is not None for distance in distances):
        text.add(tags.b("±"), " deviation over random subsets, their size in brackets. ")
    if distances:
        text.add(tags.b("50 : 60"), " images of the set and real ones. ")
    if any(distance.biased for distance in distances):
        text.add(tags.b("†"), " biased: too few images; compare only values of equal n. ")
    text.add(tags.b("–"), " not measured.")
    return text
