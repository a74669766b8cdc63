"""How sure a mean over images is."""

from collections.abc import Iterator

import numpy as np

from util.seeding import generator_for

BLOCK_CELLS = 2**20  # counts in memory at a time


def confidence_intervals(
    values: np.ndarray, *, seed: int = 0, resamples: int = 2000, level: float = 0.95
) -> np.ndarray:
    """Percentile bootstrap intervals of means (Efron & Tibshirani 1993, ch. 13).

    values: (n, m), metrics of images. A resample draws n images with replacement, the same for all
    columns, and takes the mean over their finite values. Returns (m, 2), low and high end; NaN for
    a column with fewer than two finite values.
    """
    finite = np.isfinite(values)
    enough = finite.sum(axis=0) >= 2
    intervals = np.full((values.shape[1], 2), np.nan)
    if not enough.any():
        return intervals
    values, finite = values[:, enough], finite[:, enough]
    # Measured from the lowest value, equal values are exactly 0 and stay equal under rounding.
    lowest = values.min(axis=0, where=finite, initial=np.inf)
    offsets = np.where(finite, values - lowest, 0.0)
    means = np.concatenate(
        [_means(counts, offsets, finite) for counts in _counts(len(values), resamples, seed)]
    )
    tail = (1 - level) / 2
    intervals[enough] = lowest[:, None] + np.nanquantile(means, [tail, 1 - tail], axis=0).T
    return intervals


def _counts(n: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each of n images is in each resample: blocks (r, n), `resamples` rows in all."""
    generator = generator_for(seed)
    rows = max(1, BLOCK_CELLS // n)
    for start in range(0, resamples, rows):
        block = min(rows, resamples - start)
        drawn = generator.integers(n, size=(block, n)) + n * np.arange(block)[:, None]
        yield np.bincount(drawn.ravel(), minlength=block * n).reshape(block, n).astype(np.float64)


def _means(counts: np.ndarray, offsets: np.ndarray, finite: np.ndarray) -> np.ndarray:
    """(r, n) counts, (n, m) values -> (r, m) means; NaN where a resample has no finite value."""
    with np.errstate(invalid="ignore"):
        return (counts @ offsets) / (counts @ finite)
