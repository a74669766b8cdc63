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
