"""Augmentation for classifying thermal images.

Gain and offset of a camera, position and size in the frame differ from video to video; a classifier
that sees them fixed learns them in place of the vehicle.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

GAIN = 0.3  # standard deviation of the log contrast
OFFSET = 0.25  # largest brightness change, in units of [-1, 1]
SHIFT = 0.15  # largest displacement, as a share of the side
SCALE = 0.2  # largest change of size
NOISE = 0.03  # largest noise, standard deviation in units of [-1, 1]


def augment_thermal(image: Tensor, rng: np.random.Generator) -> Tensor:
    """Random gain, offset, shift, scale and noise: (C, H, W) in [-1, 1] -> the same."""
    scale = 1 + rng.uniform(-SCALE, SCALE)
    shift = rng.uniform(-SHIFT, SHIFT, size=2) * 2
    theta = torch.tensor([[1 / scale, 0, shift[0]], [0, 1 / scale, shift[1]]], dtype=torch.float32)
    grid = F.affine_grid(theta[None], [1, *image.shape], align_corners=False)
    moved = F.grid_sample(
        image[None], grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )[0]
    middle = moved.mean()
    gain = math.exp(rng.normal(0, GAIN))
    moved = (moved - middle) * gain + middle + rng.uniform(-OFFSET, OFFSET)
    noise = rng.normal(0, rng.uniform(0, NOISE), size=tuple(moved.shape)).astype(np.float32)
    return (moved + torch.from_numpy(noise)).clamp(-1, 1)
