"""Batches: their order, their resumption, and what goes wrong in a worker."""

import gc
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data._utils.pin_memory import pin_memory

from data.build import build_training_datasets
from data.datasets import Sample
from data.loader import EpochOrder, Loader, collate
from models import MODEL_OPTIONS
from options import parse_train
from util.batch import Batch
from util.errors import UserError


@pytest.fixture
def dataset(tmp_path, write):
    """Ten unpaired images a domain, resized and cropped at random."""
    rng = np.random.default_rng(0)
    for letter in "AB":
        for i in range(10):
            image = rng.integers(0, 256, (12, 14), dtype=np.uint8)
            write(tmp_path / f"train{letter}" / f"{i}.png", image)
    argv = ["--dataroot", str(tmp_path), "--load_size", "10", "--crop_size", "8", "--seed", "3"]
    return build_training_datasets(parse_train(argv, MODEL_OPTIONS), value_maps={})[0]


def loader(dataset, **options) -> Loader:
    defaults = {"batch_size": 4, "shuffle": True, "seed": 3, "num_threads": 0}
    return Loader(dataset, **{**defaults, **options})


def assert_equal(first: list[Batch], second: list[Batch]) -> None:
    assert [batch.names for batch in first] == [batch.names for batch in second]
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a.a, b.a) and torch.equal(a.b, b.b) and torch.equal(a.label, b.label)


def names(batches: list[Batch]) -> list[str]:
    return [name for batch in batches for name in batch.names]


def test_an_epoch_holds_every_image_once(dataset):
    reader = loader(dataset)
    batches = list(reader.epoch(1))
    assert [len(batch.names) for batch in batches] == [4, 4, 2] and len(reader) == 3
    assert sorted(names(batches)) == [str(i) for i in range(10)]
    assert batches[0].a.shape == batches[0].b.shape == (4, 1, 8, 8)
    assert batches[0].label.tolist() == [-1] * 4


def test_order_follows_from_seed_and_epoch(dataset):
    orders = [names(list(loader(dataset).epoch(epoch))) for epoch in (1, 2, 3)]
    assert len({tuple(order) for order in orders}) == 3
    again = loader(dataset)
    assert [names(list(again.epoch(epoch))) for epoch in (3, 1)] == [orders[2], orders[0]]
    assert names(list(loader(dataset, seed=4).epoch(1))) != orders[0]


def test_without_shuffling_images_keep_their_order(dataset):
    assert names(list(loader(dataset, shuffle=False).epoch(5))) == [str(i) for i in range(10)]


def test_workers_change_nothing(dataset):
    alone, helped = loader(dataset), loader(dataset, num_threads=2)
    for epoch in (1, 2):
        assert_equal(list(alone.epoch(epoch)), list(helped.epoch(epoch)))
    assert_equal(list(alone.epoch(2, first_batch=1)), list(helped.epoch(2, first_batch=1)))


def test_an_epoch_goes_on_where_it_was_left(dataset):
    whole = list(loader(dataset).epoch(7))
    for first in range(4):
        assert_equal(list(loader(dataset).epoch(7, first_batch=first)), whole[first:])


def test_an_epoch_that_was_broken_off_leaves_no_trace(dataset):
    reader = loader(dataset)
    next(reader.epoch(1, first_batch=1))
    assert_equal(list(reader.epoch(2)), list(loader(dataset).epoch(2)))


def test_the_length_can_be_cut(dataset):
    reader = loader(dataset, shuffle=False, length=5)
    assert names(list(reader.epoch(0))) == [str(i) for i in range(5)] and len(reader) == 2


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


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_image_ends_in_its_own_sentence(dataset, workers):
    path = dataset.files[6].path
    path.write_text("no image")
    message = sentence(loader(dataset, num_threads=workers, shuffle=False))
    assert message.startswith(f"{path} is not a readable image") and "\n" not in message


def sentence(reader: Loader) -> str:
    """The error in which an epoch ends; unlike pytest.raises, no frame is kept."""
    try:
        list(reader.epoch(1))
    except UserError as error:
        return str(error)
    return ""


def test_an_error_leaves_no_cycle_behind(dataset):
    # Workers end at once with their loader, but in 10 s where the cycle collector comes for them.
    dataset.files[6].path.write_text("no image")
    reader = loader(dataset, shuffle=False, num_threads=2)
    gone = weakref.ref(reader)
    gc.collect()
    gc.disable()
    try:
        assert sentence(reader)
        del reader
        assert gone() is None
    finally:
        gc.enable()


def sample(height: int, width: int, *, b: bool = True) -> Sample:
    image = torch.zeros(1, height, width)
    return Sample(image, image + 1 if b else None, 2, "x")


def test_images_of_several_sizes_cannot_share_a_batch():
    error = collate([sample(8, 9), sample(8, 9), sample(6, 7)])
    assert isinstance(error, UserError)
    assert "7x6 and 9x8" in str(error) and "--batch_size 1" in str(error)
    assert isinstance(collate([sample(8, 9), sample(8, 9)]), Batch)


def test_a_batch_without_targets():
    batch = collate([sample(4, 4, b=False), sample(4, 4, b=False)])
    assert batch.b is None and batch.a.shape == (2, 1, 4, 4)
    assert batch.label.tolist() == [2, 2] and batch.names == ("x", "x")


def test_the_first_error_of_a_batch_is_handed_on():
    errors = [UserError("one"), UserError("two")]
    assert collate([sample(4, 4), *errors]) is errors[0]


@pytest.mark.parametrize("targets", [True, False])
def test_torch_finds_how_to_pin_a_batch(monkeypatch, targets):
    # Page-locked memory needs an accelerator; a copy stands for it here.
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor, *_: tensor.clone())
    batch = collate([sample(4, 4, b=targets)])
    pinned = pin_memory(batch)
    assert pinned.names == batch.names and torch.equal(pinned.a, batch.a)
    assert pinned.a.data_ptr() != batch.a.data_ptr()
    assert pinned.label.data_ptr() != batch.label.data_ptr()
    assert (pinned.b is not None) == targets


def test_a_batch_goes_to_a_device():
    batch = collate([sample(4, 4)])
    moved = batch.to(torch.device("meta"))
    assert {moved.a.device.type, moved.b.device.type, moved.label.device.type} == {"meta"}
    assert moved.names == batch.names


def test_readers_end_when_they_are_told_to(dataset):
    reader = loader(dataset, num_threads=2)
    batches = reader.epoch(1)
    next(batches)  # and more are on their way
    processes = reader.loader._iterator._workers
    assert processes and all(process.is_alive() for process in processes)
    reader.close()
    # 0: by themselves, not by a signal after a wait.
    assert [process.exitcode for process in processes] == [0] * len(processes)
    loader(dataset).close()
