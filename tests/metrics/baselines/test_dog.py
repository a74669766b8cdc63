"""Difference of Gaussians: its closed form, what does not matter to it, no aim without cause."""

import numpy as np
import pytest
import torch
from skimage.filters import difference_of_gaussians

from metrics.attention import pointing_game
from metrics.baselines.dog import dog_energy


def test_of_a_point_it_is_the_square_of_the_difference_of_two_gaussians():
    image = torch.zeros(1, 1, 65, 65)
    image[0, 0, 30, 34] = 100.0
    y, x = np.mgrid[:65, :65]
    square = (x - 34) ** 2 + (y - 30) ** 2
    inner, outer = (np.exp(-square / (2 * s**2)) / (2 * np.pi * s**2) for s in (2, 5))
    expected = (100 * (inner - outer)) ** 2
    found = dog_energy(image, narrow=2, wide=5)[0, 0].numpy()
    # The filters end at four deviations, and sample the Gaussian.
    assert found == pytest.approx(expected, abs=0.01 * expected.max())


def test_equal_to_scikit_image():
    images = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 1, 40, 52)))
    for image, found in zip(images, dog_energy(images, narrow=1.5, wide=4), strict=True):
        expected = difference_of_gaussians(image[0].numpy(), 1.5, 4, mode="reflect") ** 2
        assert found[0].numpy() == pytest.approx(expected, abs=1e-10)


def test_a_spot_is_found_whatever_gain_offset_sign_and_bands():
    random = np.random.default_rng(1)
    image = torch.from_numpy(random.normal(0, 0.02, (1, 1, 64, 64)))
    image[0, 0, 40:44, 10:16] += 1
    box = torch.tensor([[10.0, 40, 16, 44]])
    plain = dog_energy(image)
    assert pointing_game(plain, box).item() == 1
    for changed, scale in (
        (-7 * image + 900, 49),
        (image.expand(1, 3, 64, 64), 1),
        (image.float() + 5000, 1),
    ):
        found = dog_energy(changed) / scale
        assert found.numpy() == pytest.approx(plain.numpy(), abs=1e-3 * plain.max().item())


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 43210.7])
def test_an_image_of_one_value_has_no_energy(value):
    assert not dog_energy(torch.full((2, 1, 16, 16), value)).any()
