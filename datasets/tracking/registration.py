"""How far a frame's picture is displaced: "fixed" cameras are nudged and pointed anew.

Orientation correlation (Fitch et al. 2002): the direction of every pixel's gradient votes for a
displacement, whatever its contrast. So gain and offset do not matter, and a vehicle is a few votes.
"""

import numpy as np
from scipy import fft, ndimage

BLUR = 1.0  # pixels, against noise
BORDER = 3  # pixels whose gradient the frame's edge spoils
FLAT = 1e-3  # gradient, in counts, without a direction
STILL = 0.2  # pixels below which a frame counts as not displaced: interpolation costs sharpness


class Registration:
    """Measures displacements against one frame (H, W)."""

    def __init__(self, reference: np.ndarray) -> None:
        orientation = _orientation(reference)
        self._spectrum = fft.fft2(orientation).conj()
        self._votes = max(int(np.count_nonzero(orientation)), 1)

    def shift(self, frame: np.ndarray) -> tuple[np.ndarray, float]:
        """Displacement (x, y) of a frame's picture in pixels, and the share of votes for it, 0..1.

        The share is near 0 for frames that do not show the same picture.
        """
        agreement = fft.ifft2(fft.fft2(_orientation(frame)) * self._spectrum).real
        peak = np.unravel_index(agreement.argmax(), agreement.shape)
        place = np.array([_vertex(agreement, peak, axis) for axis in (1, 0)])
        size = np.array(agreement.shape[::-1])
        return (place + size / 2) % size - size / 2, float(agreement[peak]) / self._votes


def _orientation(frame: np.ndarray) -> np.ndarray:
    """Unit complex numbers in the direction of the gradient; 0 where there is none. (H, W)"""
    down, across = np.gradient(ndimage.gaussian_filter(frame.astype(np.float32), BLUR))
    gradient = across + 1j * down
    length = np.abs(gradient)
    direction = np.where(length > FLAT, gradient / np.maximum(length, FLAT), 0)
    inner = np.zeros_like(direction)
    core = (slice(BORDER, -BORDER), slice(BORDER, -BORDER))
    inner[core] = direction[core]
    return inner


def _vertex(values: np.ndarray, peak: tuple[int, ...], axis: int) -> float:
    """Place of the maximum along one axis by the parabola through a peak and its neighbours."""
    before, at, after = np.take(
        values[peak[0]] if axis else values[:, peak[1]],
        range(peak[axis] - 1, peak[axis] + 2),
        mode="wrap",
    )
    return peak[axis] + 0.5 * (before - after) / min(before - 2 * at + after, -1e-12)


def align(frame: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """The frame (H, W) moved back by its displacement, float32; its edges are drawn out."""
    frame = frame.astype(np.float32)
    if np.abs(shift).max() < STILL:
        return frame
    return ndimage.shift(frame, -shift[::-1], order=1, mode="nearest")
