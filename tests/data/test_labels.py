"""labels.csv as people and spreadsheets write it, and class folders."""

from pathlib import Path

import pytest

from data.datasets import index_classes
from data.folders import ImageFile
from data.labeled_images import find_labeled
from data.labels import Label, class_of_folder, group_of, read_labels, split_column
from util.errors import UserError

TABLE = """file,split,class,group,range
train/a.png,train,BMP2,v1,1000
train/b.png,train,T72,v2,2000
test/c.png,test,T72,v3,2000
"""


def image_file(name: str) -> ImageFile:
    return ImageFile(Path("/data", f"{name}.png"), name)


def test_a_table_gives_class_split_and_the_whole_row(tmp_path):
    (tmp_path / "labels.csv").write_text(TABLE)
    labels = read_labels(tmp_path)
    assert set(labels) == {tmp_path / name for name in ("train/a.png", "train/b.png", "test/c.png")}
    label = labels[tmp_path / "train/a.png"]
    assert (label.class_name, label.split) == ("BMP2", "train")
    assert label.row["range"] == "1000"


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + TABLE.encode(),
        TABLE.replace("\n", "\r\n").encode(),
        TABLE.replace("BMP2", '"BMP2"').encode(),
    ],
    ids=["byte order mark", "CRLF", "quotes"],
)
def test_tables_of_spreadsheets(tmp_path, content):
    (tmp_path / "labels.csv").write_bytes(content)
    assert read_labels(tmp_path)[tmp_path / "train/a.png"].class_name == "BMP2"


def test_only_file_and_class_are_needed(tmp_path):
    (tmp_path / "labels.csv").write_text("class,file\nT72,a.png\n,b.png\nT72,\n")
    labels = read_labels(tmp_path)
    assert {path.name: label.class_name for path, label in labels.items()} == {
        "a.png": "T72",
        "b.png": "",
    }
    assert labels[tmp_path / "a.png"].split == ""


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"file,split\na.png,train\n", "'class'"),
        (b"file,label,box_x,box_y,box_w,box_h\na.png,T72,1,1,2,2\n", "'label' is near"),
        (b"file,clas,box_x,box_y,box_w,box_h\na.png,T72,1,1,2,2\n", "'clas' is near"),
        (b"name;class\na.png;T72\n", "'file'"),
        (b"", "'file'"),
        (b"file,class\n\xff\xfe.png,T72\n", "CSV"),
    ],
)
def test_a_table_that_is_none_is_refused_by_name(tmp_path, content, word):
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(UserError, match=word) as caught:
        read_labels(tmp_path)
    assert str(tmp_path / "labels.csv") in str(caught.value)


def test_the_table_may_stand_in_the_folder_above(tmp_path):
    (tmp_path / "labels.csv").write_text(
        "file,class\nreal/a.png,T72\nreal/x/b.png,BMP2\nsim/c.png,ZSU\n"
    )
    (tmp_path / "real").mkdir()
    labels = read_labels(tmp_path / "real")
    assert set(labels) == {tmp_path / "real/a.png", tmp_path / "real/x/b.png"}


def test_the_folders_own_table_goes_before_the_one_above(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "labels.csv").write_text("file,class\nreal/a.png,above\n")
    (tmp_path / "real" / "labels.csv").write_text("file,class\na.png,own\n")
    (label,) = read_labels(tmp_path / "real").values()
    assert label.class_name == "own"


def test_no_table_no_labels(tmp_path):
    (tmp_path / "x").mkdir()
    assert read_labels(tmp_path / "x") == {}


def test_the_class_of_a_file_is_its_first_folder():
    assert class_of_folder(image_file("T72/night/a")) == "T72"
    assert class_of_folder(image_file("a")) == ""


@pytest.mark.parametrize(
    ("row", "split_by", "group"),
    [
        ({"group": "g", "video": "v"}, "group", "g"),
        ({"video": "v", "range": "2000"}, "group", "v"),
        ({"range_m": "2000"}, "group", "2000"),
        ({"range_m": "2000"}, "range", "2000"),
        ({"group": "g", "scenario": "s"}, "scenario", "s"),
        ({"group": "", "video": "v"}, "group", "v"),
        ({"group": "g"}, "video", "night_v7_f"),
        ({}, "group", "night_v7_f"),
    ],
)
def test_the_recording_of_an_image(row, split_by, group):
    label = Label("T72", "train", row)
    assert group_of(image_file("x/night_v7_f0123"), "T72", label, split_by) == group


