"""Labels by path and by name, boxes at other sizes, and tables that contradict or mislead."""

import math
from pathlib import Path

import pytest

from data import label_index
from data.folders import ImageFile, find_images
from data.images import read_size
from data.label_index import ImageLabel, LabelIndex, Target
from util.errors import UserError

HEADER = "file,class,range_m,box_x,box_y,box_w,box_h\n"
TABLE = f"""{HEADER}real/train/T72/v1_0003.png,T72,1000,20,10,8,4
real/train/2S3/v2_0003.png,2S3,1500.5,,,,
real/test/2S3/v3_0001.png,,,12.5,6.5,5,3
"""


@pytest.fixture
def index(tmp_path):
    """index(table, ...): the LabelIndex of tables with this content, labels.csv the first."""

    def make(*contents: str) -> LabelIndex:
        tables = [tmp_path / f"labels{i or ''}.csv" for i in range(len(contents))]
        for table, content in zip(tables, contents, strict=True):
            table.write_text(content)
        return LabelIndex(tables)

    return make


def told(label: ImageLabel) -> tuple:
    return label.class_name, label.range_m, label.box


def named(name: str, folder: str = "/results") -> ImageFile:
    return ImageFile(Path(folder, f"{name}.png"), name)


def test_a_listed_file_is_found_by_its_path(tmp_path, index):
    labels = index(TABLE)
    found = labels.find(ImageFile(tmp_path / "real/train/T72/v1_0003.png", "x"))
    assert told(found) == ("T72", 1000.0, (20.0, 10.0, 8.0, 4.0))
    assert found.file == tmp_path / "real/train/T72/v1_0003.png"
    roundabout = tmp_path / "real/test/../train/2S3/v2_0003.png"
    assert told(labels.find(ImageFile(roundabout, "x"))) == ("2S3", 1500.5, None)


def test_a_table_may_list_files_beside_its_folder(tmp_path):
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "labels.csv").write_text("file,class\n../real/a.png,T72\n")
    labels = LabelIndex([tmp_path / "tables" / "labels.csv"])
    assert labels.find(ImageFile(tmp_path / "real/a.png", "x")).class_name == "T72"
    assert labels.find(named("real/a")).class_name == "T72"


def test_empty_cells_are_unknown(index):
    assert told(index(TABLE).find(named("v3_0001"))) == ("", None, (12.5, 6.5, 5.0, 3.0))


@pytest.mark.parametrize(
    "name",
    [
        "v1_0003",
        "T72/v1_0003",
        "train/T72/v1_0003",
        "results/x/train_latest/T72/v1_0003",
        "train_latest/v1_0003",
    ],
)
def test_a_result_is_found_by_what_its_name_shares_with_the_table(index, name):
    assert index(TABLE).find(named(name)).class_name == "T72"


@pytest.mark.parametrize("name", ["v9", "1_0003", "v1_0003/x", "v1_0003.png", "T72"])
def test_what_no_table_lists_has_no_label(index, name):
    assert index(TABLE).find(named(name)) is None
    assert LabelIndex([]).find(named(name)) is None


def test_the_own_path_goes_before_the_name(tmp_path, index):
    labels = index("file,class\nsim/a.png,sim\nreal/a.png,real\n")
    assert labels.find(ImageFile(tmp_path / "sim/a.png", "real/a")).class_name == "sim"


def test_the_longest_name_that_fits_decides(index):
    labels = index("file,class\nx/T72/0001.png,T72\nx/BMP2/0001.png,BMP2\n0002.png,ZSU\n")
    assert labels.find(named("T72/0001")).class_name == "T72"
    assert labels.find(named("run/x/BMP2/0001")).class_name == "BMP2"
    assert labels.find(named("run/0002")).class_name == "ZSU"


def test_a_name_of_images_whose_labels_differ_is_refused_with_both_lines(tmp_path, index):
    labels = index("file,class\nx/T72/0001.png,T72\nx/BMP2/0001.png,BMP2\ny/0001.png,ZSU\n")
    with pytest.raises(UserError, match=r"labels\.csv, line 2 .*labels\.csv, line 3") as caught:
        labels.find(named("night/0001"))
    assert str(Path("/results/night/0001.png")) in str(caught.value)


def test_a_name_of_images_with_one_label_is_that_label(index):
    row = "T72,1000,20,10,8,4"
    labels = index(f"{HEADER}train_A/a.png,{row}\ntrain_B/a.png,{row}\n")
    assert told(labels.find(named("a"))) == ("T72", 1000.0, (20.0, 10.0, 8.0, 4.0))


