"""Hot spots: planted ones are counted, and what is no spot is none."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from metrics.hot_spots import hot_spots

BOX = (60.0, 60.0, 80.0, 72.0)
PLACES = [(15, 20), (30, 100), (50, 40), (100, 30), (110, 110)]


def frame(noise=1.0, seed=0):
    """Textured ground with a hot vehicle of many parts in BOX: (128, 128)."""
    rng = np.random.default_rng(seed)
    ground = gaussian_filter(rng.normal(size=(128, 128)), 6)
    image = 100 + 5 * ground / ground.std()
    image[60:72, 60:80] += 50
    image[64:67, 62:78:4] += 60
    return image + rng.normal(0, noise, image.shape)


def count(image, boxes=(BOX,)):
    return hot_spots(torch.from_numpy(image)[None, None], torch.tensor([boxes])).item()


@pytest.mark.parametrize("scale", [1, 200])
@pytest.mark.parametrize("planted", [0, 1, 5])
@pytest.mark.parametrize("size", [2, 5])
def test_planted_spots_are_counted_in_any_unit(scale, planted, size):
    image = frame()
    for row, column in PLACES[:planted]:
        image[row : row + size, column : column + size] += 60
    assert count(scale * image + 7) == planted


@pytest.mark.parametrize("noise", [0.0, 1.0, 8.0])
def test_noise_texture_edges_and_cold_spots_are_none(noise):
    image = frame(noise)
    image[:20] -= 60  # the sky
    image[100:104, 100:104] -= 60
    assert count(image) == 0


def test_the_targets_own_parts_are_none_and_without_a_box_nothing_is_known():
    assert count(frame()) == 0
    assert count(frame(), [(100.0, 100.0, 120.0, 112.0)]) > 0  # the vehicle is elsewhere
    assert np.isnan(count(frame(), [(np.nan,) * 4]))
    assert count(np.full((32, 32), 5.0), [(10.0, 10.0, 14.0, 14.0)]) == 0
