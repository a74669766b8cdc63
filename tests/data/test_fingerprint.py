"""Fingerprints follow what files hold and are called, not where and when they were written."""

import hashlib
import os
import shutil

import numpy as np
import pytest

from data.fingerprint import digests, fingerprint, image_fingerprint
from data.images import write_image
from models import MODEL_OPTIONS
from options import parse_train
from tests.data.samples import training_datasets
from util.errors import UserError


@pytest.fixture
def root(tmp_path):
    for number, name in enumerate(("trainA/x/1", "trainA/y/2", "trainB/1", "trainB/2")):
        write_image(tmp_path / "data" / f"{name}.png", np.full((40, 40), number, np.uint8))
    return tmp_path / "data"


def of(root, *flags, model="cut"):
    argv = ["--model", model, "--dataroot", str(root), "--cache", "none", *flags]
    return image_fingerprint(training_datasets(parse_train(argv, MODEL_OPTIONS))[0])


def test_digests_are_those_of_hashlib_and_follow_a_file_that_changes(tmp_path):
    files = [tmp_path / name for name in "ab"]
    for content in (b"one", b"other"):
        for number, file in enumerate(files):
            file.write_bytes(content * (number + 1))
        expected = [hashlib.sha256(content * (n + 1)).hexdigest() for n in range(2)]
        assert digests(files) == expected
    with pytest.raises(UserError, match="c cannot be read"):
        digests([*files, tmp_path / "c"])


def test_rows_are_told_apart_by_their_cells():
    assert fingerprint([("a", "bc")]) != fingerprint([("ab", "c")])
    assert fingerprint([("a",), ("b",)]) != fingerprint([("a", "b")])
    assert fingerprint([("a",)]) == hashlib.sha256(b"a\n").hexdigest()


def test_place_and_time_do_not_count(root, tmp_path):
    first = of(root)
    shutil.copytree(root, tmp_path / "moved")
    for file in (tmp_path / "moved").rglob("*.png"):
        os.utime(file, (1, 1))
    assert of(tmp_path / "moved") == first


def test_content_name_role_and_number_count(root):
    first = of(root)
    assert of(root, "--direction", "BtoA") != first
    assert of(root, "--max_dataset_size", "1") != first
    image = root / "trainB" / "2.png"
    write_image(image, np.full((40, 40), 9, np.uint8))
    changed = of(root)
    image.rename(root / "trainB" / "3.png")
    assert len({first, changed, of(root)}) == 3


def test_classes_count_where_they_are_read(tmp_path):
    write_image(tmp_path / "trainA" / "1.png", np.zeros((40, 40), np.uint8))
    write_image(tmp_path / "trainB" / "1.png", np.ones((40, 40), np.uint8))
    table, found = tmp_path / "labels.csv", set()
    for name in ("T72", "BMP2"):
        table.write_text(f"file,class\ntrainA/1.png,{name}\n")
        found.add(of(tmp_path, model="pix2pix"))
    assert len(found) == 2
