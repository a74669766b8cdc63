"""The plots of a report, each as SVG that stands inside a page and follows its light or dark.

No set is named in a plot: marks tell the sets apart, and the page's legends name them.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from data.value_map import Levels
from metrics.report.marks import REFERENCE, VARIABLES, Mark
from metrics.report.views import SetView
from metrics.values import Cell, Mean
from util.drawing import CARD, INK, STYLE, new_axes, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# In units of the drawing, 72 an inch; the page scales a drawing to its place.
WIDTH, HEIGHT = 370, 265
TINY = 1e-3  # numbers below need too many digits for a panel
PANEL_WIDTH, PANEL_ROW, PANEL_TEXT = 190, 15, 11
GREY_BINS = 128  # at most; stretched images leave levels out, and a bin holds some
Marked = Sequence[tuple[Mark, SetView]]


def interval_panel(
    cells: Sequence[tuple[Mark, Cell | None, np.ndarray | None]], real: Mean | None, *, name: str
) -> str:
    """One metric of all sets, from top to bottom: value, uncertainty, middle half of the images.

    cells: mark, cell of the table and values of the images, where there are any, of each set.
    real: cell of the real images, drawn as a vertical line. name: of the drawing, unlike others'.
    """
    from matplotlib import rc_context
    from matplotlib.ticker import MaxNLocator

    height = PANEL_ROW * len(cells) + 30
    with rc_context(STYLE | {"font.size": PANEL_TEXT}):
        figure, axes = new_axes(PANEL_WIDTH, height, left=20, bottom=24, right=16, top=6)
        for place, (mark, cell, values) in enumerate(cells):
            _draw_cell(axes, place, mark, cell, values)
        if real is not None and real.mean is not None:
            low, high = real.ci95 or (real.mean, real.mean)
            axes.axvspan(low, high, color=INK, alpha=0.15, linewidth=0)
            axes.axvline(real.mean, color=INK, linewidth=1, linestyle=(0, (3, 2)))
        axes.set_ylim(len(cells) - 0.4, -0.6)
        axes.set_yticks(range(len(cells)), [mark.label for mark, _, _ in cells])
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.use_sticky_edges = False  # of the bars, which would end at the frame
        axes.margins(x=0.05)
        tiny = max(map(abs, axes.get_xlim())) < TINY
        axes.xaxis.set_major_locator(MaxNLocator(2 if tiny else 3))
        if tiny:
            axes.xaxis.set_major_formatter("{x:.2g}")
        else:
            axes.ticklabel_format(axis="x", style="plain")
        return _svg(figure, name)


def _draw_cell(
    axes: "Axes", place: int, mark: Mark, cell: Cell | None, values: np.ndarray | None
) -> None:
    if cell is None or not math.isfinite(cell.number):
        text = "∞" if cell is not None and cell.number == math.inf else "–"
        middle = {"transform": axes.get_yaxis_transform(), "ha": "center", "va": "center"}
        axes.text(0.5, place, text, **middle)
        return
    finite = values[np.isfinite(values)] if values is not None else np.empty(0)
    if len(finite) > 1:
        low, high = np.percentile(finite, (25, 75))
        axes.barh(place, high - low, 0.62, low, color=mark.colour, alpha=0.2, linewidth=0)
    if cell.ends:
        axes.plot(cell.ends, (place, place), color=mark.colour, linewidth=2)
    axes.plot(cell.number, place, "o", color=mark.colour, markersize=5)


def spectra(sets: Marked, *, name: str) -> str | None:
    """Radially averaged power spectra on a logarithmic axis, without the mean (frequency 0)."""
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure, axes = new_axes(WIDTH, HEIGHT)
        for mark, view in sets:
            if view.spectrum is not None and view.frequencies is not None:
                shown = (view.frequencies > 0) & (view.spectrum > 0)
                _draw_line(axes, mark, view.frequencies[shown], view.spectrum[shown])
        if not axes.lines:
            return None
        axes.set(yscale="log", xlabel="spatial frequency [cycles/pixel]", ylabel="power [counts²]")
        axes.margins(x=0.01)
        return _svg(figure, name)


def grey_levels(sets: Marked, *, levels: Levels, name: str) -> str:
    """Share of the pixels at each grey level, logarithmic; those sets that have these levels."""
    from matplotlib import rc_context

    drawn = [(m, v) for m, v in sets if v.histogram is not None and v.levels == levels]
    occupied = np.flatnonzero(np.sum([view.histogram > 0 for _, view in drawn], axis=0))
    low, high = occupied[[0, -1]]
    step = math.ceil((high - low + 1) / GREY_BINS)
    starts = np.arange(low, high + 1, step)
    middles = starts[0] + step * np.arange(-1, len(starts) + 1) + (step - 1) / 2
    values = levels.first + levels.step * middles
    with rc_context(STYLE):
        figure, axes = new_axes(WIDTH, HEIGHT)
        for mark, view in drawn:
            counts = np.add.reduceat(view.histogram[: high + 1].astype(np.float64), starts)
            share = np.where(counts > 0, counts / counts.sum() / step / levels.step, np.nan)
            # An empty bin at both ends, or the outer ones would be drawn by half.
            share = np.pad(share, 1, constant_values=np.nan)
            _draw_line(axes, mark, values, share, drawstyle="steps-mid")
        axes.set(yscale="log", xlabel="grey level [counts]", ylabel="share of pixels per count")
        axes.margins(x=0.01)
        return _svg(figure, name)


def kinds_of_levels(sets: Marked) -> list[Levels]:
    """The grey levels that occur; distributions over different ones share no axis."""
    found = {view.levels for _, view in sets if view.histogram is not None}
    return sorted(found, key=lambda levels: levels.count)


def scatter(
    points: Sequence[tuple[Mark, np.ndarray]],
    *,
    axis_labels: tuple[str, str],
    centres: bool,
    name: str,
) -> str:
    """Points (m, 2) of each set, the first one lowest; centres: with a large dot at the mean."""
    from matplotlib import rc_context
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    with rc_context(STYLE):
        figure, axes = new_axes(WIDTH, HEIGHT, left=24, bottom=26)
        # Few dots are large enough to tell their colours apart, many leave room for each other.
        size = float(np.clip(40 / math.sqrt(sum(len(p) for _, p in points)), 2.2, 5))
        for mark, places in points:
            # One path of lines without length, whose round ends are the dots: a tenth of the size
            # that as many markers have.
            codes = np.tile([Path.MOVETO, Path.LINETO], len(places))
            dots = Path(np.repeat(places, 2, axis=0), codes)
            look = {"edgecolor": mark.colour, "alpha": 0.8, "linewidth": size, "capstyle": "round"}
            axes.add_patch(PathPatch(dots, facecolor="none", **look))
        for mark, places in points if centres else ():
            ring = mark is REFERENCE  # around the others, whose dots it would hide
            face, edge, size = ("none", INK, 13) if ring else (mark.colour, CARD, 8)
            look = {"markerfacecolor": face, "markeredgecolor": edge, "markeredgewidth": 1.5}
            axes.plot(*places.mean(axis=0), "o", markersize=size, zorder=4 if ring else 3, **look)
        everything = np.concatenate([places for _, places in points])
        axes.update_datalim(everything)
        axes.autoscale_view()
        axes.set(xlabel=axis_labels[0], ylabel=axis_labels[1], xticks=[], yticks=[])
        return _svg(figure, name)


def _draw_line(axes: "Axes", mark: Mark, x: np.ndarray, y: np.ndarray, **look: str) -> None:
    real = mark is REFERENCE
    axes.plot(
        x,
        y,
        color=mark.colour,
        linestyle=(0, mark.dash) if mark.dash else "-",
        linewidth=2.2 if real else 1.4,
        zorder=3 if real else 2,
        **look,
    )


def _svg(figure: "Figure", name: str) -> str:
    return to_svg(figure, name=name, variables=VARIABLES)
