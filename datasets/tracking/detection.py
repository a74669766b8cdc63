"""Where in one frame something the size of a vehicle stands out, and where its middle is.

A vehicle has hot parts and edges; dust is a smooth cloud. So what counts is not how much a place
departs from the background but how much of that is finer than the vehicle.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

CANDIDATES = 6
FINE = 0.17  # of the vehicle's size: standard deviation of the blur that leaves what is fine
HAT = 1.5  # likewise of the window that a vehicle fits into, for opening
SMOOTH = 0.4  # likewise of the blur that is taken off where the box is fitted
WIDE = 2.0  # and where the size is measured
# A residual counts in full from this share of the vehicle's median on: hot spots must not decide.
SATURATION = 2.0
FULL_SHARE = 0.15  # of its upper quartile, how far the vehicle reaches: hulls are much less hot
PLATEAU = 0.97  # a box may slide while it holds this share of the most


@dataclass(frozen=True)
class Look:
    """What a vehicle looks like in one video: width and height, pixels; sign: 1 hotter, −1 colder.

    The size is that of what differs from the background, mostly less than that of a drawn box.
    """

    width: float
    height: float
    sign: int = 0

    @property
    def size(self) -> np.ndarray:
        return np.array([self.width, self.height])


@dataclass(frozen=True)
class Candidates:
    """Places of a frame where the vehicle may be, best first.

    centre: (CANDIDATES, 2) x and y, pixel edges counted from the upper left corner;
    score: (CANDIDATES,) fine structure in standard deviations of the noise; 0 where there is none.
    """

    centre: np.ndarray
    score: np.ndarray


NOTHING = Candidates(np.zeros((CANDIDATES, 2)), np.zeros(CANDIDATES))


def find_candidates(residual: np.ndarray, noise: np.ndarray, look: Look) -> Candidates:
    """The strongest local maxima of fine structure, each moved to the middle of what is there.

    residual, noise: (H, W), see Background.
    """
    structure = _structure(residual, noise, look)
    apart = _odd(look.size[::-1])
    peaks = (structure == ndimage.maximum_filter(structure, size=apart)) & (structure > 0)
    rows, columns = np.nonzero(peaks)
    best = np.argsort(-structure[rows, columns], kind="stable")[:CANDIDATES]
    centre, score = np.zeros((CANDIDATES, 2)), np.zeros(CANDIDATES)
    for i, (row, column) in enumerate(zip(rows[best], columns[best], strict=True)):
        score[i] = structure[row, column]
        centre[i] = fit_box(residual, noise, look, (column + 0.5, row + 0.5))
    return Candidates(centre, score)


def _structure(residual: np.ndarray, noise: np.ndarray, look: Look) -> np.ndarray:
    """Root mean square of the fine structure over a vehicle's area, in standard deviations."""
    fine = _finer(residual, look, FINE) / noise
    return np.sqrt(ndimage.gaussian_filter(fine**2, look.size[::-1] / 4))


def _finer(residual: np.ndarray, look: Look, blur: float) -> np.ndarray:
    """What a blur takes away, of the vehicle's sign where that is known; blur in vehicle sizes."""
    blurs = np.maximum(blur * look.size[::-1], 1.0)
    signed = (look.sign or 1) * residual
    fine = signed - ndimage.gaussian_filter(signed, blurs, truncate=3.0)
    if not look.sign:
        return fine
    # Beside a cloud of the other sign the blur alone makes an edge; opening does not.
    window = _odd(HAT * max(1.0, 2 * blur) * look.size[::-1])
    return np.clip(fine, 0.0, signed - ndimage.grey_opening(signed, size=window))


def _odd(lengths: np.ndarray) -> tuple[int, ...]:
    """The next odd numbers, 3 or more."""
    return tuple(max(3, round(length) | 1) for length in lengths.tolist())


