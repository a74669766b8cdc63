"""Boxes go out with translated images: in their format, in the pixels of the results."""

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

import test as test_program
from data.folders import ImageFile
from data.images import write_image
from data.label_index import LabelIndex
from datasets import make_unpaired
from models.networks import ResnetGenerator
from util.errors import UserError

# Of 32 x 64 pixels, so halved across in results of 32 x 32. T72/a has two vehicles, b none; nothing
# is known of c.
TWO = [("T72", (12.0, 14.0, 8.0, 4.0)), ("BMP2", (40.0, 4.0, 16.0, 8.0))]
HALVED = [("T72", (6.0, 14.0, 4.0, 4.0)), ("BMP2", (20.0, 4.0, 8.0, 8.0))]

SOURCES = {
    "csv": {
        "labels.csv": "file,split,class,range,box_x,box_y,box_w,box_h\n"
        "images/T72/a.png,test,T72,500,12,14,8,4\n"
        "images/T72/a.png,test,BMP2,500,40,4,16,8\n"
        "images/b.png,test,,700,,,,\n"
    },
    "coco": {
        "annotations/coco.json": json.dumps(
            {
                "categories": [{"id": 9, "name": "T72"}, {"id": 4, "name": "BMP2"}],
                "images": [
                    {"id": 71, "file_name": "T72/a.png", "width": 64, "height": 32},
                    {"id": 70, "file_name": "b.png", "width": 64, "height": 32},
                ],
                "annotations": [
                    {"id": 5, "image_id": 71, "category_id": 9, "bbox": [12, 14, 8, 4]},
                    {"id": 6, "image_id": 71, "category_id": 4, "bbox": [40, 4, 16, 8]},
                ],
            }
        )
    },
    "yolo": {
        "labels/T72/a.txt": "1 0.25 0.5 0.125 0.125\n2 0.75 0.25 0.25 0.25\n",
        "labels/b.txt": "",
        "data.yaml": "names: [2S3, T72, BMP2]\n",
    },
    "voc": {
        "Annotations/T72/a.xml": "<annotation><size><width>64</width><height>32</height></size>"
        "<object><name>T72</name><bndbox><xmin>13</xmin><ymin>15</ymin><xmax>20</xmax>"
        "<ymax>18</ymax></bndbox></object><object><name>BMP2</name><bndbox><xmin>41</xmin>"
        "<ymin>5</ymin><xmax>56</xmax><ymax>12</ymax></bndbox></object></annotation>",
        "Annotations/b.xml": "<annotation></annotation>",
    },
}


def put(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)


@pytest.fixture
def root(tmp_path):
    """Images without a table yet."""
    for name in ("T72/a", "b", "c"):
        write_image(tmp_path / f"data/images/{name}.png", np.full((32, 64), 99, np.uint8))
    return tmp_path / "data"


@pytest.fixture
def translate(tmp_path):
    """Run test.py on a folder of data/, its results are 32 x 32 pixels; returns their folder."""
    torch.manual_seed(0)
    net = ResnetGenerator(input_nc=1, output_nc=1, ngf=4, n_blocks=4)
    torch.save(net.state_dict(), tmp_path / "net.pth")

    def run(*flags: str, below: str = "images") -> Path:
        command = (
            f"--model cut --dataset_mode single --dataroot {tmp_path / 'data' / below} --weights "
            f"{tmp_path / 'net.pth'} --netG resnet_4blocks --ngf 4 --load_size 32 --crop_size 32 "
            f"--num_test all --name x --results_dir {tmp_path / 'out'} --num_threads 0 --gpu_ids -1"
        )
        test_program.main([*command.split(), *flags])
        return tmp_path / "out/x/test_latest"

    return run


def targets(table: Path, image: Path) -> list | None:
    label = LabelIndex([table]).find(ImageFile(image, "nowhere"))
    return label and [(target.class_name, target.box) for target in label.targets]


@pytest.mark.parametrize("kind", SOURCES)
def test_boxes_are_found_again_beside_the_results(root, translate, kind):
    put(root, SOURCES[kind])
    assert targets(root, root / "images/T72/a.png") == TWO
    images = translate() / "images/fake_B"
    assert targets(images, images / "T72/a.png") == HALVED
    assert targets(images, images / "b.png") == []
    assert targets(images, images / "c.png") is None


def test_labels_csv_keeps_its_columns(root, translate):
    put(root, SOURCES["csv"])
    table = (translate() / "images/labels.csv").read_text()
    # Without split: whoever trains on results takes all of them.
    assert table.splitlines() == [
        "file,class,range,box_x,box_y,box_w,box_h",
        "fake_B/T72/a.png,T72,500,6,14,4,4",
        "fake_B/T72/a.png,BMP2,500,20,4,8,8",
        "fake_B/b.png,,700,,,,",
    ]


