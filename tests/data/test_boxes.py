"""Boxes go where the images' targets go, from labels.csv into the batch."""

from pathlib import Path

import numpy as np
import pytest
import torch

from data.boxes import pad_boxes
from data.fingerprint import image_fingerprint
from data.transforms import Placement
from models import MODEL_OPTIONS
from options import parse_train
from tests.data.samples import training_datasets
from util.errors import UserError

COLD, HOT = 20, 220
HEADER = "file,split,class,group,box_x,box_y,box_w,box_h\n"


@pytest.fixture
def draw(write):
    """draw(folder, {"a.png": (x, y, w, h)}): images of 60x44 pixels with a hot rectangle.

    Their lines go to labels.csv, the last two folders of their paths kept; None draws nothing.
    """

    def make(folder: Path, targets: dict, *, listed: bool = True, size=(44, 60)) -> None:
        table = folder.parent / "labels.csv"
        lines = table.read_text() if table.exists() else HEADER
        for name, box in targets.items():
            image = np.full(size, COLD, np.uint8)
            if box:
                x, y, w, h = box
                image[y : y + h, x : x + w] = HOT
            write(folder / name, image)
            if listed:
                cells = ",".join(map(str, box)) if box else ",,,"
                lines += f"{folder.name}/{name},train,{'SUV' if box else 'T72'},{name},{cells}\n"
        table.write_text(lines)

    return make


def datasets(root: Path, *flags: str, model: str = "cut", boxes_for: str | None = "--flag"):
    argv = ["--dataroot", str(root), "--model", model, *flags]
    return training_datasets(parse_train(argv, MODEL_OPTIONS), boxes_for=boxes_for)[0]


def batches(dataset, epochs: int = 6):
    for epoch in range(1, epochs + 1):
        yield dataset.prepare(dataset.collect([(epoch, i) for i in range(len(dataset))]))


def check(image: torch.Tensor, boxes: torch.Tensor) -> bool:
    """Whether a box is there; it must be that of the hot pixels, to about half a pixel."""
    hot = image[0] > (COLD + HOT) / 2 / 127.5 - 1
    rows, columns = (hot.any(dim=d).nonzero().flatten().tolist() for d in (1, 0))
    there = boxes[~boxes.isnan().any(dim=1)]
    if not rows:
        assert all(min(x1 - x0, y1 - y0) < 1 for x0, y0, x1, y1 in there.tolist())
        return False
    (box,) = there.tolist()
    assert box == pytest.approx([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], abs=0.6)
    return True


PREPARATIONS = {
    "resize_and_crop": "--load_size 48 --crop_size 32",
    "resize": "--load_size 36",
    "crop": "--crop_size 30",
    "scale_width": "--load_size 97",
    "scale_width_and_crop": "--load_size 50 --crop_size 28",
    "none": "",
}


@pytest.mark.parametrize(("preprocess", "sizes"), PREPARATIONS.items())
@pytest.mark.parametrize("model", ["cut", "pix2pix"])
def test_a_box_holds_the_hot_pixels_of_its_image(tmp_path, draw, model, preprocess, sizes):
    draw(tmp_path / "trainA", {"x.png": (9, 7, 17, 9), "y.png": (30, 20, 20, 14)})
    same = model == "pix2pix"
    other = {"x.png": (9, 7, 17, 9), "y.png": (30, 20, 20, 14)} if same else {"z.png": (3, 5, 9, 9)}
    draw(tmp_path / "trainB", other)
    flags = ["--preprocess", preprocess, *sizes.split()]
    found = [
        check(image, boxes)
        for batch in batches(datasets(tmp_path, *flags, model=model))
        for images, there in ((batch.a, batch.box_a), (batch.b, batch.box_b))
        for image, boxes in zip(images, there, strict=True)
    ]
    assert sum(found) > len(found) / 2


def test_a_classifier_s_boxes_follow_its_augmentation(tmp_path, draw):
    draw(tmp_path / "train", {f"{i}.png": (20, 12, 20, 14) for i in range(3)})
    draw(tmp_path / "train", {f"{i}.png": None for i in range(3, 6)})
    for batch in batches(datasets(tmp_path, "--load_size", "64", model="classifier")):
        assert (batch.box_a.isnan().all(dim=2)[:, 0] == (batch.label == 1)).all()
        for image, (box,) in zip(batch.a, batch.box_a, strict=True):
            if not box.isnan().any():
                x0, y0, x1, y1 = box.round().int().tolist()
                inside = torch.zeros_like(image[0], dtype=torch.bool)
                inside[y0:y1, x0:x1] = True
                assert image[0][inside].mean() > image[0][~inside].mean() + 0.3


