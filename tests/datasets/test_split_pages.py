"""Files of several images become files of one, in groups that no split divides."""

import numpy as np
import pytest
import tifffile

from data.folders import find_images
from data.images import read_image, read_type, write_image
from data.labels import group_of
from datasets import split_pages
from datasets.split_pages import main
from util.errors import UserError

COUNTS = np.random.default_rng(0).integers(0, 65536, (3, 8, 9), dtype=np.uint16)


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "recordings"
    (folder / "T72").mkdir(parents=True)
    tifffile.imwrite(folder / "T72" / "seq.tif", COUNTS, photometric="minisblack")
    np.save(folder / "T72" / "kelvin.npy", COUNTS / np.float32(200))
    write_image(folder / "T72" / "one.tif", COUNTS[0])
    return folder


def split(folder, out):
    main(["--images", str(folder), "--out", str(out)])


def test_each_image_of_a_file_becomes_one(recordings, tmp_path, capsys):
    split(recordings, tmp_path / "new" / "train")
    folder = tmp_path / "new" / "train" / "T72"
    names = [f"kelvin_000{i}.tiff" for i in (1, 2, 3)] + ["one.png"]
    names += [f"seq_000{i}.png" for i in (1, 2, 3)]
    assert sorted(path.name for path in folder.iterdir()) == names
    for i, counts in enumerate(COUNTS, 1):
        np.testing.assert_array_equal(read_image(folder / f"seq_000{i}.png"), counts)
        kelvin = counts / np.float32(200)
        np.testing.assert_array_equal(read_image(folder / f"kelvin_000{i}.tiff"), kelvin)
    np.testing.assert_array_equal(read_image(folder / "one.png"), COUNTS[0])
    assert capsys.readouterr().out.endswith("train: 7 images of 3 files\n")
    groups = {}
    for file in find_images(tmp_path / "new" / "train"):
        groups.setdefault(group_of(file, "T72", None, "group"), set()).add(file.path.name)
    assert set(names[:3]) in groups.values() and set(names[4:]) in groups.values()


def test_the_head_of_a_stack_is_not_read_for_each_of_its_images(recordings, tmp_path, monkeypatch):
    """Which takes a look at every page: the square of their number."""
    read = []
    monkeypatch.setattr(split_pages, "read_type", lambda path: read.append(path) or read_type(path))
    split(recordings, tmp_path / "out")
    assert len(read) == len(set(read)) == 3


def test_floats_keep_their_unit(tmp_path):
    write_image(tmp_path / "a" / "x.tif", COUNTS[0] / np.float32(200), unit="kelvin")
    split(tmp_path / "a", tmp_path / "b")
    assert read_type(tmp_path / "b" / "x.tiff").unit == "kelvin"


def test_what_cannot_be_split_is_told_after_the_rest(recordings, tmp_path):
    (recordings / "T72" / "a.tif").write_bytes(b"")
    write_image(recordings / "T72" / "seq_0002.png", COUNTS[0])
    with pytest.raises(UserError, match=r"2 of 5 files .*a\.tif.* two images would be .*seq_0002"):
        split(recordings, tmp_path / "out")
    assert len(list((tmp_path / "out" / "T72").iterdir())) == 7


def test_a_folder_that_has_something_is_left_alone(recordings, tmp_path):
    for out in (recordings, recordings / "new"):
        with pytest.raises(UserError, match="among the images"):
            split(recordings, out)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x").touch()
    with pytest.raises(UserError, match="exists"):
        split(recordings, tmp_path / "out")
