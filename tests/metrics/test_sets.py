"""Finding, pooling and reading sets of images, on folders made here."""

import json

import numpy as np
import pytest

from data.images import write_image
from data.value_type import UINT8
from metrics.sets import (
    check_heads,
    find_folders,
    find_results,
    find_set,
    find_types,
    pool,
    read_images,
)
from util.errors import UserError

KINDS = ("real_A", "fake_B", "real_B")
EIGHT = dict.fromkeys(KINDS, UINT8)


def fill(folder, names=("x", "y"), *, kinds=KINDS, dtype=np.uint8, size=(8, 8)):
    for kind in kinds:
        for name in names:
            write_image(folder / kind / f"{name}.png", np.zeros(size, dtype))
    return folder


def files_of(images, place):
    return {kind: paths[place] for kind, paths in images.files.items()}


@pytest.mark.parametrize("inside", [".", "images"])
def test_finds_images_in_the_folder_and_below_images(tmp_path, inside):
    root = fill(tmp_path / inside, ("sub/x", "y"))
    images = find_results(tmp_path)
    assert images.names == ["sub/x", "y"]
    assert images.files["fake_B"][0] == root / "fake_B" / "sub" / "x.png"
    assert images.files["real_B"][0] == root / "real_B" / "sub" / "x.png"


def test_matches_names_whatever_the_extension(tmp_path):
    fill(tmp_path, kinds=("real_A", "fake_B"))
    write_image(tmp_path / "real_B" / "x.bmp", np.zeros((8, 8), np.uint8))
    write_image(tmp_path / "real_B" / "y.tif", np.zeros((8, 8), np.uint8))
    assert [p.name for p in find_results(tmp_path).files["real_B"]] == ["x.bmp", "y.tif"]


def test_real_b_may_be_absent(tmp_path):
    images = find_results(fill(tmp_path, kinds=("real_A", "fake_B")))
    assert "real_B" not in images.files
    assert read_images(files_of(images, 0), types=EIGHT).keys() == {"real_A", "fake_B"}
    assert find_types(images.files) == {"real_A": UINT8, "fake_B": UINT8}


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


@pytest.mark.parametrize("place", ["run", "run/images", "run/images/fake_B"])
@pytest.mark.parametrize("paired", [True, False])
def test_what_test_py_recorded_is_found_from_every_folder(tmp_path, place, paired):
    fill(tmp_path / "run" / "images")
    record = {"paired": paired, "teacher": "abc"}
    (tmp_path / "run" / "result.json").write_text(json.dumps(record))
    found = find_set(["row", str(tmp_path / place)])
    assert found.name == "row"
    assert (found.paired, found.teachers) == (paired, {"abc"})


@pytest.mark.parametrize(("record", "teachers"), [({"teacher": None}, frozenset()), ({}, None)])
def test_no_teacher_is_something_else_than_none_that_is_known(tmp_path, record, teachers):
    fill(tmp_path / "run" / "images")
    (tmp_path / "run" / "result.json").write_text(json.dumps(record))
    assert find_results(tmp_path / "run").teachers == teachers


@pytest.mark.parametrize("text", ["no JSON", "[" * 100_000], ids=["text", "nested"])
def test_a_broken_record_is_named(tmp_path, text):
    fill(tmp_path)
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(UserError, match=r"result\.json cannot be read"):
        find_results(tmp_path)


def test_folders_are_paired_by_name_and_sources_too(tmp_path):
    fill(tmp_path, ("a/x", "y"))
    fake, real, source = (tmp_path / kind for kind in ("fake_B", "real_B", "real_A"))
    found = find_folders("row", fake, real, source)
    assert found.names == ["a/x", "y"]
    assert {k: [p.name for p in v] for k, v in found.files.items()} == {
        kind: ["x.png", "y.png"] for kind in KINDS
    }
    assert found.paired is None and found.unmatched is None


def test_a_record_says_nothing_of_a_target_from_elsewhere(tmp_path):
    fill(tmp_path / "run" / "images")
    (tmp_path / "run" / "result.json").write_text(json.dumps({"paired": False}))
    fill(tmp_path, kinds=["other"])
    fake = tmp_path / "run" / "images" / "fake_B"
    assert find_folders("row", fake, tmp_path / "other", None).paired is None


