"""Batches: their order, their resumption, and what goes wrong in a worker."""

import gc
import weakref
from contextlib import contextmanager
from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data.loader import EpochOrder, Loader, naming_lost_readers, prepared_ahead, taken_over
from models import MODEL_OPTIONS
from options import parse_train
from tests.data.samples import training_datasets
from util.batch import Batch
from util.errors import UserError

CPU = torch.device("cpu")


@pytest.fixture
def dataset(tmp_path, write):
    """Ten unpaired images a domain, resized and cropped at random."""
    rng = np.random.default_rng(0)
    for letter in "AB":
        for i in range(10):
            image = rng.integers(0, 256, (12, 14), dtype=np.uint8)
            write(tmp_path / f"train{letter}" / f"{i}.png", image)
    return build(tmp_path, "--cache", "none")


def build(root, *flags):
    argv = ["--dataroot", str(root), "--load_size", "10", "--crop_size", "8", "--seed", "3", *flags]
    return training_datasets(parse_train(argv, MODEL_OPTIONS))[0]


def loader(dataset, **options) -> Loader:
    defaults = {"batch_size": 4, "shuffle": True, "seed": 3, "num_threads": 0, "device": CPU}
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


@pytest.mark.parametrize("cache", ["ram", "disk"])
@pytest.mark.parametrize("workers", [0, 2])
def test_where_decoded_images_are_kept_changes_nothing(
    dataset, tmp_path, monkeypatch, cache, workers
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    kept = build(tmp_path, "--cache", cache)
    assert_equal(list(loader(kept, num_threads=workers).epoch(2)), list(loader(dataset).epoch(2)))


def test_readers_are_not_stopped_by_threads_of_torch(dataset):
    # Threads that computed something do not exist in a forked process, where waiting for them is
    # waiting for ever: readers use none.
    torch.set_num_threads(2)
    torch.nn.functional.conv2d(torch.rand(4, 8, 64, 64), torch.rand(8, 8, 3, 3)).sum()
    assert len(list(loader(dataset, num_threads=1).epoch(1))) == 3


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


def test_batches_are_divided_by_size(tmp_path, write):
    for number, size in enumerate([(8, 8)] * 5 + [(8, 9)] + [(8, 8)] * 3 + [(40, 8)] * 2):
        for letter in "AB":
            write(tmp_path / f"train{letter}" / f"{number:02}.png", np.zeros(size, np.uint8))
    dataset = build(tmp_path, "--preprocess", "none", "--cache", "none", "--serial_batches")
    for workers in (0, 2):
        reader = loader(dataset, shuffle=False, most_pixels=256, num_threads=workers)
        shapes = [tuple(batch.a.shape) for batch in reader.epoch(1)]
        # Four images are read together; 4 of 8x8 have 256 pixels, one of 40x8 has more.
        assert shapes == [
            *((4, 1, 8, 8), (1, 1, 8, 8), (1, 1, 8, 9), (2, 1, 8, 8)),
            *((1, 1, 8, 8), (1, 1, 40, 8), (1, 1, 40, 8)),
        ]
        assert names(list(reader.epoch(1))) == [f"{number:02}" for number in range(11)]
    assert "cannot share a batch" in sentence(loader(dataset, shuffle=False))
    dataset.files[9].path.write_text("no image")
    assert "not a readable image" in sentence(loader(dataset, shuffle=False, most_pixels=256))


# --- what runs on CUDA, with streams that only take note


class Streams:
    """Stands for torch.cuda's streams: what is done under which, and who waits for whom."""

    def __init__(self, monkeypatch):
        self.now, self.log = "step", []
        monkeypatch.setattr(torch.cuda, "Stream", lambda device: "own")
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device: self)
        monkeypatch.setattr(torch.cuda, "stream", self.under)
        monkeypatch.setattr(torch.Tensor, "record_stream", lambda tensor, stream: None)
        monkeypatch.setattr(Batch, "record_stream", lambda batch, _: self.note("used", batch))

    @contextmanager
    def under(self, stream):
        self.now, before = stream, self.now
        yield
        self.now = before

    def wait_stream(self, stream):
        self.log.append(("step waits for", stream))

    def note(self, what, batch):
        self.log.append((what, self.now, batch.names))


