"""The vehicle of a simulated frame by how it stands out: one picture, no motion.

Simulators draw vehicles with sharp outlines, whole, and warmer or colder than the ground. So the
picture is cut at many levels, and of all regions that come out the vehicle is the one that rises
most over what is around it. Ground, trees and sky rise less, or reach the frame.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from data.label_index import Box

LEVELS = 24  # cuts of the picture, between its median and its extreme
AREA = (0.0002, 0.4)  # of the frame, least and most
LEAST_PIXELS = 12
LONGEST = 6.0  # times its height that a vehicle is long, with its gun; a path is longer,
LEAST_FILLED = 0.2  # and fills less of its box
RING = 2  # pixels around a region that it is compared with
BRIGHT = 75  # percentile of the ring: most of it must be below the region
FLATTEST = 2e-4  # of a picture's range, between neighbours: below it there is no texture
WHOLE = 0.6  # of the best score, that the whole vehicle has where a hot part of it has the best
OUTLINE = 0.3  # of the step: what has risen less at the vehicle's edge is noise of the ground
CLEAR = 8.0  # score of a vehicle that is hardly overlooked
SURE = 0.9  # confidence below which noise may have torn the vehicle: another look without it
SPECK = 0.05  # of the largest region of a mask, below which others are none
EIGHT = np.ones((3, 3), dtype=bool)  # neighbours


@dataclass(frozen=True)
class Silhouette:
    """Where a vehicle is. box: in pixels; confidence: 0 to 1."""

    box: Box
    confidence: float


@dataclass(frozen=True)
class _Region:
    """rows, columns: of the picture; ring, median: its levels around it and in it."""

    rows: slice
    columns: slice
    ring: float
    median: float
    score: float

    @property
    def area(self) -> int:
        return _length(self.rows) * _length(self.columns)

    def meets(self, other: "_Region") -> bool:
        pairs = ((self.rows, other.rows), (self.columns, other.columns))
        return all(a.start < b.stop and b.start < a.stop for a, b in pairs)


def find_silhouette(image: np.ndarray) -> Silhouette | None:
    """The vehicle in a picture (H, W) of any values; None where nothing stands out.

    confidence: the region's share in the score of itself and of its strongest rival elsewhere,
    times how far it rises over the picture's texture.
    """
    values = image.astype(np.float32)
    found = _strongest(values)
    if found is None or found.confidence < SURE:
        looks = (found, _strongest(ndimage.median_filter(values, size=3)))
        found = max(filter(None, looks), key=lambda s: s.confidence, default=None)
    return found


def _strongest(values: np.ndarray) -> Silhouette | None:
    texture = float(np.abs(np.diff(values, axis=1)).mean())
    texture = max(texture, FLATTEST * float(np.ptp(values)))
    found = [(sign, r) for sign in (1, -1) for r in _regions(sign * values, texture)]
    if not found:
        return None
    sign, best = max(found, key=lambda pair: pair[1].score)
    parts = (r for s, r in found if s == sign and r.meets(best) and r.score >= WHOLE * best.score)
    whole = max(parts, key=lambda region: region.area)
    rival = max((r.score for _, r in found if not r.meets(whole)), default=0.0)
    share = best.score**2 / (best.score**2 + rival**2)
    clear = 1 - np.exp(-((best.score / CLEAR) ** 2))
    return Silhouette(_outline(sign * values, whole), float(share * clear))


def _outline(values: np.ndarray, region: _Region) -> Box:
    """The box of what rises clearly, in that of a region."""
    level = region.ring + OUTLINE * (region.median - region.ring)
    labels, _ = ndimage.label(values[region.rows, region.columns] > level, EIGHT)
    largest = np.bincount(labels.ravel())[1:].argmax()
    x, y, width, height = _box(*ndimage.find_objects(labels)[largest])
    return x + region.columns.start, y + region.rows.start, width, height


def _regions(values: np.ndarray, texture: float) -> Iterator[_Region]:
    """All regions above some level that rise over their ring, away from the frame's edge.

    The score is the step from the ring to the region's median, in units of the texture, times the
    fourth root of the area: of two equal steps the larger region counts.
    """
    least, most = max(LEAST_PIXELS, AREA[0] * values.size), AREA[1] * values.size
    for level in np.linspace(np.median(values), values.max(), LEVELS + 1)[:-1]:
        labels, count = ndimage.label(values > level, EIGHT)
        areas = np.bincount(labels.ravel(), minlength=count + 1)
        places = ndimage.find_objects(labels)
        for number in np.flatnonzero((areas >= least) & (areas <= most)):
            if number == 0 or not _is_compact(places[number - 1], areas[number], values.shape):
                continue
            rows, columns = places[number - 1]
            around = tuple(slice(max(0, s.start - RING), s.stop + RING) for s in (rows, columns))
            region = ndimage.binary_fill_holes(labels[around] == number)
            ring = ndimage.binary_dilation(region, EIGHT, iterations=RING) & ~region
            low = float(np.percentile(values[around][ring], BRIGHT))
            high = float(np.median(values[around][region]))
            if high > low:
                score = (high - low) / texture * float(region.sum()) ** 0.25
                yield _Region(rows, columns, low, high, score)


def _is_compact(place: Sequence[slice], area: int, shape: tuple[int, ...]) -> bool:
    """Whether a region is whole, inside the frame, and of a vehicle's proportions."""
    if any(s.start == 0 or s.stop == n for s, n in zip(place, shape, strict=True)):
        return False
    short, long = sorted(map(_length, place))
    return long <= LONGEST * short and area >= LEAST_FILLED * short * long


def mask_boxes(mask: np.ndarray) -> list[Box]:
    """Boxes of the vehicles in a mask (H, W) or (H, W, 3): what is not 0.

    Each value is a vehicle of its own, and so are regions of one value that do not touch; specks
    are left out.
    """
    values = mask if mask.ndim == 2 else mask.max(axis=2)
    boxes = []
    for value in np.unique(values[values > 0]):
        labels, _ = ndimage.label(values == value, EIGHT)
        areas = np.bincount(labels.ravel())[1:]
        kept = areas >= SPECK * areas.max()
        found = zip(ndimage.find_objects(labels), kept, strict=True)
        boxes += [_box(*place) for place, keep in found if keep]
    return boxes


def _length(along: slice) -> int:
    return along.stop - along.start


def _box(rows: slice, columns: slice) -> Box:
    return (
        float(columns.start),
        float(rows.start),
        float(_length(columns)),
        float(_length(rows)),
    )
