"""Labelled images in parts: what windows and chips show, and what is refused."""

import pickle
from collections import Counter

import numpy as np
import pytest
import torch

from data.chips import ChipScale, cut_chips
from data.loader import Loader
from data.views import MARGIN, SWAPPED, range_class, show, swap_background
from models import MODEL_OPTIONS
from options import parse_train
from tests.data.samples import item, training_datasets
from util.errors import UserError

HEIGHT, WIDTH = 160, 200
WARM = 240
COLUMNS = "file,class,group,range_m,box_x,box_y,box_w,box_h"
CPU = torch.device("cpu")


class Field:
    """Frames of even grounds, a grey level a recording, each with a warm target of even grey.

    At r metres it is 24000/r pixels wide and 0.6 times as high.
    """

    def __init__(self, root, write):
        self.root, self.write, self.rows = root, write, []

    def frame(self, name, group, range_m, *, x=None, y=None, ground=0, class_name="T72") -> None:
        w = round(24000 / (range_m or 1000))
        h = round(0.6 * w)
        x, y = (88 if x is None else x), (70 if y is None else y)
        image = np.full((HEIGHT, WIDTH), ground, np.uint8)
        image[y : y + h, x : x + w] = WARM
        self.write(self.root / f"{name}.png", image)
        self.rows.append(f"{name}.png,{class_name},{group},{range_m or ''},{x},{y},{w},{h}")

    def save(self) -> None:
        (self.root / "labels.csv").write_text("\n".join([COLUMNS, *self.rows]) + "\n")

    def datasets(self, *flags):
        self.save()
        argv = ["--dataroot", str(self.root), "--model", "classifier", "--preprocess", "none"]
        return training_datasets(parse_train([*argv, *flags], MODEL_OPTIONS))


@pytest.fixture
def field(tmp_path, write):
    """Two classes of three recordings, with two frames each, at 1,000 and 2,000 m."""
    found = Field(tmp_path, write)
    for c, class_name in enumerate(("BMP2", "T72")):
        for group in range(3):
            for i, range_m in enumerate((1000, 2000)):
                place = {"x": 60 + 20 * group, "y": 50 + 15 * i, "ground": 20 + 30 * group + 15 * c}
                name = f"{class_name}_{group}_{i}"
                found.frame(name, f"g{group}", range_m, class_name=class_name, **place)
    return found


def batch_of(dataset, epochs=range(1, 9)):
    raw = dataset.collect([(epoch, i) for epoch in epochs for i in range(len(dataset))])
    return dataset.prepare(raw), raw


def warm_box(image: torch.Tensor) -> list[float]:
    """Of the part of an image (1, H, W) that is warmer than halfway between its extremes."""
    warm = image[0] > (image.min() + image.max()) / 2
    rows, columns = (warm.any(dim=d).nonzero().flatten().tolist() for d in (1, 0))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


# --- windows


def test_boxes_go_where_windows_show_the_targets(field):
    dataset, _ = field.datasets("--view", "window")
    batch, _ = batch_of(dataset)
    assert batch.a.shape == (len(batch.names), 1, 128, 128) and batch.a.abs().max() <= 1
    for image, box in zip(batch.a, batch.box_a[:, 0], strict=True):
        assert warm_box(image) == pytest.approx(box.tolist(), abs=2.5)
    assert batch.label.tolist() == [int(name.startswith("T72")) for name in batch.names]


def test_targets_lie_anywhere_and_whole_in_windows(field):
    dataset, _ = field.datasets("--view", "window")
    batch, _ = batch_of(dataset, range(1, 31))
    boxes = batch.box_a[:, 0]
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2 / 128
    for axis in (0, 1):
        thirds = Counter((middles[:, axis] * 3).int().tolist())
        assert len(thirds) == 3 and min(thirds.values()) > 0.15 * len(boxes)
    shapes = (boxes[:, 2] - boxes[:, 0]) / (boxes[:, 3] - boxes[:, 1])
    expected = torch.tensor([24 / 14 if name.endswith("0") else 12 / 7 for name in batch.names])
    torch.testing.assert_close(shapes, expected, rtol=1e-3, atol=0)


