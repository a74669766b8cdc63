"""Which files are found, under which names, and which have partners."""

import errno
import os

import pytest

from data.folders import (
    find_images,
    pair_by_name,
    phase_folder,
    require_phase_folder,
    translations_in,
    unread_note,
    walk_files,
)
from data.images import read_image
from util.errors import UserError


def names(folder, **options):
    return [file.name for file in find_images(folder, **options)]


def test_folders_are_read_recursively_and_in_order(tmp_path, flat):
    flat(tmp_path, {"b.png": 1, "z/a.TIF": 1, "z/y/c.jpeg": 1, "a.webp": 1, "m.bmp": 1})
    assert names(tmp_path) == ["a", "b", "m", "z/a", "z/y/c"]
    assert names(tmp_path, limit=2) == ["a", "b"]
    for file in find_images(tmp_path):
        assert file.path.is_file()


def test_other_and_hidden_files_are_left_alone(tmp_path, flat):
    flat(tmp_path, {"a.png": 1, ".b.png": 1, ".thumbs/c.png": 1})
    (tmp_path / "labels.csv").write_text("file,class\n")
    assert names(tmp_path) == ["a"]


def test_unicode_spaces_and_dots_in_names(tmp_path, flat):
    flat(tmp_path, {"größe 1/панцирь 7.png": 1, "v1.2 frame.003.png": 1, "夜/#%?.png": 1})
    assert set(names(tmp_path)) == {"größe 1/панцирь 7", "v1.2 frame.003", "夜/#%?"}


def test_linked_folders_and_files_are_followed(tmp_path, flat):
    store = flat(tmp_path / "store", {"x/a.png": 1, "b.png": 1})
    folder = tmp_path / "trainA"
    folder.mkdir()
    (folder / "video").symlink_to(store / "x")
    (folder / "one.png").symlink_to(store / "b.png")
    assert names(folder) == ["one", "video/a"]


@pytest.mark.parametrize("target", [".", "..", "../..", "../../../store/x"])
def test_loops_of_links_are_refused(tmp_path, flat, target):
    """They would bring in what lies beside: trainB into trainA."""
    flat(tmp_path / "data", {"trainA/a.png": 1, "trainA/x/b.png": 1, "trainB/b.png": 1})
    flat(tmp_path / "store", {"x/c.png": 1})
    (tmp_path / "store" / "x" / "back").symlink_to(tmp_path / "data")
    link = tmp_path / "data" / "trainA" / "x" / "link"
    link.symlink_to(target)
    with pytest.raises(UserError, match=r"is a link to a folder that it lies in") as caught:
        find_images(tmp_path / "data" / "trainA")
    assert str(link) in str(caught.value)


def test_a_link_to_itself_is_no_folder(tmp_path, flat):
    flat(tmp_path, {"a.png": 1})
    (tmp_path / "self").symlink_to("self")
    assert names(tmp_path) == ["a"]


def test_a_folder_that_is_linked_twice_is_read_once(tmp_path, flat):
    store = flat(tmp_path / "store", {"a.png": 1})
    (tmp_path / "trainA").mkdir()
    for name in ("x", "y"):
        (tmp_path / "trainA" / name).symlink_to(store)
    (tmp_path / "top").symlink_to(tmp_path / "trainA")  # itself a link, like all of them
    assert names(tmp_path / "trainA") == names(tmp_path / "top") == ["x/a"]


@pytest.mark.parametrize("place", ["", "images/", "run/test_latest/images/"])
def test_results_of_test_py_are_no_set_of_images(tmp_path, flat, place):
    flat(tmp_path, {f"{place}{kind}/T72/1.png": 1 for kind in ("real_A", "fake_B", "real_B")})
    with pytest.raises(UserError, match=r"holds results of test\.py") as caught:
        find_images(tmp_path)
    assert str(tmp_path / place / "fake_B") in str(caught.value)
    assert names(tmp_path / place / "fake_B") == ["T72/1"]


def test_the_translations_of_results(tmp_path, flat):
    results = flat(tmp_path / "r", {f"images/{kind}/1.png": 1 for kind in ("real_A", "fake_B")})
    fakes = results / "images" / "fake_B"
    assert translations_in(results) == translations_in(results / "images") == fakes
    assert translations_in(fakes) == fakes


def test_two_images_of_one_name_are_refused(tmp_path, flat):
    flat(tmp_path, {"v/a.png": 1, "v/a.tif": 1})
    with pytest.raises(UserError) as caught:
        find_images(tmp_path)
    assert str(tmp_path / "v" / "a.png") in str(caught.value)
    assert str(tmp_path / "v" / "a.tif") in str(caught.value)


def test_equal_names_in_different_folders_stay_apart(tmp_path, flat):
    flat(tmp_path, {"v/a.png": 1, "w/a.png": 1})
    assert names(tmp_path) == ["v/a", "w/a"]


