"""How sure a mean over a few trainings is."""

from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

LEVEL = 0.95


def student_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """95 % interval of the mean of finite values by Student's t (1908), n - 1 degrees of freedom.

    With a handful of seeds a bootstrap is much too narrow: of three values it knows ten resamples.
    None for fewer than two values.
    """
    n = len(values)
    if n < 2:
        return None
    mean = float(np.mean(values))
    half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * float(np.std(values, ddof=1)) / n**0.5
    return mean - half, mean + half
