"""The classifier two-sample test on features with a known answer."""

import numpy as np
import pytest

from metrics.two_sample import two_sample_test


def features(n, d=8, *, seed, shift=0.0):
    return np.random.default_rng(seed).normal(shift, 1, (n, d)).astype(np.float32)


def numbers(n, letter):
    return [f"{letter}{i}" for i in range(n)]


def test_one_distribution_is_told_apart_by_chance_alone():
    found = two_sample_test(
        features(300, seed=0), features(300, seed=1), (numbers(300, "a"), numbers(300, "b"))
    )
    low, high = found.ci95
    assert low < 0.5 < high and high - low == pytest.approx(2 * 1.96 * 0.5 / 600**0.5, rel=0.15)


def test_the_best_accuracy_of_two_shifted_gaussians_is_nearly_reached():
    """A shift by 2 along the diagonal of 4 dimensions: Φ(|shift| / 2) of the linear classifier."""
    a, b = features(1500, 4, seed=0), features(1500, 4, seed=1, shift=1.0)
    found = two_sample_test(a, b, (numbers(1500, "a"), numbers(1500, "b")))
    assert found.value == pytest.approx(0.8413, abs=0.02)


def test_equally_many_of_both_sets_are_looked_at():
    """Else a guess of the larger set alone would be right more often than not."""
    found = two_sample_test(
        features(40, seed=0), features(400, seed=1), (numbers(40, "a"), numbers(400, "b"))
    )
    assert found.value == pytest.approx(0.5, abs=0.2)


def test_a_recording_is_never_on_both_sides():
    """What only tells recordings apart does not help with others."""
    rng = np.random.default_rng(0)
    sets, names = [], []
    for letter in "ab":
        own = rng.normal(0, 1, (12, 40)).astype(np.float32)
        sets.append(np.repeat(own, 10, axis=0) + features(120, 40, seed=ord(letter)) / 100)
        names.append([f"{letter}{i // 10}" for i in range(120)])
    assert two_sample_test(*sets, tuple(names)).value < 0.75
    alone = numbers(120, "a"), numbers(120, "b")
    assert two_sample_test(*sets, alone).value > 0.85


@pytest.mark.parametrize("names", [["a", "a", "a"], ["x", "y", "z"]])
def test_undefined_with_one_recording_or_features_that_are_not_finite(names):
    a, b = features(3, seed=0), features(3, seed=1)
    if names[0] != names[1]:
        a[0, 0] = np.inf
    found = two_sample_test(a, b, (names, ["u", "v", "w"]))
    assert np.isnan(found.value) and found.ci95 is None


def test_undefined_where_recordings_of_both_sets_leave_one_of_them_nothing_to_learn_from():
    """Of two recordings of the first set one is held out at a time; the second set shares them."""
    a, b = features(12, seed=0), features(12, seed=1)
    names = [f"r{1 - i // 6}" for i in range(12)], [f"r{2 - i // 6}" for i in range(12)]
    found = two_sample_test(a, b, names)
    assert np.isnan(found.value) and found.ci95 is None