def test_coco_keeps_its_categories(root, translate):
    put(root, SOURCES["coco"])
    content = json.loads((translate() / "annotations/fake_B.json").read_text())
    assert content["categories"] == [{"id": 9, "name": "T72"}, {"id": 4, "name": "BMP2"}]
    sizes = [(image["file_name"], image["width"], image["height"]) for image in content["images"]]
    assert sizes == [("T72/a.png", 32, 32), ("b.png", 32, 32)]
    ids = {image["file_name"]: image["id"] for image in content["images"]}
    keys = ("image_id", "category_id", "bbox", "area", "iscrowd")
    assert [[entry[key] for key in keys] for entry in content["annotations"]] == [
        [ids["T72/a.png"], 9, [6, 14, 4, 4], 16, 0],
        [ids["T72/a.png"], 4, [20, 4, 8, 8], 64, 0],
    ]


def test_yolo_keeps_its_class_numbers_and_its_folders(root, translate):
    put(root, SOURCES["yolo"])
    folder = translate()
    # Shares of the image, so they are as they were.
    assert (folder / "labels/fake_B/T72/a.txt").read_text() == (
        "1 0.250000 0.500000 0.125000 0.125000\n2 0.750000 0.250000 0.250000 0.250000\n"
    )
    assert (folder / "labels/fake_B/b.txt").read_text() == ""
    assert not (folder / "labels/fake_B/c.txt").exists()
    assert (folder / "data.yaml").read_text().splitlines() == [
        *("train: images/fake_B", "val: images/fake_B"),
        *("names:", '  0: "2S3"', '  1: "T72"', '  2: "BMP2"'),
    ]


def test_voc_counts_pixels_from_1(root, translate):
    put(root, SOURCES["voc"])
    file = ElementTree.parse(translate() / "Annotations/fake_B/T72/a.xml")
    assert [file.findtext(f"size/{length}") for length in ("width", "height")] == ["32", "32"]
    assert file.findtext("filename") == "a.png"
    corners = [[int(edge.text) for edge in box] for box in file.iter("bndbox")]
    assert corners == [[7, 15, 10, 18], [21, 5, 28, 12]]
    assert [name.text for name in file.iter("name")] == ["T72", "BMP2"]


def test_another_run_leaves_nothing_of_the_one_before(root, translate):
    put(root, SOURCES["yolo"])
    assert len(list(translate().rglob("*.txt"))) == 2
    assert len(list(translate("--num_test", "1").rglob("*.txt"))) == 1
    for name in SOURCES["yolo"]:
        (root / name).unlink()
    left = {path.name for path in translate().iterdir()}
    assert left == {"images", "index.html", "result.json"}


def test_results_with_other_boxes_are_not_left_as_they_are(root, translate, capsys):
    put(root, SOURCES["yolo"])
    translate("--resume")
    translate("--resume")
    assert "left as it is" in capsys.readouterr().out
    (root / "labels/b.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    with pytest.raises(UserError, match="was made from other labels"):
        translate("--resume")


def test_a_box_that_is_none_stops_before_anything_is_translated(root, translate, tmp_path):
    put(root, {"labels.csv": "file,box_x,box_y,box_w,box_h\nimages/b.png,1,2,x,4\n"})
    with pytest.raises(UserError, match=r"labels\.csv, line 2: box_w is 'x'"):
        translate()
    assert not (tmp_path / "out").exists()


def test_results_of_a_dataset_of_links_have_the_format_of_its_images(tmp_path, translate):
    for image in ("sim/train/a", "sim/test/a", "real/train/a", "real/test/a"):
        write_image(tmp_path / f"data/{image}.png", np.full((32, 64), 99, np.uint8))
    line = "1 0.250000 0.500000 0.125000 0.125000\n"
    boxes = {f"sim/{split}/a.txt": line for split in ("train", "test")}
    put(tmp_path / "data", boxes | {"sim/classes.txt": "2S3\nT72\nBMP2\n"})
    folders = [str(tmp_path / "data" / name) for name in ("real", "sim", "sets")]
    make_unpaired.main(["--real", folders[0], "--sim", folders[1], "--out", folders[2]])
    folder = translate(below="sets/mwir_sim2cut")
    assert (folder / "labels/fake_B/a.txt").read_text() == line
    assert [line.strip() for line in (folder / "data.yaml").read_text().splitlines()[3:]] == [
        *('0: "2S3"', '1: "T72"', '2: "BMP2"')
    ]
    # Of the real images, nothing is known.
    written = translate(below="sets/mwir_real2cut") / "images/labels.csv"
    assert written.read_text().splitlines()[1:] == ["fake_B/a.png,,,,,"]
