"""HOG on chips with a known gradient, the linear classifier against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from metrics.baselines.hog import LinearClassifier, hog_features


def stripes(angle: float, *, phase: float = 0.0) -> np.ndarray:
    """(32, 32) waves whose gradient points at `angle`, in degrees from the x axis."""
    y, x = np.mgrid[:32, :32]
    return np.sin((x * np.cos(np.radians(angle)) + y * np.sin(np.radians(angle))) * 0.8 + phase)


def test_the_direction_of_the_gradient_decides_which_bin_is_full():
    angles = [10, 50, 90, 130, 170]  # the middles of every second bin of 20 degrees
    chips = torch.from_numpy(np.stack([stripes(angle) for angle in angles]))[:, None]
    histograms = hog_features(chips).reshape(len(angles), -1, 9).mean(axis=1)
    # Rows run down, so that what scikit-image calls the angle may turn the other way.
    bins = histograms.argmax(axis=1)
    assert bins.tolist() in ([0, 2, 4, 6, 8], [8, 6, 4, 2, 0])


def test_gain_offset_and_bands_do_not_matter():
    chip = torch.from_numpy(stripes(30))[None, None]
    plain = hog_features(chip)
    for changed in (300 * chip + 5000, chip.expand(1, 3, 32, 32)):
        assert hog_features(changed) == pytest.approx(plain, abs=1e-3)


def test_the_linear_classifier_is_ridge_regression_with_classes_that_count_alike():
    random = np.random.default_rng(0)
    features, labels = random.normal(size=(40, 70)), random.integers(0, 3, 40)
    counts = np.bincount(labels)
    ridge = Ridge(alpha=2.5, solver="cholesky")
    ridge.fit(features, np.eye(3)[labels], sample_weight=40 / 3 / counts[labels])
    found = LinearClassifier.fit(features, labels, classes=3, penalty=2.5)
    assert found.weights == pytest.approx(ridge.coef_.T, abs=1e-8)
    assert found.offsets == pytest.approx(ridge.intercept_, abs=1e-8)
    others = random.normal(size=(25, 70))
    assert found.predict(others).tolist() == ridge.predict(others).argmax(axis=1).tolist()


def test_a_class_without_images_is_never_told():
    random = np.random.default_rng(0)
    features, labels = random.normal(size=(30, 5)), np.repeat([0, 2], 15)
    found = LinearClassifier.fit(features, labels, classes=3)
    assert set(found.predict(random.normal(size=(50, 5)))) <= {0, 2}


def test_waves_of_two_directions_are_told_apart_at_phases_not_seen():
    def chips(phases):
        found = [stripes(angle, phase=phase) for angle in (20, 100) for phase in phases]
        return torch.from_numpy(np.stack(found))[:, None]

    labels = np.repeat([0, 1], 4)
    classifier = LinearClassifier.fit(hog_features(chips([0, 1, 2, 3])), labels, classes=2)
    assert classifier.predict(hog_features(chips([0.5, 1.5, 2.5, 3.5]))).tolist() == labels.tolist()
