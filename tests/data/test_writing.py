"""Images that are written in threads: all of them, in bounded memory, and errors in time."""

import threading

import numpy as np
import pytest
import torch

import data.writing
from data.images import read_image
from data.writing import HostCopies, ImageWriter
from util.errors import UserError


def image(number: int, dtype=np.uint8) -> np.ndarray:
    return np.random.default_rng(number).integers(0, np.iinfo(dtype).max, (9, 7)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_all_files_are_there_at_the_end_of_the_block(tmp_path, dtype):
    with ImageWriter(threads=3, ahead=2) as writer:
        for number in range(20):
            writer.write(tmp_path / f"{number % 4}" / f"{number}.png", image(number, dtype))
    assert len(list(tmp_path.rglob("*"))) == 20 + 4
    for number in range(20):
        found = read_image(tmp_path / f"{number % 4}" / f"{number}.png")
        np.testing.assert_array_equal(found, image(number, dtype))


class Gate:
    """Stands for write_image: takes note, waits until it is opened, fails for some names."""

    def __init__(self, monkeypatch):
        self.open, self.begun, self.written = threading.Event(), [], []
        self.failing: set[str] = set()
        monkeypatch.setattr(data.writing, "write_image", self)

    def __call__(self, path, image, *, unit):
        self.begun.append(path.name)
        assert self.open.wait(timeout=60)
        if path.name in self.failing:
            raise UserError(f"cannot write {path.name}.")
        self.written.append(path.name)


@pytest.fixture
def gate(monkeypatch):
    return Gate(monkeypatch)


def test_no_more_images_wait_than_allowed(tmp_path, gate):
    with ImageWriter(threads=1, ahead=3) as writer:
        for number in range(3):  # which nobody waits for
            writer.write(tmp_path / f"{number}", image(0))
        assert gate.written == []
        gate.open.set()
        for number in range(3, 30):
            writer.write(tmp_path / f"{number}", image(0))
            assert len(writer.waiting) <= 3
            assert len(gate.written) >= number - 3
    assert gate.written == [f"{number}" for number in range(30)]


def test_a_failure_reaches_the_caller_soon(tmp_path, gate):
    gate.failing, tried = {"0"}, []
    gate.open.set()
    with (
        pytest.raises(UserError, match=r"^cannot write 0\.$"),
        ImageWriter(threads=1, ahead=3) as writer,
    ):
        for number in range(30):
            tried.append(number)
            writer.write(tmp_path / f"{number}", image(0))
    assert len(tried) <= 4


def test_a_failure_of_the_last_image_is_told_at_the_end(tmp_path, gate):
    gate.failing = {"2"}
    with (
        pytest.raises(UserError, match="cannot write 2"),
        ImageWriter(threads=2, ahead=5) as writer,
    ):
        for number in range(3):
            writer.write(tmp_path / f"{number}", image(0))
        gate.open.set()
    assert sorted(gate.written) == ["0", "1"]


def test_after_an_error_waiting_images_are_given_up(tmp_path, gate):
    class Stop(Exception):
        pass

    def stop() -> None:
        with ImageWriter(threads=1, ahead=9) as writer:
            for number in range(9):
                writer.write(tmp_path / f"{number}", image(0))
            gate.open.set()
            raise Stop

    before = set(threading.enumerate())
    with pytest.raises(Stop):
        stop()
    assert gate.written == gate.begun  # none is left in the middle
    assert set(threading.enumerate()) <= before


def test_what_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UserError, match=r"cannot write .*file/x\.png"), ImageWriter() as writer:
        writer.write(tmp_path / "file" / "x.png", image(0))


def test_copies_hold_what_the_tensors_held():
    first = torch.arange(6, dtype=torch.uint8).reshape(1, 2, 3)
    copies = HostCopies({"a": first, ("b", 2): torch.ones(2)}).get()
    assert torch.equal(copies["a"], first) and copies["b", 2].tolist() == [1, 1]


def test_copies_of_a_gpu_are_complete_when_they_are_handed_out(monkeypatch):
    # Streams and events that only take note.
    log = []

    class Event:
        def __init__(self, *, blocking):
            assert blocking

        def record(self, stream):
            log.append(("record", stream))

        def synchronize(self):
            log.append("synchronise")

    class OnGpu:
        device = torch.device("cuda", 1)

        def to(self, device, *, non_blocking):
            log.append(("copy", device, non_blocking))
            return "copy"

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: device)
    copies = HostCopies({"a": OnGpu()})
    assert log == [("copy", "cpu", True), ("record", OnGpu.device)]
    assert copies.get() == {"a": "copy"} and log[-1] == "synchronise"
