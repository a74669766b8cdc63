"""PSNR, SSIM, MAE and luminance against closed forms and scikit-image."""

import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from metrics.paired import luminance, mae, psnr, ssim


def noise(*shape, bits=8, seed=0):
    """(B, C, H, W) counts: float32 for 8 bits, float64 for 16."""
    counts = np.random.default_rng(seed).integers(0, 2**bits, shape)
    return torch.from_numpy(counts).to(torch.float32 if bits == 8 else torch.float64)


def planes(batch):
    """Each image as scikit-image takes it: (H, W) or (H, W, 3)."""
    return [image.permute(1, 2, 0).squeeze(2).numpy().astype(np.float64) for image in batch]


@pytest.mark.parametrize("bands", [1, 3])
def test_within_a_region(bands):
    """Against scikit-image's map of SSIM, and means over the very pixels."""
    a, b = noise(3, bands, 24, 20), noise(3, bands, 24, 20, seed=1)
    where = torch.from_numpy(np.random.default_rng(2).random((2, 3, 24, 20)) < 0.3)
    where[0, 1] = False
    found = [metric(a, b, data_range=255, where=where) for metric in (psnr, ssim)]
    found.append(mae(a, b, where=where))
    assert [values.shape for values in found] == [(2, 3)] * 3
    for place, (x, y) in enumerate(zip(planes(a), planes(b), strict=True)):
        axis = 2 if bands == 3 else None
        _, similar = structural_similarity(x, y, data_range=255, channel_axis=axis, full=True)
        for region in range(2):
            inside = where[region, place].numpy()
            if not inside.any():
                assert all(values[region, place].isnan() for values in found)
                continue
            middles = inside[3:-3, 3:-3]
            expected = [
                10 * math.log10(255**2 / ((x - y)[inside] ** 2).mean()),
                similar[3:-3, 3:-3][middles].mean(),
                np.abs(x - y)[inside].mean(),
            ]
            assert [v[region, place].item() for v in found] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("offset", [1, 7, 100])
@pytest.mark.parametrize("bands", [1, 3])
def test_a_constant_offset(offset, bands):
    image = (noise(2, bands, 16, 24) / 2).floor()
    expected = 20 * math.log10(255 / offset)
    assert psnr(image, image + offset, data_range=255).tolist() == pytest.approx([expected] * 2)
    assert mae(image, image - offset).tolist() == pytest.approx([offset] * 2)


def test_psnr_of_16_bits_falls_by_12_db_when_noise_grows_fourfold():
    image = noise(1, 1, 64, 64, bits=16) / 2
    ratios = [psnr(image, image + d, data_range=65535).item() for d in (4, 16, 64)]
    assert np.diff(ratios) == pytest.approx(-20 * math.log10(4), abs=1e-9)
    assert ratios[0] == pytest.approx(20 * math.log10(65535 / 4))


def test_psnr_and_mae_are_over_all_bands_at_once():
    a = torch.zeros(1, 3, 8, 8)
    b = a.clone()
    b[:, 1] = 30
    assert psnr(a, b, data_range=255).item() == pytest.approx(10 * math.log10(255**2 / (30**2 / 3)))
    assert mae(a, b).item() == pytest.approx(10)


def test_equal_images():
    image = noise(2, 3, 16, 16)
    assert psnr(image, image, data_range=255).tolist() == [math.inf] * 2
    assert ssim(image, image, data_range=255).tolist() == pytest.approx([1, 1])
    assert mae(image, image).tolist() == [0, 0]


def test_ssim_of_two_constant_images():
    a, b = torch.full((1, 1, 9, 9), 100.0), torch.full((1, 1, 9, 9), 150.0)
    c1 = (0.01 * 255) ** 2
    expected = (2 * 100 * 150 + c1) / (100**2 + 150**2 + c1)
    assert ssim(a, b, data_range=255).item() == pytest.approx(expected)


def test_ssim_of_an_image_and_its_negative_is_negative():
    image = noise(1, 1, 32, 32)
    assert ssim(image, 255 - image, data_range=255).item() < -0.5


@pytest.mark.parametrize(("height", "width"), [(7, 7), (32, 20), (33, 50)])
@pytest.mark.parametrize(("bands", "bits"), [(1, 8), (3, 8), (1, 16)])
def test_equal_to_scikit_image(height, width, bands, bits):
    a = noise(3, bands, height, width, bits=bits)
    b = ((a + noise(3, bands, height, width, bits=bits, seed=1)) / 2).floor()
    data_range, axis = 2**bits - 1, 2 if bands == 3 else None
    pairs = list(zip(planes(a), planes(b), strict=True))
    theirs = [
        structural_similarity(x, y, data_range=data_range, channel_axis=axis) for x, y in pairs
    ]
    assert ssim(a, b, data_range=data_range).tolist() == pytest.approx(theirs, abs=1e-9)
    theirs = [peak_signal_noise_ratio(x, y, data_range=data_range) for x, y in pairs]
    assert psnr(a, b, data_range=data_range).tolist() == pytest.approx(theirs, abs=1e-9)


def test_bright_flat_images_keep_their_precision():
    """Variances of a few counts beside squares of 250² and 65,000²: nothing may cancel."""
    for bits, level in ((8, 250), (16, 65_000)):
        dither = noise(2, 1, 24, 24).remainder(3)
        a = dither[:1].to(noise(1, bits=bits).dtype) + level
        b = dither[1:].to(a.dtype) + level
        theirs = structural_similarity(*planes(torch.cat([a, b])), data_range=2**bits - 1)
        assert ssim(a, b, data_range=2**bits - 1).item() == pytest.approx(theirs, abs=1e-9)


def test_luminance_is_the_weighted_sum_without_rounding():
    image = noise(2, 3, 5, 6)
    red, green, blue = image.double().unbind(1)
    expected = 0.2989 * red + 0.587 * green + 0.114 * blue
    assert torch.allclose(luminance(image)[:, 0], expected, atol=1e-12)
    assert luminance(torch.full((1, 3, 1, 1), 255.0)).item() == pytest.approx(0.9999 * 255)


def test_luminance_of_one_band_is_the_band():
    image = noise(2, 1, 5, 6, bits=16)
    assert torch.equal(luminance(image), image)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_a_batch_is_done_in_parts_without_a_trace(metric, monkeypatch):
    a, b = noise(5, 1, 12, 9), noise(5, 1, 12, 9, seed=1)
    whole = metric(a, b, data_range=255)
    monkeypatch.setattr("metrics.paired.CACHED_PIXELS", 2 * 12 * 9)  # parts of 2, 2 and 1
    assert metric(a, b, data_range=255).tolist() == pytest.approx(whole.tolist(), abs=1e-12)
