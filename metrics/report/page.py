"""The report of an evaluation: one HTML file that needs nothing beside it and no network."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metrics.embedding import Embedding, pca, tsne
from metrics.metric_properties import GROUPS
from metrics.record import Protocol, Record
from metrics.report import html_scenes, html_table, plots
from metrics.report import marks as mark_module
from metrics.report.blocks import (
    Block,
    design_blocks,
    design_difference_blocks,
    row_difference_blocks,
)
from metrics.report.columns import Column, measured_columns
from metrics.report.html_scenes import scene_sections
from metrics.report.html_table import (
    block_table,
    flips_table,
    heading,
    key_to_signs,
    main_table,
)
from metrics.report.marks import REFERENCE, Mark, marks
from metrics.report.views import Scene, SetView
from util.files import write_text
from util.html import new_page

if TYPE_CHECKING:
    from dominate.tags import html_tag

PACKAGES = ("dominate", "matplotlib", "scikit-learn")  # of a report and its examples
EMBEDDED = 400  # images of a set in PCA and t-SNE: eight sets take about 10 s

STYLE = """
.notes { margin: 0 0 1rem; padding: 0.1rem 1.1rem; border-left: 3px solid var(--accent); }
.notes li { margin: 0.3rem 0; overflow-wrap: anywhere; }
.notes ul { margin: 0.4rem 0; padding: 0; list-style: none; max-width: 60rem; }
.notes details { margin: 0.4rem 0; }
h2 small { margin-left: 0.9em; }
h3 { margin: 1.2rem 0 0.5rem; font-size: 0.85rem; font-weight: 600; overflow-wrap: anywhere; }
h3 small { margin-left: 0.5em; }
h2 small, h3 small { color: var(--quiet); font-size: 0.85rem; font-weight: 400; }
.about { margin: 0 0 0.5rem; color: var(--quiet); font-size: 0.8rem; max-width: 60rem; }
.mark { display: inline-block; margin-right: 0.5em; white-space: nowrap; }
.mark svg { display: inline-block; width: 1.4em; margin-right: 0.4em; vertical-align: 0.05em; }
.mark path { fill: none; stroke-width: 3; }
.legend {
  display: flex; flex-wrap: wrap; gap: 0.2rem 1.2rem; margin: 0.4rem 0 0; padding: 0;
  list-style: none; font-size: 0.8rem;
}
.legend li { display: flex; min-width: 0; overflow-wrap: anywhere; }
.panels {
  display: grid; gap: 0.75rem;
  grid-template-columns: repeat(auto-fill, minmax(min(11.5rem, 44%), 1fr));
}
.plots {
  display: grid; gap: 1.5rem 2.5rem;
  grid-template-columns: repeat(auto-fill, minmax(min(27rem, 100%), 1fr));
}
.panels figure, .plots figure { justify-content: start; }
.panels figure { max-width: 18rem; }
.plots figure { max-width: 36rem; }
.plots figcaption { color: var(--ink); font-weight: 600; }
.matrices { display: flex; flex-wrap: wrap; gap: 0 2.5rem; }
.matrices > div { min-width: 0; }
details dl { margin: 0.75rem 0 0; }
@page { size: landscape; margin: 10mm; }
@media print {
  body { max-width: none; padding: 0; background: none; font-size: 9pt; }
  section { padding: 0; border: 0; content-visibility: visible; }
  h2 { position: static; }
  h2, h3, .about { break-after: avoid; }
  figure, table, .matrices > div { break-inside: avoid; }
  details::details-content { display: block; content-visibility: visible; }
}
"""


def write_report(
    path: Path,
    *,
    title: str,
    record: Record,
    rows: Sequence[SetView],
    reference: SetView | None,
    scenes: Sequence[Scene],
) -> None:
    """Write tables, notes, scenes and plots as one HTML file, in the look of all pages.

    record: numbers and notes; rows: one for each of its rows, by name; reference: the real images;
    scenes: of sets by these names.
    The file replaces an earlier one in one step. Any text will do.
    Needs PACKAGES. Raises UserError where the file cannot be written.
    """
    styles = mark_module.STYLE + html_table.STYLE + html_scenes.STYLE + STYLE
    page = new_page(title, _facts(record), style=styles)
    from dominate.util import raw

    named = dict(zip((row.name for row in record.rows), marks(), strict=False))
    shown = [(named[view.name], view) for view in rows]
    columns = list(measured_columns(record))
    sections = [_table(record, columns, named), _notes(record), *_compared(record, named)]
    sections += scene_sections(scenes, named)
    sections += [_flips(record, named), _means(record, columns, shown)]
    sections.append(_distributions(shown + ([(REFERENCE, reference)] if reference else [])))
    sections.append(_protocol(record.protocol))
    page.add([raw(part.render(pretty=False) + "\n") for part in sections if part is not None])
    write_text(path, page.render(pretty=False) + "\n")


def _facts(record: Record) -> dict[str, str]:
    """What a reader asks first: how many images, of what depth, and who judged them."""
    facts = {"sets": str(len(record.rows))}
    sizes = sorted({row.n for row in record.rows})
    if sizes:
        facts["images a set"] = " to ".join(f"{n:,}" for n in sorted({sizes[0], sizes[-1]}))
    if record.reference is not None:
        facts["real images"] = f"{record.reference.n:,}"
    depths = sorted({bits for row in record.rows for bits in row.bits.values()})
    if depths:
        facts["bits"] = " and ".join(map(str, depths))
    return facts | {"judge": _plain(record.protocol.classifier)}


def _plain(value: Any) -> str:
    """A value of a JSON file in words."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(part)}" for name, part in value.items()) or "none"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(_plain, value)) or "none"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return str(value)


