"""Difference of Gaussians: where something of a target's size stands out from its surroundings."""

import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from metrics.paired import luminance

# Deviations of the two Gaussians in pixels, the best of some on real frames of far vehicles.
NARROW, WIDE = 0.7, 1.5


def dog_energy(images: Tensor, *, narrow: float = NARROW, wide: float = WIDE) -> Tensor:
    """Squares of `difference_of_gaussians`, a map of attention: (B, 1, H, W) float64.

    The unit is the square of that of the images.
    """
    return difference_of_gaussians(images, narrow=narrow, wide=wide) ** 2


def difference_of_gaussians(images: Tensor, *, narrow: float, wide: float) -> Tensor:
    """Difference of two Gaussian blurs (Marr & Hildreth 1980), above 0 where small things are hot.

    images: (B, 1 or 3, H, W) in any units, mirrored at their edges; narrow, wide: deviations of the
    Gaussians in pixels. Returns (B, 1, H, W) float64: all 0 for an image of one value, whatever the
    others.
    """
    grey = luminance(images).double().cpu()
    # Measured from the lowest value, an image of one value has no rounding errors to stand out.
    values = (grey - grey.amin(dim=(1, 2, 3), keepdim=True)).numpy()
    inner, outer = (gaussian_filter(values, (0, 0, s, s), mode="reflect") for s in (narrow, wide))
    return torch.from_numpy(inner - outer).to(images.device)
