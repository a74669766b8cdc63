"""The order of samples: each once, or balanced by class and range."""

from collections import Counter
from itertools import chain, islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.order import EpochOrder, balanced
from util.seeding import generator_for


@given(st.integers(1, 50), st.integers(1, 60), st.integers(0, 9), st.integers(1, 500))
@settings(max_examples=100, deadline=None)
def test_every_order_is_a_permutation(length, batch_size, seed, epoch):
    order = EpochOrder(length, batch_size=batch_size, shuffle=True, seed=seed)
    order.epoch = epoch
    batches = list(order)
    assert len(batches) == len(order)
    assert sorted(index for batch in batches for _, index in batch) == list(range(length))
    assert {e for batch in batches for e, _ in batch} == {epoch}
    assert all(len(batch) == batch_size for batch in batches[:-1])


# Classes 0, 1, 2 at ranges 0, 1: as one class is rare, and one has images of one range only.
STRATA = [(0, 0)] * 20 + [(0, 1)] * 4 + [(1, 0)] * 2 + [(1, 1)] * 2 + [(2, 1)] * 9


def drawn(count: int, seed: int = 0) -> list[int]:
    return list(islice(balanced(STRATA, generator_for(seed)), count))


def test_classes_come_equally_often_and_then_ranges_and_then_images():
    order = drawn(3 * 40)
    classes = [STRATA[i][0] for i in order]
    assert all(set(classes[k : k + 3]) == {0, 1, 2} for k in range(0, 120, 3))
    assert Counter(STRATA[i] for i in order) == {
        **{(0, 0): 20, (0, 1): 20, (1, 0): 20, (1, 1): 20, (2, 1): 40}
    }
    times = Counter(order)
    assert [times[i] for i in range(20)] == [1] * 20
    assert [times[i] for i in range(20, 24)] == [5] * 4
    assert [times[i] for i in range(24, 28)] == [10] * 4
    assert {times[i] for i in range(28, 37)} == {4, 5}


def test_the_order_follows_from_the_generator():
    assert drawn(50) == drawn(50) != drawn(50, seed=1)


def balanced_order(seed: int = 3, **settings) -> EpochOrder:
    strata = {"strata": STRATA, "batch_size": 6, "shuffle": True, **settings}
    return EpochOrder(len(STRATA), seed=seed, **strata)


def test_a_balanced_epoch_is_as_long_and_no_two_of_its_keys_are_the_same():
    order = balanced_order()
    order.epoch = 4
    batches = list(order)
    keys = list(chain.from_iterable(batches))
    assert len(batches) == len(order) == 7 and len(keys) == len(set(keys)) == len(STRATA)
    assert all(Counter(STRATA[key[1]][0] for key in b) == {0: 2, 1: 2, 2: 2} for b in batches[:-1])
    seen: Counter = Counter()
    for epoch, index, *turn in keys:
        assert epoch == 4 and turn == ([seen[index]] if seen[index] else [])
        seen[index] += 1
    assert max(seen.values()) > 1


@pytest.mark.parametrize("first", [1, 4])
def test_a_balanced_epoch_goes_on_where_it_was_left(first):
    whole = list(balanced_order())
    order = balanced_order()
    order.first_batch = first
    assert list(order) == whole[first:]
    order.epoch, order.first_batch = 2, 0
    assert list(order) != whole


def test_what_is_not_shuffled_is_not_balanced():
    order = balanced_order(shuffle=False)
    assert list(chain.from_iterable(order)) == [(1, i) for i in range(len(STRATA))]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-1, 3)), min_size=1, max_size=40))
@settings(max_examples=100, deadline=None)
def test_every_class_and_sample_has_its_share(strata):
    length = 6 * len(strata)
    order = list(islice(balanced(strata, np.random.default_rng(0)), length))
    classes = Counter(strata[i][0] for i in order)
    assert max(classes.values()) - min(classes.values()) <= 1
    assert classes.keys() == {label for label, _ in strata}
    times = Counter(order)
    for stratum in set(strata):
        found = [times[i] for i, of in enumerate(strata) if of == stratum]
        assert max(found) - min(found) <= 1


@given(st.integers(1, 50), st.integers(1, 5), st.integers(1, 4), st.integers(0, 3))
@settings(max_examples=100, deadline=None)
def test_processes_share_the_batches_of_one(length, batch_size, processes, first_batch):
    common = {"shuffle": True, "seed": 1}
    one = EpochOrder(length, batch_size=batch_size * processes, **common)
    orders = [
        EpochOrder(length, batch_size=batch_size, rank=rank, processes=processes, **common)
        for rank in range(processes)
    ]
    for order in (one, *orders):
        order.first_batch = min(first_batch, len(one))
    assert all(len(order) == len(one) for order in orders)
    for number, (batch, *parts) in enumerate(zip(one, *orders, strict=True), one.first_batch):
        shares = [order.share(number) for order in orders]
        if processes > 1:
            assert all(share.total == len(batch) for share in shares)
            parts = [p for p, share in zip(parts, shares, strict=True) if share.counts]
        assert [key for part in parts for key in part] == batch


@given(st.integers(1, 50), st.integers(1, 5), st.integers(1, 4))
@settings(max_examples=50, deadline=None)
def test_processes_that_take_turns_have_the_batches_of_one(length, batch_size, processes):
    def batches(first, every):
        order = EpochOrder(length, batch_size=batch_size, shuffle=False, seed=0, every=every)
        order.first_batch = first
        return list(order)

    whole = batches(0, 1)
    for rank in range(processes):
        assert batches(rank, processes) == whole[rank::processes]
