"""Pairs of real images: the same scene, and its targets at random temperatures."""

from pathlib import Path

import numpy as np
import pytest

from data.randomized import at_random_temperatures, levels_over_background, targets_in
from models import MODEL_OPTIONS
from options import parse_train
from tests.data.samples import item, training_datasets
from util.errors import UserError

GROUND, SIDE = 40, 48
BOX = np.array([[12, 20, 34, 32]], np.float32)
WARMTH = np.array([100.0])


def scene(dtype=np.uint8, scale: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Textured ground, and a vehicle of hull, turret and engine in BOX; where the vehicle is."""
    rng = np.random.default_rng(0)
    image = GROUND + rng.integers(-1, 2, (SIDE, SIDE))
    vehicle = np.zeros((SIDE, SIDE), bool)
    vehicle[25:32, 12:34] = vehicle[20:25, 18:26] = True
    image[25:32, 12:34] = 90
    image[20:25, 18:26] = 70
    image[26:30, 28:33] = 200
    return (image * scale).astype(dtype), vehicle


def options(root: Path, *flags: str, model: str = "pix2pix"):
    argv = ["--dataroot", str(root), "--model", model, "--dataset_mode", "randomized"]
    argv += ["--sensor", "fit", *flags]
    return parse_train(argv, MODEL_OPTIONS)


@pytest.fixture
def folder(tmp_path, write):
    """Three images with a vehicle each and a fourth without a box, in train_B; one simulated."""
    image, _ = scene()
    lines = ["file,box_x,box_y,box_w,box_h"]
    for name, shift in (("a", 0), ("b", 3), ("c", -2)):
        write(tmp_path / "train_B" / f"{name}.png", np.roll(image, shift, axis=1))
        lines.append(f"train_B/{name}.png,{12 + shift},20,22,12")
    write(tmp_path / "train_B/d.png", image[::-1].copy())
    lines.append("train_B/d.png,,,,")
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    write(tmp_path / "train_A/s.png", image)
    return tmp_path


def test_a_target_is_what_stands_out_in_its_box():
    image, vehicle = scene()
    vehicle[28, 20] = True
    image[28, 20] = GROUND  # enclosed: of the target, too
    image[21, 13] = 80  # a speck
    (target,) = targets_in(image, BOX)
    found = np.zeros_like(vehicle)
    found[target.where] = target.mask
    assert (found == vehicle).all() and target.background == GROUND


def test_levels_are_those_over_the_background():
    image, vehicle = scene()
    levels = levels_over_background(image, BOX)
    assert sorted(levels) == sorted(image[vehicle].astype(float) - GROUND)


@pytest.mark.parametrize("box", [[0, 0, SIDE, SIDE], [0, 0, 8, 8]], ids=["no ring", "flat"])
def test_a_box_that_shows_no_target_against_a_ring_is_left_out(box):
    image = np.full((SIDE, SIDE), GROUND, np.uint8)
    boxes = np.array([box], np.float32)
    assert not targets_in(image, boxes) and not len(levels_over_background(image, boxes))
    changed = at_random_temperatures(image, boxes, WARMTH, np.random.default_rng(0))
    assert (changed == image).all()


@pytest.mark.parametrize(
    ("dtype", "scale"), [(np.uint8, 1), (np.uint16, 250), (np.float32, 2)], ids=str
)
def test_only_the_target_changes_and_the_type_stays(dtype, scale):
    image, vehicle = scene(dtype, scale)
    far = np.ones_like(vehicle)
    far[17:35, 9:37] = False
    for seed in range(20):
        rng = np.random.default_rng(seed)
        changed = at_random_temperatures(image, BOX, WARMTH * scale, rng)
        assert changed.dtype == dtype and (changed[far] == image[far]).all()
        assert (changed[vehicle] != image[vehicle]).mean() > 0.5


def test_parts_have_levels_of_other_targets():
    """Between none and 1.4 times the one level that is given, and what a part keeps of its own."""
    image, vehicle = scene()
    hull = np.zeros_like(vehicle)
    hull[27:30, 15:25] = True  # away from edges, which are soft
    levels = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        changed = at_random_temperatures(image, BOX, WARMTH, rng).astype(float)
        assert changed.max() <= GROUND + 1.4 * 100 + 0.5 * (200 - GROUND)
        levels.append(changed[hull].mean() - GROUND)
    levels = np.array(levels)
    assert (levels < 10).mean() == pytest.approx(0.25 * 0.6, abs=0.08)  # cold, and nothing kept
    assert levels.max() > 110 and 40 < np.median(levels) < 110


def test_parts_are_told_apart_by_their_levels():
    """The three of the scene come out flat, in some draws each with a level of its own."""
    image, _ = scene()
    spots = [image[28, 14], image[22, 22], image[28, 30]]
    assert len(set(spots)) == 3
    apart = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        changed = at_random_temperatures(image, BOX, np.arange(20.0, 200), rng)
        levels = [int(changed[28, 14]), int(changed[22, 22]), int(changed[28, 30])]
        apart += min(abs(np.subtract.outer(levels, levels))[np.triu_indices(3, 1)]) > 10
    assert apart > 10


def test_equal_bands_stay_equal():
    image, _ = scene()
    rng = np.random.default_rng(3)
    changed = at_random_temperatures(np.stack([image] * 3, axis=2), BOX, WARMTH, rng)
    alone = at_random_temperatures(image, BOX, WARMTH, np.random.default_rng(3))
    assert (changed == alone[..., None]).all()


def test_pairs_are_an_image_and_the_image_with_other_temperatures(folder):
    dataset, _ = training_datasets(options(folder, "--preprocess", "none", "--no_flip"))
    image, vehicle = scene()
    assert dataset.paired and len(dataset) == 4
    sample = item(dataset, 1, 0)
    counts = lambda x: np.rint((x[0].numpy() + 1) * 127.5)  # noqa: E731
    assert (counts(sample.b) == image).all()
    assert (counts(sample.a) != image)[vehicle].mean() > 0.5
    assert (counts(sample.a)[:15] == image[:15]).all()
    plain = item(dataset, 1, 3)
    assert (plain.a == plain.b).all()


def test_each_epoch_draws_anew_and_each_sample_is_its_own(folder):
    first, second = (
        training_datasets(options(folder, "--preprocess", "none", "--no_flip"))[0] for _ in range(2)
    )
    assert (item(first, 1, 0).a == item(second, 1, 0).a).all()
    assert (item(first, 1, 0).a != item(first, 2, 0).a).any()


@pytest.mark.parametrize("preprocess", ["crop", "resize_and_crop --load_size 96"])
def test_a_crop_shows_a_target_anywhere_in_it(folder, write, preprocess):
    """Whole where it fits, of an image many times larger; a target that does not fit fills it."""
    image, _ = scene()
    large = np.full((400, 500), GROUND, np.uint8)
    large[300 : 300 + SIDE, 20 : 20 + SIDE] = image
    write(folder / "train_B/a.png", large)
    table = folder / "labels.csv"
    table.write_text(table.read_text().replace("a.png,12,20,22,12", "a.png,32,320,22,12"))
    scale = 96 / np.array([500, 400]) if "resize" in preprocess else np.ones(2)
    for crop in (26, 8):
        flags = ["--preprocess", *preprocess.split(), "--crop_size", str(crop)]
        dataset, _ = training_datasets(options(folder, *flags))
        found = [dataset.prepare(dataset.collect([(e, 0)])).box_b[0, 0].numpy() for e in range(60)]
        sides = [box[2:] - box[:2] for box in found]
        np.testing.assert_allclose(sides, [np.minimum([22, 12] * scale, crop)] * 60, atol=1e-4)
        if crop == 26:
            lefts, tops = ({round(float(box[i])) for box in found} for i in (0, 1))
            assert min(len(lefts), len(tops)) >= 4


def test_without_boxes_it_is_refused(folder):
    (folder / "labels.csv").unlink()
    words = r"^--dataset_mode randomized needs boxes of the targets in B, and none"
    with pytest.raises(UserError, match=words):
        training_datasets(options(folder))


def test_without_a_sensor_it_is_refused(folder):
    config = parse_train(
        ["--dataroot", str(folder), "--model", "pix2pix", "--dataset_mode", "randomized"],
        MODEL_OPTIONS,
    )
    with pytest.raises(UserError, match=r"^--dataset_mode randomized learns from .* --sensor"):
        training_datasets(config)


def test_file_values_of_the_source_are_those_of_the_simulator(folder, write):
    """The generator is for its images; the pairs themselves are all real."""
    write(folder / "train_A/s.png", np.array([[300, 900]] * SIDE, np.uint16))
    for file in (folder / "train_B").iterdir():
        write(file, np.array(scene(np.uint16, 100)[0]))
    dataset, _ = training_datasets(options(folder, "--preprocess", "none", "--no_flip"))
    a, b = dataset.value_maps["A"], dataset.value_maps["B"]
    assert (a.low, a.high) == (300, 900) and (b.low, b.high) == (3900, 20000)
    pair = item(dataset, 1, 3)
    assert (pair.a == pair.b).all()
    assert dataset.facts().sensed
