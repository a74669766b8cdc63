"""What a report shows of a set beyond the numbers of its table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from data.value_map import Levels


@dataclass(frozen=True)
class Example:
    """Images of one scene, side by side.

    name: of the scene. images: (caption, image) from left to right, (H, W) or (H, W, 3) uint8.
    note: why it is shown, where it is not just one of many.
    """

    name: str
    images: Sequence[tuple[str, np.ndarray]]
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
    examples: Sequence[Example]
    values: Mapping[str, np.ndarray]
    spectrum: np.ndarray | None
    frequencies: np.ndarray | None
    histogram: np.ndarray | None
    levels: Levels | None
    features: np.ndarray | None
