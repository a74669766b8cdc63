"""Drawings with matplotlib that stand inside a page, as SVG that follows its light or dark."""

import io
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, QUIET, LINE, CARD = "#1c1d1f", "#6b6d72", "#e3e3df", "#ffffff"  # util.html's on light ground
ACCENT = "#b4451f"

# Colour in a drawing -> the page's name for it, which follows light and dark.
VARIABLES = {
    **{INK: "var(--ink)", QUIET: "var(--quiet)", LINE: "var(--line)", CARD: "var(--card)"},
    ACCENT: "var(--accent)",
}

STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # to measure text with; the page has its own font
    "font.size": 9.5,
    "svg.fonttype": "none",
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor"), QUIET),
    **dict.fromkeys(("xtick.color", "ytick.color"), QUIET),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "axes.linewidth": 0.6,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "path.simplify": False,  # or dots, which are lines of no length, would go
}


def new_axes(
    width: int, height: int, *, left: int = 46, bottom: int = 34, right: int = 8, top: int = 8
) -> "tuple[Figure, Axes]":
    """A drawing with one pair of axes, and the room around them for their labels.

    Lengths are in units of the drawing, 72 an inch; the page scales it.
    """
    from matplotlib.figure import Figure

    figure = Figure((width / 72, height / 72))
    place = (left / width, bottom / height)
    size = ((width - left - right) / width, (height - bottom - top) / height)
    return figure, figure.add_axes((*place, *size))


def to_svg(figure: "Figure", *, name: str, variables: Mapping[str, str] = VARIABLES) -> str:
    """SVG for the inside of a page: no addresses, no names that two drawings could share.

    name: of the drawing, unlike others' on the page; variables: as VARIABLES.
    """
    from matplotlib import rc_context

    text = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with rc_context({"svg.hashsalt": name}):
        figure.savefig(text, format="svg", transparent=True, metadata=nothing)
    width, height = (72 * figure.get_size_inches()).round().astype(int)
    svg = re.sub(r".*?<svg[^>]*>", "", text.getvalue(), count=1, flags=re.DOTALL)
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' id="[\w.]+_\d+"', "", svg)  # of groups; markers and clips have hashes
    svg = re.sub(r'\bd="[^"]*"', lambda path: re.sub(r"(\.\d)\d+", r"\1", path[0]), svg)
    for colour, variable in variables.items():
        svg = svg.replace(colour, variable)
    return f'<svg viewBox="0 0 {width} {height}">' + re.sub(r"\s*\n\s*", " ", svg)
