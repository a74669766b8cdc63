"""Images that benchmarks read, translate and compare."""

import numpy as np
from scipy.ndimage import gaussian_filter


def make_pairs(count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Smooth scenes, and the same with other gain, offset, noise: (count, size, size) uint8."""
    rng = np.random.default_rng(0)
    first, second = np.empty((2, count, size, size), np.uint8)
    for index in range(count):
        scene = 500 * gaussian_filter(rng.standard_normal((size, size)), sigma=5)
        noise = 6 * rng.standard_normal((2, size, size))
        first[index] = np.clip(120 + scene + noise[0], 0, 255)
        second[index] = np.clip(135 + 0.9 * scene + noise[1], 0, 255)
    return first, second


def at_depth(image: np.ndarray, bits: int) -> np.ndarray:
    """uint8 -> the same, or counts of 16 bits that fill a part of their range, as a camera's do."""
    return image if bits == 8 else image.astype(np.uint16) * 64 + 4096
