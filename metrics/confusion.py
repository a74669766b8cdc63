"""Which class is taken for which: the confusion matrix, and what follows from it."""

import torch
from torch import Tensor


def confusion_matrix(labels: Tensor, predicted: Tensor, *, classes: int) -> Tensor:
    """(K, K) int64 counts for K classes, on the CPU: true class by row, predicted by column.

    labels, predicted: (B,) int64 class indices, of one device.
    """
    pairs = (labels * classes + predicted).cpu()
    return torch.bincount(pairs, minlength=classes**2).view(classes, classes)


def accuracy(confusion: Tensor) -> float:
    """Share of the images that are recognised, 0 ... 1."""
    return float(confusion.trace() / confusion.sum().double())


def balanced_accuracy(confusion: Tensor) -> float:
    """Mean recall of the classes that occur, 0 ... 1: the share of their images recognised."""
    counts = confusion.sum(dim=1).double()
    return float((confusion.diagonal() / counts)[counts > 0].mean())


def is_above_chance(confusion: Tensor) -> bool:
    """Whether the balanced accuracy is above that of guessing, 1 / K, by its 95 % interval.

    Recalls are independent binomial shares. Four guesses more a class (for K = 2 the interval of
    Agresti and Coull 1998) keep a few lucky images from having no width at all.
    """
    counts, chance = confusion.sum(dim=1).double(), 1 / len(confusion)
    hits, counts = confusion.diagonal()[counts > 0].double(), counts[counts > 0] + 4
    shares = (hits + 4 * chance) / counts
    deviation = (shares * (1 - shares) / counts).sum().sqrt() / len(counts)
    return bool(shares.mean() - 1.96 * deviation > chance)
