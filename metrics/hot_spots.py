"""Hot spots: small bright places in a frame, outside its targets, that a detector may stop at."""

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from metrics.baselines.dog import difference_of_gaussians
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
    outside = regions(boxes, *images.shape[-2:])[2].cpu().numpy()
    response = difference_of_gaussians(images, narrow=CENTRE, wide=SURROUNDINGS)
    parts = (part[:, 0].double().cpu().numpy() for part in (images, response))
    counts = [_count(*of) if of[2].any() else np.nan for of in zip(*parts, outside, strict=True)]
    return torch.tensor(counts, dtype=torch.float64)


def _count(image: np.ndarray, response: np.ndarray, outside: np.ndarray) -> int:
    """Of one frame: three arrays (H, W), the last True outside of targets."""
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
