"""Decoded images that are kept: the same values, decoded once, never of an older file."""

import json
import os
import pickle
import time
from weakref import WeakSet

import numpy as np
import pytest

import data.cache
from data.cache import Images, keep_images
from data.images import read_image
from util.errors import UserError

RNG = np.random.default_rng(0)
IMAGES = {
    "grey.png": RNG.integers(0, 256, (5, 7), dtype=np.uint8),
    "colour.png": RNG.integers(0, 256, (3, 3, 3), dtype=np.uint8),
    "counts.png": RNG.integers(0, 65536, (6, 5)).astype(np.uint16),
    "counts.tiff": RNG.integers(0, 65536, (9, 4)).astype(np.uint16),
}


@pytest.fixture
def files(tmp_path, write, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return [write(tmp_path / "images" / name, image) for name, image in IMAGES.items()]


@pytest.fixture
def decoded(monkeypatch):
    """Paths in the order in which they are decoded."""
    found = []
    monkeypatch.setattr("data.cache.read_image", lambda path: found.append(path) or read(path))
    return found


read = read_image


def kept_files(tmp_path):
    return sorted((tmp_path / "cache" / "mwir-realism").iterdir())


@pytest.mark.parametrize("cache", ["none", "ram", "disk"])
def test_images_are_as_they_are_read(files, cache):
    images = keep_images(files, cache)
    for path, image in zip(files, IMAGES.values(), strict=True):
        found = images.read(path)
        assert found.dtype == image.dtype
        np.testing.assert_array_equal(found, image)


@pytest.mark.parametrize(("cache", "times"), [("none", 2), ("ram", 1), ("disk", 1)])
def test_another_process_of_the_host_finds_them_decoded(files, decoded, cache, times):
    images = keep_images(files, cache)
    others = pickle.loads(pickle.dumps(images.elsewhere()))()
    for path, image in zip(files, IMAGES.values(), strict=True):
        np.testing.assert_array_equal(images.read(path), image)
        np.testing.assert_array_equal(others.read(path), image)
    assert sorted(decoded) == sorted(files * times)


@pytest.mark.parametrize(("cache", "times"), [("none", 3), ("ram", 1), ("disk", 1)])
def test_how_often_an_image_is_decoded(files, decoded, cache, times):
    images = keep_images(files, cache)
    for _ in range(3):
        for path in files:
            images.read(path)
    assert sorted(decoded) == sorted(files * times)


def test_what_is_kept_cannot_be_changed(files):
    image = keep_images(files, "ram").read(files[0])
    with pytest.raises(ValueError, match="read-only"):
        image[0, 0] = 1


@pytest.mark.parametrize("cache", ["ram", "disk"])
def test_a_process_that_is_spawned_sees_the_same_bytes_undecoded(files, decoded, cache):
    images = keep_images(files, cache)
    before = len(decoded)
    copy = pickle.loads(pickle.dumps(images))
    for path, image in zip(files, IMAGES.values(), strict=True):
        np.testing.assert_array_equal(copy.read(path), image)
    assert len(decoded) == before and os.path.sameopenfile(copy.file.fileno(), images.file.fileno())


def test_a_system_that_cannot_send_an_open_file_decodes_anew(files, monkeypatch):
    images = keep_images(files, "ram")
    monkeypatch.delattr("multiprocessing.reduction.DupFd")
    copy = pickle.loads(pickle.dumps(images))
    assert type(copy) is Images
    np.testing.assert_array_equal(copy.read(files[0]), IMAGES["grey.png"])


def test_a_system_without_nameless_memory_uses_a_nameless_file(files, monkeypatch):
    monkeypatch.delattr(os, "memfd_create", raising=False)
    np.testing.assert_array_equal(keep_images(files, "ram").read(files[0]), IMAGES["grey.png"])


# --- memory


def test_a_set_of_more_than_half_the_free_memory_is_not_kept(files, decoded, monkeypatch):
    size = sum(image.nbytes for image in IMAGES.values())
    monkeypatch.setattr("data.cache.free_memory", lambda: 2 * size)
    assert type(keep_images(files, "ram")) is not Images
    del decoded[:]
    monkeypatch.setattr("data.cache.free_memory", lambda: 2 * size - 1)
    images = keep_images(files, "ram")
    assert type(images) is Images and not decoded
    assert "decoded anew each time" in images.note and "--cache disk" in images.note
    monkeypatch.setattr("data.cache.free_memory", lambda: None)
    assert type(keep_images(files, "ram")) is not Images


def test_half_the_memory_is_for_all_sets_of_a_run(files, monkeypatch):
    size = sum(image.nbytes for image in IMAGES.values())
    monkeypatch.setattr("data.cache.IN_MEMORY", WeakSet())
    monkeypatch.setattr("data.cache.free_memory", lambda: 4 * size)
    first = keep_images(files, "ram")
    assert type(first) is not Images
    monkeypatch.setattr("data.cache.free_memory", lambda: 2 * size)  # enough for one set alone
    assert type(keep_images(files, "ram")) is Images


def test_the_note_tells_the_size(files):
    size = sum(image.nbytes for image in IMAGES.values()) / 1e6
    assert keep_images(files, "ram").note == f"4 images decoded, {size:.1f} MB in memory"
    assert keep_images(files, "none").note == ""


# --- the file


def test_a_later_run_decodes_nothing(files, decoded, tmp_path):
    keep_images(files, "disk")
    (kept,) = kept_files(tmp_path)
    written = kept.stat()
    del decoded[:]
    images = keep_images(files, "disk")
    np.testing.assert_array_equal(images.read(files[2]), IMAGES["counts.png"])
    assert not decoded and kept.stat() == written and str(kept) in images.note


def test_a_changed_image_is_never_served_as_it_was(files, tmp_path, write):
    old = keep_images(files, "disk")
    stamp = files[0].stat()
    write(files[0], 255 - IMAGES["grey.png"])
    os.utime(files[0], ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 1))
    new = keep_images(files, "disk")
    np.testing.assert_array_equal(new.read(files[0]), 255 - IMAGES["grey.png"])
    # A run that goes on with the earlier file keeps its own images.
    np.testing.assert_array_equal(old.read(files[0]), IMAGES["grey.png"])
    assert len(kept_files(tmp_path)) == 1


