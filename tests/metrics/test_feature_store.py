"""Features on the disk: what comes back, where it lies, and a disk that is full."""

import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch

from metrics.distribution import coral
from metrics.feature_store import FeatureStore
from util.errors import UserError


@pytest.fixture
def store():
    with closing(FeatureStore()) as store:
        yield store


def test_what_is_appended_comes_back_in_order(store):
    blocks = [torch.randn(n, 5, generator=torch.manual_seed(n)) for n in (4, 1, 7, 0)]
    for block in blocks:
        store.append(block)
    array = store.array()
    assert (array.shape, array.dtype) == ((12, 5), np.float32)
    assert np.array_equal(array, torch.cat(blocks).numpy())
    assert isinstance(array, np.memmap)


def test_tensors_and_arrays_of_any_kind(store):
    rows = torch.arange(6.0).reshape(3, 2)
    store.append(rows.double().requires_grad_())
    store.append(rows.bfloat16())
    store.append(rows.t().contiguous().t())
    store.append(rows.numpy().astype(np.float64))
    store.append(store.array()[:3])
    assert np.array_equal(store.array(), np.tile(rows.numpy(), (5, 1)))


def test_an_array_is_read_only_and_outlives_the_store():
    store = FeatureStore()
    store.append(np.ones((3, 2)))
    before = store.array()
    store.append(np.zeros((1, 2)))
    assert len(before) == 3 and len(store.array()) == 4
    store.close()
    store.close()
    assert before.sum() == 6
    with pytest.raises(ValueError, match="read-only"):
        before[0, 0] = 2


def test_an_empty_store(store):
    assert store.array().shape == (0, 0)
    store.append(np.empty((0, 3)))
    assert store.array().shape == (0, 3)
    assert np.isnan(coral(store.array(), np.ones((4, 3))))


def test_rows_of_another_width_are_refused(store):
    store.append(np.ones((2, 3)))
    with pytest.raises(ValueError, match="rows of 4 features cannot join rows of 3"):
        store.append(np.ones((2, 4)))
    assert len(store.array()) == 2


def test_the_file_lies_in_tmpdir_and_has_no_name(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)  # what tempfile remembers of an earlier call
    with closing(FeatureStore()) as store:
        store.append(np.ones((2, 3)))
        assert list(tmp_path.iterdir()) == []
        descriptor = Path("/proc/self/fd", str(store._file.fileno()))
        if descriptor.exists():
            assert descriptor.readlink().is_relative_to(tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("rows", [1, 10_000])
def test_a_full_disk_is_named(monkeypatch, rows):
    full = Path("/dev/full").open("w+b")  # noqa: SIM115 the store closes it
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: full)
    with (
        closing(FeatureStore()) as store,
        pytest.raises(UserError, match=r"No space left .* TMPDIR"),
    ):
        store.append(np.ones((rows, 4)))
    assert full.closed


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(UserError, match=r"gone \(No such file or directory\)"):
        FeatureStore()
