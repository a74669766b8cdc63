"""YOLO text: folders, class lists and lines as programs write them, and faults with their lines."""

import pytest

from data.annotations.find import find_annotations, read_annotations
from data.folders import ImageFile
from data.label_index import LabelIndex
from data.labels import read_labels
from util.errors import UserError

# Of 32 x 64 pixels: centre (16, 16), 8 wide and 4 high; centre (48, 8), 16 wide and 8 high.
LINES = "1 0.25 0.5 0.125 0.125\n0 0.75 0.25 0.25 0.25\n"
BOXES = [("T72", (12.0, 14.0, 8.0, 4.0)), ("BMP2", (40.0, 4.0, 16.0, 8.0))]
NAMES = "names: [BMP2, T72]\n"


@pytest.fixture
def yolo(tmp_path, flat):
    """yolo(files): these text files, and these images of 32 x 64 pixels."""

    def write(files: dict[str, str], *images: str):
        flat(tmp_path, dict.fromkeys(images, 1), size=(32, 64))
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
            (tmp_path / name).write_text(content)
        return tmp_path

    return write


def objects(root, image):
    label = LabelIndex([root]).find(ImageFile(image, "nowhere"))
    return [(target.class_name, target.box) for target in label.targets]


@pytest.mark.parametrize(
    ("image", "text", "names"),
    [
        ("images/train/a.png", "labels/train/a.txt", "data.yaml"),
        ("train/images/a.png", "train/labels/a.txt", "data.yaml"),
        ("images/a.png", "labels/a.txt", "labels/classes.txt"),
        ("JPEGImages/a.png", "labels/a.txt", "classes.txt"),
        ("a.png", "labels/a.txt", "data.yml"),
        ("a.png", "a.txt", "classes.txt"),
        ("obj/a.png", "obj/a.txt", "obj.names"),
    ],
)
def test_files_are_found_where_programs_put_them(yolo, image, text, names):
    listed = NAMES if names.startswith("data") else "BMP2\nT72\n"
    root = yolo({text: LINES, names: listed}, image)
    assert objects(root, root / image) == BOXES
    # From the folder of the images, too.
    below = (root / image).parent
    assert objects(below, root / image) == BOXES
    if names.startswith("data"):
        assert read_annotations(root / names).lines == find_annotations(root).lines


@pytest.mark.parametrize(
    "listed",
    [
        "nc: 2\nnames: ['BMP2', \"T72\"]  # two\ntrain: images\n",
        "names: ['BMP2',\n  'T72']\n",
        "names:\n- BMP2\n- 'T72'\nnc: 2\n",
        "path: x\nnames:\n  0: BMP2\n\n  # the second\n  1: T72\nnc: 2",
        "names: {1: T72, 0: 'BMP2'}",
        "names: [\n  BMP2, T72,\n]\nnc: 2",
        "names:\n  - BMP2\n  - T72  # the second\n",
    ],
)
def test_class_lists_of_data_yaml(yolo, listed):
    root = yolo({"labels/a.txt": LINES, "data.yaml": listed}, "images/a.png")
    assert objects(root, root / "images/a.png") == BOXES
    assert find_annotations(root).classes == {0: "BMP2", 1: "T72"}


def test_names_keep_blanks_and_commas(yolo):
    listed = "names:\n  0: M 113, early\n  1: 'T-72: B'\n"
    root = yolo({"labels/a.txt": LINES, "data.yaml": listed}, "images/a.png")
    assert find_annotations(root).classes == {0: "M 113, early", 1: "T-72: B"}


def test_an_empty_file_is_an_image_without_a_vehicle_and_none_is_unknown(yolo):
    root = yolo(
        {"labels/a.txt": "", "labels/b.txt": "\n", "labels/c.txt": LINES, "data.yaml": NAMES},
        *("images/a.png", "images/b.png", "images/c.png", "images/d.png"),
    )
    labels = LabelIndex([root])
    a, b, c, d = (labels.find(ImageFile(root / f"images/{n}.png", "x")) for n in "abcd")
    assert a.targets == b.targets == ()
    assert len(c.targets) == 2
    assert d is None


