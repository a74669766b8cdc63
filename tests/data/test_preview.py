"""What people look at: 8 bits, through a window that a row of images shares."""

import numpy as np
import pytest
import torch

from data.preview import common_window, histogram, windowed
from data.value_map import ValueMap
from data.value_type import UINT16


def test_one_hot_pixel_leaves_the_scene_visible():
    rng = np.random.default_rng(0)
    scene = rng.normal(2000, 60, (1, 1, 64, 64)).round()
    hot = scene.copy()
    hot[0, 0, 5, 7] = 65535
    value_map = ValueMap(float(scene.min()), 65535.0, UINT16)  # as found with the hot pixel
    kinds = [value_map.scale(torch.from_numpy(image)) for image in (hot, scene, scene)]
    window = common_window(kinds)
    shown = [windowed(kind, window).numpy() for kind in kinds]
    assert all(30 <= np.median(image) <= 230 for image in shown)
    assert np.ptp(shown[1]) > 100
    assert shown[0][0, 0, 5, 7] == 255
    same = shown[0] == shown[1]
    assert same.sum() == same.size - 1, "one grey level is one value in all images of a row"


@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
def test_the_median_is_in_the_middle_whatever_the_distribution(share):
    values = torch.where(torch.arange(10_000) < share * 10_000, -0.9, 0.8).view(1, 1, 100, 100)
    grey = windowed(values, common_window([values])).median()
    assert 36 <= grey <= 219


def test_each_row_of_a_batch_has_its_own_window():
    low, high = torch.linspace(-1, 0, 100).view(1, 1, 10, 10), torch.linspace(0, 1, 100)
    batch = torch.cat([low, high.view(1, 1, 10, 10)])
    window = common_window([batch, batch])
    np.testing.assert_allclose((window[1] - window[0]).numpy(), 1, atol=1e-5)
    grey = windowed(batch, window).int()
    assert (grey[0] - grey[1]).abs().max() <= 1


def test_an_image_of_one_value_is_grey():
    image = torch.full((1, 1, 8, 8), 0.3)
    assert 120 <= windowed(image, common_window([image])).float().mean() <= 135


def test_the_histogram_counts_grey_levels():
    image = np.array([[0, 1, 2, 3], [4, 5, 6, 255]], np.uint8)
    found = histogram(image)
    assert len(found) == 64
    np.testing.assert_allclose(found[[0, 1, 63]], [1, np.sqrt(3 / 4), np.sqrt(1 / 4)])
    assert found[2:63].sum() == 0