def test_ranges_shown_are_those_of_all_images_and_a_little_more(field):
    """A target of 24 m·px is 2 · 24000 / r' pixels wide in a window that shows it at r' metres."""
    dataset, _ = field.datasets("--view", "window")
    batch, _ = batch_of(dataset, range(1, 41))
    wide = batch.box_a[:, 0, 2] - batch.box_a[:, 0, 0]
    near = np.array([name.endswith("0") for name in batch.names])
    shown = 48000 / wide.numpy()
    assert 900 <= shown.min() < 950 and 2050 < shown.max() <= 2200
    for kind in (near, ~near):  # whatever the own range, log-uniform
        assert np.log(shown[kind]).mean() == pytest.approx(np.log(900 * 2200) / 2, abs=0.06)


def test_without_augmentation_windows_show_targets_as_far_away_as_they_are(field):
    dataset, _ = field.datasets("--view", "window", "--no_augment", "--no_flip")
    batch, raw = batch_of(dataset)
    sizes = (batch.box_a[:, 0, 2:] - batch.box_a[:, 0, :2]).tolist()
    assert {name[-1]: tuple(map(round, s)) for name, s in zip(batch.names, sizes, strict=True)} == {
        "0": (48, 28),
        "1": (24, 14),
    }
    assert raw.images["A"].change is None and len(raw.images["A"].swapped) == 0
    values = {round(float(v)) for v in (batch.a.amax(dim=(1, 2, 3)) + 1) * 127.5}
    assert values == {WARM}


def test_unknown_ranges_are_shown_at_half_to_twice_their_own(tmp_path, write):
    found = Field(tmp_path, write)
    for name in ("BMP2", "T72"):
        for i in range(3):
            found.frame(f"{name}{i}", f"g{i}", None, class_name=name)
    dataset, _ = found.datasets("--view", "window")
    batch, _ = batch_of(dataset, range(1, 61))
    scales = (batch.box_a[:, 0, 2] - batch.box_a[:, 0, 0]) / 48
    assert 0.5 <= scales.min() < 0.55 and 1.8 < scales.max() <= 2


def test_no_window_is_larger_than_the_frame(tmp_path, write):
    """Frames of 160 pixels have 2.5 times what a window shows of a target at its own range."""
    found = Field(tmp_path, write)
    for name in ("BMP2", "T72"):
        for group, range_m in enumerate((500, 500, 4000)):
            found.frame(f"{name}{group}", f"g{group}", range_m, class_name=name)
    dataset, _ = found.datasets("--view", "window", "--hold_out_range", "4000")
    assert dataset.reach == (450, pytest.approx(550))
    dataset.reach = (450, 4400)
    batch, _ = batch_of(dataset, range(1, 31))
    wide = batch.box_a[:, 0, 2] - batch.box_a[:, 0, 0]
    assert 48 * 128 / 160 <= wide.min() < 40


def test_a_sample_follows_from_its_key_alone(field):
    dataset, again = field.datasets("--view", "window")[0], field.datasets("--view", "window")[0]
    first = item(dataset, 3, 1)
    assert torch.equal(item(again, 3, 1).a, first.a)
    assert torch.equal(item(pickle.loads(pickle.dumps(dataset)), 3, 1).a, first.a)
    assert not torch.equal(item(dataset, 4, 1).a, first.a)
    keys = [(3, 0), (3, 1), (3, 1, 1), (3, 1, 2)]
    batch = dataset.prepare(dataset.collect(keys))
    torch.testing.assert_close(batch.a[1], first.a, rtol=0, atol=1e-5)
    assert batch.names[1] == batch.names[2] == batch.names[3]
    for one, other in ((1, 2), (1, 3), (2, 3)):
        assert not torch.equal(batch.a[one], batch.a[other])


def test_reader_processes_change_nothing_and_batches_are_balanced(field):
    dataset, _ = field.datasets("--view", "window")
    common = {"batch_size": 4, "shuffle": True, "seed": 0, "device": CPU}
    alone, helped = (list(Loader(dataset, num_threads=n, **common).epoch(2)) for n in (0, 2))
    for one, other in zip(alone, helped, strict=True):
        assert one.names == other.names and torch.equal(one.a, other.a)
        assert torch.equal(one.box_a, other.box_a)
        assert one.label.sum() == 2