def test_without_a_table_frames_of_one_name_are_one_recording():
    names = ("T72/v1_001", "T72/v1_002", "T72/v2_001")
    groups = [group_of(image_file(name), "T72", None, "group") for name in names]
    assert groups == ["v1_", "v1_", "v2_"]


def test_without_a_table_a_folder_below_the_class_is_a_recording():
    names = ("T72/run1/f01", "T72/run1/g02", "T72/run3/f01", "T72/day/run3/f01")
    groups = [group_of(image_file(name), "T72", None, "video") for name in names]
    assert groups == ["run1", "run1", "run3", "day/run3"]


def test_the_column_that_decides_is_told():
    labels = [None, Label("a", "", {"video": ""}), Label("a", "", {"video": "v"})]
    assert split_column(labels, "group") == "video"
    assert split_column(labels, "range") is None
    assert split_column([None], "group") is None


def test_labelled_images_of_a_phase_by_table(tmp_path, flat):
    flat(tmp_path, {"train/a.png": 1, "train/b.png": 1, "test/c.png": 1, "train/extra.png": 1})
    (tmp_path / "labels.csv").write_text(TABLE)
    train = [(file.name, name) for file, name, _ in find_labeled(tmp_path, "train")]
    assert train == [("train/a", "BMP2"), ("train/b", "T72")]
    assert [name for _, name, _ in find_labeled(tmp_path, "test")] == ["T72"]


def test_rows_without_a_split_belong_to_every_phase_rows_without_class_to_none(tmp_path, flat):
    flat(tmp_path, {"a.png": 1, "b.png": 1})
    (tmp_path / "labels.csv").write_text("file,class\na.png,T72\nb.png,\n")
    assert [file.name for file, _, _ in find_labeled(tmp_path, "train")] == ["a"]
    assert [file.name for file, _, _ in find_labeled(tmp_path, "val")] == ["a"]


def test_a_row_without_its_image_is_named(tmp_path, flat):
    flat(tmp_path, {"train/a.png": 1})
    (tmp_path / "labels.csv").write_text(TABLE)
    with pytest.raises(UserError, match=r"1 images that are not there \(.*b\.png\)"):
        find_labeled(tmp_path, "train")


@pytest.mark.parametrize("below", ["train", ""])
def test_class_folders_where_there_is_no_table(tmp_path, flat, below):
    flat(tmp_path / below, {"T72/1.png": 1, "BMP2/x/2.png": 1, "loose.png": 1})
    found = [(file.name, name) for file, name, _ in find_labeled(tmp_path, "train")]
    assert found == [("BMP2/x/2", "BMP2"), ("T72/1", "T72")]


@pytest.mark.parametrize(
    ("split", "names"), [("", ["BMP2/1", "T72/1"]), ("train", ["BMP2/1", "T72/1"]), ("test", [])]
)
def test_class_folders_beside_a_table_of_boxes_alone(tmp_path, flat, split, names):
    """A detector's output has no classes; an image that it has nothing of keeps its folder's."""
    flat(tmp_path / "train", {"T72/1.png": 1, "BMP2/1.png": 1, "T72/2.png": 1})
    lines = "".join(f"train/{c}/1.png,{split},1,1,2,2\n" for c in ("T72", "BMP2"))
    (tmp_path / "labels.csv").write_text("file,split,box_x,box_y,box_w,box_h\n" + lines)
    found = find_labeled(tmp_path, "train")
    assert [(file.name, name) for file, name, _ in found] == [
        (name, name.split("/")[0]) for name in sorted([*names, "T72/2"])
    ]
    assert [label.row["box_w"] for _, _, label in found if label] == ["2"] * len(names)


def test_empty_cells_of_a_class_are_no_class(tmp_path, flat):
    flat(tmp_path / "train", {"rec1/a.png": 1})
    (tmp_path / "labels.csv").write_text("file,class\ntrain/rec1/a.png,\n")
    with pytest.raises(UserError, match=r"fill the column class .*, or remove that column"):
        find_labeled(tmp_path, "train")