def test_targets_of_other_names_leave_the_set_unpaired_in_words(tmp_path):
    fill(tmp_path, kinds=["fake_B"])
    fill(tmp_path, ("x", "y", "z"), kinds=["real_B"])
    found = find_folders("row", tmp_path / "fake_B", tmp_path / "real_B", None)
    assert found.files.keys() == {"fake_B"}
    assert "the 2 images of" in found.unmatched and "the 3 of" in found.unmatched


def test_sources_of_other_names_are_an_error(tmp_path):
    fill(tmp_path, kinds=["fake_B"])
    fill(tmp_path, ("x", "q"), kinds=["real_A"])
    with pytest.raises(UserError, match=r"without a partner .*\(y\).*\(q\)"):
        find_folders("row", tmp_path / "fake_B", None, tmp_path / "real_A")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["name"], "was given 1 values: name"),
        (["name", "a", "b", "c", "d"], "was given 5 values"),
        (["name", "nowhere"], "no folder nowhere; check --set name"),
    ],
)
def test_a_wrong_set_is_one_sentence(words, sentence):
    with pytest.raises(UserError, match=sentence):
        find_set(words)


def test_pooled_names_begin_with_their_folder(tmp_path):
    one, two = (fill(tmp_path / name) for name in ("one", "two"))
    pooled = pool([find_results(one), find_results(two)])
    assert pooled.names == [f"{f.as_posix()}/{n}" for f in (one, two) for n in "xy"]
    assert len(pooled) == 4 and len(pooled.files["real_B"]) == 4


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [((True, True), True), ((True, None), None), ((True, False), False), ((None, None), None)],
)
def test_pooled_sets_are_paired_if_all_are(tmp_path, recorded, expected):
    sets = []
    for place, paired in enumerate(recorded):
        folder = fill(tmp_path / str(place))
        (folder / "result.json").write_text(json.dumps({"paired": paired}))
        sets.append(find_results(folder))
    assert pool(sets).paired is expected


def test_pooling_refuses_a_folder_twice_and_missing_targets(tmp_path):
    one = fill(tmp_path / "one")
    with pytest.raises(UserError, match="given twice"):
        pool([find_results(one), find_results(one)])
    two = fill(tmp_path / "two", kinds=("real_A", "fake_B"))
    with pytest.raises(UserError, match=r"one has real_B and .*two has none"):
        pool([find_results(one), find_results(two)])


def test_subset_keeps_kinds_together(tmp_path):
    images = find_results(fill(tmp_path, ("a", "b", "c"))).subset([2, 0])
    assert images.names == ["c", "a"]
    assert all([p.stem for p in paths] == ["c", "a"] for paths in images.files.values())


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (("real_B", np.uint8, (9, 8)), r"real_B/x\.png has 8×9 pixels and .*fake_B/x\.png 8×8"),
        (("real_A", np.uint16, (8, 8)), r"real_A/x\.png has 16 bits"),
    ],
)
def test_images_of_a_name_must_fit(tmp_path, damage, words):
    kind, dtype, size = damage
    fill(tmp_path)
    fill(tmp_path, ["x"], kinds=[kind], dtype=dtype, size=size)
    images = find_results(tmp_path)
    with pytest.raises(UserError, match=words):
        read_images(files_of(images, 0), types=EIGHT)
    with pytest.raises(UserError, match=words):
        check_heads(images, types=EIGHT)


def test_the_heads_of_fitting_images_tell_their_sizes(tmp_path):
    fill(tmp_path, ["x"])
    images = find_results(fill(tmp_path, ["y"], size=(9, 12)))
    assert check_heads(images, types=EIGHT) == {kind: [(8, 8), (9, 12)] for kind in KINDS}


def test_images_below_the_window_of_ssim_are_refused(tmp_path):
    images = find_results(fill(tmp_path, size=(6, 20)))
    with pytest.raises(UserError, match=r"has 20×6 pixels; SSIM needs 7"):
        read_images(files_of(images, 0), types=EIGHT)
