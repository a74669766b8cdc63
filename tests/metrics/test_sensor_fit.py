"""The fit against sensors whose every property is known."""

import numpy as np
import pytest
import torch

from datasets.scene import VEHICLES, draw_recording, draw_scene, sensor_image, simulator_image
from datasets.scene.sensor import SENSOR, optics_mtf
from datasets.scene.thermal import band_radiance, band_slope
from metrics.sensor_fit import (
    Distribution,
    fit_blur,
    fit_sensor,
    line_variance,
    white_variance,
)
from models.networks.sensor import FittedSensor
from util.errors import UserError

STEP = 2 / 255
SIZE = 128


def encode(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.astype(np.float32))[None] * STEP - 1


def scenes(domain: int, recordings: int = 8):
    """(scene, its noise): one recording after the other, of all classes; domains share none."""
    for index in range(recordings):
        recording = draw_recording(np.random.default_rng([domain, index]))
        for frame, vehicle in enumerate(VEHICLES):
            rng = np.random.default_rng([domain, index, frame])
            yield draw_scene(rng, recording, vehicle), rng


@pytest.fixture(scope="module")
def demo_sets():
    """Simulated and real 8-bit training images of a small demo set: unpaired."""
    simulated = [encode(simulator_image(scene, SIZE)) for scene, _ in scenes(0)]
    return simulated, [encode(sensor_image(scene, SIZE, rng)) for scene, rng in scenes(1)]


@pytest.fixture(scope="module")
def demo_fit(demo_sets):
    return fit_sensor(*demo_sets, step=STEP)


def test_the_fit_recovers_the_generators_mtf(demo_fit):
    frequency = np.linspace(0, 0.4, 81)
    true = optics_mtf(frequency) * np.sinc(frequency)  # the detectors fill their pitch
    found = demo_fit.mtf(torch.from_numpy(frequency)).numpy()
    assert np.abs(found - true).max() < 0.1
    half = [np.interp(-0.5, -mtf, frequency) for mtf in (found, true)]
    assert half[0] == pytest.approx(half[1], rel=0.1)


def test_the_fit_recovers_the_generators_netd(demo_fit):
    # Grey levels of noise -> kelvin at the reference, with its electronics and photons of the air.
    air = float(band_radiance(287.5))
    radiance = demo_fit.noise[0].item() / 2 / SENSOR.agc_gain
    photons = (float(band_radiance(SENSOR.reference_k)) - air) / SENSOR.electrons_per_radiance
    netd = np.sqrt(radiance**2 + photons) / band_slope(SENSOR.reference_k)
    assert netd == pytest.approx(SENSOR.netd_k, rel=0.1)


def test_the_fit_recovers_the_generators_column_pattern(demo_fit):
    kelvin = demo_fit.noise[2].item() / 2 / SENSOR.agc_gain / band_slope(SENSOR.reference_k)
    assert kelvin == pytest.approx(SENSOR.column_k, rel=0.1)


def test_translations_are_nearer_the_truth_than_curve_and_the_best_blur(demo_sets, demo_fit):
    simulated, real = demo_sets
    plain = FittedSensor()
    levels = np.linspace(-1, 1, len(plain.curve))
    distributions = [
        Distribution(*np.unique(torch.stack(images).numpy(), return_counts=True))
        for images in (simulated, real)
    ]
    curve = distributions[1].quantile(distributions[0].share(levels))
    plain.curve.copy_(torch.from_numpy(curve))
    truth, sources = [], []
    for scene, rng in scenes(2, recordings=2):
        sources.append(encode(simulator_image(scene, SIZE)))
        truth.append(encode(sensor_image(scene, SIZE, rng)))
    truth, sources = torch.stack(truth), torch.stack(sources)

    fitted = (demo_fit(sources) - truth).square().mean()
    for blur in (0.0, 0.6, 0.8, 1.0):
        plain.blur.fill_(blur)
        assert fitted < 0.9 * (plain(sources) - truth).square().mean()


def test_the_fit_is_the_same_whatever_the_run(demo_sets, demo_fit):
    again = fit_sensor(*demo_sets, step=STEP).state_dict()
    for name, value in demo_fit.state_dict().items():
        assert torch.equal(value, again[name])


def known_sensor() -> FittedSensor:
    sensor = FittedSensor()
    sensor.curve.copy_(0.6 * sensor.curve + 0.2 * sensor.curve.pow(3) - 0.1)
    sensor.blur.fill_(1.2)
    sensor.noise.copy_(torch.tensor([0.01, 0.004, 0.006]))
    return sensor


