"""How far apart two sets of images are: pure functions of their feature vectors.

Features are arrays (n, d) of floats, one row an image, and may lie in a memory-mapped file: blocks
of them are read and turned into float64. A set of fewer than two images gives NaN, and so do
features that are not finite.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import pdist

from util.seeding import generator_for

BLOCK_ROWS = 1024
NEIGHBOURS = 5  # of density and coverage, as in Naeem et al. 2020
SAMPLED = 2000  # images of a set that density, coverage and novelty look at
LARGEST_SUBSET = 1000  # of KID, as in Binkowski et al. 2018
# Of the length of features. In another batch a copy is about 1e-6 away, and rounding in the squares
# makes 1e-7 of nothing; noise of a single count makes 1e-2.
EQUAL = 1e-4
MEDIAN_ROWS = 2000  # that the median distance is taken of: 2 million pairs


@dataclass(frozen=True)
class Kid:
    """mean and std over the subsets; subset_size: images of each set in a subset."""

    mean: float
    std: float
    subset_size: int


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance of two Gaussians fitted to the sets; FID for Inception features.

    |μa - μb|² + tr Sa + tr Sb - 2 tr √(Sa Sb) with sample covariances (Dowson & Landau 1982; Heusel
    et al. 2017, eq. 6), in [0, ∞). a: (n, d), b: (m, d). The covariances may be singular, as they
    are for n <= d.
    """
    if _too_few(a, b):
        return float("nan")
    (mean_a, factor_a), (mean_b, factor_b) = _moments(a), _moments(b)
    product = factor_a @ factor_b.T
    if not np.isfinite(product).all():
        return float("nan")
    # With AᵀA = Sa and BᵀB = Sb, the eigenvalues of Sa Sb are the squared singular values of A Bᵀ.
    trace_of_root = np.linalg.norm(product, "nuc")
    distance = ((mean_a - mean_b) ** 2).sum() + (factor_a**2).sum() + (factor_b**2).sum()
    return max(float(distance - 2 * trace_of_root), 0.0)  # rounding may end below 0


def coral(a: np.ndarray, b: np.ndarray) -> float:
    """CORAL: |Ca - Cb|² / (4 d²), Frobenius norm of sample covariances (Sun & Saenko 2016, eq. 1).

    a: (n, d), b: (m, d). In [0, ∞); it does not see a shift of the mean.
    """
    if _too_few(a, b):
        return float("nan")
    (_, factor_a), (_, factor_b) = _moments(a), _moments(b)
    difference = factor_a.T @ factor_a - factor_b.T @ factor_b
    return float((difference**2).sum() / (4 * a.shape[1] ** 2))