def test_dots_in_names_are_kept_as_for_found_images(tmp_path, flat, index):
    flat(tmp_path / "fake", {"T72/frame.0001.png": 1, "T72/v1.5km.jpg": 2})
    labels = index("file,class\nreal/frame.0001.tif,T72\nreal/v1.5km,BMP2\n")
    classes = [labels.find(file).class_name for file in find_images(tmp_path / "fake")]
    assert classes == ["T72", "BMP2"]


def test_tables_of_one_file_complete_each_other(index):
    labels = index(
        "file,class\na.png,T72\nb.png,\n",
        "file,range,box_x,box_y,box_w,box_h\na.png,300,5,5,2,2\nb.png,200,,,,\n",
    )
    assert told(labels.find(named("a"))) == ("T72", 300.0, (5.0, 5.0, 2.0, 2.0))
    assert told(labels.find(named("b"))) == ("", 200.0, None)
    # A box that does not fit is the fault of the line that holds it.
    with pytest.raises(UserError, match=r"labels1\.csv, line 2: the box"):
        labels.find(named("a")).corners(3, 3)


@pytest.mark.parametrize(
    ("column", "one", "other", "word"),
    [("class", "T72", "BMP2", "class"), ("range_m", "100", "200", "range")],
)
def test_tables_that_contradict_each_other_on_a_file_are_refused(index, column, one, other, word):
    with pytest.raises(UserError, match=rf"line 2, and .*labels1\.csv, line 2, .* {word} of .*a\."):
        index(f"file,{column}\na.png,{one}\n", f"file,{column}\na.png,{other}\n")


def test_lines_of_one_file_with_a_box_each_are_its_objects(index):
    label = index(f"{HEADER}a.png,T72,,20,10,8,4\na.png,BMP2,,40,10,9,5\n").find(named("a"))
    assert [(t.class_name, t.box) for t in label.targets] == [
        ("T72", (20.0, 10.0, 8.0, 4.0)),
        ("BMP2", (40.0, 10.0, 9.0, 5.0)),
    ]
    assert label.all_corners(64, 64) == [(20.0, 10.0, 28.0, 14.0), (40.0, 10.0, 49.0, 15.0)]
    # What looks at one of them takes the largest; the image has a class where all agree.
    assert told(label) == ("", None, (40.0, 10.0, 9.0, 5.0))
    row = "a.png,T72,,20,10,8,4"
    labels = index(f"{HEADER}{row}\n{row}\na.png,T72,,40,10,8,4\n").find(named("a"))
    assert (labels.class_name, len(labels.targets)) == ("T72", 2)


def test_two_tables_with_other_boxes_of_one_file_are_refused(index):
    with pytest.raises(UserError, match=r"line 2, and .*labels1\.csv, line 2, contradict .* box"):
        index(f"{HEADER}a.png,T72,,20,10,8,4\n", f"{HEADER}a.png,T72,,40,10,8,4\n")


def test_two_classes_of_one_file_need_two_boxes(index):
    with pytest.raises(UserError, match=r"line 2, and .*line 3, contradict .* class"):
        index(f"{HEADER}a.png,T72,,20,10,8,4\na.png,BMP2,,,,,\n")


def test_boxes_may_count_in_pixels_of_another_size_than_the_files(tmp_path, flat, index):
    flat(tmp_path, {"a.png": 0}, size=(16, 32))
    label = index("file,image_width,image_height,box_x,box_y,box_w,box_h\na.png,64,32,20,10,8,4\n")
    assert label.find(named("a")).corners(16, 32) == (10.0, 5.0, 14.0, 7.0)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("T72,far,,,,", "range_m is 'far'"),
        ("T72,nan,,,,", "range_m is 'nan'"),
        ("T72,-5,,,,", "range_m is -5"),
        ("T72,,1,2,3,wide", "box_h is 'wide'"),
        ("T72,,1,nan,3,4", "box_y is 'nan'"),
        ("T72,,inf,2,3,4", "box_x is 'inf'"),
        ("T72,,1,2,3,", "box_h is empty"),
        ("T72,,1,2,3", "box_h is empty"),
        ("T72,,1,2,-3,4", "-3 pixels wide"),
        ("T72,,1,2,3,0", "0 high"),
    ],
)
def test_bad_numbers_are_refused_with_table_and_line(tmp_path, index, row, words):
    with pytest.raises(UserError) as caught:
        index(f"{HEADER}good.png,T72,,,,,\na.png,{row}\n")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'labels.csv'}, line 3: ")
    assert words in message


