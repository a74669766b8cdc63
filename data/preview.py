"""Images as people look at them: 8 bits, whatever the data."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from data.value_map import EIGHT_BIT

BINS = 64  # of a histogram of grey levels
TRIMMED = 2000  # one of so many values at either end of a window does not count, and a few more
FEW = 4
MARGIN = 0.2  # of what is left, beyond it on either side


def preview(image: Tensor) -> np.ndarray:
    """(1 or 3, H, W) in [-1, 1] -> (H, W) or (H, W, 3) uint8."""
    return EIGHT_BIT.decode(image)


def common_window(kinds: Sequence[Tensor]) -> Tensor:
    """What is shown as black and as white where images are looked at side by side.

    kinds: each (B, C, H, W) in [-1, 1], of one H and W. Returns (B, 2): of each row one window for
    its images. A few hot pixels do not count, and neither do the ends of the value range: so the
    median over a row lies between grey levels 36 and 219.
    """
    values = torch.cat([images.flatten(1) for images in kinds], dim=1).float()
    trimmed = min(FEW + values.shape[1] // TRIMMED, values.shape[1])
    high = values.topk(trimmed, dim=1).values[:, -1]
    low = values.topk(trimmed, dim=1, largest=False).values[:, -1]
    span = (high - low).clamp(min=1e-6)
    middle, half = (low + high) / 2, span * (0.5 + MARGIN)
    return torch.stack([middle - half, middle + half], dim=1)


def windowed(images: Tensor, window: Tensor) -> Tensor:
    """Grey levels of images (B, C, H, W), uint8; window: (B, 2) of `common_window`."""
    low, high = window[:, :, None, None, None].unbind(1)
    return EIGHT_BIT.counts((images.float() - low) * (2 / (high - low)) - 1)


def histogram(image: np.ndarray) -> np.ndarray:
    """Of grey levels (uint8): the roots of the counts in BINS bins, the greatest of them 1."""
    counts = np.bincount(image.ravel() // (256 // BINS), minlength=BINS)
    return np.sqrt(counts / counts.max())
