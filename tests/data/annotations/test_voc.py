"""Pascal VOC: 1-based corners, several objects, and faults with the object."""

import pytest

from data.annotations.find import find_annotations
from data.folders import ImageFile
from data.label_index import LabelIndex
from util.errors import UserError

SIZE = "<size><width>64</width><height>32</height><depth>1</depth></size>"


def thing(name: str, *corners: object) -> str:
    tags = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=False)
    box = "".join(f"<{tag}>{value}</{tag}>" for tag, value in tags)
    return f"<object><name>{name}</name><difficult>0</difficult><bndbox>{box}</bndbox></object>"


@pytest.fixture
def voc(tmp_path, flat):
    """voc(objects, image, xml): an image of 32 x 64 pixels and its file."""

    def write(content: str, image: str = "JPEGImages/a.png", xml: str = "Annotations/a.xml"):
        flat(tmp_path, {image: 1}, size=(32, 64))
        (tmp_path / xml).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / xml).write_text(content)
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("image", "xml"),
    [
        ("JPEGImages/a.png", "Annotations/a.xml"),
        ("images/train/a.png", "Annotations/train/a.xml"),
        ("T72/a.png", "T72/a.xml"),
        ("a.png", "Annotations/a.xml"),
    ],
)
def test_pixels_count_from_1_and_the_last_is_in_the_box(voc, image, xml):
    objects = thing("T72", 1, 1, 64, 32) + thing(" BMP2 ", 11, 5, 20, 8.5)
    root = voc(f"<annotation><filename>b.jpg</filename>{SIZE}{objects}</annotation>", image, xml)
    for folder in (root, (root / image).parent):
        label = LabelIndex([folder]).find(ImageFile(root / image, "x"))
        assert [(t.class_name, t.box) for t in label.targets] == [
            ("T72", (0, 0, 64, 32)),
            ("BMP2", (10, 4, 10, 4.5)),
        ]
        assert label.class_name == ""


def test_no_object_is_an_image_without_one(voc):
    root = voc(f"<annotation>{SIZE}</annotation>")
    assert LabelIndex([root]).find(ImageFile(root / "JPEGImages/a.png", "x")).targets == ()


@pytest.mark.parametrize("length", ["0", "²"])
def test_a_size_that_is_none_is_that_of_the_image(voc, length):
    size = SIZE.replace("64", length).replace("32", length)
    root = voc(f"<annotation>{size}{thing('T72', 33, 17, 64, 32)}</annotation>")
    label = LabelIndex([root]).find(ImageFile(root / "JPEGImages/a.png", "x"))
    assert label.corners(64, 128) == (64, 32, 128, 64)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (thing("T72", 3, 3, 9, 9) + thing("", 3, 3, 9, 9), "object 2: it has no <name>"),
        (thing("T72", 3, 3, 9), "object 1: <ymax> is missing"),
        (thing("T72", 3, "x", 9, 9), "object 1: <ymin> is 'x', which is no number"),
        (thing("T72", 3, 3, "nan", 9), "object 1: <xmax> is 'nan'"),
        (thing("T72", 9, 3, 3, 9), "object 1: the box ends at (3, 9), before it begins at (9, 3)"),
    ],
)
def test_faults_are_told_with_the_object(voc, content, words):
    root = voc(f"<annotation>{content}</annotation>")
    with pytest.raises(UserError) as caught:
        find_annotations(root)
    assert str(caught.value).startswith(f"{root / 'Annotations/a.xml'}, {words}")


def test_what_is_no_xml_or_defines_entities_is_refused(voc):
    with pytest.raises(UserError, match=r"a\.xml is no XML"):
        find_annotations(voc("<annotation>"))
    bomb = '<!DOCTYPE a [<!ENTITY b "x">]><annotation>&b;</annotation>'
    with pytest.raises(UserError, match=r"a\.xml defines entities"):
        find_annotations(voc(bomb))


def test_xml_of_a_camera_is_no_box(voc):
    assert find_annotations(voc("<camera/>", "a.png", "a.xml")) is None
