"""Maps of features: the components of a singular value decomposition, and clusters stay apart."""

import numpy as np
import pytest

from metrics.embedding import pca, tsne


def clusters(*sizes: int, dims: int = 60, gap: float = 12.0) -> list[np.ndarray]:
    """Normal clouds, each shifted along a direction of its own."""
    rng = np.random.default_rng(0)
    clouds = [rng.normal(size=(n, dims)) for n in sizes]
    for place, cloud in enumerate(clouds):
        cloud[:, place::4] += gap
    return clouds


def separation(points: list[np.ndarray]) -> float:
    """Smallest distance of two centres over the largest deviation within a set."""
    centres = np.array([p.mean(axis=0) for p in points])
    distances = np.linalg.norm(centres[:, None] - centres[None], axis=-1)
    inside = max(np.linalg.norm(p - p.mean(axis=0), axis=1).mean() for p in points)
    return distances[~np.eye(len(points), dtype=bool)].min() / inside


def test_pca_is_the_singular_value_decomposition_of_the_standardised_pool():
    sets = clusters(40, 25, dims=7)
    found = pca(sets)
    pooled = np.concatenate(sets)
    standard = (pooled - pooled.mean(axis=0)) / pooled.std(axis=0)
    left, singular, _ = np.linalg.svd(standard, full_matrices=False)
    expected = left[:, :2] * singular[:2]
    points = np.concatenate(found.points)
    np.testing.assert_allclose(np.abs(points), np.abs(expected), atol=1e-9)
    np.testing.assert_allclose(found.explained, (singular**2 / (singular**2).sum())[:2])
    assert [len(p) for p in found.points] == [40, 25]


def test_a_feature_in_other_units_does_not_outweigh_the_others():
    sets = clusters(40, 25, dims=7)
    scaled = [rows * np.array([1e6, 1, 1, 1, 1, 1, 1]) for rows in sets]
    for one, other in zip(pca(sets).points, pca(scaled).points, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)


@pytest.mark.parametrize("method", [pca, tsne])
def test_separate_clusters_stay_separate(method):
    found = method(clusters(30, 40, 35))
    assert separation(found.points) > 2


@pytest.mark.parametrize("method", [pca, tsne])
def test_the_same_input_gives_the_same_map(method):
    sets = clusters(20, 30)
    for one, other in zip(method(sets).points, method(sets).points, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("method", [pca, tsne])
def test_of_a_large_set_evenly_spread_images_are_taken(method, tmp_path):
    file = tmp_path / "features.npy"
    large, small = clusters(101, 9)
    np.save(file, large)
    found = method([np.load(file, mmap_mode="r"), small], limit=11)
    np.testing.assert_array_equal(found.indices[0], np.arange(0, 101, 10))
    np.testing.assert_array_equal(found.indices[1], np.arange(9))
    assert [p.shape for p in found.points] == [(11, 2), (9, 2)]
    assert all(np.isfinite(p).all() for p in found.points)


@pytest.mark.parametrize("method", [pca, tsne])
@pytest.mark.parametrize("sizes", [(), (0,), (1, 1), (2,)])
def test_too_few_images_have_no_map(method, sizes):
    assert method([np.zeros((n, 5)) for n in sizes]) is None


@pytest.mark.parametrize("method", [pca, tsne])
@pytest.mark.parametrize("sizes", [(3,), (1, 1, 1), (2, 0, 3)])
def test_few_images_have_a_map(method, sizes):
    found = method(clusters(*sizes, dims=12))
    assert [p.shape for p in found.points] == [(n, 2) for n in sizes]
    assert all(np.isfinite(p).all() for p in found.points)


@pytest.mark.parametrize("method", [pca, tsne])
def test_rows_that_are_not_finite_and_features_that_do_not_vary_do_no_harm(method):
    rows = clusters(12)[0]
    rows[3, 5], rows[7, 0] = np.nan, np.inf
    rows[:, 9] = 4.0
    found = method([rows])
    assert found.indices[0].tolist() == [i for i in range(12) if i not in (3, 7)]
    assert np.isfinite(found.points[0]).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("method", [pca, tsne])
def test_equal_images_have_no_map(method):
    assert method([np.full((6, 5), 0.1), np.full((3, 5), 0.1)]) is None
