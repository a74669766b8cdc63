"""How sure a mean over images is."""

from collections.abc import Iterator, Sequence

import numpy as np

from util.seeding import generator_for

BLOCK_CELLS = 2**20  # counts in memory at a time


def confidence_intervals(
    values: np.ndarray,
    *,
    groups: Sequence[str] | None = None,
    seed: int = 0,
    resamples: int = 2000,
    level: float = 0.95,
) -> np.ndarray:
    """Percentile bootstrap intervals of means (Efron & Tibshirani 1993, ch. 13).

    values: (n, m), metrics of images; groups: (n,) of which group each is, None for one each. A
    resample draws as many groups as there are, with replacement and the same for all columns, and
    takes the mean over the finite values of all their images. Returns (m, 2), low and high end; NaN
    for a column with finite values in fewer than two groups.
    """
    finite = np.isfinite(values)
    # Measured from the lowest value, equal values are exactly 0 and stay equal under rounding.
    lowest = values.min(axis=0, where=finite, initial=np.inf)
    sums = np.where(finite, values - np.where(np.isfinite(lowest), lowest, 0.0), 0.0)
    sizes = finite.astype(np.float64)
    if groups is not None:
        sums, sizes = _sums_by(groups, sums), _sums_by(groups, sizes)
    enough = (sizes > 0).sum(axis=0) >= 2
    intervals = np.full((values.shape[1], 2), np.nan)
    if not enough.any():
        return intervals
    sums, sizes, lowest = sums[:, enough], sizes[:, enough], lowest[enough]
    means = np.concatenate(
        [_means(counts, sums, sizes) for counts in _counts(len(sums), resamples, seed)]
    )
    tail = (1 - level) / 2
    intervals[enough] = lowest[:, None] + np.nanquantile(means, [tail, 1 - tail], axis=0).T
    return intervals


def _sums_by(groups: Sequence[str], values: np.ndarray) -> np.ndarray:
    """(n, m) -> (groups, m): sums over the members of each group, in the order of first members."""
    places = {group: place for place, group in enumerate(dict.fromkeys(groups))}
    sums = np.zeros((len(places), values.shape[1]))
    np.add.at(sums, [places[group] for group in groups], values)
    return sums


def _counts(n: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each of n groups is in each resample: blocks (r, n), `resamples` rows in all."""
    generator = generator_for(seed)
    rows = max(1, BLOCK_CELLS // n)
    for start in range(0, resamples, rows):
        block = min(rows, resamples - start)
        drawn = generator.integers(n, size=(block, n)) + n * np.arange(block)[:, None]
        yield np.bincount(drawn.ravel(), minlength=block * n).reshape(block, n).astype(np.float64)


def _means(counts: np.ndarray, sums: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(r, n) counts, (n, m) sums of finite values and their numbers -> (r, m) means.

    NaN where a resample has no finite value.
    """
    with np.errstate(invalid="ignore"):
        return (counts @ sums) / (counts @ sizes)
