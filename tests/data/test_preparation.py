"""Batches against a plain loop: one image at a time, one step after another, in the same draws."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from data.augment import GAIN, NOISE, OFFSET, SCALE, SHIFT
from data.images import read_image
from models import MODEL_OPTIONS
from options import parse_train
from tests.data.samples import item, training_datasets
from util.seeding import generator_for

RNG = np.random.default_rng(0)
SEED, EPOCH = 5, 2
SHAPES = [(24, 30), (24, 30), (17, 26), (24, 30)]


def plain(path, value_map, rng, *, load=None, crop=None, flip=True, clipped=False, augment=False):
    """(1, H, W): the grey image at `path` as the documentation describes its preparation."""
    counts = torch.from_numpy(read_image(path).astype(np.float32))[None]
    image = (counts - value_map.low) * (2 / (value_map.high - value_map.low)) - 1
    if clipped:
        image = image.clamp(-1, 1)
    if load:
        low, high = image.min(), image.max()
        how = {"mode": "bicubic", "align_corners": False, "antialias": True}
        image = F.interpolate(image[None], size=(load, load), **how)[0].clamp(low, high)
    if crop:
        top = int(rng.integers(image.shape[1] - crop + 1))
        left = int(rng.integers(image.shape[2] - crop + 1))
        image = image[:, top : top + crop, left : left + crop]
    if flip and rng.random() < 0.5:
        image = image.flip(-1)
    return plain_augmentation(image, rng) if augment else image


def plain_augmentation(image, rng):
    scale = 1 + rng.uniform(-SCALE, SCALE)
    right, down = rng.uniform(-SHIFT, SHIFT, size=2) * 2
    theta = torch.tensor([[1 / scale, 0, right], [0, 1 / scale, down]], dtype=torch.float32)
    grid = F.affine_grid(theta[None], [1, *image.shape], align_corners=False)
    moved = F.grid_sample(image[None], grid, padding_mode="reflection", align_corners=False)[0]
    contrast = math.exp(rng.normal(0, GAIN))
    moved = (moved - moved.mean()) * contrast + moved.mean() + rng.uniform(-OFFSET, OFFSET)
    noise = rng.normal(0, rng.uniform(0, NOISE), size=tuple(moved.shape)).astype(np.float32)
    return (moved + torch.from_numpy(noise)).clamp(-1, 1)


@pytest.fixture(params=[np.uint8, np.uint16], ids=["8 bits", "16 bits"])
def dtype(request):
    return request.param


@pytest.fixture
def folder(tmp_path, write, dtype):
    """Four images a domain, of two sizes, and the same in two classes."""
    for part in ("trainA", "trainB", "train/BMP2", "train/T72"):
        for i, shape in enumerate(SHAPES):
            counts = RNG.integers(0, np.iinfo(dtype).max // 2, shape).astype(dtype)
            write(tmp_path / part / f"v{i}_0.png", counts)
    return tmp_path


def build(root, *flags):
    argv = ["--dataroot", str(root), "--seed", str(SEED), *flags]
    return training_datasets(parse_train(argv, MODEL_OPTIONS))[0]


def batch_and_plain(dataset, indices, **how):
    """Images A of one batch, and the same from the plain loop."""
    batch = dataset.prepare(dataset.collect([(EPOCH, index) for index in indices]))
    domain = dataset.domains["A"]
    expected = [
        plain(
            domain.files[index].path,
            domain.value_map,
            generator_for(SEED, EPOCH, index),
            **how,
        )
        for index in indices
    ]
    return batch, torch.stack(expected)


@pytest.mark.parametrize("cache", ["none", "ram"])
def test_images_of_one_size_are_equal_to_the_bit(folder, cache):
    flags = ["--model", "pix2pix", "--preprocess", "none", "--cache", cache]
    batch, expected = batch_and_plain(build(folder, *flags), [0, 3, 1])
    assert torch.equal(batch.a, expected)
    assert batch.names == ("v0_0", "v3_0", "v1_0")


def test_crops_of_images_of_several_sizes_are_equal_to_the_bit(folder):
    flags = ["--model", "pix2pix", "--preprocess", "crop", "--crop_size", "12"]
    batch, expected = batch_and_plain(build(folder, *flags), [0, 1, 2, 3], crop=12)
    assert torch.equal(batch.a, expected)


def test_resized_images_of_several_sizes_are_equal(folder):
    flags = ["--model", "pix2pix", "--load_size", "20", "--crop_size", "16"]
    dataset = build(folder, *flags)
    batch, expected = batch_and_plain(dataset, [2, 0, 3, 1], load=20, crop=16)
    torch.testing.assert_close(batch.a, expected, rtol=0, atol=1e-6)
    assert batch.b.shape == batch.a.shape


def test_a_crop_is_not_taken_for_an_image_of_its_size_that_is_resized(tmp_path, write):
    for name, side in (("0", 20), ("1", 16), ("2", 20), ("3", 16)):
        for part in ("trainA", "trainB"):
            write(tmp_path / part / f"{name}.png", RNG.integers(0, 256, (side, side), np.uint8))
    dataset = build(tmp_path, "--model", "pix2pix", "--load_size", "20", "--crop_size", "16")
    batch, expected = batch_and_plain(dataset, range(4), load=20, crop=16)
    torch.testing.assert_close(batch.a, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "preprocess", ["resize_and_crop", "resize", "crop", "scale_width_and_crop"]
)
@pytest.mark.parametrize("bands", ["1", "3"])
def test_who_shares_its_batch_changes_no_image(tmp_path, write, preprocess, bands):
    shapes = [(20, 20), (16, 16), (20, 20), (31, 20), (16, 40), (20, 20, 3), (24, 17, 3), (16, 16)]
    for number, shape in enumerate(shapes):
        for part in ("trainA", "trainB"):
            write(tmp_path / part / f"{number}.png", RNG.integers(0, 256, shape, np.uint8))
    flags = ["--model", "pix2pix", "--preprocess", preprocess, "--input_nc", bands]
    dataset = build(tmp_path, *flags, "--load_size", "20", "--crop_size", "16")
    together = dataset.prepare(dataset.collect([(EPOCH, i) for i in range(len(shapes))]))
    alone = [item(dataset, EPOCH, i) for i in range(len(shapes))]
    for role in ("a", "b"):
        expected = torch.stack([getattr(sample, role) for sample in alone])
        torch.testing.assert_close(getattr(together, role), expected, rtol=0, atol=1e-6)


def test_unpaired_images_draw_a_then_b(folder):
    flags = ["--model", "cut", "--load_size", "20", "--crop_size", "16", "--value_range_B"]
    dataset = build(folder, *flags, "50", "100")  # so that B is clipped
    batch = dataset.prepare(dataset.collect([(EPOCH, index) for index in range(4)]))
    a, b = dataset.domains["A"], dataset.domains["B"]
    how = {"load": 20, "crop": 16}
    for index in range(4):
        rng = generator_for(SEED, EPOCH, index)
        image = plain(a.files[index].path, a.value_map, rng, **how)
        torch.testing.assert_close(batch.a[index], image, rtol=0, atol=1e-6)
        path = b.files[int(rng.integers(4))].path
        image = plain(path, b.value_map, rng, clipped=True, **how)
        torch.testing.assert_close(batch.b[index], image, rtol=0, atol=1e-6)


def test_augmented_images_are_equal(folder):
    dataset = build(folder, "--model", "classifier", "--load_size", "18")
    indices = range(len(dataset))
    batch, expected = batch_and_plain(dataset, indices, load=18, augment=True)
    torch.testing.assert_close(batch.a, expected, rtol=0, atol=1e-6)
    assert batch.label.tolist() == dataset.labels