def test_windows_of_frames_of_other_sizes_depths_and_colours_share_a_batch(tmp_path, write):
    found = Field(tmp_path, write)
    for name in ("BMP2", "T72"):
        for group in range(3):
            found.frame(f"{name}{group}", f"g{group}", 1000, class_name=name)
    grey = np.full((120, 150), 30, np.uint8)
    grey[70:84, 88:112] = WARM
    write(tmp_path / "T720.png", grey)
    write(tmp_path / "T721.png", grey)
    write(tmp_path / "BMP20.png", np.repeat(grey[..., None], 3, axis=2))
    write(tmp_path / "BMP21.png", np.repeat(grey[..., None], 3, axis=2))
    dataset, _ = found.datasets("--view", "window", "--no_augment")
    batch, _ = batch_of(dataset)
    assert batch.a.shape[1:] == (1, 128, 128)
    for image, box in zip(batch.a, batch.box_a[:, 0], strict=True):
        assert warm_box(image) == pytest.approx(box.tolist(), abs=1.5)


def test_windows_are_of_frames_as_they_are_preprocessed(field):
    """A frame of 160x200 pixels as 80x80: targets are 0.4 times as wide and half as high."""
    flags = ("--preprocess", "resize", "--load_size", "80", "--no_augment")
    dataset, validation = field.datasets("--view", "window", *flags)
    batch, _ = batch_of(dataset)
    near = [i for i, name in enumerate(batch.names) if name.endswith("0")]
    sizes = (batch.box_a[near, 0, 2:] - batch.box_a[near, 0, :2]).mean(dim=0)
    assert sizes.tolist() == pytest.approx([2 * 24 * 0.4, 2 * 14 * 0.5], rel=1e-4)
    assert item(validation, 1, 0).a.shape == (1, 80, 80)


def test_validation_shows_whole_frames_and_their_boxes(field):
    dataset, validation = field.datasets("--view", "window", "--hold_out_range", "2000")
    assert all(name.endswith("0") for name in (f.name for f in dataset.files))
    raw = validation.collect([(1, i) for i in range(len(validation))])
    batch = validation.prepare(raw)
    assert batch.a.shape == (6, 1, HEIGHT, WIDTH)
    for image, box, image_item in zip(batch.a, batch.box_a[:, 0], validation.items, strict=True):
        assert warm_box(image) == box.tolist()
        assert (image_item.range_m, image_item.file.name[:-4]) == (
            2000,
            image_item.class_name,
        )
    assert [found.group for found in validation.items] == ["g0", "g1", "g2"] * 2


# --- other backgrounds


def test_a_quarter_of_the_windows_has_the_background_of_another_recording(field):
    dataset, _ = field.datasets("--view", "window")
    batch, raw = batch_of(dataset, range(1, 51))
    found = raw.images["A"]
    assert len(found.swapped) / len(batch.names) == pytest.approx(SWAPPED, abs=0.06)
    grounds = {f.name: int(dataset.domains["A"].read(i)[0, 0]) for i, f in enumerate(dataset.files)}
    behind = found.parts[len(batch.names) :, 0, 0].tolist()
    for number, ground in zip(found.swapped.tolist(), behind, strict=True):
        assert ground != grounds[batch.names[number]]


def test_swapped_windows_show_one_target_where_its_box_is(field):
    dataset, _ = field.datasets("--view", "window", "--seed", "5")
    batch, raw = batch_of(dataset, range(1, 31))
    found = raw.images["A"]
    plain = show(dataset.domains["A"].encode(found.parts), found)
    for number in found.swapped.tolist():
        box = batch.box_a[number]
        assert len(box) == 1
        assert warm_box(plain[number]) == pytest.approx(box[0].tolist(), abs=2.5)


