"""The simulator-like picture: what a rendering engine exports, with a tone mapping of its own."""

import numpy as np

from datasets.scene.render import render
from datasets.scene.thermal import band_radiance
from datasets.scene.world import Scene

# Surfaces of rendering engines carry weaker textures than nature.
TEXTURE_CONTRAST = 0.45
WINDOW_K = (266.0, 321.0)  # black bodies that map to black and white
GAMMA = 0.55


def simulator_image(scene: Scene, size: int, bits: int = 8) -> np.ndarray:
    """One sample a pixel, no blur, no noise; (size, size) uint8 or uint16, white is hot."""
    return window(render(scene, size, texture=TEXTURE_CONTRAST).radiance, bits)


def window(radiance: np.ndarray, bits: int) -> np.ndarray:
    """A fixed window of radiance through a gamma to the full scale of 8 or 16 bits; monotonic."""
    low, high = band_radiance(np.array(WINDOW_K))
    share = np.clip((radiance - low) / (high - low), 0.0, 1.0)
    return np.rint((2**bits - 1) * share**GAMMA).astype(np.uint8 if bits == 8 else np.uint16)