def test_an_image_that_changes_while_it_is_decoded_is_found_by_the_next_run(
    files, monkeypatch, decoded
):
    def change(path):
        found = read(path)
        if path == files[0]:
            os.utime(path, ns=(1, 1))
        return found

    monkeypatch.setattr("data.cache.read_image", change)
    keep_images(files, "disk")
    monkeypatch.setattr("data.cache.read_image", lambda path: decoded.append(path) or read(path))
    keep_images(files, "disk")
    assert sorted(decoded) == sorted(files)


def test_other_sets_have_other_files(files, tmp_path):
    keep_images(files, "disk")
    np.testing.assert_array_equal(
        keep_images(files[1:], "disk").read(files[1]), IMAGES["colour.png"]
    )
    assert len(kept_files(tmp_path)) == 2


@pytest.mark.parametrize("content", [b"", b"no JSON\n", b"{}\n", b"[1]\n", b'{"state": "x"}\n'])
def test_a_file_that_is_none_of_ours_is_replaced(files, tmp_path, content):
    keep_images(files, "disk")
    (kept,) = kept_files(tmp_path)
    kept.write_bytes(content)
    np.testing.assert_array_equal(keep_images(files, "disk").read(files[0]), IMAGES["grey.png"])
    assert json.loads(kept.open("rb").readline())["state"]


@pytest.mark.parametrize("missing", ["state", "layouts"])
def test_a_file_whose_head_lacks_a_part_is_replaced(files, tmp_path, missing):
    keep_images(files, "disk")
    (kept,) = kept_files(tmp_path)
    # Of the same length: all else about the file is as it should be.
    kept.write_bytes(kept.read_bytes().replace(missing.encode(), missing[::-1].encode(), 1))
    np.testing.assert_array_equal(keep_images(files, "disk").read(files[0]), IMAGES["grey.png"])


def test_a_file_that_was_cut_short_is_replaced(files, tmp_path):
    keep_images(files, "disk")
    (kept,) = kept_files(tmp_path)
    kept.write_bytes(kept.read_bytes()[:-1])
    np.testing.assert_array_equal(keep_images(files, "disk").read(files[3]), IMAGES["counts.tiff"])


@pytest.mark.parametrize("cache", ["ram", "disk"])
def test_a_bad_image_leaves_nothing_behind(files, tmp_path, cache):
    files[1].write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(UserError, match=r"colour\.png is not a readable image"):
        keep_images(files, cache)
    assert not list((tmp_path / "cache").rglob("*.*"))


def test_an_image_that_breaks_off_leaves_nothing_behind(files, tmp_path):
    files[2].write_bytes(files[2].read_bytes()[:-30])  # its head is whole
    with pytest.raises(UserError, match=r"counts\.png cannot be decoded"):
        keep_images(files, "disk")
    assert not kept_files(tmp_path)


@pytest.mark.parametrize("kind", ["|O", "<f8", "garbage"])
def test_a_file_that_says_it_holds_anything_but_pixels_is_replaced(files, tmp_path, kind):
    """An array of objects made of a file would be one of addresses."""
    keep_images(files, "disk")
    (kept,) = kept_files(tmp_path)
    head, pixels = kept.read_bytes().split(b"\n", 1)
    head = json.loads(head)
    head["layouts"] = [[[0], kind] for _ in files]
    text = json.dumps(head).encode() + b"\n"
    kept.write_bytes(text + pixels[: -len(text) % 64])
    for path in files:
        assert keep_images(files, "disk").read(path).dtype in (np.uint8, np.uint16)


def test_what_killed_runs_left_is_removed_and_what_other_runs_write_is_not(files, tmp_path):
    keep_images(files, "disk")
    (kept,) = kept_files(tmp_path)
    killed, at_work = (kept.with_name(f".{kept.name}.{i}.part") for i in range(2))
    for path in (killed, at_work):
        path.write_bytes(b"half")
    yesterday = time.time() - 24 * 3600
    os.utime(killed, (yesterday, yesterday))
    kept.unlink()
    keep_images(files, "disk")
    assert not killed.exists() and at_work.exists()


def test_a_missing_image_is_named(files):
    files[0].unlink()
    with pytest.raises(UserError, match=r"there is no image .*grey\.png"):
        keep_images(files, "disk")


def test_an_image_that_is_another_one_by_then_is_named(files, monkeypatch):
    monkeypatch.setattr("data.cache.read_image", lambda path: np.zeros((2, 2), np.uint8))
    with pytest.raises(UserError, match="changed while it was read"):
        keep_images(files, "ram")


def test_a_folder_that_cannot_be_written_is_named(files, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(UserError, match=r"cannot write .*\.images"):
        keep_images(files, "disk")


def test_without_the_variable_the_folder_is_in_the_home(files, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setattr(data.cache.Path, "home", lambda: tmp_path / "home")
    assert str(tmp_path / "home" / ".cache" / "mwir-realism") in keep_images(files, "disk").note
