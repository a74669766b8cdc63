"""The fit on the targets against sensors whose every property is known."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from metrics.target_fit import fit_targets
from models.networks.sensor import KNOTS, FittedSensor
from util.errors import UserError

SIDE, BLUR = 48, 0.8
GAIN, POWER, OFFSET = 3.0, 1.8, -1.2
BOX = (14, 18, 34, 30)  # x0, y0, x1, y1
HOTTEST = 4.0  # of what the simulator shows as 1


def scene(seed: int) -> np.ndarray:
    """Shares of the simulator's window, (H, W): ground, and a target of four flat parts in BOX."""
    rng = np.random.default_rng(seed)
    ground = gaussian_filter(rng.standard_normal((SIDE, SIDE)), 2, mode="wrap")
    image = 0.3 + 0.04 * ground / ground.std()
    x0, y0, x1, y1 = BOX
    edges = np.linspace(x0, x1, 5).astype(int)
    for left, right in pairwise(edges):
        image[y0:y1, left:right] = rng.uniform(0.35, 1.3)
    return image


def simulated(seed: int) -> np.ndarray:
    return scene(seed).clip(0, 1)


def sensed(share: np.ndarray, gain: float = GAIN, power: float = POWER) -> np.ndarray:
    """What the sensor makes of shares, in [-1, 1]; hot parts are hotter than the window's end."""
    hot = np.where(share >= 1, HOTTEST, OFFSET + gain * share**power)
    return gaussian_filter(hot, BLUR, mode="reflect").clip(-1, 1)


def boxed(images) -> list[tuple[torch.Tensor, np.ndarray]]:
    box = np.array([BOX], np.float32)
    return [(torch.from_numpy(image.astype(np.float32))[None], box) for image in images]


@pytest.fixture(scope="module")
def fitted():
    # The same scenes, so that distributions agree exactly; the fit does not know the pairs.
    sensor = FittedSensor()
    sensor.blur.fill_(BLUR)
    simulator = boxed(2 * simulated(seed) - 1 for seed in range(60))
    return fit_targets(sensor, simulator, boxed(sensed(scene(seed)) for seed in range(60)))


def test_the_curve_is_found_beyond_the_background(fitted):
    share = np.array([0.3, 0.5, 0.7, 0.9])
    found = np.interp(share, np.linspace(0, 1, KNOTS), fitted.curve.numpy())
    np.testing.assert_allclose(found, OFFSET + GAIN * share**POWER, atol=0.12)


def fit_to(gain: float, power: float) -> FittedSensor:
    sensor = FittedSensor()
    sensor.blur.fill_(BLUR)
    real = boxed(sensed(scene(seed), gain, power) for seed in range(40))
    return fit_targets(sensor, boxed(2 * simulated(seed) - 1 for seed in range(40)), real)


@pytest.mark.parametrize(("gain", "power"), [(0.8, 0.4), (1.5, 0.7), (2.0, 1.0)])
def test_flat_curves_are_found(gain, power):
    share = np.array([0.3, 0.5, 0.7, 0.9])
    found = np.interp(share, np.linspace(0, 1, KNOTS), fit_to(gain, power).curve.numpy())
    np.testing.assert_allclose(found, OFFSET + gain * share**power, atol=0.06)


@pytest.mark.parametrize("gain", [2.0, 3.0])
def test_a_search_that_ends_in_a_hollow_is_not_all_there_is(gain):
    """From either start alone one of these ends with saturated parts of more than 20."""
    assert fit_to(gain, 2.5).curve[-1].item() == pytest.approx(HOTTEST, abs=2.5)


def test_what_the_simulator_saturates_on_is_hotter_than_its_window(fitted):
    end = OFFSET + GAIN
    assert fitted.curve[-2].item() == pytest.approx(end, abs=0.4)
    assert fitted.curve[-1].item() > end + 0.5


@pytest.mark.parametrize("first", [60, 120, 180, 300])
def test_edges_tell_how_hot_a_saturated_part_is_where_scenes_are_others(first):
    """Grey levels alone put it anywhere from 2 to 5."""
    sensor = FittedSensor()
    sensor.blur.fill_(BLUR)
    real = boxed(sensed(scene(first + seed)) for seed in range(60))
    fit_targets(sensor, boxed(2 * simulated(seed) - 1 for seed in range(60)), real)
    assert sensor.curve[-1].item() == pytest.approx(HOTTEST, rel=0.05)
    assert sensor.blur.item() == pytest.approx(BLUR)


def test_translated_targets_are_near_the_truth(fitted):
    pairs = [(2 * simulated(seed) - 1, sensed(scene(seed))) for seed in range(200, 220)]
    images = torch.tensor(np.array([a for a, _ in pairs]), dtype=torch.float32)[:, None]
    made = fitted(images, torch.tensor([[BOX]]).float().expand(20, 1, 4)).numpy()[:, 0]
    x0, y0, x1, y1 = BOX
    apart = np.array([m - b for m, (_, b) in zip(made, pairs, strict=True)])[:, y0:y1, x0:x1]
    assert np.sqrt(np.mean(apart**2)) < 0.12


def test_targets_that_differ_as_real_ones_do_keep_their_grey_levels(fitted):
    assert fitted.target_keep.item() == pytest.approx(1, abs=0.1)


def test_targets_that_differ_more_than_real_ones_come_nearer_to_the_mean():
    # Real targets all have the same four parts; simulated ones any.
    same = np.stack([scene(7)] * 2)
    rng = np.random.default_rng(0)
    real = [sensed(same[0] + 0.01 * rng.standard_normal(same[0].shape)) for _ in range(30)]
    sensor = FittedSensor()
    sensor.blur.fill_(BLUR)
    fit_targets(sensor, boxed(2 * simulated(s) - 1 for s in range(30)), boxed(real))
    assert sensor.target_keep.item() < 0.4
    assert sensor.controls_targets


@pytest.mark.parametrize("boxes", [[], [[0, 0, SIDE, SIDE]], [[3, 3, 3.2, 3.2]]])
def test_a_set_that_shows_no_target_beside_background_is_refused(boxes):
    without = [(torch.zeros(1, SIDE, SIDE), np.array(boxes, np.float32).reshape(-1, 4))]
    with pytest.raises(UserError, match="no box of the real images shows a pixel beside backgr"):
        fit_targets(FittedSensor(), boxed([simulated(0)]), without)