def test_of_a_sole_recording_no_window_has_another_background(field):
    dataset, _ = field.datasets("--view", "window")
    assert "another background" not in dataset.notes()[-1]
    dataset.items = [dataset.items[0]] * len(dataset.items)
    assert len(batch_of(dataset)[1].images["A"].swapped) == 0
    assert "one recording: none gets another background" in dataset.notes()[-1]


def test_a_swap_keeps_the_target_and_its_contrast_to_what_is_around():
    """Even grounds: the target keeps its difference, times the least or largest change."""
    image, there = torch.full((1, 1, 64, 64), 0.1), torch.full((1, 1, 64, 64), -0.4)
    box = torch.tensor([[24.0, 28, 40, 36]])
    image[..., 28:36, 24:40] = 0.5
    found = swap_background(image, there, box)[0, 0]
    margin = int(16 * MARGIN)
    torch.testing.assert_close(found[28:36, 24:40], torch.full((8, 16), 0.0), atol=1e-4, rtol=0)
    outside = torch.ones(64, 64, dtype=torch.bool)
    outside[28 - 2 * margin : 36 + 2 * margin, 24 - 2 * margin : 40 + 2 * margin] = False
    assert torch.equal(found[outside], there[0, 0][outside])
    torch.testing.assert_close(found[26, 24:40], torch.full((16,), -0.4), atol=1e-4, rtol=0)


def test_a_swap_fades_out_and_takes_over_the_deviation_there():
    generator = torch.Generator().manual_seed(0)
    image, there = torch.randn(2, 1, 1, 64, 64, generator=generator)
    image, there = 0.3 + 0.1 * image, 0.05 * there
    box = torch.tensor([[20.0, 20, 44, 44]])
    found = swap_background(image, there, box)[0, 0]
    assert found[20:44, 20:44].std() == pytest.approx(0.05, rel=0.1)
    assert found[14:20, 14:50].mean() == pytest.approx(
        float(there[0, 0, 14:20, 14:50].mean()), abs=0.02
    )
    between = found[12:14, 26:38] - there[0, 0, 12:14, 26:38]
    assert 0 < between.abs().max() < 0.3


# --- chips


def test_chips_are_of_one_scale_and_about_the_targets(field):
    dataset, validation = field.datasets("--view", "chip", "--hold_out_range", "2000")
    assert dataset.scale == validation.scale == ChipScale(48.0, by_range=True)
    raw = validation.collect([(1, i) for i in range(len(validation))])
    batch = validation.prepare(raw)
    frames = torch.stack(
        [
            validation.domains["A"].value_map.encode(validation.domains["A"].read(i))
            for i in range(6)
        ]
    )
    boxes = torch.tensor(np.stack([found[0] for found in validation.domains["A"].boxes]))
    expected = cut_chips(frames, boxes, [2000] * 6, dataset.scale)
    torch.testing.assert_close(batch.a, expected, rtol=0, atol=1e-5)
    # 12x7 pixels in chips of 24, shown with 96.
    torch.testing.assert_close(batch.box_a[0, 0], torch.tensor([24.0, 34, 72, 62]))


def test_training_chips_move_and_grow_a_little(field):
    dataset, _ = field.datasets("--view", "chip")
    batch, raw = batch_of(dataset, range(1, 31))
    assert batch.a.shape[1:] == (1, 96, 96) and len(raw.images["A"].swapped) == 0
    boxes = batch.box_a[:, 0]
    wide, middles = boxes[:, 2] - boxes[:, 0], (boxes[:, :2] + boxes[:, 2:]) / 2
    assert 0.8 * 48 <= wide.min() < 0.85 * 48 and 1.15 * 48 < wide.max() <= 1.2 * 48
    assert 0.1 * 96 < (middles - 48).abs().max() <= 0.15 * 1.2 * 96
    for image, box in zip(batch.a, boxes, strict=True):
        assert warm_box(image) == pytest.approx(box.tolist(), abs=3.5)


def test_chips_without_ranges_have_one_side(tmp_path, write):
    found = Field(tmp_path, write)
    for name in ("BMP2", "T72"):
        for group in range(3):
            found.frame(f"{name}{group}", f"g{group}", None, class_name=name)
    dataset, _ = found.datasets("--view", "chip")
    assert dataset.scale == ChipScale(48.0, by_range=False)


