"""Bootstrap intervals: scipy, coverage on simulated data, and values that are not finite."""

import tracemalloc

import numpy as np
import pytest
from scipy import stats

from metrics import bootstrap
from metrics.bootstrap import confidence_intervals


@pytest.fixture
def values():
    return np.random.default_rng(0).exponential(size=(100, 3))


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_equal_to_scipy(values, level):
    found = confidence_intervals(values, resamples=20000, level=level)
    expected = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=20000,
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng(1),
        batch=1000,
    ).confidence_interval
    error = values.std() / 10  # of a mean of 100; the ends are known to a few hundredths of it
    assert found == pytest.approx(np.stack([expected.low, expected.high], axis=1), abs=error / 10)


def test_coverage_of_normal_data():
    data = np.random.default_rng(0).normal(3, 2, size=(100, 1000))  # 1,000 experiments
    low, high = confidence_intervals(data, resamples=1000).T
    assert np.mean((low < 3) & (high > 3)) == pytest.approx(0.945, abs=0.02)
    low, high = confidence_intervals(data, resamples=1000, level=0.8).T
    assert np.mean((low < 3) & (high > 3)) == pytest.approx(0.8, abs=0.04)


def test_columns_are_resampled_by_the_same_images(values):
    x = values[:, 0]
    plain, scaled, negative = confidence_intervals(np.stack([x, 2 * x + 1, -x], axis=1))
    assert scaled == pytest.approx(2 * plain + 1)
    assert negative == pytest.approx(-plain[::-1])


def test_groups_of_equal_images_are_as_many_samples_as_there_are_groups(values):
    alone = confidence_intervals(values)
    groups = [f"{i % 100}" for i in range(500)]
    assert confidence_intervals(np.tile(values, (5, 1)), groups=groups) == pytest.approx(alone)


def test_large_groups_weigh_as_much_as_their_images():
    """One resample of two groups in four is of the first one alone, as one is of the second."""
    values = np.array([[0.0]] * 3 + [[1.0]])
    low, high = confidence_intervals(values, groups=["a", "a", "a", "b"], level=0.4)[0]
    assert (low, high) == (0.0, 0.25) or (low, high) == (0.25, 0.25)


@pytest.mark.filterwarnings("error")
def test_values_of_one_group_have_no_interval(values):
    values[50:, 1] = np.nan
    groups = ["a"] * 50 + ["b"] * 50
    found = confidence_intervals(values, groups=groups)
    assert np.isnan(found).all(axis=1).tolist() == [False, True, False]


@pytest.mark.parametrize("constant", [0.0, 0.1, 1 / 3, -7e5])
def test_equal_values_have_an_interval_without_width(constant):
    column = np.full((37, 1), constant)
    assert confidence_intervals(column).tolist() == [[constant, constant]]


@pytest.mark.filterwarnings("error")
def test_values_that_are_not_finite_are_left_out(values):
    holes = values.copy()
    holes[:50, 0], holes[:50, 1], holes[50:, 2] = np.nan, np.inf, -np.inf
    found = confidence_intervals(holes, resamples=20000)
    for column, finite in zip(found, (values[50:, 0], values[50:, 1], values[:50, 2]), strict=True):
        expected = confidence_intervals(finite[:, None], resamples=20000)[0]
        assert column == pytest.approx(expected, abs=0.15 * np.ptp(expected))


@pytest.mark.filterwarnings("error")
def test_fewer_than_two_finite_values_have_no_interval():
    columns = np.full((5, 4), np.nan)
    columns[2, 1], columns[:2, 2], columns[:, 3] = 4.0, (1.0, 3.0), np.inf
    found = confidence_intervals(columns)
    assert np.isnan(found[[0, 1, 3]]).all() and found[2].tolist() == [1.0, 3.0]
    assert np.isnan(confidence_intervals(np.empty((0, 2)))).all()
    assert confidence_intervals(np.empty((5, 0))).shape == (0, 2)


def test_the_same_seed_gives_the_same_interval(values):
    first = confidence_intervals(values)
    assert np.array_equal(first, confidence_intervals(values))
    assert not np.array_equal(first, confidence_intervals(values, seed=1))


def test_blocks_do_not_change_the_result(values, monkeypatch):
    expected = confidence_intervals(values)
    monkeypatch.setattr(bootstrap, "BLOCK_CELLS", 777)
    assert confidence_intervals(values) == pytest.approx(expected)


def test_memory_does_not_grow_with_the_resamples(monkeypatch):
    monkeypatch.setattr(bootstrap, "BLOCK_CELLS", 2**14)
    values = np.random.default_rng(0).normal(size=(2000, 2))
    tracemalloc.start()
    confidence_intervals(values, resamples=1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6  # all counts at once would take 16 MB
