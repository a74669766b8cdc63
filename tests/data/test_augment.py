"""Augmentation of thermal images for the classifier."""

import numpy as np
import pytest
import torch

from data.augment import (
    GAIN,
    NOISE,
    OFFSET,
    SCALE,
    SHIFT,
    ThermalChange,
    ToneChange,
    augment_thermal,
    change_tone,
)
from data.preview import preview


def spot(size: int = 32) -> torch.Tensor:
    """A warm disc in the middle of a cool ground."""
    y, x = torch.meshgrid(*[torch.arange(size) - (size - 1) / 2] * 2, indexing="ij")
    return torch.where(y**2 + x**2 < (size / 8) ** 2, 0.4, -0.4)[None]


def draws(image: torch.Tensor, count: int) -> list[torch.Tensor]:
    shape = tuple(image.shape)
    changes = [ThermalChange.draw(shape, np.random.default_rng(seed)) for seed in range(count)]
    images = image.expand(count, *shape)
    return list(augment_thermal(images, ThermalChange.stack(changes)))


@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 20, 31)])
def test_size_and_range_stay(shape):
    for image in draws(torch.rand(shape) * 2 - 1, 20):
        assert image.shape == shape and image.dtype == torch.float32
        assert image.min() >= -1 and image.max() <= 1


def test_it_follows_from_the_generator_alone():
    first, again = draws(spot(), 2)[0], draws(spot(), 1)[0]
    assert torch.equal(first, again)
    assert not torch.equal(first, draws(spot(), 2)[1])
    before = spot()
    draws(before, 1)
    assert torch.equal(before, spot())


def test_a_box_goes_where_the_object_goes():
    image = torch.full((1, 60, 80), -1.0)
    image[:, 20:38, 30:56] = 1.0
    for seed in range(20):
        change = ThermalChange.draw((1, 60, 80), np.random.default_rng(seed))
        ((x0, y0, x1, y1),) = change.place(np.array([[30, 20, 56, 38]], np.float32))
        (moved,) = augment_thermal(image[None], ThermalChange.stack([change]))
        warm = moved[0] > (moved.max() + moved.min()) / 2
        rows, columns = (warm.any(dim=d).nonzero().flatten().tolist() for d in (1, 0))
        # A pixel is warm where its centre is, but for noise: half a pixel beside the box's edge.
        found = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        assert found == pytest.approx([x0, y0, x1, y1], abs=0.6)


def test_the_object_moves_grows_and_shrinks_within_bounds():
    size = 32
    places, areas = [], []
    for image in draws(spot(size), 120):
        warm = image[0] > (image.max() + image.min()) / 2
        places.append(((warm.nonzero().float().mean(dim=0) - (size - 1) / 2) / size).tolist())
        areas.append(float(warm.sum()) / float((spot(size) > 0).sum()))
    shift = np.abs(np.array(places))
    # A shift before the scaling reaches SHIFT * (1 + SCALE) in the result.
    assert 0.8 * SHIFT < shift.max() < SHIFT * (1 + SCALE) + 0.02
    assert 0.6 < min(areas) < 0.8 and 1.2 < max(areas) < (1 + SCALE) ** 2 + 0.1


def test_brightness_and_contrast_vary():
    images = draws(spot(), 120)
    brightness = torch.stack([image.median() for image in images])
    contrast = torch.stack([image.max() - image.min() for image in images])
    assert (brightness.max() - brightness.min()) / 2 > 0.5 * OFFSET
    assert contrast.max() / contrast.min() > np.exp(2 * GAIN)


def test_gain_stretches_about_the_mean_and_offset_moves_it():
    image = torch.rand(1, 1, 16, 16) * 0.4 + 0.2
    changes = (torch.tensor([value]) for value in (1.0, 0.0, 0.0, 1.5, -0.1))
    changed = augment_thermal(image, ThermalChange(*changes, noise=torch.zeros_like(image)))
    expected = (image - image.mean()) * 1.5 + image.mean() - 0.1
    torch.testing.assert_close(changed, expected, rtol=0, atol=1e-5)


def test_noise_is_weak():
    flat = torch.zeros(1, 32, 32)
    deviations = [float(image.std()) for image in draws(flat, 60)]
    assert 0.6 * NOISE < max(deviations) < 1.05 * NOISE
    assert min(deviations) < 0.3 * NOISE


def tone(low=0.0, high=1.0, gamma=1.0, gain=1.0, offset=0.0) -> ToneChange:
    """One image's, without noise."""
    numbers = (torch.tensor([value]) for value in (low, high, gamma, gain, offset))
    return ToneChange(*numbers, noise=torch.zeros(1, 1, 1, 5))


def test_each_change_of_tone_in_closed_form():
    image = torch.tensor([[[[-0.6, -0.4, -0.2, 0.0, 0.4]]]])  # shares 0, .2, .4, .6, 1
    expected = [
        (tone(), image),
        (tone(low=0.3), image.clamp(min=-0.3)),
        (tone(high=0.7), image.clamp(max=0.1)),
        (tone(gamma=2.0), torch.tensor([[[[-0.6, -0.56, -0.44, -0.24, 0.4]]]])),
        (tone(gain=1.5), 1.5 * (image + 0.16) - 0.16),
        (tone(offset=-0.3), image - 0.3),
        (tone(offset=-0.5), image - 0.4),  # as far as to -1
        (tone(gain=4.0, offset=0.2), (4 * (image + 0.16) - 0.16).clamp(-1, 1)),  # no room
    ]
    for change, found in expected:
        torch.testing.assert_close(change_tone(image, change), found, rtol=0, atol=1e-6)
    flat = torch.full((1, 1, 1, 5), 0.3)
    torch.testing.assert_close(change_tone(flat, tone(high=0.8, gamma=1.5)), flat)


def test_changes_of_tone_differ_and_stay_within_bounds():
    image = torch.rand(1, 1, 16, 16) * 1.6 - 0.8
    changes = [ToneChange.draw((1, 16, 16), np.random.default_rng(i)) for i in range(60)]
    toned = change_tone(image.expand(60, -1, -1, -1), ToneChange.stack(changes))
    alone = change_tone(image, ToneChange.stack(changes[7:8]))
    torch.testing.assert_close(toned[7:8], alone)
    assert toned.abs().max() <= 1 and toned.flatten(1).mean(dim=1).std() > 0.05
    assert all(0 <= c.low < c.high <= 1 for c in changes)
    assert min(c.gamma for c in changes) < 0.8 and max(c.gamma for c in changes) > 1.25


def test_a_preview_has_8_bits():
    image = preview(torch.tensor([[[-1.0, 0.0, 1.0, 2.0]]]))
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, [[0, 128, 255, 255]])
    assert preview(torch.zeros(3, 4, 5)).shape == (4, 5, 3)
