"""Images that --val_freq measures on: all of them, whole, in the roles of training."""

import numpy as np
import pytest

from data.build import build_validation_datasets
from data.value_map import EIGHT_BIT, ValueMap
from data.value_type import UINT8
from models import MODEL_OPTIONS
from options import parse_train
from tests.data.samples import item, training_datasets
from util.errors import UserError

MAPS = {"A": EIGHT_BIT, "B": ValueMap(0.0, 100.0, UINT8)}


def config(root, *flags):
    argv = ["--dataroot", str(root), "--preprocess", "crop", "--crop_size", "4", *flags]
    return parse_train(argv, MODEL_OPTIONS)


def build(options, value_maps):
    return build_validation_datasets(
        options.data,
        options.model,
        phase=options.training.val_phase,
        seed=options.run.seed,
        value_maps=value_maps,
        left_out={},
    )


def first_values(dataset):
    return [float(item(dataset, 0, i).a[0, 0, 0]) for i in range(len(dataset))]


def test_all_images_of_both_domains_each_through_its_own_map(tmp_path, flat):
    flat(tmp_path / "val_A", {f"{i}.png": 51 * i for i in range(3)})
    flat(tmp_path / "val_B", {f"{i}.png": 10 * i for i in range(5)})
    options = config(tmp_path, "--max_dataset_size", "1")
    a, b = build(options, MAPS)
    assert first_values(a) == pytest.approx([51 * i / 127.5 - 1 for i in range(3)])
    assert first_values(b) == pytest.approx([10 * i / 50 - 1 for i in range(5)])
    assert item(a, 0, 0).a.shape == (1, 8, 8), "the whole image, not a crop"
    # BtoA: the images of folder B are the sources.
    options = config(tmp_path, "--direction", "BtoA", "--output_nc", "3")
    sources, targets = build(options, MAPS)
    assert (len(sources), len(targets)) == (5, 3)
    assert (item(sources, 0, 0).a.shape[0], item(targets, 0, 0).a.shape[0]) == (1, 3)
    assert first_values(targets)[1] == pytest.approx(51 / 50 - 1)


def test_pairs_in_two_folders_or_side_by_side(tmp_path, flat, write):
    flat(tmp_path / "valA", {"x.png": 0, "y.png": 0})
    flat(tmp_path / "valB", {"x.png": 255, "y.png": 255})
    joined = np.zeros((8, 16), np.uint8)
    joined[:, 8:] = 255
    write(tmp_path / "dev" / "z.png", joined)
    for phase, count in (("val", 2), ("dev", 1)):
        options = config(tmp_path, "--model", "pix2pix", "--val_phase", phase)
        maps = {"A": EIGHT_BIT, "B": EIGHT_BIT}
        (pairs,) = build(options, maps)
        assert len(pairs) == count
        for i in range(count):
            sample = item(pairs, 0, i)
            assert (float(sample.a.max()), float(sample.b.min())) == (-1.0, 1.0)


def test_missing_folders_are_named_with_a_way_out(tmp_path, flat):
    flat(tmp_path / "val_A", {"x.png": 0})
    (tmp_path / "val").mkdir()
    for model in ("cut", "pix2pix"):
        with pytest.raises(UserError, match=r"has no val_B; .*--val_phase test"):
            build(config(tmp_path, "--model", model), MAPS)
    with pytest.raises(UserError, match="has no dev_A and no dev_B"):
        build(config(tmp_path, "--val_phase", "dev"), MAPS)


def test_training_reads_its_own_phase_alone(tmp_path, flat):
    for folder in ("train_A", "train_B", "val_A", "val_B"):
        flat(tmp_path / folder, {f"{folder}.png": 7})
    dataset, held_out = training_datasets(config(tmp_path))
    assert held_out is None
    assert [file.name for file in dataset.files] == ["train_A"]