def test_no_class_at_all_is_an_error_that_tells_both_ways(tmp_path, flat):
    flat(tmp_path / "train", {"a.png": 1})
    with pytest.raises(UserError, match=r"labels\.csv .* class folders") as caught:
        find_labeled(tmp_path, "train")
    assert str(tmp_path) in str(caught.value)


def test_classes_are_numbered_in_alphabetical_order():
    assert index_classes(["T72", "", "BMP2", "T72"]) == (("BMP2", "T72"), [1, -1, 0, 1])
    assert index_classes(["", ""]) == ((), [-1, -1])


@pytest.mark.parametrize("name", ["a" * 300 + ".png", "a/" * 3000 + "b.png"])
def test_a_name_that_no_file_can_have_is_one_of_those_that_are_not_there(tmp_path, flat, name):
    flat(tmp_path, {"a.png": 1})
    (tmp_path / "labels.csv").write_text(f"file,class\na.png,T72\n{name},T72\n")
    with pytest.raises(UserError, match="lists 1 images that are not there"):
        find_labeled(tmp_path, "train")


def test_the_folder_itself_is_no_image(tmp_path, flat):
    flat(tmp_path, {"a.png": 1})
    (tmp_path / "labels.csv").write_text("file,class\na.png,T72\n.,T72\n")
    assert [file.name for file, _, _ in find_labeled(tmp_path, "train")] == ["a"]


@pytest.mark.parametrize("separator", [",", ", ", ";", "\t"])
def test_classes_and_splits_of_spreadsheets(tmp_path, flat, separator):
    flat(tmp_path, {"train/a.png": 1, "train/b.png": 1, "test/c.png": 1})
    lines = ["File,Class,SPLIT", "train\\a.png,T72 ,Train", "train\\b.png,T72,TRAIN"]
    lines += ["test\\c.png, T72,Test"]
    table = "\r\n".join(lines).replace(",", separator)
    (tmp_path / "labels.csv").write_text(table, encoding="utf-8", newline="")
    found = [(file.name, name) for file, name, _ in find_labeled(tmp_path, "train")]
    assert found == [("train/a", "T72"), ("train/b", "T72")]
    assert [name for _, name, _ in find_labeled(tmp_path, "test")] == ["T72"]


def test_splits_of_other_names_are_told(tmp_path, flat):
    flat(tmp_path, {"a.png": 1})
    (tmp_path / "labels.csv").write_text("file,class,split\na.png,T72,Training\n")
    with pytest.raises(UserError, match=r"phase 'train' \(labels.csv has the splits training\)"):
        find_labeled(tmp_path, "train")


@pytest.mark.parametrize(("column", "meant"), [("splits", "split"), ("groups", "group")])
def test_a_misspelt_column_is_named(tmp_path, column, meant):
    (tmp_path / "labels.csv").write_text(f"file,class,{column}\na.png,T72,train\n")
    with pytest.raises(UserError, match=f"no column '{meant}': .*'{column}' is near: rename it"):
        read_labels(tmp_path)


def test_lines_that_contradict_each_other_are_refused(tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("file,class\na.png,T72\nb.png,T72\n./a.png,T72 \n")
    assert len(read_labels(tmp_path)) == 2
    table.write_text("file,class\na.png,T72\nb.png,T72\n./a.png,BMP2\n")
    with pytest.raises(UserError, match=r"line 2, and .*line 4, contradict .*a\.png"):
        read_labels(tmp_path)


def test_folders_of_systems_are_no_classes(tmp_path, flat):
    flat(tmp_path / "train", {"T72/1.png": 1, "BMP2/2.png": 1, "@eaDir/T72/3.jpg": 1})
    assert {name for _, name, _ in find_labeled(tmp_path, "train")} == {"T72", "BMP2"}


def test_a_data_root_may_be_named_with_dots(tmp_path, flat):
    flat(tmp_path / "data", {"a.png": 1})
    (tmp_path / "data" / "labels.csv").write_text("file,class\na.png,T72\n")
    assert set(read_labels(tmp_path / "data" / ".." / "data")) == {tmp_path / "data" / "a.png"}