def test_an_image_without_a_target_has_a_row_of_nan(tmp_path, draw):
    draw(tmp_path / "trainA", {"x.png": (9, 7, 17, 9), "y.png": None})
    draw(tmp_path / "trainB", {"z.png": (3, 5, 9, 9)})
    draw(tmp_path / "trainA", {"w.png": (1, 1, 4, 4)}, listed=False)
    dataset = datasets(tmp_path, "--preprocess", "none", "--no_flip")
    (batch,) = batches(dataset, epochs=1)
    assert batch.names == ("w", "x", "y") and batch.box_a.shape == (3, 1, 4)
    assert batch.box_a.isnan().all(dim=2).flatten().tolist() == [True, False, True]
    assert batch.box_a[1].tolist() == [[9, 7, 26, 16]]
    assert "A: 1 of 3 images have boxes" in dataset.notes()


@pytest.mark.parametrize("listed", ["trainA", "trainB"])
def test_a_pair_shares_the_boxes_of_both(tmp_path, draw, listed):
    for folder in ("trainA", "trainB"):
        draw(tmp_path / folder, {"x.png": (9, 7, 17, 9)}, listed=folder == listed)
    dataset = datasets(tmp_path, "--preprocess", "none", "--no_flip", model="pix2pix")
    (batch,) = batches(dataset, epochs=1)
    assert batch.box_a.tolist() == batch.box_b.tolist() == [[[9, 7, 26, 16]]]


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
@pytest.mark.parametrize("left", [9, 69])  # in the left half, or in the right one
def test_boxes_of_side_by_side_images_are_in_their_halves(tmp_path, draw, left, direction):
    draw(tmp_path / "train", {"x.png": (left, 7, 17, 9)}, size=(44, 120))
    flags = ["--preprocess", "none", "--no_flip", "--direction", direction]
    (batch,) = batches(datasets(tmp_path, *flags, model="pix2pix"), epochs=1)
    assert batch.box_a.tolist() == batch.box_b.tolist() == [[[9, 7, 26, 16]]]


def test_several_boxes_are_cut_mirrored_and_padded():
    placement = Placement((20, 40), top=5, left=10, height=10, width=20, mirrored=True)
    boxes = np.array([[30, 12, 40, 20], [0, 0, 8, 8], [10, 0, 24, 80]], np.float32)
    # Half as large, less (10, 5), and x from the right: the second one is cut off.
    placed = placement.place(boxes, 40, 80)
    np.testing.assert_array_equal(placed, [[10, 1, 15, 5], [18, 0, 20, 10]])
    padded = pad_boxes([placed, placed[:0], placed[:1]])
    assert padded.shape == (3, 2, 4) and padded.dtype == torch.float32
    assert padded.isnan().all(dim=2).tolist() == [[False, False], [True, True], [False, True]]
    assert pad_boxes([placed[:0]]).isnan().tolist() == [[[True] * 4]]


def test_the_table_is_read_only_where_a_flag_needs_boxes(tmp_path, draw):
    draw(tmp_path / "trainA", {"x.png": (9, 7, 17, 9)})
    draw(tmp_path / "trainB", {"z.png": (3, 5, 9, 9)})
    with_boxes = datasets(tmp_path)
    table = tmp_path / "labels.csv"
    table.write_text(table.read_text().replace("9,7,17,9", "99,7,17,9"))
    plain = datasets(tmp_path, boxes_for=None)
    (batch,) = batches(plain, epochs=1)
    assert batch.box_a is None and batch.box_b is None
    with pytest.raises(UserError, match=r"line 2: the box at \(99, 7\) lies outside the 60×44"):
        datasets(tmp_path)
    table.write_text(table.read_text().replace("99,7,17,9", "8,7,17,9"))
    moved = datasets(tmp_path)
    assert len({image_fingerprint(d) for d in (with_boxes, moved, plain)}) == 3
    assert image_fingerprint(plain) == image_fingerprint(datasets(tmp_path, boxes_for=None))


def test_an_image_of_two_targets_has_two_boxes(tmp_path, draw):
    draw(tmp_path / "trainA", {"x.png": (9, 7, 17, 9)})
    draw(tmp_path / "trainB", {"z.png": (3, 5, 9, 9)})
    table = tmp_path / "labels.csv"
    table.write_text(table.read_text() + "trainA/x.png,train,SUV,x.png,30,20,8,8\n")
    (batch,) = batches(datasets(tmp_path, "--preprocess", "none", "--no_flip"), epochs=1)
    assert batch.box_a.tolist() == [[[9, 7, 26, 16], [30, 20, 38, 28]]]
    assert batch.box_b.tolist() == [[[3, 5, 12, 14]]]


def test_a_domain_without_boxes_is_refused(tmp_path, draw):
    draw(tmp_path / "trainA", {"x.png": (9, 7, 17, 9)})
    draw(tmp_path / "trainB", {"z.png": None})
    with pytest.raises(UserError, match=r"--flag needs boxes .* of the images B has one: .*names"):
        datasets(tmp_path)
    (tmp_path / "labels.csv").unlink()
    with pytest.raises(UserError, match=r"of the images A has one: there is no labels\.csv"):
        datasets(tmp_path)