def test_what_is_no_table_is_refused(tmp_path, index):
    with pytest.raises(UserError, match=r"no table .*absent\.csv; check --labels"):
        LabelIndex([tmp_path / "absent.csv"])
    with pytest.raises(UserError, match="no table"):
        LabelIndex([tmp_path])
    with pytest.raises(UserError, match="no column 'file': it has 'name', 'class'"):
        index("name,class\na.png,T72\n")


def test_corners_at_the_size_of_the_labelled_file_and_at_others(tmp_path, flat, index):
    flat(tmp_path / "real/train/T72", {"v1_0003.png": 0}, size=(32, 64))
    label = index(TABLE).find(named("v1_0003"))
    assert label.corners(32, 64) == (20.0, 10.0, 28.0, 14.0)
    assert label.corners(64, 32) == (10.0, 20.0, 14.0, 28.0)


def test_without_the_labelled_file_the_box_is_taken_as_it_is(index):
    label = index(TABLE).find(named("v1_0003"))
    assert label.corners(32, 64) == label.corners(100, 100) == (20.0, 10.0, 28.0, 14.0)


def test_a_box_may_reach_beyond_the_frame():
    label = ImageLabel(Path("a.png"), "", targets=(Target((-2.0, 6.0, 6.0, 3.0), "", "line 2"),))
    assert label.corners(8, 8) == (-2.0, 6.0, 4.0, 9.0)


@pytest.mark.parametrize(("x", "y"), [(-6, 4), (8, 4), (4, -6), (4, 8)])
def test_a_box_outside_the_frame_is_refused_with_table_and_line(x, y):
    target = Target((x, y, 6.0, 6.0), "", "labels.csv, line 7")
    label = ImageLabel(Path("a.png"), "", targets=(target,))
    with pytest.raises(UserError, match=r"labels\.csv, line 7: .* 8×8 pixels"):
        label.corners(8, 8)


def test_no_box_no_corners(index):
    assert index(TABLE).find(named("v2_0003")).corners(8, 8) is None


def test_the_size_of_a_file_is_read_once(tmp_path, flat, index, monkeypatch):
    flat(tmp_path / "real/train/T72", {"v1_0003.png": 0}, size=(32, 64))
    reads = []
    monkeypatch.setattr(label_index, "read_size", lambda p: reads.append(p) or read_size(p))
    labels = index(TABLE)
    for name in ("v1_0003", "T72/v1_0003", "v1_0003"):
        labels.find(named(name)).corners(32, 64)
    assert len(reads) == 1


def test_labels_of_real_tables(shared_data):
    root = shared_data("mwir")
    labels = LabelIndex([root / "labels.csv", root / "sim_labels.csv"])
    real = labels.find(named("2S3/cegr01923_00130003"))
    assert (real.class_name, real.range_m) == ("2S3", 1000.0)
    assert real.corners(512, 640) == pytest.approx((454.0, 226.0, 524.0, 273.0))
    simulated = find_images(root / "sim")
    assert {labels.find(named(file.name)).range_m for file in simulated} >= {200.0, 1500.0}
    for file in find_images(root / "real"):
        corners = labels.find(file).corners(256, 256)
        assert not any(map(math.isnan, corners))


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ("bbox_x,bbox_y,bbox_w,bbox_h", r"no column 'box_x': .*'bbox_x' is near: rename it"),
        ("box x,box y,box w,box h", r"no column 'box_x': .*'box x' is near"),
        ("box_x,box_y,box_width,box_height", r"no column 'box_w': .*'box_width' is near"),
        ("box_x,box_y,box_w,unit", r"no column 'box_h': .*add it"),
    ],
)
def test_columns_almost_of_a_box_are_named(index, columns, words):
    with pytest.raises(UserError, match=words):
        index(f"file,{columns}\na.png,10,10,20,15\n")


def test_boxes_with_decimal_commas(index):
    labels = index("file;range;box_x;box_y;box_w;box_h\na.png;800,5;10,25;1;20;15,5\n")
    assert told(labels.find(named("a"))) == ("", 800.5, (10.25, 1.0, 20.0, 15.5))


def test_a_result_is_found_by_a_name_with_backslashes(index):
    labels = index("file,class\nC:\\data\\T72\\v1_0003.png,T72\n")
    assert labels.find(named("run/T72/v1_0003")).class_name == "T72"
