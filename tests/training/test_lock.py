"""One process at a time, and a lock that ends with its process."""

import errno
import fcntl
import os
import signal

import pytest

from training.lock import RunLock
from util.errors import UserError, WriteError


@pytest.fixture
def holder(tmp_path):
    """A child process that has locked `tmp_path`, with a child of its own, as readers are."""
    ready, told = os.pipe()
    child = os.fork()
    if not child:
        lock = RunLock(tmp_path)
        lock.take()
        grandchild = os.fork()
        if grandchild:
            os.write(told, grandchild.to_bytes(8))
        signal.pause()
        os._exit(0)
    grandchild = int.from_bytes(os.read(ready, 8))
    yield child
    os.kill(grandchild, signal.SIGKILL)


def test_a_second_process_is_refused_and_told_by_whom(tmp_path, holder):
    with pytest.raises(UserError, match=f"in use by process {holder} on .*; wait"):
        RunLock(tmp_path).take()
    with pytest.raises(UserError, match="in use"), RunLock(tmp_path):
        pytest.fail("entered")
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)


def test_the_lock_of_a_killed_process_never_blocks_though_its_readers_live(tmp_path, holder):
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)
    with RunLock(tmp_path) as lock:
        assert lock.held and not lock.note
        assert str(os.getpid()) in lock.file.read_text()


def test_nothing_is_left_and_nothing_is_made_too_early(tmp_path):
    folder = tmp_path / "checkpoints" / "run"
    with RunLock(folder) as lock:
        assert not folder.parent.exists() and not lock.held
        lock.take()
        assert lock.held and lock.file.exists()
        lock.take()
    assert not lock.held and not list(folder.iterdir())


def test_a_lock_whose_file_went_with_its_last_owner_is_taken_anew(tmp_path, monkeypatch):
    lock, take = RunLock(tmp_path), fcntl.lockf
    removals = iter([True, True, False])

    def end_of_another_run(*args):
        if next(removals):
            lock.file.unlink()
        take(*args)

    monkeypatch.setattr(fcntl, "lockf", end_of_another_run)
    with lock:
        assert lock.held and next(removals, None) is None


def test_a_folder_that_vanished_is_no_longer_held(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with RunLock(folder) as lock:
        folder.rename(tmp_path / "elsewhere")
        assert not lock.held
        lock.take()
        assert lock.held and folder.exists()
    assert not list(folder.iterdir())


def test_where_files_cannot_be_locked_the_user_is_told(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", fail)
    with RunLock(tmp_path) as lock:
        assert lock.held
        assert "cannot be locked (No locks available): nothing stops a second run" in lock.note
        with RunLock(tmp_path):
            pass
        assert lock.held  # the second one has not taken its file away


def test_a_folder_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match=r"cannot write into .*file/run"):
        RunLock(tmp_path / "file" / "run").take()