def fit_box(
    residual: np.ndarray, noise: np.ndarray, look: Look, near: tuple[float, float]
) -> tuple[float, float]:
    """Centre (x, y) of the box of the vehicle's size that holds most of it, close to `near`."""
    sharp, floor, corner = _sharp(residual, noise, look, near, reach=1.0, blur=SMOOTH)
    # Less the noise, or a part hidden by dust makes the box slide over empty ground.
    sharp = np.maximum(sharp - floor, 0.0)
    held = np.minimum(sharp / max(SATURATION * _rank(sharp, look, 1 / 2), floor), 1.0)
    for axis, length in enumerate((look.height, look.width)):
        held = ndimage.convolve1d(held, _box_kernel(length), axis=axis, mode="constant")
    # What stands out most, `near`, is in the box.
    for axis, (place, length) in enumerate(zip(near[::-1], look.size[::-1], strict=True)):
        away = np.abs(np.arange(held.shape[axis]) + corner[1 - axis] + 0.5 - place)
        held = held * np.expand_dims(away <= max(length / 2, 1), 1 - axis)
    # A vehicle seen from its end is narrower than the box: its middle is that of the plateau.
    regions, _ = ndimage.label(held >= PLATEAU * held.max())
    peak = regions.ravel()[held.argmax()]
    y, x = ndimage.center_of_mass(regions == peak)
    return corner[0] + x + 0.5, corner[1] + y + 0.5


def measure(
    residual: np.ndarray, noise: np.ndarray, look: Look, near: tuple[float, float]
) -> tuple[float, float]:
    """Width and height of what stands out around `near`, pixels."""
    sharp, floor, _ = _sharp(residual, noise, look, near, reach=1.5, blur=WIDE)
    held = np.maximum(FULL_SHARE * _rank(sharp, look, 1 / 4), 1.5 * floor)
    regions, count = ndimage.label(sharp >= held, structure=np.ones((3, 3)))
    if not count:
        return 1.0, 1.0
    mass = ndimage.sum_labels(np.minimum(sharp, 3 * held), regions, np.arange(1, count + 1))
    rows, columns = np.nonzero(regions == 1 + mass.argmax())
    return float(np.ptp(columns) + 1), float(np.ptp(rows) + 1)


def _rank(values: np.ndarray, look: Look, share: float) -> float:
    """The value that a share of the vehicle's pixels exceeds."""
    rank = min(values.size, max(3, round(share * look.width * look.height)))
    return float(np.partition(values.ravel(), -rank)[-rank])


def _sharp(
    residual: np.ndarray,
    noise: np.ndarray,
    look: Look,
    near: tuple[float, float],
    *,
    reach: float,
    blur: float,
) -> tuple[np.ndarray, float, tuple[int, int]]:
    """Residual of the vehicle's sign around `near`, less its blur; its noise; its corner x, y.

    reach: of the window on each side; blur: standard deviation; both in vehicle sizes.
    """
    margins = np.ceil(np.maximum(3 * blur, 2 * HAT) * look.size[::-1]).astype(int) + 3
    wide, inner, corner = [], [], []
    for place, length, limit, margin in zip(
        near[::-1], look.size[::-1], residual.shape, margins.tolist(), strict=True
    ):
        first = int(max(0, place - reach * length - 3))
        last = int(min(limit, place + reach * length + 4))
        start = max(0, first - margin)
        wide.append(slice(start, last + margin))
        inner.append(slice(first - start, last - start))
        corner.append(first)
    sharp = np.maximum(_finer(residual[tuple(wide)], look, blur)[tuple(inner)], 0.0)
    return sharp, 2 * float(np.median(noise[tuple(wide)])), (corner[1], corner[0])


def _box_kernel(length: float) -> np.ndarray:
    """A mean over `length` pixels, 1 or more, fractions at both ends."""
    whole = int(np.floor((max(length, 1.0) - 1) / 2))
    end = (max(length, 1.0) - 1) / 2 - whole
    kernel = np.r_[end, np.ones(2 * whole + 1), end]
    return kernel / kernel.sum()


def hotter(residual: np.ndarray, look: Look, at: tuple[float, float]) -> float:
    """1 where what stands out at `at` is hotter than the background, −1 where it is colder."""
    (x, y), (half_width, half_height) = at, look.size / 3
    rows = slice(max(0, int(y - half_height)), int(y + half_height) + 1)
    columns = slice(max(0, int(x - half_width)), int(x + half_width) + 1)
    core = residual[rows, columns]
    return float(np.sign(np.sum(core * np.abs(core))))