def test_classes_without_a_list_are_called_by_their_numbers(yolo):
    root = yolo({"labels/a.txt": "3 0.25 0.5 0.125 0.125\n"}, "images/train/x.png", "images/a.png")
    assert objects(root, root / "images/a.png") == [("3", (12.0, 14.0, 8.0, 4.0))]


def test_polygons_have_their_extent_and_confidences_do_not_count(yolo):
    lines = "0 0.1 0.25 0.5 0.75 0.2 0.5\n0 0.25 0.5 0.125 0.125 0.93\n"
    root = yolo({"labels/a.txt": lines, "data.yaml": "names: [T72]"}, "images/a.png")
    (_, polygon), (_, box) = objects(root, root / "images/a.png")
    assert polygon == pytest.approx((6.4, 8.0, 25.6, 16.0))
    assert box == (12.0, 14.0, 8.0, 4.0)


def test_splits_are_those_of_the_folders(yolo):
    files = {f"labels/{s}/a.txt": LINES for s in ("train", "val", "other")}
    root = yolo(files, *(f"images/{s}/a.png" for s in ("train", "val", "other")))
    splits = {path.parent.name: label.split for path, label in read_labels(root).items()}
    assert splits == {"train": "train", "val": "val", "other": ""}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("2 0.5 0.5 0.1 0.1", "line 2: there is no class 2 in "),
        ("-1 0.5 0.5 0.1 0.1", "line 2: '-1 0.5 0.5 0.1 0.1' is no class number"),
        ("0.5 0.5 0.5 0.1 0.1", "line 2: '0.5 0.5 0.5 0.1 0.1' is no class number"),
        ("nan 0.5 0.5 0.1 0.1", "line 2: 'nan 0.5 0.5 0.1 0.1' is no class number"),
        ("0 0.5 0.5 0.1", "line 2: '0 0.5 0.5 0.1' is no class number"),
        ("T72 0.5 0.5 0.1 0.1", "line 2: 'T72 0.5 0.5 0.1 0.1' is no class number"),
        ("0 32 16 8 4", "line 2: '0 32 16 8 4' is not in shares of the image's width"),
        ("0 0.5 0.5 0 0.1", "line 2: the box has no area"),
    ],
)
def test_faults_are_told_with_the_line(yolo, line, words):
    text = f"0 0.5 0.5 0.1 0.1\n{line}\n"
    root = yolo({"labels/a.txt": text, "data.yaml": NAMES}, "images/a.png")
    with pytest.raises(UserError) as caught:
        find_annotations(root)
    assert str(caught.value).startswith(f"{root / 'labels/a.txt'}, {words}")


@pytest.mark.parametrize("listed", ["names:\n", "names: {0: a, 1: b}: x\n", "names: []\n"])
def test_a_class_list_that_is_none_is_refused(yolo, listed):
    root = yolo({"labels/a.txt": LINES, "data.yaml": listed}, "images/a.png")
    with pytest.raises(UserError, match=r"data\.yaml: its 'names' are not read; write them as"):
        find_annotations(root)


def test_notes_beside_images_are_no_boxes(yolo):
    root = yolo({"a.txt": "Camera 3, 12.5 m\n", "b.txt": ""}, "a.png", "b.png", "c.png")
    (root / "c.txt").write_bytes(b"12.5 \xb0C")
    assert find_annotations(root) is None


def test_an_image_that_is_none_has_no_boxes_yet(yolo):
    root = yolo({"labels/a.txt": LINES, "labels/b.txt": LINES, "images/b.png": "x"}, "images/a.png")
    assert LabelIndex([root]).find(ImageFile(root / "images/b.png", "b")).targets == ()
