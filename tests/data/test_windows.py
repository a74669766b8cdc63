"""Windows: what they show of an image, at which sharpness, and where boxes come to lie."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from data.windows import needed, place_boxes, resample

RNG = np.random.default_rng(0)


def seen(image: np.ndarray, window, size: int, blur: float = 1.0) -> torch.Tensor:
    """A window of an image (H, W), by the steps of a dataset: (size, size)."""
    rows, columns, inside = needed(window, *image.shape, size=size, blur=blur)
    part = torch.from_numpy(image[rows][:, columns])[None, None].float()
    return resample(part, torch.tensor([inside]), size=size, blur=torch.tensor([blur]))[0, 0]


def spot(x: float, y: float, height: int = 80, width: int = 100) -> np.ndarray:
    """A Gaussian spot, 4 pixels wide, whose middle is at (x, y) in pixel edges."""
    rows, columns = (np.arange(length) + 0.5 for length in (height, width))
    return np.exp(-((rows[:, None] - y) ** 2 + (columns - x) ** 2) / 32).astype(np.float32)


def middle(image: torch.Tensor) -> tuple[float, float]:
    """Centre of mass (x, y) in pixel edges."""
    weights = image.double().clamp_min(0)
    places = torch.arange(len(weights), dtype=torch.float64) + 0.5
    total = weights.sum()
    return float(weights.sum(0) @ places / total), float(weights.sum(1) @ places / total)


@pytest.mark.parametrize(("size", "around"), [(10, 4), (20, 4), (40, 2), (80, 8)])
def test_whole_pixels_are_resized_as_torch_does(size, around):
    """Larger and smaller, compared within a resized part with more on every side."""
    image = RNG.random((90, 90)).astype(np.float32)
    margin = around * 40 // size
    part = torch.from_numpy(image[20 - margin : 60 + margin, 25 - margin : 65 + margin])
    whole = size + 2 * around
    expected = F.interpolate(part[None, None], (whole, whole), mode="bicubic", antialias=True)
    inner = expected[0, 0, around:-around, around:-around].clamp(0, 1)
    found = seen(image, (25, 20, 40, 40), size).clamp(0, 1)
    torch.testing.assert_close(found, inner, rtol=0, atol=0.02)
    assert (found - inner).abs().median() < 1e-6  # beyond the part's extremes alone they differ


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("side", [31.7, 64.0, 77.3])
def test_what_is_at_a_place_of_the_image_comes_to_its_place_in_the_window(side, mirrored):
    x, y, size = 47.3, 34.9, 64
    window = (30.2, 21.7, side, side * 0.8)
    if mirrored:
        window = (window[0] + side, window[1], -side, window[3])
    found = middle(seen(spot(x, y), window, size) ** 2)
    expected = ((x - window[0]) / window[2] * size, (y - window[1]) / window[3] * size)
    assert found == pytest.approx(expected, abs=0.15)


def test_boxes_go_along_and_are_clipped():
    boxes = np.array([[20, 10, 40, 30], [0, 0, 11, 6], [80, 80, 90, 90]], np.float32)
    placed = place_boxes(boxes, (10, 5, 60, 50), size=120)
    np.testing.assert_allclose(placed, [[20, 12, 60, 60], [0, 0, 2, 2.4]])
    mirrored = place_boxes(boxes, (70, 5, -60, 50), size=120)
    np.testing.assert_allclose(mirrored, [[60, 12, 100, 60], [118, 0, 120, 2.4]])
    assert place_boxes(boxes[:0], (10, 5, 60, 50), size=9).shape == (0, 4)


def test_a_mirrored_window_is_the_mirror_image_of_the_window():
    image = RNG.random((50, 60)).astype(np.float32)
    plain = seen(image, (12.3, 8.1, 30, 30), 40)
    torch.testing.assert_close(seen(image, (42.3, 8.1, -30, 30), 40), plain.flip(-1))


def test_shrinking_leaves_nothing_of_what_is_finer_than_its_pixels():
    """Stripes of 2 pixels would turn into coarse ones; a tenth of a grey level is left."""
    stripes = np.tile(np.float32([0, 1, 1, 0]), (100, 25))[:, :99]
    shrunk = seen(stripes, (10.3, 10, 80, 80), 16)
    assert (shrunk - 0.5).abs().max() < 0.05
    kept = seen(stripes, (10, 10, 20, 20), 20)
    torch.testing.assert_close(kept, torch.from_numpy(stripes[10:30, 10:30]))


def test_blur_takes_away_what_is_fine():
    stripes = np.tile(np.float32([0, 0, 1, 1]), (100, 25))
    contrasts = [float(seen(stripes, (20, 20, 40, 40), 40, blur).std()) for blur in (1, 1.5, 3)]
    assert contrasts[0] == pytest.approx(0.5, abs=1e-3) and contrasts == sorted(
        contrasts, reverse=True
    )
    assert contrasts[2] < 0.05


def test_no_value_lies_beyond_those_of_the_image():
    image = (RNG.random((40, 40)) > 0.5).astype(np.float32)
    found = seen(image, (5.5, 5.5, 20, 20), 64)
    assert found.min() >= 0 and found.max() <= 1


def test_windows_of_a_batch_are_those_of_single_images():
    image = RNG.random((3, 1, 40, 50)).astype(np.float32)
    windows = torch.tensor([[5.0, 6, 20, 20], [30, 2, -18, 25], [3, 3, 30, 30]])
    blur = torch.tensor([1.0, 2.0, 1.5])
    batch = torch.from_numpy(image)
    together = resample(batch, windows, size=32, blur=blur)
    for i in range(3):
        alone = resample(batch[i : i + 1], windows[i : i + 1], size=32, blur=blur[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone)
