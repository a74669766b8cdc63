"""One sample of a dataset, by the steps that make batches."""

from dataclasses import dataclass

from torch import Tensor

from data.datasets import ImageDataset
from util.errors import UserError


@dataclass(frozen=True)
class Sample:
    """Images (C, H, W) in [-1, 1], class index or -1, name of `a`."""

    a: Tensor
    b: Tensor | None
    label: int
    name: str


def item(dataset: ImageDataset, epoch: int, index: int) -> Sample | UserError:
    """Sample `index` of `epoch`: a batch of its own, or why there is none."""
    raw = dataset.collect([(epoch, index)])
    if isinstance(raw, UserError):
        return raw
    batch = dataset.prepare(raw)
    b = None if batch.b is None else batch.b[0]
    return Sample(batch.a[0], b, int(batch.label), *batch.names)