def kid(
    a: np.ndarray,
    b: np.ndarray,
    *,
    seed: int = 0,
    subsets: int = 100,
    subset_size: int | None = None,
) -> Kid:
    """Kernel distance (Binkowski et al. 2018): unbiased MMD² with the kernel (x·y/d + 1)³.

    a: (n, d), b: (m, d). Mean and deviation over random subsets, each drawn without replacement;
    subset_size: at most n and m, by default half of the smaller set, up to 1,000. Around 0 for sets
    of one distribution, so also a little below.
    """
    size = min(LARGEST_SUBSET, min(len(a), len(b)) // 2) if subset_size is None else subset_size
    if size < 2:
        return Kid(float("nan"), float("nan"), size)
    generator = generator_for(seed)
    values = [
        _polynomial_mmd(_draw(a, size, generator), _draw(b, size, generator))
        for _ in range(subsets)
    ]
    return Kid(float(np.mean(values)), float(np.std(values)), size)


def mmd_rbf(a: np.ndarray, b: np.ndarray) -> float:
    """Unbiased MMD² (Gretton et al. 2012, eq. 3) with the kernel exp(-|x - y|² / (2 s²)).

    a: (n, d), b: (m, d). s: median distance within the pooled sets, of at most 2,000 evenly spread
    rows (median heuristic). At most 2; around 0 for sets of one distribution, so also a little
    below. NaN where s is 0: most rows are equal.
    """
    if _too_few(a, b):
        return float("nan")
    scale = float(np.median(pdist(_spread_rows(a, b, MEDIAN_ROWS))))
    if not scale > 0:
        return float("nan")
    n, m, gamma = len(a), len(b), 1 / (2 * scale**2)
    # A row's kernel with itself is 1 and does not belong to the unbiased sums.
    within_a = (_rbf_sum(a, a, gamma) - n) / (n * (n - 1))
    within_b = (_rbf_sum(b, b, gamma) - m) / (m * (m - 1))
    return within_a + within_b - 2 * _rbf_sum(a, b, gamma) / (n * m)


def density_and_coverage(
    fake: np.ndarray, real: np.ndarray, *, neighbours: int = NEIGHBOURS
) -> tuple[float, float]:
    """Density and coverage (Naeem et al. 2020, eqs. 3 and 4) of real images by translations.

    fake: (n, d), real: (m, d); at most SAMPLED evenly spread rows of either. A real image's ball
    reaches to its k-th nearest real neighbour. Coverage: share of the balls that hold a
    translation, in [0, 1]. Density: balls that hold a translation, mean over these, divided by k;
    1 on average for sets of one distribution. NaN for too few real images.
    """
    fake, real = (rows[_spread(len(rows), SAMPLED)].astype(np.float64) for rows in (fake, real))
    if len(real) <= neighbours or not len(fake):
        return float("nan"), float("nan")
    # The nearest one of all is the image itself.
    radii = np.concatenate(
        [
            np.partition(squared_distances(x, real), neighbours)[:, neighbours]
            for x in _blocks(real, BLOCK_ROWS)
        ]
    )
    held = np.zeros(len(real), np.int64)
    for x in _blocks(fake, BLOCK_ROWS):
        held += (squared_distances(x, real) < radii).sum(axis=0)
    return float(held.sum() / (neighbours * len(fake))), float((held > 0).mean())


def novelty(fake: np.ndarray, real: np.ndarray, training: np.ndarray) -> float:
    """How far translations are from the training images, in units of how far unseen real ones are.

    fake: (n, d), real: (m, d), not of the training; at most SAMPLED evenly spread rows of either.
    training: (k, d), all of it, or copies of what is left out would look new. The ratio of the
    medians of the Euclidean distances to the nearest training image: 1 where translations are as
    new as real images, 0 where they are copies: a distance below EQUAL of a row's length is none.
    NaN for empty sets and for real images that are themselves copies.
    """
    fake, real = (rows[_spread(len(rows), SAMPLED)].astype(np.float64) for rows in (fake, real))
    if not (len(fake) and len(real) and len(training)):
        return float("nan")
    of_fake, of_real = (np.median(_to_nearest(rows, training)) for rows in (fake, real))
    return float(of_fake / of_real) if of_real > 0 else float("nan")


def _to_nearest(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Distance of each row (n, d) to the nearest one of others (m, d): (n,), 0 for a copy of it."""
    nearest = np.full(len(rows), np.inf)
    for block in _blocks(others, BLOCK_ROWS):
        nearest = np.minimum(nearest, squared_distances(rows, block).min(axis=1))
    nearest[nearest < EQUAL**2 * (rows**2).sum(axis=1)] = 0
    return np.sqrt(nearest)


def squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """|x - y|² of all rows of two arrays (n, d), (m, d): (n, m)."""
    squares = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2 * x @ y.T
    return np.maximum(squares, 0)


def _spread(n: int, count: int) -> np.ndarray:
    """At most `count` of n places, in equal steps."""
    return np.linspace(0, n - 1, min(count, n)).round().astype(int)


def _too_few(a: np.ndarray, b: np.ndarray) -> bool:
    return min(len(a), len(b)) < 2


def _blocks(features: np.ndarray, rows: int) -> Iterator[np.ndarray]:
    for start in range(0, len(features), rows):
        yield np.asarray(features[start : start + rows], np.float64)


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (d,) and a factor A (at most d rows, d) of the sample covariance, S = AᵀA.

    A is the centred data itself or, once it has more than d rows, its triangle of the QR
    decomposition, updated block by block: S, whose condition is the square of A's, is never formed.
    """
    n, d = features.shape
    mean = np.asarray(features.mean(axis=0, dtype=np.float64))
    factor = np.empty((0, d))
    for block in _blocks(features, max(d, BLOCK_ROWS)):
        factor = np.concatenate([factor, block - mean])
        if len(factor) > d:
            factor = np.linalg.qr(factor, mode="r")
    return mean, factor / np.sqrt(n - 1)


def _draw(features: np.ndarray, size: int, generator: np.random.Generator) -> np.ndarray:
    rows = generator.choice(len(features), size, replace=False)
    return features[np.sort(rows)].astype(np.float64)  # in the file's order


def _polynomial_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """Unbiased MMD² of two sets of equal size n, x and y: (n, d)."""
    n = len(x)
    within = sum(kernel.sum() - kernel.trace() for kernel in (_cubic(x, x), _cubic(y, y)))
    return within / (n * (n - 1)) - 2 * _cubic(x, y).mean()


def _cubic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    base = x @ y.T / x.shape[1] + 1
    return base * base * base  # a power would take longer than the product of the matrices


def _spread_rows(a: np.ndarray, b: np.ndarray, count: int) -> np.ndarray:
    """At most `count` rows of a and b, in equal steps through the one and then the other."""
    n = len(a) + len(b)
    rows = _spread(n, count)
    of_a = rows < len(a)
    return np.concatenate([a[rows[of_a]], b[rows[~of_a] - len(a)]]).astype(np.float64)


def _rbf_sum(a: np.ndarray, b: np.ndarray, gamma: float) -> float:
    """Sum of exp(-gamma |x - y|²) over all rows x of a and y of b."""
    total = 0.0
    for x in _blocks(a, BLOCK_ROWS):
        for y in _blocks(b, BLOCK_ROWS):
            total += float(np.exp(-gamma * squared_distances(x, y)).sum())
    return total
