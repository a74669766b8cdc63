"""The curves of a run's logs, for its page."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.loss_log import read_log
from util.drawing import ACCENT, STYLE, new_axes, to_svg

WIDTH, HEIGHT = 260, 130  # in units of the drawing
MOST_POINTS = 150  # of a curve, so that the page stays small however long the run is
FEW_POINTS = 30  # which are marked


@dataclass(frozen=True)
class Curve:
    """Neighbouring rows of a log as one point: their mean, and the least and the greatest of them.

    steps, means, least, greatest: (n,), n up to MOST_POINTS; NaN where no row was finite.
    """

    name: str
    steps: np.ndarray
    means: np.ndarray
    least: np.ndarray
    greatest: np.ndarray

    def to_svg(self) -> str:
        """SVG for a page: the means as a line, what lies between least and greatest as a band."""
        from matplotlib import rc_context
        from matplotlib.ticker import EngFormatter, MaxNLocator

        with rc_context(STYLE):
            figure, axes = new_axes(WIDTH, HEIGHT, left=38, bottom=20, right=10, top=6)
            band = {"color": ACCENT, "alpha": 0.2, "linewidth": 0}
            axes.fill_between(self.steps, self.least, self.greatest, **band)
            marker = "o" if len(self.steps) <= FEW_POINTS else None
            axes.plot(self.steps, self.means, color=ACCENT, marker=marker, markersize=3)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
            axes.yaxis.set_major_locator(MaxNLocator(4))
            axes.margins(x=0.02)
            return to_svg(figure, name=self.name)


def read_curves(log: Path) -> list[Curve]:
    """Of each value of a `LossLog` but clocks and rate; [] where it has fewer than two rows."""
    names, rows = read_log(log)
    if len(rows) < 2:
        return []
    parts = np.array_split(rows, min(len(rows), MOST_POINTS))
    steps = np.array([part[-1, 0] for part in parts])
    return [
        Curve(name, steps, *np.array([_summary(part[:, place]) for part in parts]).T)
        for place, name in enumerate(names, start=1)
    ]


def _summary(values: np.ndarray) -> tuple[float, float, float]:
    """Mean, least, greatest."""
    finite = values[np.isfinite(values)]
    return (finite.mean(), finite.min(), finite.max()) if len(finite) else (np.nan,) * 3
