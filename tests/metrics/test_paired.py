"""PSNR, SSIM and luminance against closed forms and scikit-image."""

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from metrics.paired import luminance, psnr, ssim


def noise(shape, dtype=np.uint8, *, seed=0):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype=dtype)


@pytest.mark.parametrize("offset", [1, 7, 100])
@pytest.mark.parametrize("shape", [(16, 24), (16, 24, 3)])
def test_psnr_of_a_constant_offset(offset, shape):
    image = noise(shape) // 2
    expected = 20 * math.log10(255 / offset)
    assert psnr(image, image + np.uint8(offset), data_range=255) == pytest.approx(expected)


def test_psnr_of_16_bits_falls_by_12_db_when_noise_grows_fourfold():
    image = noise((64, 64), np.uint16) // 2
    ratios = [psnr(image, image + np.uint16(d), data_range=65535) for d in (4, 16, 64)]
    assert np.diff(ratios) == pytest.approx(-20 * math.log10(4), abs=1e-9)
    assert ratios[0] == pytest.approx(20 * math.log10(65535 / 4))


def test_psnr_is_over_all_bands_at_once():
    a = np.zeros((8, 8, 3), np.uint8)
    b = a.copy()
    b[..., 1] = 30
    assert psnr(a, b, data_range=255) == pytest.approx(10 * math.log10(255**2 / (30**2 / 3)))


@pytest.mark.filterwarnings("error")
def test_equal_images():
    image = noise((16, 16, 3))
    assert psnr(image, image, data_range=255) == math.inf
    assert ssim(image, image, data_range=255) == pytest.approx(1)


def test_ssim_of_two_constant_images():
    a, b = np.full((9, 9), 100, np.uint8), np.full((9, 9), 150, np.uint8)
    c1 = (0.01 * 255) ** 2
    expected = (2 * 100 * 150 + c1) / (100**2 + 150**2 + c1)
    assert ssim(a, b, data_range=255) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("shape", "dtype"), [((32, 20), np.uint8), ((32, 20, 3), np.uint8), ((32, 20), np.uint16)]
)
def test_equal_to_scikit_image_on_the_files_integers(shape, dtype):
    a = noise(shape, dtype)
    b = (a // 2 + noise(shape, dtype, seed=1) // 2).astype(dtype)
    data_range = np.iinfo(dtype).max
    axis = 2 if len(shape) == 3 else None
    theirs = structural_similarity(a, b, data_range=data_range, channel_axis=axis)
    assert ssim(a, b, data_range=data_range) == pytest.approx(theirs, abs=1e-9)
    theirs = peak_signal_noise_ratio(a, b, data_range=data_range)
    assert psnr(a, b, data_range=data_range) == pytest.approx(theirs, abs=1e-4)


def test_luminance_is_the_weighted_sum_without_rounding():
    image = noise((5, 6, 3))
    red, green, blue = np.moveaxis(image.astype(np.float64), 2, 0)
    assert luminance(image) == pytest.approx(0.2989 * red + 0.587 * green + 0.114 * blue)
    assert luminance(np.full((1, 1, 3), 255, np.uint8)).item() == pytest.approx(0.9999 * 255)


def test_luminance_of_one_band_is_the_band():
    image = noise((5, 6), np.uint16)
    assert np.array_equal(luminance(image), image)
