"""Ghosts: painted blobs are found, and what a sensor does to a whole image is none."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from metrics import ghosts
from metrics.ghosts import ghost_area

BOX = (40.0, 60.0, 70.0, 78.0)


def scene(seed=0, size=128):
    """Sky above textured ground, and a hot vehicle in BOX: [0, 1] (size, size)."""
    rng = np.random.default_rng(seed)
    ground = gaussian_filter(rng.normal(size=(size, size)), 3)
    image = 0.4 + 0.1 * ground / ground.std()
    image[: size // 4] = 0.15
    image[60:78, 40:70] = 0.7
    image[64:70, 60:68] = 1.0
    return image.clip(0, 1)


def sensed(image, *, gamma=0.5, blur=1.0, noise=3.0):
    """Counts of another tone, blurred and noisy."""
    counts = gaussian_filter(30 + 200 * image**gamma, blur)
    return counts + np.random.default_rng(9).normal(0, noise, image.shape)


def area(translation, source, boxes=(BOX,)):
    images = (torch.from_numpy(image)[None, None] for image in (translation, source))
    return ghost_area(*images, torch.tensor([boxes])).item()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("tone", [{}, {"gamma": 2.0}, {"blur": 2.0}, {"noise": 10.0}])
def test_tone_blur_and_noise_are_no_ghosts(seed, tone):
    assert area(sensed(scene(seed), **tone), scene(seed)) == 0


def test_units_do_not_matter():
    assert area(1000 + 20 * sensed(scene()), scene()) == 0
    assert area(scene(), scene()) == 0
    flat = np.full((64, 64), 5.0)
    assert area(flat, flat) == 0


@pytest.mark.parametrize("brightness", [90, -90])
@pytest.mark.parametrize(("height", "width"), [(8, 12), (16, 28), (30, 40)])
def test_a_painted_blob_is_found_with_its_area(brightness, height, width):
    translation = sensed(scene())
    translation[88 : 88 + height, 80 : 80 + width] += brightness
    found = 128**2 * area(translation, scene())
    assert 0.6 * height * width < found < (height + 4) * (width + 4)  # a cell more on each side


def test_what_the_source_has_too_or_alone_is_no_ghost():
    source = scene()
    source[90:104, 85:110] = 0.9
    assert area(sensed(source), source) == 0
    assert area(sensed(scene()), source) == 0


def test_a_change_in_the_box_is_no_ghost_and_another_box_may_hold_it():
    translation = sensed(scene())
    translation[60:78, 40:70] = 20
    assert area(translation, scene()) == 0
    translation[90:106, 85:113] += 90
    second = (85.0, 90.0, 113.0, 106.0)
    assert area(translation, scene()) > 0
    assert area(translation, scene(), boxes=(BOX, second)) == 0


def test_an_image_without_a_box_has_no_value_and_each_image_its_own():
    translation = sensed(scene())
    ghost = translation.copy()
    ghost[90:106, 85:113] += 90
    stack = torch.from_numpy(np.stack([translation, ghost, ghost]))[:, None]
    sources = torch.from_numpy(np.stack([scene()] * 3))[:, None]
    boxes = torch.tensor([[BOX], [BOX], [[float("nan")] * 4]])
    found = ghost_area(stack, sources, boxes)
    assert found[0] == 0 and found[1] > 0 and np.isnan(found[2])


@pytest.mark.parametrize("size", [48, 120, 127, 128, 190, 192, 250, 256])
def test_the_size_of_the_image_does_not_matter(size):
    """A blob of 4 % of a frame, whose smooth edge is known to a fraction of a cell."""
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    source = 60 + 40 * x
    side = 0.2 - np.maximum(np.abs(x - 0.6), np.abs(y - 0.6)) * 2
    blob = 100 * np.clip(side * 32 + 0.5, 0, 1)
    box = (0.0, 0.0, size / 16, size / 16)
    assert 100 * area(source + blob, source, boxes=(box,)) == pytest.approx(4.6, abs=0.5)


def test_cells_are_means_of_blocks_where_these_are_of_whole_pixels():
    image = np.random.default_rng(0).integers(0, 256, (128, 203)).astype(float)
    cells = ghosts._cells(image)
    assert np.array_equal(cells, image[:, :202].reshape(64, 2, 101, 2).mean(axis=(1, 3)))
    part = ghosts._cells(image[:96])  # of one and a half pixels a side
    corner = [[1, 0.5], [0.5, 0.25]]
    assert part.shape == (64, 135)
    assert part[0, 0] == pytest.approx((image[:2, :2] * corner).sum() / 1.5**2)
