"""COCO JSON: names, ids and boxes as exports have them, and faults with their entries."""

import json

import pytest

from data.annotations.find import find_annotations, read_annotations
from data.folders import ImageFile, find_images
from data.label_index import LabelIndex
from data.labels import read_labels
from util.errors import UserError

CATEGORIES = [{"id": 7, "name": "T72"}, {"id": 3, "name": "BMP2"}]


def image(number: int, name: str, **more: object) -> dict:
    return {"id": number, "file_name": name, "width": 64, "height": 32, **more}


def annotation(number: int, of: int, category: int, box: object, **more: object) -> dict:
    return {"id": number, "image_id": of, "category_id": category, "bbox": box, **more}


@pytest.fixture
def coco(tmp_path, flat):
    """coco(annotations, images): a.png, T72/b.png and c.png with a coco.json beside them."""
    flat(tmp_path, {"a.png": 1, "T72/b.png": 1, "c.png": 1}, size=(32, 64))

    def write(annotations: list, images: list | None = None, *, to: str = "coco.json"):
        named = [image(10, "a.png"), image(20, "T72/b.png"), image(30, "c.png")]
        content = {"images": images or named, "annotations": annotations, "categories": CATEGORIES}
        path = tmp_path / to
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(json.dumps(content))
        return path

    return write


def test_objects_of_a_file_are_read_with_their_classes(tmp_path, coco):
    coco(
        [
            annotation(1, 10, 7, [4, 2, 8, 6]),
            annotation(2, 20, 7, [1.5, 2, 3, 4]),
            annotation(3, 10, 3, [30, 10, 20, 15.5]),
            annotation(4, 20, 7, [20, 2, 3, 4]),
        ]
    )
    labels = LabelIndex([find_annotations(tmp_path)])
    a, b, c = (labels.find(ImageFile(tmp_path / n, "")) for n in ("a.png", "T72/b.png", "c.png"))
    assert [(t.class_name, t.box) for t in a.targets] == [
        ("T72", (4, 2, 8, 6)),
        ("BMP2", (30, 10, 20, 15.5)),
    ]
    assert (a.class_name, b.class_name, c.class_name) == ("", "T72", "")
    assert [t.box for t in b.targets] == [(1.5, 2, 3, 4), (20, 2, 3, 4)]
    # Listed, and without an object: not the same as an image that is not listed.
    assert c.targets == ()
    classes = {path.name: label.class_name for path, label in read_labels(tmp_path).items()}
    assert classes == {"a.png": "", "b.png": "T72", "c.png": ""}


@pytest.mark.parametrize(
    "name", ["T72\\b.png", "C:\\export\\T72\\b.png", "/x/y/T72/b.jpg", "b.png"]
)
def test_a_name_of_another_machine_is_the_image_whose_path_ends_so(tmp_path, coco, name):
    coco([annotation(1, 1, 7, [4, 2, 8, 6])], [image(1, name)])
    assert set(read_labels(tmp_path)) == {tmp_path / "T72" / "b.png"}


@pytest.mark.parametrize("to", ["annotations/instances.json", "T72/_annotations.coco.json"])
@pytest.mark.parametrize("root", ["", "T72"])
def test_files_are_found_where_exports_put_them(tmp_path, coco, to, root):
    coco([annotation(1, 1, 7, [4, 2, 8, 6])], [image(1, "b.png")], to=to)
    assert set(read_labels(tmp_path / root)) == {tmp_path / "T72" / "b.png"}
    label = LabelIndex([tmp_path / to]).find(ImageFile(tmp_path / "T72/b.png", ""))
    assert label.box == (4, 2, 8, 6)


def test_a_file_of_one_split_means_the_images_of_that_split(tmp_path, flat, coco):
    flat(tmp_path / "coco", {"train2017/1.png": 1, "val2017/1.png": 1})
    for split, width in (("train", 3), ("val", 5)):
        path = f"coco/annotations/instances_{split}2017.json"
        coco([annotation(1, 1, 7, [4, 2, width, 6])], [image(1, "1.png")], to=path)
    for root in (tmp_path / "coco", tmp_path / "coco/train2017"):
        label = read_labels(root)[tmp_path / "coco/train2017/1.png"]
        assert (label.row["box_w"], label.split) == ("3", "train")


