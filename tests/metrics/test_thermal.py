"""Noise, contrast, spectra and grey levels against closed forms and scipy."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d
from scipy.stats import wasserstein_distance

from data.images import read_image
from data.value_map import Levels
from metrics.thermal import (
    RINGS,
    RadialSpectrum,
    grey_levels,
    spatial_noise,
    spectral_distance,
    target_contrast,
    vanished,
    wasserstein,
)

NO_BOX = [math.nan] * 4


def white_noise(count: int, *size: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 1, *size, generator=generator, dtype=torch.float64)


def ramp(height: int, width: int) -> torch.Tensor:
    return 3.0 * torch.arange(width) + 2.0 * torch.arange(height)[:, None] + 10.0


def spectrum_of(*batches: torch.Tensor) -> np.ndarray:
    spectrum = RadialSpectrum()
    for images in batches:
        spectrum.add(images)
    return spectrum.mean()


def test_noise_of_white_noise_on_a_ramp_is_its_deviation():
    sigmas = torch.tensor([1.0, 4.0, 64.0])
    images = ramp(200, 150) + sigmas[:, None, None, None] * white_noise(3, 200, 150)
    found = spatial_noise(images)
    assert found.shape == (3,) and found.dtype == torch.float64
    np.testing.assert_allclose(found, sigmas, rtol=0.03)


def test_noise_is_the_published_formula():
    image = 50 * white_noise(1, 13, 17)
    mask = [[1, -2, 1], [-2, 4, -2], [1, -2, 1]]
    response = np.abs(convolve2d(image[0, 0].numpy(), mask, mode="valid")).sum()
    expected = math.sqrt(math.pi / 2) * response / (6 * (17 - 2) * (13 - 2))
    assert spatial_noise(image).item() == pytest.approx(expected, rel=1e-12)


def test_noise_is_blind_to_ramps_and_edges_along_the_axes():
    edge = (torch.arange(20) > 9).float().expand(30, 20) * 200
    images = torch.stack([ramp(30, 20), edge])[:, None]
    assert spatial_noise(images).tolist() == [0.0, 0.0]


def test_noise_of_a_checkerboard_is_its_closed_form():
    board = (torch.arange(9) + torch.arange(8)[:, None]) % 2  # the mask's answer is 8 everywhere
    expected = math.sqrt(math.pi / 2) / 6 * 8 * 250
    assert spatial_noise(250.0 * board[None, None]).item() == pytest.approx(expected, rel=1e-12)


def test_noise_of_an_image_below_the_mask_is_undefined():
    assert spatial_noise(torch.zeros(2, 1, 2, 8)).isnan().all()


def test_contrast_is_the_root_sum_square_of_difference_and_deviation():
    image = torch.full((1, 1, 32, 40), 50.0)
    image[..., 10:18, 12:18], image[..., 10:18, 18:24] = 90.0, 70.0  # mean 80, deviation 10
    box = torch.tensor([[12.0, 10.0, 24.0, 18.0]])
    contrast = target_contrast(image, box)
    assert contrast.dtype == torch.float64
    assert contrast.item() == pytest.approx(math.hypot(30, 10), rel=1e-12)


def test_a_target_of_the_background_mean_has_contrast_by_its_parts():
    image = torch.full((1, 1, 16, 16), 100.0)
    image[..., 6:10, 6:8], image[..., 6:10, 8:10] = 80.0, 120.0
    assert target_contrast(image, torch.tensor([[6.0, 6.0, 10.0, 10.0]])).item() == 20.0


def test_the_background_is_a_frame_out_to_twice_the_sides_of_the_box():
    image = white_noise(1, 40, 40)
    grey = image[0, 0].numpy()
    target, outer = grey[16:24, 12:28], grey[12:28, 4:36]
    background = (outer.sum() - target.sum()) / (outer.size - target.size)
    box = torch.tensor([[12.0, 16.0, 28.0, 24.0]])
    expected = math.hypot(target.mean() - background, target.std())
    assert target_contrast(image, box).item() == pytest.approx(expected, rel=1e-12)


def test_at_the_edge_the_background_is_what_the_image_shows_of_it():
    image = torch.full((1, 1, 20, 20), 30.0)
    image[..., :6, :6] = 45.0
    assert target_contrast(image, torch.tensor([[-2.0, -2.0, 6.0, 6.0]])).item() == 15.0


def test_without_box_target_or_background_there_is_no_contrast():
    boxes = [NO_BOX, [0.6, 0.6, 1.4, 1.4], [0.0, 0.0, 8.0, 8.0], [20.0, 20.0, 24.0, 24.0]]
    assert target_contrast(white_noise(4, 8, 8), torch.tensor(boxes)).isnan().all()


def test_contrast_of_16_bit_counts_keeps_its_digits():
    image = torch.full((1, 1, 64, 64), 60000.0, dtype=torch.float64)
    image[..., 24:40, 24:40] += 0.25
    box = torch.tensor([[24.0, 24.0, 40.0, 40.0]], dtype=torch.float64)
    assert target_contrast(image, box).item() == pytest.approx(0.25, rel=1e-9)


@pytest.mark.parametrize(("contrast", "expected"), [(0, 1), (0.5, 1), (2, 0), (-2, 0)])
def test_a_target_below_the_noise_has_vanished(contrast, expected):
    images = 3 * white_noise(8, 128, 128) + 100
    images[..., 40:80, 40:80] += 3 * contrast
    box = torch.tensor([[40.0, 40.0, 80.0, 80.0]]).expand(8, -1)
    noise = spatial_noise(images)
    assert vanished(target_contrast(images, box), noise).tolist() == [expected] * 8
    without = target_contrast(images, torch.tensor([NO_BOX]).expand(8, -1))
    assert vanished(without, noise).isnan().all()


@pytest.mark.parametrize("size", [(64, 64), (48, 80), (33, 47)])
def test_white_noise_has_its_variance_at_every_frequency_whatever_the_size(size):
    power = spectrum_of(3 * white_noise(100, *size) + 50)
    filled = ~np.isnan(power)
    assert filled.sum() > 40
    np.testing.assert_allclose(power[filled][20:], 9, rtol=0.12)
    assert power[filled].mean() == pytest.approx(9, rel=0.03)


@pytest.mark.parametrize(("height", "width", "periods"), [(256, 256, 49), (128, 96, 24)])
def test_a_wave_appears_at_its_frequency_alone(height, width, periods):
    phase = 2 * math.pi * periods / width * torch.arange(width, dtype=torch.float64)
    spectrum = RadialSpectrum()
    spectrum.add(10 * torch.cos(phase).expand(1, 1, height, width))
    power = spectrum.mean()
    peak = int(np.nanargmax(power))
    assert abs(spectrum.frequencies[peak] - periods / width) <= 0.25 / RINGS
    far = np.abs(np.arange(RINGS) - peak) > 3
    assert np.nanmax(power[far]) < 1e-20 * power[peak]


@pytest.mark.parametrize("size", [(24, 24), (17, 31)])
def test_the_spectrum_is_the_mean_over_rings_of_the_whole_plane(size):
    images = white_noise(2, *size)
    window = np.outer(*(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n) for n in size))
    y, x = np.meshgrid(*(np.fft.fftfreq(n) for n in size), indexing="ij")
    low = (np.abs(y * size[0]) < 1.5) & (np.abs(x * size[1]) < 1.5)
    ring = np.minimum(np.hypot(y, x) * 2 * RINGS, RINGS - 0.5).astype(int)
    ring[low | (np.hypot(y, x) > 0.5)] = -1
    planes = np.abs(np.fft.fft2(images[:, 0].numpy() * window)) ** 2 / (window**2).sum()
    found = spectrum_of(images)
    for place in range(RINGS):
        if (ring == place).any():
            assert found[place] == pytest.approx(planes[:, ring == place].mean(), rel=1e-10)
        else:
            assert np.isnan(found[place])


def test_an_offset_does_not_reach_the_spectrum():
    images = white_noise(2, 32, 32)
    np.testing.assert_allclose(spectrum_of(images + 40000), spectrum_of(images), rtol=1e-6)


def test_batches_and_sizes_of_a_set_may_differ():
    large, small = white_noise(5, 64, 64), 2 * white_noise(3, 16, 16)
    np.testing.assert_allclose(spectrum_of(large[:2], large[2:]), spectrum_of(large), rtol=1e-12)
    alone = spectrum_of(large), spectrum_of(small)
    both = spectrum_of(large, small)
    common = ~np.isnan(alone[0]) & ~np.isnan(alone[1])
    np.testing.assert_allclose(both[common], ((5 * alone[0] + 3 * alone[1]) / 8)[common])
    only_large = np.isnan(alone[1])
    np.testing.assert_array_equal(both[only_large], alone[0][only_large])


def test_every_ring_but_the_first_is_filled_at_256_pixels():
    assert np.isnan(spectrum_of(white_noise(1, 256, 256))).nonzero()[0].tolist() == [0]


distance = partial(spectral_distance, largest=1.0)


def test_spectra_of_one_set_are_at_distance_0():
    power = spectrum_of(white_noise(3, 32, 32))
    assert distance(power, power) == 0
    black = spectrum_of(torch.zeros(1, 1, 32, 32))
    assert distance(black, black) == 0
    assert distance(black, power) == math.inf


@pytest.mark.parametrize("gain", [0.1, 2.0, 10.0])
def test_a_gain_is_its_decibels(gain):
    images = white_noise(4, 40, 56)
    found = distance(spectrum_of(images), spectrum_of(gain * images))
    assert found == pytest.approx(abs(20 * math.log10(gain)), rel=1e-9)


@pytest.mark.parametrize("unit", [1e-12, 1e-7, 1e6])
def test_the_unit_of_the_files_does_not_matter(unit):
    """A flat image of it has no power, and one whose floats differ in their last digit has some."""
    images = 5 + white_noise(4, 40, 56)
    ours, louder, flat = (spectrum_of(unit * i) for i in (images, 3 * images, 5 + 0 * images))
    faint = spectrum_of(unit * (5 + 5e-7 * white_noise(4, 40, 56).sign()))
    found = partial(spectral_distance, largest=8 * unit)
    assert found(ours, louder) == pytest.approx(20 * math.log10(3), rel=1e-9)
    assert found(flat, ours) == found(flat, faint) == math.inf and found(flat, flat) == 0
    assert 100 < found(ours, faint) < 150


def test_white_noises_are_apart_by_the_ratio_of_their_variances():
    a, b = 2 * white_noise(150, 64, 64, seed=1), 6 * white_noise(150, 64, 64, seed=2)
    found = distance(spectrum_of(a), spectrum_of(b))
    assert found == pytest.approx(20 * math.log10(3), rel=0.02)


def test_rings_that_one_set_lacks_are_left_out():
    assert distance(np.array([np.nan, 1, 10]), np.array([1, np.nan, 100])) == 10
    assert math.isnan(distance(np.array([np.nan, 1]), np.array([1, np.nan])))


@pytest.mark.parametrize(("bits", "dtype"), [(8, torch.float32), (16, torch.float64)])
def test_grey_levels_count_every_pixel(bits, dtype):
    counts = np.random.default_rng(0).integers(0, 2**bits, (4, 1, 9, 7))
    counts[0, 0, 0, :2] = 0, 2**bits - 1
    found = grey_levels(torch.from_numpy(counts).to(dtype), Levels(2**bits))
    expected = np.bincount(counts.ravel(), minlength=2**bits)
    np.testing.assert_array_equal(found, expected)


def test_luminance_goes_to_the_nearest_level():
    found = grey_levels(torch.tensor([0.4, 0.6, 254.97, 17.2]).view(1, 1, 2, 2), Levels(256))
    assert found.nonzero()[0].tolist() == [0, 1, 17, 255]


def test_wasserstein_equals_scipy_for_sets_of_different_size():
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 200, 700), rng.normal(120, 30, 1900).clip(0, 255).round().astype(int)
    expected = wasserstein_distance(a, b)
    found = wasserstein(np.bincount(a, minlength=256), np.bincount(b, minlength=256))
    assert found == pytest.approx(expected, rel=1e-10)


def test_an_offset_of_all_counts_is_their_distance():
    counts = torch.from_numpy(np.random.default_rng(2).integers(0, 60000, (2, 1, 16, 16))).double()
    histograms = [grey_levels(counts + offset, Levels(65536)) for offset in (0, 1234)]
    assert wasserstein(*histograms) == pytest.approx(1234, rel=1e-9)
    assert wasserstein(histograms[0], histograms[0]) == 0


def test_noise_added_to_real_16_bit_images_is_found(shared_data):
    for file in sorted(shared_data("radiometric16").rglob("*.png"))[:3]:
        image = torch.from_numpy(read_image(file).astype(np.float64))[None, None]
        noisy = image + 256 * white_noise(1, *image.shape[-2:])
        before, after = spatial_noise(torch.cat([image, noisy])).tolist()
        assert before < 256 / 2
        assert after == pytest.approx(math.hypot(before, 256), rel=0.2)