def random_scenes(seed: int, count: int = 40) -> list[torch.Tensor]:
    """Flat rectangles on a flat ground: sharp edges, as a simulator draws them; odd sizes."""
    rng = np.random.default_rng(seed)
    images = []
    for index in range(count):
        image = np.full((97 + index % 3, 121), rng.uniform(-0.5, -0.3))
        for _ in range(30):
            y, x, height, width = rng.integers(0, [90, 110, 40, 40])
            image[y : y + height, x : x + width] = rng.uniform(-0.9, 0.9)
        images.append(torch.from_numpy(image.astype(np.float32))[None])
    return images


def test_a_sensor_of_the_fits_own_kind_is_found_again():
    sensor = known_sensor()
    real = [
        sensor.add_noise(sensor(image[None]), seed=0, names=[f"{n}"])[0]
        for n, image in enumerate(random_scenes(1, count=120))
    ]
    found = fit_sensor(random_scenes(0, count=120), real)
    assert found.blur.item() == pytest.approx(1.2, rel=0.1)
    np.testing.assert_allclose(found.noise, sensor.noise, rtol=0.15)
    source = torch.stack([image[:, :97] for image in random_scenes(2)])
    assert (found(source) - sensor(source)).abs().mean() < 0.03


def test_equal_sets_need_no_change():
    images = random_scenes(0)
    found = fit_sensor(images, images)
    assert found.blur.item() < 0.02 and found.keep.item() == pytest.approx(1.0, abs=0.02)
    # A deviation is the root of what two passes leave: 1e-4 of a variance is 1e-2 here.
    assert found.noise.abs().max() < 1e-3 and found.spread.abs().max() < 0.01
    inside = torch.stack([image[:, :97] for image in images])
    torch.testing.assert_close(found(inside), inside, rtol=0, atol=0.01)


def test_coarse_levels_are_matched_by_their_middles():
    few = Distribution(np.array([-1.0, 0.0, 1.0]), np.array([1, 2, 1]))
    np.testing.assert_allclose(
        few.share(np.array([-2, -1, 0, 0.5, 1])), [1 / 8] * 2 + [0.5, 11 / 16, 7 / 8]
    )
    np.testing.assert_allclose(few.quantile(np.array([0, 0.5, 11 / 16, 1])), [-1, 0, 0.5, 1])


def test_blur_is_told_from_contrast_and_noise():
    frequency = np.linspace(0.004, 0.5, 64)
    sharp = frequency**-2.0
    blurred = 1.7 * sharp * np.exp(-4 * (np.pi * 0.9 * frequency) ** 2) + 0.02
    assert fit_blur(frequency, sharp, blurred, floor=0.02) == pytest.approx(0.9, rel=1e-6)
    assert fit_blur(frequency, sharp, 2 * sharp, floor=0.0) == pytest.approx(0.0, abs=1e-6)
    assert fit_blur(frequency, blurred, sharp, floor=0.0) == 0.0
    assert fit_blur(frequency, sharp, np.full(64, 0.02), floor=0.02) == 0.0


def test_noise_and_lines_are_told_apart_on_slopes():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:256, :300]
    image = 0.002 * x - 0.001 * y + 0.02 * rng.standard_normal((256, 300))
    image += 0.01 * rng.standard_normal((256, 1)) + 0.03 * rng.standard_normal(300)
    image = torch.from_numpy(image)[None]
    assert white_variance(image) == pytest.approx(0.02**2, rel=0.1)
    # Fourth differences of 256 draws: their mean square is known to 15 %.
    assert line_variance(image) == pytest.approx(0.01**2, rel=0.4)
    assert line_variance(image.mT) == pytest.approx(0.03**2, rel=0.4)


def test_one_image_a_set_is_enough():
    simulated, real = random_scenes(0, count=1), random_scenes(1, count=1)
    found = fit_sensor(simulated, real)
    assert found.keep.item() == 1.0
    assert all(value.isfinite().all() for value in found.state_dict().values())


@pytest.mark.parametrize("value", [-1.0, 0.25, 1.0])
def test_flat_and_saturated_sets_give_finite_sensors(value):
    flat = [torch.full((1, 40, 40), value)] * 3
    for sets in ((flat, flat), (random_scenes(0, 3), flat), (flat, random_scenes(0, 3))):
        found = fit_sensor(*sets)
        assert all(state.isfinite().all() for state in found.state_dict().values())
        image = sets[0][0][None]
        assert found(image).isfinite().all()


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (None, "there are no real images"),
        (torch.zeros(3, 64, 64), "one band"),
        (torch.zeros(1, 31, 64), "64x31 pixels is too small"),
    ],
)
def test_sets_that_cannot_be_fitted_are_refused(image, words):
    good = random_scenes(0, count=1)
    with pytest.raises(UserError, match=words):
        fit_sensor(good, [] if image is None else [image])
