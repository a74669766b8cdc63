"""The order in which the samples of an epoch come, which follows from (seed, epoch)."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TypeVar

import numpy as np
from torch.utils.data import Sampler

from util.seeding import generator_for

Key = tuple[int, ...]  # (epoch, index), or (epoch, index, times that it has been in the epoch)
Item = TypeVar("Item")


class EpochOrder(Sampler[list[Key]]):
    """Lists of keys, one a batch. Set `epoch` and `first_batch` before each pass.

    strata: of all samples, for a `balanced` order where they are shuffled; None: each comes once.
    """

    def __init__(
        self,
        length: int,
        *,
        batch_size: int,
        shuffle: bool,
        seed: int,
        strata: Sequence[tuple[int, int]] | None = None,
    ) -> None:
        self.length, self.batch_size, self.shuffle, self.seed = length, batch_size, shuffle, seed
        self.strata = strata
        self.epoch, self.first_batch = 1, 0

    def __len__(self) -> int:
        return -(-self.length // self.batch_size)

    def __iter__(self) -> Iterator[list[Key]]:
        order = range(self.length)
        if self.shuffle:
            rng = generator_for(self.seed, self.epoch)
            order = rng.permutation(self.length)
            if self.strata is not None:
                order = list(islice(balanced(self.strata, rng), self.length))
        keys = list(self._keys(order))
        for start in range(self.first_batch * self.batch_size, self.length, self.batch_size):
            yield keys[start : start + self.batch_size]

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
