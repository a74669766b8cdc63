"""Images as people look at them: 8 bits, whatever the data."""

import numpy as np
from torch import Tensor

from data.value_map import EIGHT_BIT


def preview(image: Tensor) -> np.ndarray:
    """(1 or 3, H, W) in [-1, 1] -> (H, W) or (H, W, 3) uint8."""
    return EIGHT_BIT.decode(image)