def test_each_batch_is_prepared_ahead_of_its_step(dataset, monkeypatch):
    streams = Streams(monkeypatch)
    keys = [[(1, 0)], [(1, 1)], [(1, 2)]]

    def prepare(raw):
        streams.note("prepared", raw)
        return dataset.prepare(raw)

    found = []
    for batch in prepared_ahead(map(dataset.collect, keys), prepare, CPU):
        streams.note("step", batch)
        found.append(batch)
    assert_equal(found, [dataset.prepare(dataset.collect(key)) for key in keys])
    assert streams.log == [
        ("prepared", "own", ("0",)),
        ("step waits for", "own"),
        ("used", "step", ("0",)),
        ("prepared", "own", ("1",)),
        ("step", "step", ("0",)),
        ("step waits for", "own"),
        ("used", "step", ("1",)),
        ("prepared", "own", ("2",)),
        ("step", "step", ("1",)),
        ("step waits for", "own"),
        ("used", "step", ("2",)),
        ("step", "step", ("2",)),
    ]


def test_a_bad_image_stops_no_step_before_its_own(dataset, monkeypatch):
    Streams(monkeypatch)
    raws = [dataset.collect([(1, 0)]), UserError("bad"), dataset.collect([(1, 1)])]
    first, *rest = prepared_ahead(iter(raws), dataset.prepare, CPU)
    assert first.names == ("0",) and rest == [raws[1]]
    assert list(prepared_ahead(iter([]), dataset.prepare, CPU)) == []


@pytest.mark.filterwarnings("ignore:'pin_memory'")  # where there is no GPU
def test_readers_of_a_gpu_hand_on_integers(dataset):
    reader = loader(dataset, device=torch.device("cuda"), num_threads=2)
    (raw,) = next(iter(reader.loader))
    stacks = [stack for images in raw.images.values() for stack in images.stacks]
    assert {stack.dtype for stack in stacks} == {torch.uint8}
    assert [tuple(stack.shape) for stack in stacks] == [(4, 12, 14)] * 2
    first = next(loader(dataset).epoch(1))
    assert_equal([dataset.prepare(raw)], [first])


@pytest.mark.filterwarnings("ignore:'pin_memory'")  # where there is no GPU
@pytest.mark.parametrize("device", [CPU, torch.device("cuda")])
def test_readers_without_shared_memory_hand_over_the_same(dataset, monkeypatch, device):
    """As in a container, whose /dev/shm has 64 MB: torch's words when it is full."""

    def full(tensor):
        raise RuntimeError("unable to write to file </torch_7>: No space left on device (28)")

    expected = [dataset.prepare(dataset.collect(keys)) for keys in loader(dataset).order]
    monkeypatch.setattr(torch.Tensor, "share_memory_", full)
    # Nor may torch try again: what still is a tensor would be shared on its way.
    monkeypatch.setattr(torch.UntypedStorage, "_share_fd_cpu_", full)
    reader = loader(dataset, num_threads=2, device=device)
    if device == CPU:
        assert_equal(list(reader.epoch(1)), expected)
    else:
        batches = chain.from_iterable(map(taken_over, reader.loader))
        assert_equal([dataset.prepare(raw) for raw in batches], expected)


def test_readers_that_cannot_be_started_are_a_sentence(dataset, monkeypatch):
    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("multiprocessing.synchronize.SemLock.__init__", refuse)
    with pytest.raises(UserError, match=r"No space left on device.*/dev/shm.*--num_threads 0"):
        next(loader(dataset, num_threads=2).epoch(1))


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


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "),
        RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly"),
        ConnectionResetError(104, "Connection reset by peer"),
        EOFError(),
        OSError("got end of file during message"),
    ],
)
def test_a_reader_that_died_is_named_whatever_notices_it(error):
    words = r"a process that reads images has died \([^)]"
    with pytest.raises(UserError, match=words), naming_lost_readers():
        raise error


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), OSError(28, "No space left")])
def test_other_errors_stay_what_they_are(error):
    with pytest.raises(type(error), match=str(error.args[-1])), naming_lost_readers():
        raise error