def test_a_name_that_several_images_have_is_refused(tmp_path, flat, coco):
    flat(tmp_path, {"x/1.png": 1, "y/1.png": 1})
    coco([], [image(1, "1.png")])
    with pytest.raises(UserError, match=r"coco.json, image 1: '1.png' may be .*x/1.* or .*y/1"):
        find_annotations(tmp_path)


def test_two_names_of_one_image_are_refused_and_val_is_not_train(tmp_path, flat, coco):
    flat(tmp_path, {"train/1.png": 1})
    path = coco(
        [annotation(1, 2, 7, [4, 2, 8, 6])], [image(1, "train/1.png"), image(2, "val/1.png")]
    )
    assert read_labels(tmp_path)[tmp_path / "train/1.png"].class_name == ""
    coco([], [image(1, "train/1.png"), image(2, "x/1.png")])
    with pytest.raises(UserError, match=r"image 2: .*1\.png is that of .*image 1, too; name each"):
        find_annotations(path.parent)


def test_crowds_are_left_out_and_polygons_have_their_extent(tmp_path, coco):
    polygons = [[5, 6, 9, 6, 9, 12], [4, 7, 6, 7.5, 5, 8]]
    coco(
        [
            {**annotation(1, 10, 7, None), "iscrowd": 1, "segmentation": {"counts": [1]}},
            {**annotation(2, 10, 7, []), "segmentation": polygons},
        ]
    )
    label = LabelIndex([tmp_path / "coco.json"]).find(ImageFile(tmp_path / "a.png", "a"))
    assert [t.box for t in label.targets] == [(4, 6, 5, 6)]


def test_boxes_count_in_the_size_that_the_file_states(tmp_path, coco):
    coco([annotation(1, 10, 7, [40, 20, 16, 12])], [image(10, "a.png", width=128, height=64)])
    label = LabelIndex([tmp_path]).find(ImageFile(tmp_path / "a.png", "a"))
    assert label.corners(32, 64) == (20, 10, 28, 16)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (annotation(5, 99, 7, [1, 2, 3, 4]), "annotation 5: there is no image 99"),
        (annotation(5, 10, 4, [1, 2, 3, 4]), "annotation 5: there is no category 4"),
        (annotation(5, 10, 7, [1, 2, 3]), "annotation 5: its 'bbox' is no list of 4 numbers"),
        (annotation(5, 10, 7, [1, 2, "3", 4]), "annotation 5: its 'bbox' is no list"),
        (annotation(5, 10, 7, [1, float("nan"), 3, 4]), "annotation 5: its 'bbox' is no list"),
        (annotation(5, 10, 7, [1, 2, 0, 4]), "annotation 5: the box is 0 pixels wide and 4 high"),
        (annotation(5, 10, 7, None, segmentation=[[1, 2, "x"]]), "annotation 5: its 'bbox'"),
        ({"id": 5, "image_id": 10, "bbox": [1, 2, 3, 4]}, "annotation 5: 'category_id' is missing"),
        ({"bbox": [1, 2, 3, 4]}, "annotation number 1: 'image_id' is missing"),
        ([], "'annotations' is no list of objects"),
    ],
)
def test_faults_are_told_with_the_entry(tmp_path, coco, entry, words):
    path = coco([entry])
    with pytest.raises(UserError) as caught:
        find_annotations(tmp_path)
    assert str(caught.value).startswith(str(path))
    assert words in str(caught.value)


@pytest.mark.parametrize("content", ["{", "[]", '{"images": 3}', "[" * 10**5])
def test_what_is_no_coco_is_refused_where_it_is_named_and_passed_over_else(tmp_path, flat, content):
    flat(tmp_path, {"a.png": 1})
    (tmp_path / "x.json").write_text(content)
    assert find_annotations(tmp_path) is None
    with pytest.raises(UserError, match=r"x\.json (is no JSON|has no list 'images')"):
        read_annotations(tmp_path / "x.json")


def test_an_image_twice_and_classes_numbered_in_two_ways_are_refused(tmp_path, coco):
    coco([], [image(10, "a.png"), image(10, "c.png")])
    with pytest.raises(UserError, match="image 10: image 10 is there twice"):
        find_annotations(tmp_path)
    coco([annotation(1, 10, 7, [4, 2, 8, 6])])
    second = json.loads((tmp_path / "coco.json").read_text())
    second["categories"] = [{"id": 7, "name": "BMP2"}]
    (tmp_path / "more.json").write_text(json.dumps(second))
    with pytest.raises(UserError, match=r"more\.json: category 7 is 'BMP2', and 'T72' in "):
        find_annotations(tmp_path)


