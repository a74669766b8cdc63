"""Distances of sets of features: closed forms, scipy, scikit-learn and pytorch-fid."""

import math
import tracemalloc

import numpy as np
import pytest
from scipy.linalg import sqrtm
from sklearn.metrics.pairwise import euclidean_distances, polynomial_kernel, rbf_kernel

from metrics import distribution
from metrics.distribution import (
    Kid,
    coral,
    density_and_coverage,
    frechet_distance,
    kid,
    mmd_rbf,
    novelty,
)

DISTANCES = {"frechet": frechet_distance, "coral": coral, "mmd": mmd_rbf}
every_distance = pytest.mark.parametrize("distance", DISTANCES.values(), ids=DISTANCES)


def correlated(n: int, d: int, seed: int) -> np.ndarray:
    """n Gaussian rows of d correlated features."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) / np.sqrt(d) + rng.normal(size=d)


@pytest.fixture
def sets():
    return correlated(300, 12, seed=1), correlated(200, 12, seed=2)


def orthogonal(n: int, deviations: np.ndarray) -> np.ndarray:
    """Rows of mean 0 whose sample covariance is diag(deviations²) to rounding."""
    noise = np.random.default_rng(0).normal(size=(n, len(deviations)))
    directions, _ = np.linalg.qr(noise - noise.mean(axis=0))
    return directions * deviations * np.sqrt(n - 1)


def reference_frechet(a: np.ndarray, b: np.ndarray) -> float:
    """By the symmetric root: tr √(√Sa Sb √Sa), from eigenvalues."""
    sa, sb = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    shift = a.mean(axis=0) - b.mean(axis=0)
    values, vectors = np.linalg.eigh(sa)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    trace = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ sb @ root), 0)).sum()
    return shift @ shift + np.trace(sa) + np.trace(sb) - 2 * trace


def test_frechet_equals_the_formula_with_a_matrix_root(sets):
    sa, sb = (np.cov(x, rowvar=False) for x in sets)
    shift = sets[0].mean(axis=0) - sets[1].mean(axis=0)
    expected = shift @ shift + np.trace(sa + sb - 2 * sqrtm(sa @ sb).real)
    assert frechet_distance(*sets) == pytest.approx(expected, rel=1e-9)
    assert reference_frechet(*sets) == pytest.approx(expected, rel=1e-9)


@pytest.mark.filterwarnings("ignore")
def test_frechet_equals_pytorch_fid(sets):
    from pytorch_fid.fid_score import calculate_frechet_distance

    moments = [m for x in sets for m in (x.mean(axis=0), np.cov(x, rowvar=False))]
    try:
        expected = calculate_frechet_distance(*moments)
    except TypeError:
        pytest.skip("this pytorch-fid asks scipy for an argument that it no longer has")
    assert frechet_distance(*sets) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("n", [40, 8], ids=["n > d", "n < d"])
def test_frechet_of_shifted_samples_is_the_squared_shift(n):
    a, shift = correlated(n, 10, seed=3), np.linspace(-2, 2, 10)
    assert frechet_distance(a, a + shift) == pytest.approx(shift @ shift, rel=1e-9)


def test_frechet_of_scaled_axes():
    deviations, scale = np.array([1.0, 0.2, 3.0, 5.0]), np.array([2.0, 1.0, 0.5, 0.0])
    a = orthogonal(50, deviations)
    expected = ((deviations - deviations * scale) ** 2).sum()
    assert frechet_distance(a, a * scale) == pytest.approx(expected, rel=1e-9)


def test_frechet_of_fewer_images_than_features():
    a, b = correlated(15, 40, seed=4), correlated(25, 40, seed=5)
    assert frechet_distance(a, b) == pytest.approx(reference_frechet(a, b), rel=1e-6)
    many = correlated(90, 40, seed=6)
    assert frechet_distance(a, many) == pytest.approx(reference_frechet(a, many), rel=1e-6)


def test_frechet_survives_a_large_common_offset(sets):
    a, b = sets
    assert frechet_distance(a + 1e5, b + 1e5) == pytest.approx(frechet_distance(a, b), rel=1e-8)


def test_coral_equals_the_formula_on_covariances(sets):
    difference = np.cov(sets[0], rowvar=False) - np.cov(sets[1], rowvar=False)
    expected = np.linalg.norm(difference, "fro") ** 2 / (4 * 12**2)
    assert coral(*sets) == pytest.approx(expected, rel=1e-9)


def test_coral_sees_a_scale_and_no_shift():
    a = orthogonal(30, np.array([1.0, 2.0]))
    assert coral(a, a + np.array([5, -3])) == pytest.approx(0, abs=1e-20)
    # Covariance diag(1, 4) against diag(9, 36): (8² + 32²) / (4 · 2²).
    assert coral(a, 3 * a) == pytest.approx((8**2 + 32**2) / 16)


def test_mmd_equals_scikit_learn(sets):
    a, b = sets
    distances = euclidean_distances(np.concatenate(sets))
    median = np.median(distances[np.triu_indices(500, k=1)])
    kernels = [rbf_kernel(x, y, gamma=1 / (2 * median**2)) for x, y in ((a, a), (b, b), (a, b))]
    expected = (
        (kernels[0].sum() - 300) / (300 * 299)
        + (kernels[1].sum() - 200) / (200 * 199)
        - 2 * kernels[2].mean()
    )
    assert mmd_rbf(a, b) == pytest.approx(expected, rel=1e-9)


def test_mmd_of_two_points():
    # More than half of the pairs are as far apart as the points: the median is that distance.
    a, b = np.zeros((20, 3)), np.full((20, 3), 7.0)
    assert mmd_rbf(a, b) == pytest.approx(2 - 2 * math.exp(-0.5))
    assert math.isnan(mmd_rbf(a, a))


def test_mmd_of_a_set_and_itself(sets):
    a = sets[0]
    median = np.median(euclidean_distances(np.tile(a, (2, 1)))[np.triu_indices(600, k=1)])
    others = (rbf_kernel(a, gamma=1 / (2 * median**2)).sum() - 300) / (300 * 299)
    assert mmd_rbf(a, a) == pytest.approx(-2 / 300 * (1 - others), rel=1e-6)


def test_mmd_ignores_units_and_sees_a_shift(sets):
    a = sets[0]
    halves = a[::2], a[1::2]
    assert mmd_rbf(100 * halves[0], 100 * halves[1]) == pytest.approx(mmd_rbf(*halves), rel=1e-6)
    assert abs(mmd_rbf(*halves)) < 0.01 < 0.1 < mmd_rbf(halves[0], halves[1] + 2)


def test_median_of_spread_rows_stands_for_all_pairs(sets, monkeypatch):
    exact = mmd_rbf(*sets)
    monkeypatch.setattr(distribution, "MEDIAN_ROWS", 100)
    assert mmd_rbf(*sets) == pytest.approx(exact, rel=0.1)
    a, b = (np.arange(6.0)[:, None], np.arange(6.0, 10)[:, None])
    assert distribution._spread_rows(a, b, 4).ravel().tolist() == [0, 3, 6, 9]
    assert distribution._spread_rows(a, b, 99).ravel().tolist() == list(range(10))


def test_kid_equals_scikit_learn_on_all_rows(sets):
    a, b = sets[0][:100], sets[1][:100]
    within = [(k.sum() - np.trace(k)) / (100 * 99) for k in map(cubic, (a, b))]
    expected = sum(within) - 2 * cubic(a, b).mean()
    found = kid(a, b, subset_size=100, subsets=3)
    assert found == Kid(pytest.approx(expected, rel=1e-9), pytest.approx(0, abs=1e-12), 100)
    order = np.random.default_rng(0).permutation(100)
    assert kid(a[order], b, subset_size=100, subsets=1).mean == pytest.approx(expected, rel=1e-9)


def cubic(x: np.ndarray, y: np.ndarray | None = None) -> np.ndarray:
    return polynomial_kernel(x, y, degree=3, gamma=1 / x.shape[1], coef0=1)


def test_kid_of_gaussians():
    # Moments 0, 1, 0 and 1, 2, 4: with k = 1 + 3xy + 3x²y² + x³y³, 4 + (1 + 3 + 12 + 16) - 2 · 7.
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(4000, 1)), rng.normal(1, 1, size=(4000, 1))
    found = kid(a, b, subsets=20)
    assert found.mean == pytest.approx(22, rel=0.1)
    assert found.subset_size == 1000


def test_kid_of_one_distribution_is_around_0():
    a, b = np.random.default_rng(1).normal(size=(2, 400, 16))
    same, shifted = kid(a, b), kid(a, b + 0.5)
    assert abs(same.mean) < 3 * same.std
    assert shifted.mean > 10 * shifted.std
    order = np.random.default_rng(2).permutation(400)
    assert kid(a[order], b[order]).mean == pytest.approx(same.mean, abs=3 * same.std / 10)


def test_subsets_of_kid(sets):
    a, b = sets
    found = kid(a, b)
    assert found.subset_size == 100  # half of 200
    assert found == kid(a, b) != kid(a, b, seed=1)
    assert kid(a, b, seed=1).mean == pytest.approx(found.mean, abs=0.5 * found.std)
    rows = distribution._draw(np.arange(50.0)[:, None], 30, np.random.default_rng(0)).ravel()
    assert len(set(rows)) == 30 and (np.diff(rows) > 0).all()


@pytest.mark.parametrize("n", [0, 1, 3])
def test_kid_of_too_few_images(sets, n):
    found = kid(sets[0][:n], sets[1])
    assert math.isnan(found.mean) and math.isnan(found.std) and found.subset_size == n // 2


@every_distance
def test_order_of_images_and_of_sets_does_not_matter(sets, distance):
    a, b = sets
    rng, expected = np.random.default_rng(0), distance(a, b)
    assert distance(rng.permutation(a), rng.permutation(b)) == pytest.approx(expected, rel=1e-9)
    assert distance(b, a) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("distance", [frechet_distance, coral])
@pytest.mark.parametrize("n", [300, 7], ids=["n > d", "n < d"])
def test_equal_sets_have_no_distance(sets, distance, n):
    a = sets[0][:n]
    assert 0 <= distance(a, a.copy()) < 1e-12


@every_distance
@pytest.mark.filterwarnings("error")
def test_too_few_images_and_undefined_features(sets, distance):
    a, b = sets
    for few in (a[:0], a[:1]):
        assert math.isnan(distance(few, b)) and math.isnan(distance(b, few))
    assert math.isnan(distance(np.where(a == a[3, 3], np.nan, a), b))


@every_distance
def test_blocks_of_a_mapped_file_give_what_the_whole_array_gives(
    sets, distance, tmp_path, monkeypatch
):
    whole = [x.astype(np.float32) for x in sets]
    expected = distance(*(x.astype(np.float64) for x in whole))
    mapped = []
    for name, array in zip("ab", whole, strict=True):
        array.tofile(tmp_path / name)
        mapped.append(np.memmap(tmp_path / name, np.float32, mode="r", shape=array.shape))
    monkeypatch.setattr(distribution, "BLOCK_ROWS", 13)
    assert distance(*mapped) == pytest.approx(expected, rel=1e-9)
    assert isinstance(distance(*mapped), float)
    assert kid(*mapped).mean == pytest.approx(kid(*whole).mean, rel=1e-9)


@every_distance
def test_memory_is_flat_in_the_number_of_images(distance, monkeypatch):
    monkeypatch.setattr(distribution, "MEDIAN_ROWS", 100)
    monkeypatch.setattr(distribution, "BLOCK_ROWS", 100)
    a = np.random.default_rng(0).normal(size=(2000, 8)).astype(np.float32)
    peaks = []
    for n in (500, 2000):
        tracemalloc.start()
        distance(a[:n], a[:n] + 1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 2 * a.nbytes  # the shifted copy, not n² kernels or float64


def test_novelty_is_the_ratio_of_the_median_distances_to_the_nearest_training_image():
    training = np.array([[0.0, 0.0], [100.0, 0.0]])
    fake = np.array([[3.0, 4.0], [101.0, 0.0], [0.0, 7.0]])  # 5, 1 and 7
    real = np.array([[100.0, 10.0], [0.0, 20.0], [6.0, 8.0]])  # 10, 20 and 10
    assert novelty(fake, real, training) == 0.5
    assert novelty(training, real, training) == 0
    assert np.isnan(novelty(fake, training, training))
    assert np.isnan(novelty(fake, real, training[:0]))


def test_copies_of_any_of_many_training_images_are_seen(monkeypatch):
    monkeypatch.setattr(distribution, "SAMPLED", 5)
    monkeypatch.setattr(distribution, "BLOCK_ROWS", 7)
    rng = np.random.default_rng(0)
    training, real = rng.normal(size=(50, 4)), rng.normal(size=(40, 4))
    assert novelty(training[1:20:4], real, training) == 0
    nearest = [np.linalg.norm(training - row, axis=1).min() for row in (real + 3)[:5]]
    unseen = [np.linalg.norm(training - row, axis=1).min() for row in real[:5]]
    expected = np.median(nearest) / np.median(unseen)
    assert novelty(real[:5] + 3, real[:5], training) == pytest.approx(expected)


def test_rounding_is_no_novelty():
    """Another batch changes features by a last digit, and squares of equal ones leave some too."""
    rng = np.random.default_rng(0)
    training = rng.uniform(0, 2, (40, 1280)).astype(np.float32)
    again = training * (1 + rng.uniform(-1e-5, 1e-5, training.shape))
    other = training + rng.normal(0, 0.02, training.shape)
    for copies in (training, again):
        assert np.isnan(novelty(other, copies, training))
        assert novelty(copies, other, training) == 0
    assert novelty(other + 0.02, other, training) == pytest.approx(2**0.5, rel=0.02)


def brute_force(fake, real, k):
    """Naeem et al. 2020, eqs. 3 and 4, as they stand there."""
    radii = [np.sort(np.linalg.norm(real - x, axis=1))[k] for x in real]
    held = np.array(
        [np.linalg.norm(fake - x, axis=1) < r for x, r in zip(real, radii, strict=True)]
    )
    return held.sum() / (k * len(fake)), held.any(axis=1).mean()


def test_density_and_coverage_are_those_of_the_paper(monkeypatch):
    monkeypatch.setattr(distribution, "BLOCK_ROWS", 7)
    rng = np.random.default_rng(0)
    fake, real = rng.normal(0.5, 1, (40, 3)), rng.normal(size=(50, 3))
    assert density_and_coverage(fake, real) == pytest.approx(brute_force(fake, real, 5))


def test_density_and_coverage_of_one_distribution():
    """On average 1, and 1 - (n-1)...(n-k) / ((2n-1)...(2n-k)), Naeem et al. 2020, section 4."""
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        found.append(density_and_coverage(rng.normal(size=(60, 4)), rng.normal(size=(60, 4))))
    expected = 1 - math.prod((60 - i) / (120 - i) for i in range(1, 6))
    assert np.mean(found, axis=0) == pytest.approx([1, expected], abs=0.03)


def test_one_mode_alone_is_dense_and_covers_little():
    rng = np.random.default_rng(0)
    real = np.concatenate([rng.normal(0, 1, (30, 3)), rng.normal(50, 1, (70, 3))])
    density, coverage = density_and_coverage(rng.normal(0, 1, (100, 3)), real)
    assert coverage <= 0.3 and density == pytest.approx(1, abs=0.25)
    assert density_and_coverage(real + 1000, real) == (0, 0)
    assert np.isnan(density_and_coverage(real, real[:5])).all()
