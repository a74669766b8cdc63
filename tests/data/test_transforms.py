"""Size, crop and mirror of images, against Pillow and by counting."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data.transforms import Placement, Preprocessing, resize, resize_and_cut, to_bands
from data.value_map import EIGHT_BIT
from options import DataOptions
from util.errors import UserError

RNG = np.random.default_rng(0)


def preprocessing(preprocess: str = "resize_and_crop", *, training: bool = True, **options):
    return Preprocessing.from_options(
        DataOptions(preprocess=preprocess, **options), training=training
    )


def positions(height: int, width: int) -> torch.Tensor:
    """(2, H, W): an image that tells row and column of each of its pixels."""
    return torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij"))


def run(steps: Preprocessing, image: torch.Tensor, seed: int = 0) -> torch.Tensor:
    placement = steps.draw(*image.shape[-2:], np.random.default_rng(seed), name="x.png")
    return resize_and_cut(image[None], [placement])[0]


SIZES = [(40, 60), (20, 31), (100, 64), (7, 5), (150, 300)]


@pytest.mark.parametrize("size", SIZES)
def test_resizing_is_pillows_antialiased_bicubic_of_floats(size):
    image = RNG.random((64, 96), dtype=np.float32)
    expected = np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BICUBIC))
    expected = torch.from_numpy(expected.clip(image.min(), image.max()))
    found = resize(torch.from_numpy(image)[None], size)[0]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_resizing_8_bits_differs_from_pillow_by_its_rounding_only(size):
    y, x = np.mgrid[0:64, 0:96]
    image = np.rint(128 + 60 * np.sin(x / 5) + 60 * np.cos(y / 7)).astype(np.uint8)
    expected = np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BICUBIC))
    found = EIGHT_BIT.decode(resize(EIGHT_BIT.encode(image), size))
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_resizing_stays_within_the_images_own_extremes():
    image = torch.zeros(1, 8, 8)
    image[..., 4:] = 0.5
    assert resize(image, (19, 19)).min() == 0 and resize(image, (19, 19)).max() == 0.5


def test_each_image_of_a_batch_is_resized_as_it_would_be_alone():
    images = torch.from_numpy(RNG.choice([0.2, 0.8], size=(2, 1, 40, 60)).astype(np.float32))
    images[1] = images[1] * 3 - 1  # other extremes
    together = resize(images, (17, 23))
    assert torch.equal(together, torch.stack([resize(image, (17, 23)) for image in images]))


def test_resizing_keeps_steps_finer_than_8_bits():
    ramp = torch.linspace(-0.01, 0.01, 256).expand(1, 64, 256)
    assert len(resize(ramp, (32, 128)).unique()) >= 128


def test_resize_and_crop_in_training():
    steps = preprocessing(load_size=12, crop_size=8, no_flip=True)
    assert run(steps, torch.rand(1, 30, 50)).shape == (1, 8, 8)
    image = positions(12, 12).float()
    found = {tuple(run(steps, image, seed)[:, 0, 0].int().tolist()) for seed in range(600)}
    assert found == {(top, left) for top in range(5) for left in range(5)}


def test_a_crop_is_a_piece_of_the_image():
    steps = preprocessing("crop", crop_size=6)
    image = positions(9, 20).float()
    for seed in range(50):
        piece = run(steps, image, seed)
        rows, columns = piece[0, :, 0], piece[1, 0]
        assert piece.shape == (2, 6, 6)
        assert (rows.diff() == 1).all() and (columns.diff().abs() == 1).all()
        assert rows.min() >= 0 and rows.max() < 9
        assert columns.min() >= 0 and columns.max() < 20


def test_half_of_the_training_images_are_mirrored_none_with_no_flip():
    image = positions(4, 4).float()
    mirrored = [bool(run(preprocessing("none"), image, s)[1, 0, 0]) for s in range(1000)]
    assert 430 < sum(mirrored) < 570
    assert not any(run(preprocessing("none", no_flip=True), image, s)[1, 0, 0] for s in range(50))


def test_one_placement_serves_both_images_of_a_pair():
    steps = preprocessing(load_size=12, crop_size=8)
    image = torch.rand(1, 12, 12)
    for seed in range(20):
        placement = steps.draw(12, 12, np.random.default_rng(seed), name="x.png")
        a, b = resize_and_cut(torch.stack([image, -image]), [placement, placement])
        torch.testing.assert_close(a, -b)


def test_the_mirror_turns_left_and_right():
    image = positions(2, 3).float()
    turned = Placement((2, 3), 0, 0, 2, 3, mirrored=True).cut(image)
    assert turned[1, 0].tolist() == [2, 1, 0] and turned[0, :, 0].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("preprocess", "native", "training_size", "test_size"),
    [
        ("resize_and_crop", (48, 64), (8, 8), (8, 8)),
        ("resize", (48, 64), (12, 12), (12, 12)),
        ("crop", (48, 64), (8, 8), (48, 64)),
        ("none", (48, 64), (48, 64), (48, 64)),
        ("scale_width", (48, 64), (9, 12), (9, 12)),
        ("scale_width", (64, 48), (16, 12), (16, 12)),
        ("scale_width_and_crop", (64, 48), (8, 8), (11, 8)),
    ],
)
def test_sizes_of_all_modes(preprocess, native, training_size, test_size):
    options = {"load_size": 12, "crop_size": 8}
    image = torch.rand(1, *native)
    assert run(preprocessing(preprocess, **options), image).shape[1:] == training_size
    assert run(preprocessing(preprocess, training=False, **options), image).shape[1:] == test_size


@pytest.mark.parametrize("preprocess", ["resize_and_crop", "crop", "none", "scale_width_and_crop"])
def test_nothing_is_random_and_nothing_cut_off_at_test_time(preprocess):
    steps = preprocessing(preprocess, training=False, load_size=12, crop_size=8)
    image = positions(40, 30).float()
    first = run(steps, image, 0)
    for seed in range(20):
        torch.testing.assert_close(run(steps, image, seed), first, rtol=0, atol=0)
    # The corners of the image are the corners of the result.
    assert first[1, 0, 0] < first[1, 0, -1] and first[0, 0, 0] < first[0, -1, 0]
    assert first[0, -1].mean() > 36 and first[1, :, -1].mean() > 26


def test_images_smaller_than_the_crop_are_named():
    with pytest.raises(UserError, match=r"x\.png is 9x7 pixels, smaller than --crop_size 8"):
        run(preprocessing("crop", crop_size=8), torch.rand(1, 7, 9))
    assert run(preprocessing("crop", crop_size=8), torch.rand(1, 8, 8)).shape == (1, 8, 8)


@pytest.mark.parametrize("preprocess", ["resize_and_crop", "scale_width_and_crop"])
def test_a_crop_larger_than_the_resized_image_is_refused(preprocess):
    with pytest.raises(UserError, match="--load_size 100 is smaller than --crop_size 256"):
        preprocessing(preprocess, load_size=100)
    preprocessing("crop", load_size=100)
    preprocessing(preprocess, load_size=100, training=False)


def test_without_its_margin_the_whole_image_becomes_the_crop():
    steps = preprocessing(load_size=12, crop_size=8, no_flip=True)
    image = torch.rand(1, 8, 8)
    torch.testing.assert_close(run(steps.without_margin(), image), image)


@pytest.mark.parametrize("preprocess", ["resize", "scale_width", "crop", "none"])
def test_only_resizing_and_cropping_has_a_margin(preprocess):
    steps = preprocessing(preprocess, load_size=12, crop_size=8)
    assert steps.without_margin() == steps


def test_grey_stored_as_rgb_comes_back_exactly():
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    rgb = EIGHT_BIT.encode(np.stack([grey] * 3, axis=-1))
    torch.testing.assert_close(to_bands(rgb, 1), EIGHT_BIT.encode(grey), rtol=0, atol=0)


def test_luminance_is_that_of_bt_601():
    colours = np.eye(3, dtype=np.uint8).reshape(1, 3, 3) * 255
    values = (to_bands(EIGHT_BIT.encode(colours), 1) + 1) / 2
    torch.testing.assert_close(values, torch.tensor([[[0.299, 0.587, 0.114]]]), rtol=0, atol=2e-4)
    image = RNG.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(image).convert("L")).astype(int)
    found = EIGHT_BIT.decode(to_bands(EIGHT_BIT.encode(image), 1))
    assert np.abs(found - expected).max() <= 1


def test_one_band_becomes_three_equal_ones():
    image = torch.rand(1, 4, 5)
    bands = to_bands(image, 3)
    assert bands.shape == (3, 4, 5) and all(torch.equal(band, image[0]) for band in bands)
    assert to_bands(image, 1) is image


@given(
    st.sampled_from(["resize_and_crop", "crop", "scale_width_and_crop"]),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 16),
    st.integers(0, 8),
    st.integers(0, 10),
)
@settings(max_examples=150, deadline=None)
def test_a_crop_has_its_size_or_the_image_is_refused(preprocess, height, width, crop, more, seed):
    steps = preprocessing(preprocess, load_size=crop + more, crop_size=crop)
    image = torch.rand(1, height, width)
    try:
        assert run(steps, image, seed).shape == (1, crop, crop)
    except UserError:
        assert preprocess == "crop" and min(height, width) < crop


def test_a_placement_follows_from_the_generator_alone():
    steps = preprocessing(load_size=64, crop_size=8)

    def draw(steps, seed):
        return steps.draw(9, 9, np.random.default_rng(seed), name="x.png")

    assert draw(steps, 5) == draw(steps, 5) != draw(steps, 6)
    quiet = replace(steps, training=False, flip=False)
    assert draw(quiet, 5) == Placement((64, 64), 0, 0, 64, 64, mirrored=False)
