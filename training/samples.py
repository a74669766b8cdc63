"""The few images that show how a run comes on: the same ones at every moment."""

from data.datasets import ImageDataset
from data.splits import spread
from util.batch import Batch
from util.errors import UserError

COUNT = 4


def fixed_samples(dataset: ImageDataset) -> list[Batch]:
    """One of each of the first classes and others, evenly over all; cut as for a first epoch.

    Each a batch of its own, as images may have sizes of their own. One that cannot be read is left
    out: training tells of it where it comes to it.
    """
    raw = [dataset.collect([(0, index)]) for index in _chosen(dataset)]
    return [dataset.prepare(found) for found in raw if not isinstance(found, UserError)]


def _chosen(dataset: ImageDataset) -> list[int]:
    firsts = sorted(dataset.labels.index(label) for label in set(dataset.labels) - {-1})
    count = min(COUNT, len(dataset))
    others = [index for index in spread(range(len(dataset)), count) if index not in firsts]
    return [*firsts, *others][:count] if len(firsts) < COUNT else firsts[:COUNT]
