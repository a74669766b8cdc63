"""Whether a classifier can tell two sets of images apart: pure functions of their features."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.splits import spread
from metrics.bootstrap import confidence_intervals

FOLDS = 5
LARGEST = 2000  # images of either set that are looked at
WEIGHT_DECAY = 100.0  # of standardised features: there are often more of them than images


@dataclass(frozen=True)
class Accuracy:
    """value: share in [0, 1]; ci95: its 95 % interval over recordings, None where there is none."""

    value: float
    ci95: tuple[float, float] | None = None


def two_sample_test(
    a: np.ndarray, b: np.ndarray, recordings: tuple[Sequence[str], Sequence[str]]
) -> Accuracy:
    """Accuracy of a classifier on images of recordings that it has not seen; chance is 0.5.

    Classifier two-sample test (Lopez-Paz & Oquab 2017) with logistic regression on standardised
    features. a: (n, d), b: (m, d), equally many rows of each, evenly spread; recordings: of their
    rows: one that is in both, like a scene and its translation, is held out of both at once.
    NaN where a set has fewer than two recordings, and where those that are held out at once are all
    that a set has.
    """
    count = min(len(a), len(b), LARGEST)
    rows = [spread(range(len(features)), count) for features in (a, b)]
    features = np.concatenate([a[rows[0]], b[rows[1]]]).astype(np.float64)
    label = np.repeat([0, 1], count)
    names = [of[i] for of, chosen in zip(recordings, rows, strict=True) for i in chosen]
    fewest = min(len(set(names[:count])), len(set(names[count:])))
    if fewest < 2 or not np.isfinite(features).all():
        return Accuracy(float("nan"))
    splits = _splits(label, names, folds=min(FOLDS, fewest))
    if any(len(set(label[training])) < 2 for training, _ in splits):
        return Accuracy(float("nan"))
    correct = _held_out(features, label, splits) == label
    ((low, high),) = confidence_intervals(correct[:, None].astype(float), groups=names).tolist()
    return Accuracy(float(correct.mean()), (low, high))


def _splits(
    label: np.ndarray, names: Sequence[str], *, folds: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows to train with and rows that are held out, whole recordings: once for each fold."""
    from sklearn.model_selection import StratifiedGroupKFold

    split = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
    return list(split.split(label[:, None], label, groups=names))


def _held_out(
    features: np.ndarray, label: np.ndarray, splits: Sequence[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """What each row is taken for by a classifier that has seen none of its recording: (n,)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = make_pipeline(
        StandardScaler(), LogisticRegression(C=1 / WEIGHT_DECAY, max_iter=1000)
    )
    return cross_val_predict(classifier, features, label, cv=splits)