def _notes(record: Record) -> "html_tag | None":
    """What matters most, and the others folded behind it."""
    from dominate import tags

    box = tags.div(cls="notes", role="note")
    if record.warnings:
        box.add(_list(record.warnings))
    if record.notes:
        count = f"{len(record.notes)} {'more ' if record.warnings else ''}notes"
        box.add(tags.details(tags.summary(count), _list(record.notes)))
    return box if record.warnings or record.notes else None


def _list(sentences: Sequence[str]) -> "html_tag":
    from dominate import tags

    return tags.ul(tags.li(sentence) for sentence in sentences)


def _table(record: Record, columns: Sequence[Column], named: Mapping[str, Mark]) -> "html_tag":
    from dominate import tags

    groups = [[c for c in columns if c.group == group] for group in GROUPS]
    filled = [group for group in groups if group] or [[]]
    tables = [main_table(record, group, named) for group in filled]
    return tags.section(tags.h2("Metrics"), *tables, key_to_signs(record, columns))


def _compared(record: Record, named: Mapping[str, Mark]) -> Iterator["html_tag | None"]:
    """Designs, and the differences of these and of rows."""
    from dominate import tags

    if record.reference:
        named = {record.reference.name: REFERENCE, **named}
    yield _blocks(
        design_blocks(record),
        named,
        "Means over trainings",
        "Rows of one name but for their seeds: their mean and, below, its 95 % interval by "
        "Student's t over the trainings. Rows of other names stand beside them as they are.",
    )
    verdicts = (
        tags.span("Better", cls="better"),
        " and ",
        tags.span("worse", cls="worse"),
        " where the interval leaves 0 out.",
    )
    yield _blocks(
        design_difference_blocks(record),
        named,
        "Differences over trainings",
        "Values of a design's trainings less the baseline's, two designs seed by seed: the mean "
        "and, below, its 95 % interval by Student's t over the pairs. ",
        *verdicts,
    )
    yield _blocks(
        row_difference_blocks(record),
        named,
        "Differences between rows",
        "A row's value less the baseline's, image by image: the mean and, below, its 95 % interval "
        "over recordings. ",
        *verdicts,
    )


def _blocks(
    blocks: Iterator[Block], named: Mapping[str, Mark], title: str, *about: "str | html_tag"
) -> "html_tag | None":
    """Those with values, under their baselines."""
    from dominate import tags

    section = tags.section(tags.h2(title), tags.p(*about, cls="about"))
    filled = [block for block in blocks if block.metrics]
    for baseline, found in groupby(filled, key=lambda block: block.baseline):
        if baseline:
            mark = named.get(baseline)
            section.add(tags.h3("less ", mark.swatch() if mark else "", baseline))
        section.add([block_table(block, named) for block in found])
    return section if filled else None


