"""Maps of feature vectors in two dimensions, for people to look at: PCA and t-SNE of several sets.

All sets are mapped together, from features that were standardised over all of them. Of a large set
evenly spread images stand for the whole: memory and time do not grow with it, and no set drowns the
others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LARGEST_PERPLEXITY = 30.0  # scikit-learn's default; fewer images need less
TSNE_INPUTS = 50  # dimensions left by PCA before t-SNE, as van der Maaten & Hinton 2008 do
TOO_FEW = 3  # images, below which a plane holds them anyhow


@dataclass(frozen=True)
class Embedding:
    """Places of images in the plane, a pair of arrays each set.

    points: (m_i, dims) float64; indices: (m_i,), which rows of the set they are; explained: share
    of the variance along each axis, in [0, 1], for PCA.
    """

    points: list[np.ndarray]
    indices: list[np.ndarray]
    explained: tuple[float, ...] | None = None


def pca(features: Sequence[np.ndarray], *, dims: int = 2, limit: int = 1000) -> Embedding | None:
    """Principal components of the pooled sets (Jolliffe 2002), axes ordered by variance.

    features: one (n_i, d) a set, d >= dims, which may be memory-mapped; limit: largest number of
    images taken from a set. Rows that are not finite are left out. Deterministic, signs included.
    None for fewer than 3 images in all, or if all are equal.
    """
    sample = _sample(features, limit)
    if sample is None:
        return None
    pooled, indices = sample
    points, explained = _components(pooled, dims)
    return Embedding(_split(points, indices), indices, tuple(explained.tolist()))


def tsne(features: Sequence[np.ndarray], *, seed: int = 0, limit: int = 1000) -> Embedding | None:
    """t-SNE (van der Maaten & Hinton 2008) in two dimensions, of the first 50 components of `pca`.

    features, limit: as for `pca`. Perplexity 30, or a third of the images where there are fewer
    than 90. Neighbours stay neighbours; sizes of clusters and distances between them mean nothing.
    The same seed gives the same map. None as for `pca`.
    """
    from sklearn.manifold import TSNE

    sample = _sample(features, limit)
    if sample is None:
        return None
    pooled, indices = sample
    components, _ = _components(pooled, min(TSNE_INPUTS, *pooled.shape))
    perplexity = min(LARGEST_PERPLEXITY, len(pooled) / 3)
    points = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(components)
    return Embedding(_split(points.astype(np.float64), indices), indices)


def _sample(
    features: Sequence[np.ndarray], limit: int
) -> tuple[np.ndarray, list[np.ndarray]] | None:
    """Standardised rows of all sets below each other, and which rows of each set they are."""
    from sklearn.preprocessing import StandardScaler

    taken, indices = [], []
    for rows in features:
        places = np.linspace(0, len(rows) - 1, min(len(rows), limit)).round().astype(np.int64)
        values = np.asarray(rows[places], np.float64)
        finite = np.isfinite(values).all(axis=1)
        taken.append(values[finite])
        indices.append(places[finite])
    if sum(map(len, indices)) < TOO_FEW:
        return None
    pooled = np.concatenate(taken)
    if (pooled == pooled[0]).all():
        return None
    return StandardScaler().fit_transform(pooled), indices


def _components(pooled: np.ndarray, dims: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, dims) scores and (dims,) explained shares of the variance."""
    from sklearn.decomposition import PCA

    # The exact solver: the default one would draw random numbers for large inputs.
    components = PCA(dims, svd_solver="full").fit(pooled)
    return components.transform(pooled), components.explained_variance_ratio_


def _split(points: np.ndarray, indices: Sequence[np.ndarray]) -> list[np.ndarray]:
    return np.split(points, np.cumsum([len(i) for i in indices])[:-1])
