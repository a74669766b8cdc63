"""What a report shows of sets beyond the numbers of its table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from data.value_map import Levels


@dataclass(frozen=True)
class Picture:
    """pixels: (H, W) or (H, W, 3) uint8; caption: what they are, "" for an image itself."""

    pixels: np.ndarray
    caption: str = ""


@dataclass(frozen=True)
class Strip:
    """What is shown of one set, or of the source or the target of all, from top to bottom.

    name: of the set, or of what it is; of_set: which of the two. image, difference, attention: the
    image itself, what it has more or less than its target, where the judge looks; None for what
    there is not. boxes: of the labelled targets, x0, y0, x1, y1 in parts of width and height.
    facts: values of metrics, for people.
    """

    name: str
    of_set: bool
    image: Picture
    difference: Picture | None = None
    attention: Picture | None = None
    boxes: Sequence[tuple[float, float, float, float]] = ()
    facts: Sequence[str] = ()

    @property
    def pictures(self) -> tuple[Picture | None, ...]:
        """From top to bottom."""
        return self.image, self.difference, self.attention


@dataclass(frozen=True)
class Scene:
    """One input and what the sets made of it, side by side.

    name: of the input; strips: from left to right; note: why it is shown, "" for one of many.
    """

    name: str
    strips: Sequence[Strip]
    note: str = ""


@dataclass(frozen=True)
class SetView:
    """One set of images: a row of the table, or the real images.

    values: metric of a single image, or comparison_metric -> (n,) values, NaN for undefined ones.
    spectrum: (bins,) mean power in counts² at frequencies (bins,) in cycles/pixel.
    histogram: pixels of each of the grey `levels`, which are one count apart or, of floats, a step.
    features: (n, d) of the judge; may be memory-mapped.
    """

    name: str
    values: Mapping[str, np.ndarray]
    spectrum: np.ndarray | None
    frequencies: np.ndarray | None
    histogram: np.ndarray | None
    levels: Levels | None
    features: np.ndarray | None
