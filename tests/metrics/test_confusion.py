"""The confusion matrix and its scores against scikit-learn, and by hand."""

import numpy as np
import pytest
import torch

from metrics.confusion import (
    accuracy,
    balanced_accuracy,
    confusion_matrix,
    is_above_chance,
)


@pytest.mark.parametrize("seed", range(3))
def test_scores_equal_those_of_scikit_learn(seed):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(4), rng.choice(4, 60, p=[0.6, 0.2, 0.1, 0.1])])
    predicted = np.where(rng.random(64) < 0.6, labels, rng.integers(0, 4, 64))
    confusion = confusion_matrix(torch.tensor(labels), torch.tensor(predicted), classes=4)
    assert np.array_equal(confusion, metrics.confusion_matrix(labels, predicted))
    assert accuracy(confusion) == pytest.approx(metrics.accuracy_score(labels, predicted))
    expected = metrics.balanced_accuracy_score(labels, predicted)
    assert balanced_accuracy(confusion) == pytest.approx(expected, rel=1e-12)
    assert balanced_accuracy(confusion) != pytest.approx(accuracy(confusion))


def test_a_classifier_of_one_answer_is_at_chance_whatever_the_counts():
    labels = torch.arange(4).repeat_interleave(torch.tensor([90, 6, 3, 1]))
    confusion = confusion_matrix(labels, torch.zeros_like(labels), classes=4)
    assert balanced_accuracy(confusion) == pytest.approx(1 / 4)
    assert accuracy(confusion) == pytest.approx(0.9)


def test_classes_without_an_image_do_not_count():
    """Class 1 is never true, though it is predicted."""
    labels, predicted = torch.tensor([0, 0, 2, 2]), torch.tensor([0, 1, 2, 2])
    confusion = confusion_matrix(labels, predicted, classes=3)
    assert confusion.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 2]]
    assert balanced_accuracy(confusion) == 0.75


@pytest.mark.parametrize(
    ("confusion", "above"),
    [
        ([[50, 0], [0, 50]], True),
        ([[31, 19], [19, 31]], True),  # 33/54 ± 0.092
        ([[30, 20], [20, 30]], False),  # 32/54 ± 0.093
        ([[25, 25], [25, 25]], False),
        ([[40, 10], [40, 10]], False),  # prefers one class
        ([[50, 0], [50, 0]], False),
        ([[1, 0], [0, 1]], False),  # two lucky guesses
        ([[0, 50], [50, 0]], False),
        (torch.ones(8, 8).int().tolist(), False),
        ([[9, 1, 0], [1, 9, 0], [0, 0, 0]], True),  # a class of which no image was held out
    ],
)
def test_a_judge_is_above_chance_by_its_interval(confusion, above):
    assert is_above_chance(torch.tensor(confusion)) == above
