"""Smooth random fields that are functions of a place, not of a pixel grid.

Whatever the resolution or the line of sight, the same place has the same value; that is what makes
two renderings of one scene, or two frames of one recording, agree.
"""

import numpy as np

LATTICE_SIZE = 64
# Standard deviation left by smoothstep interpolation of unit lattice values, per axis: √(26/35).
_AXIS_STD = (26 / 35) ** 0.5


def draw_lattice(rng: np.random.Generator) -> np.ndarray:
    """Unit normal values on a periodic lattice, (64, 64) float32."""
    return rng.standard_normal((LATTICE_SIZE, LATTICE_SIZE), dtype=np.float32)


def _cell(coordinate: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    floor = np.floor(coordinate)
    offset = (coordinate - floor).astype(np.float32)
    index = floor.astype(np.int32) & (LATTICE_SIZE - 1)
    return index, (index + 1) & (LATTICE_SIZE - 1), offset * offset * (3 - 2 * offset)


def lattice_noise(lattice: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Value noise: the lattice (64, 64) interpolated at u, v (same or broadcastable shapes).

    One unit of u or v is one lattice cell; the period is 64. Mean 0, variance 1 over many places.
    """
    left, right, across = _cell(u)
    upper, lower, down = _cell(v)
    # Flat indices: one gather each, several times faster than indexing by two arrays.
    flat = lattice.ravel()
    upper, lower = upper * LATTICE_SIZE, lower * LATTICE_SIZE
    top = flat[upper + left] * (1 - across) + flat[upper + right] * across
    bottom = flat[lower + left] * (1 - across) + flat[lower + right] * across
    return (top * (1 - down) + bottom * down) / _AXIS_STD**2


def profile_noise(lattice: np.ndarray, u: np.ndarray) -> np.ndarray:
    """One-dimensional value noise from the lattice's first row; mean 0, variance 1."""
    left, right, across = _cell(u)
    return (lattice[0, left] * (1 - across) + lattice[0, right] * across) / _AXIS_STD