def _flips(record: Record, named: Mapping[str, Mark]) -> "html_tag | None":
    """What the targets of each set are taken for, side by side."""
    from dominate import tags

    sets = [(named[row.name], row.name, row.flips) for row in record.rows]
    if record.reference:
        sets.insert(0, (REFERENCE, record.reference.name, record.reference.flips))
    tables = [
        tags.div(tags.h3(mark.swatch(), name), flips_table(flips))
        for mark, name, flips in sets
        if flips is not None
    ]
    if not tables:
        return None
    about = "Class of the label by row, what the judge takes the target for by column; images."
    section = tags.section(tags.h2("Classes of the targets"), tags.p(about, cls="about"))
    section.add(tags.div(tables, cls="matrices"))
    return section


def _legend(sets: Sequence[tuple[Mark, str]]) -> "html_tag":
    from dominate import tags

    return tags.ul((tags.li(mark.swatch(), name) for mark, name in sets), cls="legend")


def _means(record: Record, columns: Sequence[Column], shown: plots.Marked) -> "html_tag | None":
    """A small drawing of each metric, in the groups of the table."""
    from dominate import tags

    if not columns:
        return None
    about = (
        "Dot and line: mean and its 95 % interval, for KID ± its deviation over subsets. Pale bar: "
        "the middle half of the images. Dashed line: the real images."
    )
    section = tags.section(tags.h2("Values and their uncertainty"), tags.p(about, cls="about"))
    section.add(_legend([(mark, view.name) for mark, view in shown]))
    for name, group in GROUPS.items():
        figures = [_panel(record, c, shown) for c in columns if c.group == name]
        if figures:
            heads = tags.h3(group.title, tags.small(group.what))
            section.add(heads, tags.div(figures, cls="panels"))
    return section


def _panel(record: Record, column: Column, shown: plots.Marked) -> "html_tag":
    from dominate import tags
    from dominate.util import raw

    rows = {row.name: row for row in record.rows}
    cells = [(mark, column.of(rows[view.name]), _values(view, column)) for mark, view in shown]
    name = f"{column.group}-{column.key}"
    svg = plots.interval_panel(cells, column.of_reference(record), name=name)
    return tags.figure(tags.figcaption(heading(column.metric)), raw(svg))


def _values(view: SetView, column: Column) -> np.ndarray | None:
    """Of the images; None for a column of sets."""
    key = column.key if column.group == "fake_B" else f"{column.group}_{column.key}"
    return view.values.get(key)


def _distributions(sets: plots.Marked) -> "html_tag | None":
    """Spectra, grey levels and maps of the features, all sets in one drawing each."""
    from dominate import tags
    from dominate.util import raw

    legend = [(mark, view.name) for mark, view in sets]
    figures = [
        tags.figure(tags.figcaption(caption), raw(svg), _legend(legend))
        for caption, svg in _drawings(sets)
        if svg is not None
    ]
    if not figures:
        return None
    return tags.section(tags.h2("Distributions"), tags.div(figures, cls="plots"))


def _drawings(sets: plots.Marked) -> Iterator[tuple[str, str | None]]:
    """Caption and SVG."""
    yield "Power spectra, averaged over directions", plots.spectra(sets, name="spectra")
    for place, levels in enumerate(plots.kinds_of_levels(sets)):
        svg = plots.grey_levels(sets, levels=levels, name=f"levels-{place}")
        yield f"Grey levels, {levels}", svg
    # The real images lie lowest: what is hidden by a set shows around it.
    embedded = [(mark, view) for mark, view in reversed(sets) if view.features is not None]
    features = [view.features for _, view in embedded]
    found = pca(features, limit=EMBEDDED) if features else None
    if found is not None:
        labels = [f"component {i + 1}, {share:.0%}" for i, share in enumerate(found.explained)]
        svg = _scatter(embedded, found, labels, name="pca")
        yield "PCA of the judge's features, with the mean of each set", svg
    found = tsne(features, limit=EMBEDDED) if features else None
    if found is not None:
        yield "t-SNE of the judge's features", _scatter(embedded, found, ("", ""), name="tsne")


def _scatter(sets: plots.Marked, found: Embedding, axis_labels: Sequence[str], *, name: str) -> str:
    points = [(mark, at) for (mark, _), at in zip(sets, found.points, strict=True) if len(at)]
    return plots.scatter(
        points, axis_labels=tuple(axis_labels), centres=found.explained is not None, name=name
    )


def _protocol(protocol: Protocol) -> "html_tag":
    from dominate import tags

    facts = tags.dl(tags.div(tags.dt(k), tags.dd(_plain(v))) for k, v in asdict(protocol).items())
    return tags.details(tags.summary("How it was measured"), facts)