def test_missing_and_empty_folders(tmp_path):
    with pytest.raises(UserError, match=r"there is no folder .*nowhere; check its name"):
        find_images(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(UserError, match="there is no image") as caught:
        find_images(tmp_path)
    assert str(tmp_path) in str(caught.value) and ".png" in str(caught.value)


@pytest.mark.parametrize("folder", ["trainA", "train_A", "train/A"])
def test_spellings_of_a_phase_folder(tmp_path, folder):
    assert phase_folder(tmp_path, "train", "A") is None
    with pytest.raises(UserError) as caught:
        require_phase_folder(tmp_path, "train", "A")
    for spelling in ("trainA", "train_A", "train/A"):
        assert str(tmp_path / spelling) in str(caught.value)
    (tmp_path / folder).mkdir(parents=True)
    assert require_phase_folder(tmp_path, "train", "A") == tmp_path / folder
    assert phase_folder(tmp_path, "test", "A") is None
    assert phase_folder(tmp_path, "train", "B") is None


def test_pairs_have_equal_relative_names_whatever_the_extension(tmp_path, flat):
    a = find_images(flat(tmp_path / "A", {"v/1.png": 1, "v/2.png": 1, "3.png": 1}))
    b = find_images(flat(tmp_path / "B", {"v/2.bmp": 1, "3.png": 1, "v/1.tif": 1}))
    pairs = pair_by_name(a, b)
    assert [(x.name, y.name) for x, y in pairs] == [(n, n) for n in ("3", "v/1", "v/2")]
    for x, y in pairs:
        assert x.path.is_relative_to(tmp_path / "A") and y.path.is_relative_to(tmp_path / "B")


def test_names_without_a_partner_are_listed(tmp_path, flat):
    a = find_images(flat(tmp_path / "A", {"1.png": 1, "only a.png": 1, "x/1.png": 1}))
    b = find_images(flat(tmp_path / "B", {"1.png": 1, "only b.png": 1}))
    with pytest.raises(UserError) as caught:
        pair_by_name(a, b)
    message = str(caught.value)
    assert "2 in A (only a, x/1)" in message and "1 in B (only b)" in message


def test_a_long_list_of_lonely_names_is_cut_but_counted(tmp_path, flat):
    a = find_images(flat(tmp_path / "A", {f"{i:03d}.png": 1 for i in range(30)}))
    b = find_images(flat(tmp_path / "B", {"000.png": 1}))
    with pytest.raises(UserError, match=r"29 in A \(001, .*, 010, \.\.\.\)") as caught:
        pair_by_name(a, b)
    assert "in B" not in str(caught.value)


def test_a_broken_link_is_found_and_named_when_read(tmp_path):
    (tmp_path / "a.png").symlink_to(tmp_path / "gone.png")
    (file,) = find_images(tmp_path)
    with pytest.raises(UserError, match=r"a\.png"):
        read_image(file.path)


def test_a_folder_that_may_not_be_read_is_not_left_out_silently(tmp_path, flat, monkeypatch):
    """By a system that says so: nothing is forbidden to root, who may run the tests."""
    flat(tmp_path, {"a/1.png": 1, "b/2.png": 2})
    scan = os.scandir

    def forbidden(path):
        if str(path) == str(tmp_path / "b"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", forbidden)
    with pytest.raises(
        UserError, match=r"/b cannot be read \(Permission denied\); make it readable"
    ):
        find_images(tmp_path)


@pytest.mark.parametrize(
    "folder",
    [
        "@eaDir/a.png",
        "#recycle",
        "__MACOSX",
        "$RECYCLE.BIN",
        "$Recycle.Bin",
        "System Volume Information",
        "lost+found",
        ".snapshot",
        "@Recycle",
    ],
)
def test_what_systems_put_beside_images_is_none(tmp_path, flat, folder):
    flat(tmp_path, {"a.png": 1, "v/b.png": 1})
    flat(tmp_path / folder, {"c.jpg": 1, "T72/d.png": 1})
    flat(tmp_path / "v" / folder, {"._b.png": 1, "d.png": 1})
    for name in ("Thumbs.db", "desktop.ini", "v/.DS_Store", f"{folder}/x.txt"):
        (tmp_path / name).touch()
    assert names(tmp_path) == ["a", "v/b"]
    assert unread_note(tmp_path) == ""
    assert sorted(walk_files(tmp_path)) == [tmp_path / "a.png", tmp_path / "v" / "b.png"]


def test_files_of_other_kinds_are_counted(tmp_path, flat):
    flat(tmp_path, {"a.png": 1})
    ours = ("labels.csv", "dataset.json", "result.json", "located-labels.csv")
    for name in (*ours, "a.txt", "a.xml", "_annotations.coco.json", "instances.json", "obj.names"):
        (tmp_path / name).touch()
    assert unread_note(tmp_path) == ""
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "g.FFF").touch()
    assert unread_note(tmp_path) == "1 file of other kinds is not read (.fff)"
    for i in range(29):
        (tmp_path / f"g{i}.fff").touch()
    assert unread_note(tmp_path) == "30 files of other kinds are not read (.fff)"
    for name in ("README", "n.txt", "m.txt"):
        (tmp_path / name).touch()
    told = "33 files of other kinds are not read (30 .fff, 2 .txt, 1 without extension)"
    assert unread_note(tmp_path) == told


def test_many_other_kinds_are_not_all_named(tmp_path):
    for i in range(1200):
        (tmp_path / f"frame.{i:04d}").touch()
    note = unread_note(tmp_path)
    assert note.startswith("1,200 files of") and note.count(".0") == 5 and note.endswith(", ...)")


def test_a_folder_of_other_kinds_alone_tells_which(tmp_path):
    (tmp_path / "a.fff").touch()
    with pytest.raises(UserError, match=r"there is no image .*1 file of .*\(\.fff\)"):
        find_images(tmp_path)
