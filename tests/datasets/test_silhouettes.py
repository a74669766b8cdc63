"""The vehicle in one picture: drawn ones of known outline, and pictures without any."""

import numpy as np
import pytest

from datasets.silhouettes import find_silhouette, mask_boxes

BOX = (50.0, 42.0, 34.0, 14.0)


def scene(*, vehicle: float = 90.0, noise: float = 0.0) -> np.ndarray:
    """Ground, trees that reach the frame, a path, and a vehicle with a hot part and a gun."""
    rows, columns = np.mgrid[:96, :128].astype(np.float32)
    image = 60 + 0.1 * rows + 2 * np.sin(columns / 20)
    image[:12, 20:70] += 25
    image[70:74, 10:110] += 6
    rng = np.random.default_rng(0)
    image += noise * rng.standard_normal(image.shape)
    if vehicle:
        image[44:56, 50:74] += vehicle
        image[42:46, 56:66] += vehicle
        image[47:49, 74:84] += vehicle
        image[48:54, 52:58] += vehicle / 2
    return image


@pytest.mark.parametrize("vehicle", [90.0, -50.0])
@pytest.mark.parametrize("noise", [0.0, 3.0])
def test_the_box_is_that_of_the_whole_vehicle(vehicle, noise):
    found = find_silhouette(scene(vehicle=vehicle, noise=noise))
    assert found.box == BOX
    assert found.confidence > 0.9


def test_the_unit_of_the_values_does_not_matter():
    image = scene(noise=1.0)
    bright, dim = find_silhouette(image), find_silhouette(image * 1e-6 + 3e-4)
    assert bright.box == dim.box
    assert bright.confidence == pytest.approx(dim.confidence, abs=1e-3)


def test_noisy_ground_has_none_or_an_unsure_one_and_flat_ground_none():
    found = find_silhouette(scene(vehicle=0.0, noise=5.0))
    assert found is None or found.confidence < 0.5
    assert find_silhouette(np.full((20, 30), 7, np.uint8)) is None


def test_two_alike_are_unsure():
    image = scene(vehicle=0.0)
    for left in (20, 80):
        image[44:56, left : left + 24] += 90
    assert find_silhouette(image).confidence == pytest.approx(0.5, abs=0.02)


def test_boxes_of_a_mask():
    mask = np.zeros((20, 30), np.uint8)
    mask[2:6, 3:10] = 255
    mask[10:15, 20:26] = 255
    mask[18, 1] = 255  # a speck
    assert mask_boxes(mask) == [(3, 2, 7, 4), (20, 10, 6, 5)]
    mask[2:6, 10:14] = 7  # another vehicle, which touches the first
    assert sorted(mask_boxes(mask)) == [(3, 2, 7, 4), (10, 2, 4, 4), (20, 10, 6, 5)]
    coloured = np.repeat((mask == 7)[..., None], 3, axis=2) * np.uint8([0, 9, 0])
    assert mask_boxes(coloured) == [(10, 2, 4, 4)]
    assert mask_boxes(np.zeros((4, 4), np.uint8)) == []
