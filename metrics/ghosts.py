"""Ghosts: blobs in a translation, outside its targets, that its source does not have.

A ghost is looked for in cells, means of blocks of pixels, CELLS of them along the shorter side of
an image of any size. The source first gets the translation's grey levels by a monotone curve, so
that tone alone is no difference, and fine detail, blur and noise are averaged out.
"""

import numpy as np
from scipy import ndimage
from torch import Tensor

from metrics.boxes import regions

CELLS = 64
# Shares of the cells, by their grey level, between which the curve runs through medians: narrow at
# the ends, where few hot or cold cells lie far apart.
TAIL = (0.0, 0.001, 0.003, 0.01, 0.03)
SHARES = np.concatenate([TAIL, np.linspace(0.06, 0.94, 29), 1 - np.array(TAIL[::-1])])
BACKGROUND = 11  # cells, of every second one: blobs of less than half of that area stand out
# How far a blob must stand out: in robust deviations of the frame's differences, so that texture
# does not count, and in shares of its grey range, so that a frame without texture is no exception.
DEVIATIONS, RANGE_SHARE = 5.0, 0.2
SMALLEST = 0.002  # of the frame's area


def ghost_area(translations: Tensor, sources: Tensor, boxes: Tensor) -> np.ndarray:
    """Share of each frame that ghosts cover, in [0, 1], 0 without any: (B,) float64.

    translations, sources: (B, 1, H, W), each in units of its own; boxes: (B, N, 4) of targets, see
    `metrics.boxes.regions`. NaN for an image without a box: a target that is drawn anew, in the
    box, is no ghost.
    """
    _, _, outside = regions(boxes, *translations.shape[-2:])
    known = outside.any(dim=-1).any(dim=-1).tolist()
    triples = zip(translations[:, 0], sources[:, 0], outside, strict=True)
    return np.array(
        [
            _area_of(*(part.double().cpu().numpy() for part in triple)) if has_box else np.nan
            for triple, has_box in zip(triples, known, strict=True)
        ]
    )


def _area_of(translation: np.ndarray, source: np.ndarray, outside: np.ndarray) -> float:
    """Of one frame: three arrays (H, W), the last of 1 outside of targets and 0 inside."""
    translation, source, share = (_cells(image) for image in (translation, source, outside))
    free = share == 1
    if not free.any():
        return 0.0
    source = _toned(source, translation, free)
    own, other = _contrast(translation), _contrast(source)
    difference = own - other
    deviation = 1.4826 * np.median(np.abs(difference[free] - np.median(difference[free])))
    low, high = np.percentile(translation, (0.1, 99.9))  # its targets, too
    threshold = max(DEVIATIONS * deviation, RANGE_SHARE * (high - low), np.finfo(float).tiny)
    # Smoothing has carried a little of the targets over their edges.
    free = ndimage.binary_erosion(free, np.ones((3, 3)), iterations=2, border_value=1)
    area = 0.0
    for sign in (1, -1):
        # It must stand out by itself, too: what the translation has lost is no ghost.
        marked = free & (np.minimum(sign * own, sign * difference) > threshold)
        blobs, count = ndimage.label(marked, np.ones((3, 3)))
        sizes = ndimage.sum_labels(marked, blobs, range(1, count + 1)) / marked.size
        area += float(sizes[sizes >= SMALLEST].sum())
    return area


def _cells(image: np.ndarray) -> np.ndarray:
    """Means of equal squares; what fills no square at the lower or right end is left out."""
    shorter = min(image.shape)
    rows, columns = (_overlaps(length, shorter) for length in image.shape)
    return rows @ image @ columns.T / shorter**2


def _overlaps(length: int, shorter: int) -> np.ndarray:
    """How much of each pixel along a side of this length lies in each cell: (cells, length).

    In whole numbers, of which a cell has `shorter` and a pixel CELLS: sums of counts stay exact.
    """
    cells = np.arange(length * CELLS // shorter)[:, None] * shorter
    pixels = np.arange(length) * CELLS
    ends = np.minimum(cells + shorter, pixels + CELLS)
    return np.maximum(ends - np.maximum(cells, pixels), 0).astype(float)


def _toned(source: np.ndarray, translation: np.ndarray, free: np.ndarray) -> np.ndarray:
    """The source through the monotone curve that brings it nearest to the translation.

    It runs through the medians of both in bins of the source's levels, which no blob on less than
    half of a level's cells can move.
    """
    levels, values = source[free], translation[free]
    ends = np.unique((SHARES * len(levels)).round().astype(int))
    bins = np.split(np.argsort(levels, kind="stable"), ends[1:-1])
    knots = np.array([np.median(levels[part]) for part in bins])
    medians = np.array([np.median(values[part]) for part in bins])
    # Between the lowest curve that rises and lies above the medians and the highest one below.
    rising = (np.maximum.accumulate(medians) + np.minimum.accumulate(medians[::-1])[::-1]) / 2
    knots, place = np.unique(knots, return_inverse=True)
    curve = np.bincount(place, rising) / np.bincount(place)
    return np.interp(source, knots, curve)


def _contrast(cells: np.ndarray) -> np.ndarray:
    """Smoothed cells less their surroundings, a wide median."""
    smooth = ndimage.gaussian_filter(cells, 1)
    surroundings = ndimage.median_filter(smooth[::2, ::2], BACKGROUND, mode="mirror")
    height, width = cells.shape
    return smooth - surroundings.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