# --- what models and checkpoints are told


@pytest.mark.parametrize(
    ("view", "size", "balanced", "scale"),
    [
        ("auto", (HEIGHT, WIDTH), False, None),
        ("window", (128, 128), True, None),
        ("chip", (96, 96), True, {"side": 48.0, "by_range": True}),
    ],
)
def test_facts_tell_how_images_are_seen(field, view, size, balanced, scale):
    dataset, _ = field.datasets("--view", view)
    facts = dataset.facts()
    assert (facts.view, facts.balanced) == ("frame" if view == "auto" else view, balanced)
    assert facts.chip_scale == scale and set(facts.sizes["A"]) == {size}
    assert (dataset.strata is None) == (not balanced)


def test_people_are_told_how_images_are_seen(field):
    notes = [field.datasets("--view", view)[0].notes()[-1] for view in ("window", "chip")]
    assert notes == [
        "A: seen in windows of 128 pixels, targets as from 900 to 2,200 m",
        "A: seen in chips of 96 pixels, 48.0 of the image at 1,000 m",
    ]


def test_ranges_are_balanced_in_steps_of_about_a_quarter():
    classes = [range_class(r) for r in (1000.0, 1500.0, 2000.0, 3000.0, 3500.0, None)]
    assert len(set(classes)) == 6
    assert range_class(1000.0) == range_class(1010.0) and range_class(0.2) >= 0


# --- what cannot be seen so


@pytest.mark.parametrize("view", ["window", "chip"])
def test_a_missing_box_is_named(field, view):
    field.rows[2] = field.rows[2].rsplit(",", 4)[0] + ",,,,"
    with pytest.raises(UserError, match=rf"--view {view} needs .* 1 of 6 have none .*BMP2_1_0"):
        field.datasets("--view", view, "--hold_out_range", "2000")
    field.rows = [row.rsplit(",", 4)[0] + ",,,," for row in field.rows]
    with pytest.raises(UserError, match=r"no table has a box .* or use --view frame"):
        field.datasets("--view", view)


@pytest.mark.parametrize("view", ["frame", "window", "chip"])
@pytest.mark.parametrize(
    ("box", "words"), [("300,10,20,20", "lies outside the 200×160"), ("9,9,0,8", "0 pixels wide")]
)
def test_boxes_outside_and_of_no_size_are_named(field, view, box, words):
    # Both of one recording, so that one of them is in validation, where frames need boxes, too.
    for i in range(len(field.rows)):
        field.rows[i] = field.rows[i].rsplit(",", 4)[0] + "," + box
    with pytest.raises(UserError, match=words):
        field.datasets("--view", view)


@pytest.mark.parametrize("view", ["window", "chip"])
def test_class_folders_alone_have_no_boxes(tmp_path, flat, view):
    for name in ("BMP2", "T72"):
        flat(tmp_path / "train" / name, {f"v{v}_{i}.png": 9 for v in range(3) for i in range(2)})
    flags = ["--dataroot", str(tmp_path), "--model", "classifier", "--view", view]
    with pytest.raises(UserError, match=r"there is no labels\.csv"):
        training_datasets(parse_train(flags, MODEL_OPTIONS))


def test_ranges_held_out_need_a_table(tmp_path, flat):
    for name in ("BMP2", "T72"):
        flat(tmp_path / "train" / name, {f"v{v}_{i}.png": 9 for v in range(3) for i in range(2)})
    flags = ["--dataroot", str(tmp_path), "--model", "classifier", "--hold_out_range", "1000"]
    with pytest.raises(UserError, match=r"12 of 12 have none .* labels\.csv, in the column"):
        training_datasets(parse_train(flags, MODEL_OPTIONS))


def test_chips_need_all_ranges_or_none(field):
    field.rows[0] = field.rows[0].replace(",1000,", ",,")
    with pytest.raises(UserError, match=r"1 of 12 images have no range .* or for none"):
        field.datasets("--view", "chip")