def test_labels_csv_goes_before(tmp_path, coco):
    coco([annotation(1, 10, 7, [4, 2, 8, 6])])
    (tmp_path / "labels.csv").write_text("file,class\na.png,ZSU\n")
    found = {path.name: label.class_name for path, label in read_labels(tmp_path).items()}
    assert found == {"a.png": "ZSU"}
    assert len(find_images(tmp_path)) == 3


@pytest.fixture
def domains(tmp_path, flat):
    """domains(file, name): real/ and sim/ with images of the same names, and COCO of one of them.

    Returns the labels of each.
    """
    flat(tmp_path / "real", {"train/a.png": 1, "train/b.png": 1}, size=(32, 64))
    flat(tmp_path / "sim", {"train/a.png": 1}, size=(32, 64))

    def write(to: str, *names: str) -> list[set[str]]:
        images = [image(number, name) for number, name in enumerate(names)]
        objects = [annotation(n, n, 7, [4, 2, 8, 6]) for n in range(len(names))]
        content = {"images": images, "annotations": objects, "categories": CATEGORIES}
        (tmp_path / "annotations").mkdir(exist_ok=True)
        (tmp_path / to).write_text(json.dumps(content))
        found = (read_labels(tmp_path / domain) for domain in ("real", "sim"))
        return [{file.relative_to(tmp_path).as_posix() for file in labels} for labels in found]

    return write


@pytest.mark.parametrize(
    ("to", "name"),
    [
        ("annotations/sim.json", "a.png"),
        ("sim.json", "a.png"),
        ("annotations/instances_sim.json", "train/a.png"),
        ("annotations/boxes.json", "sim/train/a.png"),
        ("annotations/boxes.json", "D:\\export\\sim\\train\\a.jpg"),
        ("boxes.json", "sim/train/a.png"),
    ],
)
def test_boxes_of_one_domain_are_not_those_of_the_other(domains, to, name):
    assert domains(to, name) == [set(), {"sim/train/a.png"}]


def test_a_file_of_one_domain_does_not_mean_images_of_the_other_that_it_lacks(domains):
    assert domains("annotations/sim.json", "b.png") == [set(), set()]
    assert domains("annotations/sim.json", "sim/train/b.png") == [set(), set()]


def test_one_file_may_list_both_domains(domains, tmp_path):
    names = ("real/train/a.png", "sim/train/a.png")
    assert domains("annotations/boxes.json", *names) == [{names[0]}, {names[1]}]
    index = LabelIndex([tmp_path / "annotations" / "boxes.json"])
    assert all(index.listed(tmp_path / name) for name in names)


def test_a_name_that_images_of_both_domains_have_is_refused(domains):
    with pytest.raises(UserError, match=r"'a\.png' may be .*real.* or .*sim.*; name it with"):
        domains("annotations/boxes.json", "a.png")


@pytest.mark.parametrize(("to", "found"), [("real", False), ("sim", True)])
def test_the_domain_is_told_from_the_folder_of_one_split_too(domains, tmp_path, to, found):
    domains(f"annotations/{to}.json", "a.png")
    assert bool(read_labels(tmp_path / "sim" / "train")) == found


def test_names_of_both_domains_are_refused_from_the_folder_of_one_split_too(domains, tmp_path):
    with pytest.raises(UserError, match=r"'a\.png' may be"):
        domains("annotations/boxes.json", "a.png")
    with pytest.raises(UserError, match=r"'a\.png' may be .*sim.* or .*real"):
        read_labels(tmp_path / "sim" / "train")


def test_a_file_beside_the_images_means_none_of_the_folder_above(tmp_path, coco, flat):
    flat(tmp_path / "T72" / "more", {"a.png": 1}, size=(32, 64))
    coco([annotation(1, 1, 7, [4, 2, 8, 6])], [image(1, "a.png")], to="T72/boxes.json")
    assert set(read_labels(tmp_path / "T72")) == {tmp_path / "T72" / "more" / "a.png"}


def test_the_name_of_the_file_tells_the_domain_below_one_root_too(domains, tmp_path):
    domains("annotations/sim.json", "a.png")
    (line,) = read_annotations(tmp_path / "annotations" / "sim.json").lines
    assert line.file == tmp_path / "sim" / "train" / "a.png"
