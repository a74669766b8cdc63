"""Batches of a dataset, in an order that follows from (seed, epoch)."""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from data.datasets import ImageDataset
from data.order import EpochOrder, Key
from data.raw import RawBatch
from util.batch import Batch
from util.errors import UserError
from util.ranks import local_processes
from util.stop import holding_signals, leave_stopping_to_the_parent

Handed = Batch | RawBatch | UserError  # what comes from a reader process


class Batches(Dataset):
    """What a reader process makes of a list of keys: batches, prepared or raw.

    One batch, or with `most_pixels` as many as the images' sizes ask for.
    """

    def __init__(self, dataset: ImageDataset, *, prepared: bool, most_pixels: int | None) -> None:
        self.dataset, self.prepared, self.most_pixels = dataset, prepared, most_pixels

    def __getitem__(self, keys: list[Key]) -> list[Handed]:
        if self.most_pixels is None:
            found = [self.dataset.collect(keys)]
        else:
            found = self.dataset.collect_alike(keys, most_pixels=self.most_pixels)
        if not self.prepared:
            return found
        return [x if isinstance(x, UserError) else self.dataset.prepare(x) for x in found]


class Loader:
    """Iterates over the batches of one epoch after another, which it hands out on `device`.

    For a CUDA device the reader processes hand on integers, and floats are made of them on the
    device, a batch ahead of the step; for others the reader processes make them. length: only the
    first samples of the dataset; None for all. num_threads: processes that read, no more than there
    are cores; 0 reads in this one. most_pixels: batches are divided where the size of their images
    changes, and where those of A have more pixels than this together; with None other sizes in a
    batch are an error. rank, processes, every: as of EpochOrder.
    """

    def __init__(
        self,
        dataset: ImageDataset,
        *,
        batch_size: int,
        shuffle: bool,
        seed: int,
        num_threads: int,
        device: torch.device,
        length: int | None = None,
        most_pixels: int | None = None,
        rank: int = 0,
        processes: int = 1,
        every: int = 1,
    ) -> None:
        self.order = EpochOrder(
            length or len(dataset),
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            strata=dataset.strata,
            rank=rank,
            processes=processes,
            every=every,
        )
        self.device, self.prepare = device, dataset.prepare
        on_gpu = device.type == "cuda"
        cores = (os.cpu_count() or 1) // local_processes()
        workers = min(num_threads, len(self.order), max(1, cores))
        self.loader = DataLoader(
            Batches(dataset, prepared=not on_gpu, most_pixels=most_pixels),
            sampler=self.order,
            batch_size=None,
            collate_fn=handed_over if workers else _as_it_is,
            num_workers=workers,
            pin_memory=on_gpu,
            persistent_workers=workers > 0,
            worker_init_fn=_start_reader,
        )

    def __len__(self) -> int:
        return len(self.order)

    def close(self) -> None:
        """End the processes that read, now and in order: left to Python's cycle collector, it takes
        seconds for each of them.
        """
        # By torch's private names: no public one ends them.
        readers = getattr(self.loader, "_iterator", None)
        if readers is not None:
            readers._shutdown_workers()

    def epoch(self, epoch: int, *, first_batch: int = 0) -> Iterator[Batch]:
        """Batches of this epoch, from `first_batch` on. Raises UserError for a bad image."""
        self.order.epoch, self.order.first_batch = epoch, first_batch
        batches = chain.from_iterable(map(taken_over, self._start()))
        if self.device.type == "cuda":
            batches = prepared_ahead(batches, self.prepare, self.device)
        for number, batch in enumerate(batches, first_batch):
            if isinstance(batch, UserError):
                # Raised anew: an error that its own frame holds is a cycle, and where the cycle
                # collector finds torch's workers, their end takes 10 s.
                raise UserError(*batch.args)
            yield replace(batch.to(self.device), share=self.order.share(number))

    def _start(self) -> Iterator[list[Handed]]:
        """A pass over the data. Raises UserError where its processes cannot be started."""
        try:
            with holding_signals():  # the first time, this starts the processes
                if self.loader.num_workers:
                    multiprocessing.Queue()  # where this fails, torch's would trace back at its end
                return iter(self.loader)
        except OSError as error:
            raise UserError(
                f"the processes that read images cannot be started ({error.strerror or error}): "
                "they need room for locks in /dev/shm, memory and a share of the processes that "
                "are allowed; make room, or read without them, --num_threads 0."
            ) from None


@contextmanager
def naming_lost_readers() -> Iterator[None]:
    """Around all that is done with a Loader. Raises UserError where a process that reads has died.

    Torch and the connections to it raise errors of their own, at any moment.
    """
    try:
        yield
    except (RuntimeError, OSError, EOFError) as error:
        if not _is_of_a_lost_reader(error):
            raise
        words = str(error).strip().rstrip(".") or "without a word"
        raise UserError(
            f"a process that reads images has died ({words}), most often for want of memory; "
            "start again with a lower --num_threads, or with more memory."
        ) from None


def _is_of_a_lost_reader(error: Exception) -> bool:
    # By their words: neither torch nor multiprocessing has a type for it.
    words = str(error).strip()
    if isinstance(error, RuntimeError):
        return words.startswith("DataLoader worker (pid")
    if isinstance(error, OSError):  # the second, where only a part of a batch has arrived
        return isinstance(error, ConnectionError) or words == "got end of file during message"
    return True


def _start_reader(worker: int) -> None:
    leave_stopping_to_the_parent()


def _as_it_is(batches: list[Handed]) -> list[Handed]:
    return batches


def handed_over(batches: list[Handed]) -> list[Handed]:
    """In memory that processes share; as arrays, which go through a pipe, where that is full.

    It is /dev/shm, 64 MB in Docker. Torch would fill it in a thread of the reader, whose errors
    reach nobody: the batch is lost, and who waits for it waits for ever.
    """
    try:
        return _each(batches, Tensor.share_memory_)
    except RuntimeError:
        return _each(batches, Tensor.numpy)


def taken_over(batches: list[Handed]) -> list[Handed]:
    """What `handed_over` gave, as tensors."""
    return _each(batches, torch.as_tensor)


def _each(batches: list[Handed], do: Callable[[Any], Any]) -> list[Handed]:
    return [batch if isinstance(batch, UserError) else batch.each(do) for batch in batches]


def prepared_ahead(
    batches: Iterator[RawBatch | UserError],
    prepare: Callable[[RawBatch], Batch],
    device: torch.device,
) -> Iterator[Batch | UserError]:
    """Batches on a CUDA device, where each is copied and prepared while the step before it runs.

    batches: in page-locked memory, so that copies need no one to wait for them.
    """
    own = torch.cuda.Stream(device)

    def start() -> Batch | UserError | None:
        raw = next(batches, None)
        if raw is None or isinstance(raw, UserError):
            return raw
        with torch.cuda.stream(own):
            return prepare(raw.to(device))

    coming = start()
    while isinstance(coming, Batch):
        ready, step = coming, torch.cuda.current_stream(device)
        step.wait_stream(own)
        # Else its memory would be given to a batch to come while the step still reads it.
        ready.record_stream(step)
        coming = start()
        yield ready
    if coming is not None:
        yield coming
