"""Histograms of oriented gradients and a linear classifier of them."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from metrics.paired import luminance

CELL, BLOCK, ORIENTATIONS = 8, 2, 9  # pixels a side, cells a side, directions: as published
PENALTY = 30.0  # beside the squared errors of a thousand images or so


def hog_features(chips: Tensor) -> np.ndarray:
    """Histograms of oriented gradients (Dalal & Triggs 2005): (B, 1 or 3, S, S) -> (B, d) float64.

    Of the luminance, in cells of 8 pixels a side and blocks of 2×2 cells, which overlap, each of
    unit length (L2-Hys): gain and offset of a chip do not matter.
    """
    from skimage.feature import hog

    grey = luminance(chips).double().cpu().numpy()[:, 0]
    return np.stack(
        [
            hog(
                chip,
                orientations=ORIENTATIONS,
                pixels_per_cell=(CELL, CELL),
                cells_per_block=(BLOCK, BLOCK),
                block_norm="L2-Hys",
            )
            for chip in grey
        ]
    )


@dataclass(frozen=True)
class LinearClassifier:
    """Scores of K classes as linear functions of d features. weights: (d, K); offsets: (K,)."""

    weights: np.ndarray
    offsets: np.ndarray

    @classmethod
    def fit(
        cls, features: np.ndarray, labels: np.ndarray, *, classes: int, penalty: float = PENALTY
    ) -> "LinearClassifier":
        """Ridge regression (Hoerl & Kennard 1970) onto 1 for the own class and 0 for the others.

        features: (n, d); labels: (n,) class indices below `classes`; penalty: weight of the squared
        weights beside the squared errors of n images, offsets free. Classes count alike, however
        many images they have. In closed form, by a system of n equations.
        """
        counts = np.bincount(labels, minlength=classes)
        shares = 1 / (counts > 0).sum() / counts[labels]  # of each image, 1 in all
        targets = np.eye(classes)[labels]
        centre, offset = shares @ features, shares @ targets
        root = np.sqrt(len(labels) * shares)[:, None]
        x, y = root * (features - centre), root * (targets - offset)
        duals = np.linalg.solve(x @ x.T + penalty * np.eye(len(x)), y)
        weights = x.T @ duals
        return cls(weights, offset - centre @ weights)

    def predict(self, features: np.ndarray) -> np.ndarray:
        """(n, d) -> (n,) class indices."""
        return (features @ self.weights + self.offsets).argmax(axis=1)
