"""The order in which the samples of an epoch come, which follows from (seed, epoch)."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TypeVar

import numpy as np
from torch.utils.data import Sampler

from util.distributed import Share
from util.seeding import generator_for

Key = tuple[int, ...]  # (epoch, index), or (epoch, index, times that it has been in the epoch)
Item = TypeVar("Item")


class EpochOrder(Sampler[list[Key]]):
    """Lists of keys, one a batch. Set `epoch` and `first_batch` before each pass.

    strata: of all samples, for a `balanced` order where they are shuffled; None: each comes once.
    rank, processes: several processes have the batches of one with `processes` times the
    `batch_size`, each its share of every one. every: whole batches are left out, all but each
    `every`-th from `first_batch` on.
    """

    def __init__(
        self,
        length: int,
        *,
        batch_size: int,
        shuffle: bool,
        seed: int,
        strata: Sequence[tuple[int, int]] | None = None,
        rank: int = 0,
        processes: int = 1,
        every: int = 1,
    ) -> None:
        self.length, self.shuffle, self.seed, self.strata = length, shuffle, seed, strata
        self.batch_size, self.rank, self.processes = batch_size * processes, rank, processes
        self.epoch, self.first_batch, self.every = 1, 0, every

    def __len__(self) -> int:
        return -(-self.length // (self.batch_size * self.every))

    def __iter__(self) -> Iterator[list[Key]]:
        order = range(self.length)
        if self.shuffle:
            rng = generator_for(self.seed, self.epoch)
            order = rng.permutation(self.length)
            if self.strata is not None:
                order = list(islice(balanced(self.strata, rng), self.length))
        keys = list(self._keys(order))
        first, step = self.first_batch * self.batch_size, self.every * self.batch_size
        for start in range(first, self.length, step):
            yield self._share_of(start).take(keys[start : start + self.batch_size])

    def _share_of(self, start: int) -> Share:
        """This process's of the batch that begins with the sample `start` of the order."""
        total = min(self.batch_size, self.length - start)
        return Share.of(total, rank=self.rank, processes=self.processes)

    def share(self, batch: int) -> Share | None:
        """Of batch number `batch` of an epoch; None where there is one process."""
        return None if self.processes == 1 else self._share_of(batch * self.batch_size)

    def _keys(self, order: Sequence[int]) -> Iterator[Key]:
        seen: Counter[int] = Counter()
        for index in map(int, order):
            yield (self.epoch, index, seen[index]) if seen[index] else (self.epoch, index)
            seen[index] += 1


def balanced(strata: Sequence[tuple[int, int]], rng: np.random.Generator) -> Iterator[int]:
    """Samples without end, all classes equally often, in each all its ranges, in these all samples.

    strata: numbers of class and range of each sample. Each comes as often as the others of its
    kind, but for one time: any K samples in a row from the start on show all K classes.
    """
    members: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, (label, span) in enumerate(strata):
        members[label][span].append(index)
    samples = {
        label: {span: in_turn(found, rng) for span, found in spans.items()}
        for label, spans in members.items()
    }
    spans = {label: in_turn(list(found), rng) for label, found in samples.items()}
    for label in in_turn(list(samples), rng):
        yield next(samples[label][next(spans[label])])


def in_turn(items: Sequence[Item], rng: np.random.Generator) -> Iterator[Item]:
    """All items in random order, again and again, each time in another."""
    while True:
        yield from (items[place] for place in rng.permutation(len(items)))
