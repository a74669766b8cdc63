"""Hot spots: small bright places in a frame, outside its targets, that a detector may stop at."""

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from metrics.boxes import regions

CENTRE, SURROUNDINGS = 1.0, 3.0  # deviations of the two Gaussians, pixels
# How far a spot must stand out: in robust deviations of the frame's response, so that texture and
# noise do not count, and in shares of its grey range, so that a smooth frame is no exception.
DEVIATIONS, RANGE_SHARE = 6.0, 0.15
MARGIN = 5  # pixels about the grown box that still show its target's surroundings


def hot_spots(images: Tensor, boxes: Tensor) -> Tensor:
    """How many there are in each frame: (B,) float64; NaN for an image without a box.

    images: (B, 1, H, W), units of any kind; boxes: (B, N, 4) of targets, see
    `metrics.boxes.regions`. A spot is a maximum, the largest of its 5x5 pixels, of the difference
    of Gaussians (Marr and Hildreth 1980).
    """
    outside = regions(boxes, *images.shape[-2:])[2]
    known = outside.any(dim=-1).any(dim=-1).tolist()
    pairs = zip(images[:, 0].double().cpu().numpy(), outside.cpu().numpy(), strict=True)
    counts = [
        _count(*pair) if has_box else np.nan for pair, has_box in zip(pairs, known, strict=True)
    ]
    return torch.tensor(counts, dtype=torch.float64)


def _count(image: np.ndarray, outside: np.ndarray) -> int:
    """Of one frame: two arrays (H, W), the second True outside of targets."""
    response = ndimage.gaussian_filter(image, CENTRE) - ndimage.gaussian_filter(image, SURROUNDINGS)
    free = ndimage.binary_erosion(outside, np.ones((3, 3)), iterations=MARGIN, border_value=1)
    if not free.any():
        return 0
    values = response[free]
    deviation = 1.4826 * np.median(np.abs(values - np.median(values)))
    low, high = np.percentile(image, (0.1, 99.9))
    threshold = max(DEVIATIONS * deviation, RANGE_SHARE * (high - low), np.finfo(float).tiny)
    highest = response == ndimage.maximum_filter(response, 5)
    # Equal neighbours, as of a clipped spot, are one.
    return ndimage.label(free & highest & (response > threshold), np.ones((3, 3)))[1]
