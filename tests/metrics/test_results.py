"""Finding, pooling and reading results, on folders made here."""

import json

import numpy as np
import pytest

from data.images import write_image
from metrics.results import find_depths, find_results, pool_results, read_result
from util.errors import UserError

KINDS = ("real_A", "fake_B", "real_B")
EIGHT = dict.fromkeys(KINDS, 8)


def fill(folder, names=("x", "y"), *, kinds=KINDS, dtype=np.uint8, size=(8, 8)):
    for kind in kinds:
        for name in names:
            write_image(folder / kind / f"{name}.png", np.zeros(size, dtype))
    return folder


@pytest.mark.parametrize("inside", [".", "images"])
def test_finds_images_in_the_folder_and_below_images(tmp_path, inside):
    root = fill(tmp_path / inside, ("sub/x", "y"))
    images = find_results(tmp_path).images
    assert [image.name for image in images] == ["sub/x", "y"]
    assert images[0].fake_B == root / "fake_B" / "sub" / "x.png"
    assert images[0].real_B == root / "real_B" / "sub" / "x.png"


def test_matches_names_whatever_the_extension(tmp_path):
    fill(tmp_path, kinds=("real_A", "fake_B"))
    write_image(tmp_path / "real_B" / "x.bmp", np.zeros((8, 8), np.uint8))
    write_image(tmp_path / "real_B" / "y.tif", np.zeros((8, 8), np.uint8))
    assert [i.real_B.name for i in find_results(tmp_path).images] == ["x.bmp", "y.tif"]


def test_real_b_may_be_absent(tmp_path):
    image = find_results(fill(tmp_path, kinds=("real_A", "fake_B"))).images[0]
    assert image.real_B is None
    assert read_result(image, bits=EIGHT).keys() == {"real_A", "fake_B"}
    assert find_depths([image]) == {"real_A": 8, "fake_B": 8}


@pytest.mark.parametrize(
    ("kinds", "lonely", "words"),
    [
        ((), None, "no folder real_A and no fake_B"),
        (("real_A",), None, "no folder fake_B"),
        (KINDS, "fake_B", "lonely"),
        (KINDS, "real_B", "lonely"),
        (KINDS, "real_A", "lonely"),
    ],
)
def test_what_is_missing_is_named(tmp_path, kinds, lonely, words):
    fill(tmp_path, kinds=kinds)
    if lonely:
        fill(tmp_path, ["lonely"], kinds=[lonely])
    with pytest.raises(UserError, match=words):
        find_results(tmp_path)


def test_missing_and_empty_folders(tmp_path):
    with pytest.raises(UserError, match=r"no folder .*nowhere"):
        find_results(tmp_path / "nowhere")
    fill(tmp_path, kinds=("real_A", "fake_B"))
    (tmp_path / "real_B").mkdir()
    with pytest.raises(UserError, match=r"no image in .*real_B"):
        find_results(tmp_path)


@pytest.mark.parametrize("given", [".", "images"])
@pytest.mark.parametrize("paired", [True, False, None])
def test_reads_what_the_test_run_recorded(tmp_path, paired, given):
    fill(tmp_path / "images")
    (tmp_path / "result.json").write_text(json.dumps({"paired": paired, "model": "cut"}))
    assert find_results(tmp_path / given).paired is paired


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_broken_record_is_an_error(tmp_path, text):
    fill(tmp_path)
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(UserError, match=r"result\.json"):
        find_results(tmp_path)


def test_pooled_names_tell_the_folder(tmp_path):
    folders = [find_results(fill(tmp_path / phase)) for phase in ("train", "test")]
    names = [image.name for image in pool_results(folders)]
    assert names == [
        f"{tmp_path.as_posix()}/{n}" for n in ("train/x", "train/y", "test/x", "test/y")
    ]
    assert [image.name for image in pool_results(folders[:1])] == ["x", "y"]


def test_a_folder_is_not_counted_twice(tmp_path):
    fill(tmp_path / "images")
    folders = [find_results(tmp_path), find_results(tmp_path / "images")]
    with pytest.raises(UserError, match="given twice"):
        pool_results(folders)


def test_targets_for_some_folders_only(tmp_path):
    folders = [
        find_results(fill(tmp_path / "a")),
        find_results(fill(tmp_path / "b", kinds=("real_A", "fake_B"))),
    ]
    with pytest.raises(UserError, match="b has none"):
        pool_results(folders)


def test_images_that_cannot_be_compared_are_named(tmp_path):
    image = find_results(fill(tmp_path)).images[0]
    with pytest.raises(UserError, match=r"fake_B/x\.png has 8 bits .* have 16"):
        read_result(image, bits={**EIGHT, "fake_B": 16})
    write_image(image.real_B, np.zeros((8, 9), np.uint8))
    with pytest.raises(UserError, match=r"real_B/x\.png has 9×8 pixels .* 8×8"):
        read_result(image, bits=EIGHT)
    image.real_B.write_bytes(b"no image")
    with pytest.raises(UserError, match=r"real_B/x\.png"):
        read_result(image, bits=EIGHT)


def test_each_kind_has_a_depth_of_its_own(tmp_path):
    fill(tmp_path, kinds=("real_A",))
    fill(tmp_path, kinds=("fake_B", "real_B"), dtype=np.uint16)
    images = find_results(tmp_path).images
    bits = find_depths(images)
    assert bits == {"real_A": 8, "fake_B": 16, "real_B": 16}
    for image in images:
        arrays = read_result(image, bits=bits)
        assert {kind: array.dtype.itemsize * 8 for kind, array in arrays.items()} == bits


def test_images_below_the_window_of_ssim(tmp_path):
    image = find_results(fill(tmp_path, size=(6, 20))).images[0]
    with pytest.raises(UserError, match="20×6 pixels; SSIM needs 7"):
        read_result(image, bits=EIGHT)
