"""Batches of a dataset, in an order that follows from (seed, epoch)."""

import os
from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader, Sampler

from data.datasets import ImageDataset, Sample
from util.batch import Batch
from util.errors import UserError
from util.seeding import generator_for
from util.stop import holding_signals, leave_stopping_to_the_parent


class EpochOrder(Sampler[list[tuple[int, int]]]):
    """Lists of (epoch, index), one a batch. Set `epoch` and `first_batch` before each pass."""

    def __init__(self, length: int, *, batch_size: int, shuffle: bool, seed: int) -> None:
        self.length, self.batch_size, self.shuffle, self.seed = length, batch_size, shuffle, seed
        self.epoch, self.first_batch = 1, 0

    def __len__(self) -> int:
        return -(-self.length // self.batch_size)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = range(self.length)
        if self.shuffle:
            order = generator_for(self.seed, self.epoch).permutation(self.length)
        keys = [(self.epoch, int(index)) for index in order]
        for start in range(self.first_batch * self.batch_size, self.length, self.batch_size):
            yield keys[start : start + self.batch_size]


class Loader:
    """Iterates over the batches of one epoch after another.

    length: only the first samples of the dataset; None for all. num_threads: processes that read,
    no more than there are cores; 0 reads in this one.
    """

    def __init__(
        self,
        dataset: ImageDataset,
        *,
        batch_size: int,
        shuffle: bool,
        seed: int,
        num_threads: int,
        length: int | None = None,
    ) -> None:
        length = length or len(dataset)
        self.order = EpochOrder(length, batch_size=batch_size, shuffle=shuffle, seed=seed)
        workers = min(num_threads, len(self.order), os.cpu_count() or 1)
        self.loader = DataLoader(
            dataset,
            batch_sampler=self.order,
            num_workers=workers,
            collate_fn=collate,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=workers > 0,
            worker_init_fn=_start_reader,
        )

    def __len__(self) -> int:
        return len(self.order)

    def close(self) -> None:
        """End the processes that read, now and in order: left to Python's cycle collector, it takes
        seconds for each of them.
        """
        readers = getattr(self.loader, "_iterator", None)
        if readers is not None:
            readers._shutdown_workers()

    def epoch(self, epoch: int, *, first_batch: int = 0) -> Iterator[Batch]:
        """Batches of this epoch, from `first_batch` on. Raises UserError for a bad image."""
        self.order.epoch, self.order.first_batch = epoch, first_batch
        with holding_signals():  # the first time, this starts the processes
            batches = iter(self.loader)
        for batch in batches:
            if isinstance(batch, UserError):
                # Raised anew: an error that its own frame holds is a cycle, and where the cycle
                # collector finds torch's workers, their end takes 10 s.
                raise UserError(*batch.args)
            yield batch


def _start_reader(worker: int) -> None:
    leave_stopping_to_the_parent()


def collate(samples: list[Sample | UserError]) -> Batch | UserError:
    """Stack samples; the first UserError among them, or one for images of several sizes."""
    for sample in samples:
        if isinstance(sample, UserError):
            return sample
    sources = [sample.a for sample in samples]
    targets = [sample.b for sample in samples if sample.b is not None]
    sizes = [{tuple(image.shape) for image in images} for images in (sources, targets)]
    if max(map(len, sizes)) > 1:
        found = " and ".join(f"{w}x{h}" for _, h, w in sorted(max(sizes, key=len)))
        return UserError(
            f"images of {found} pixels cannot share a batch; use --batch_size 1 or a --preprocess "
            "that gives one size."
        )
    return Batch(
        a=torch.stack(sources),
        b=torch.stack(targets) if targets else None,
        label=torch.tensor([sample.label for sample in samples]),
        names=tuple(sample.name for sample in samples),
    )
