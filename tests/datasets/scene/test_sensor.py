from dataclasses import replace

import numpy as np
import pytest

from datasets.scene import (
    SENSOR,
    VEHICLES,
    draw_recording,
    draw_scene,
    render,
    sensor_image,
    simulator_image,
    vehicle_box,
)
from datasets.scene.sensor import (
    OVERSAMPLE,
    add_temporal_noise,
    blur,
    counts,
    fall_off,
    fixed_pattern,
    gain_control,
    optics_mtf,
)
from datasets.scene.simulator import window
from datasets.scene.terrain import Grid, background_radiance
from datasets.scene.thermal import band_radiance, band_slope


@pytest.fixture(scope="module")
def recording():
    return draw_recording(np.random.default_rng(1))


def test_temporal_noise_has_the_netd_at_the_reference():
    scene = np.full((400, 400), float(band_radiance(SENSOR.reference_k)))
    noise = add_temporal_noise(scene, np.random.default_rng(0)) - scene
    expected = SENSOR.netd_k * band_slope(SENSOR.reference_k)
    # 160,000 draws: the standard deviation is known to 0.2 %.
    assert noise.std() == pytest.approx(expected, rel=0.01)
    assert noise.mean() == pytest.approx(0.0, abs=5 * expected / 400)


def test_noise_grows_with_the_root_of_the_electrons():
    hot = float(band_radiance(340.0))
    noise = add_temporal_noise(np.full((300, 300), hot), np.random.default_rng(1)) - hot
    variance = hot / SENSOR.electrons_per_radiance + SENSOR.electronics_radiance**2
    assert noise.std() == pytest.approx(np.sqrt(variance), rel=0.01)


def test_a_netd_below_the_photon_noise_is_refused():
    with pytest.raises(ValueError, match="photon noise"):
        _ = replace(SENSOR, netd_k=0.001).electronics_radiance


def test_mtf_limits():
    cutoff = SENSOR.pitch_m / (SENSOR.wavelength_m * SENSOR.f_number)
    still = replace(SENSOR, jitter_pixels=0.0)
    assert optics_mtf(np.array(0.0)) == pytest.approx(1.0)
    assert optics_mtf(np.array([cutoff, 2.0])) == pytest.approx([0.0, 0.0])
    # A clear circular aperture at half its cutoff frequency: (2/π)(π/3 − √3/4).
    half = 2 / np.pi * (np.pi / 3 - np.sqrt(3) / 4)
    assert optics_mtf(np.array(cutoff / 2), still) == pytest.approx(half)


@pytest.mark.parametrize("cycles", [4, 12, 24])
def test_a_grating_loses_the_contrast_of_optics_and_footprint(cycles):
    size, oversample = 64, 3
    frequency = cycles / size
    place = (np.arange(size * oversample) + 0.5) / oversample
    grating = np.broadcast_to(np.cos(2 * np.pi * frequency * place), (place.size, place.size))
    image = blur(grating, oversample)
    middle = (np.arange(size) + 0.5)[8:-8]
    seen = image[size // 2, 8:-8]
    wave = np.cos(2 * np.pi * frequency * middle)
    # The mean of `oversample` samples is the discrete form of the footprint's sinc.
    third = np.pi * frequency / oversample
    footprint = np.sin(oversample * third) / (oversample * np.sin(third))
    expected = optics_mtf(np.array(frequency)) * footprint
    assert (seen @ wave) / (wave @ wave) == pytest.approx(float(expected), rel=0.01)


def test_blur_keeps_a_uniform_field():
    assert blur(np.full((96, 96), 1.7), 3) == pytest.approx(np.full((32, 32), 1.7))


def test_fixed_pattern_stays_through_a_recording(recording):
    pattern = fixed_pattern(recording, 256)
    np.testing.assert_array_equal(pattern, fixed_pattern(recording, 256))
    other = replace(recording, pattern_seed=recording.pattern_seed + 1)
    assert not np.allclose(pattern, fixed_pattern(other, 256))
    # Columns and rows only: what is left after both means are taken out is nothing.
    rest = pattern - pattern.mean(0) - pattern.mean(1, keepdims=True) + pattern.mean()
    assert rest == pytest.approx(np.zeros_like(rest), abs=1e-12)
    slope = band_slope(SENSOR.reference_k)
    assert pattern.mean(axis=0).std() == pytest.approx(SENSOR.column_k * slope, rel=0.2)
    assert pattern.mean(axis=1).std() == pytest.approx(SENSOR.row_k * slope, rel=0.2)


def test_vignetting_takes_its_share_at_the_corners():
    share = fall_off(512)
    assert share.max() == pytest.approx(1.0, abs=1e-4)
    assert share[0, 0] == share.min() == pytest.approx(1 - SENSOR.vignetting, abs=1e-3)


def test_tone_mappings_are_monotonic_and_differ(recording):
    radiance = band_radiance(np.linspace(260, 400, 2000))[None, :]
    video = gain_control(radiance, recording)[0].astype(int)
    simulator = window(radiance, bits=8)[0].astype(int)
    for levels in (video, simulator):
        assert (np.diff(levels) >= 0).all()
        assert (levels.min(), levels.max()) == (0, 255)
    air = float(band_radiance(recording.weather.air_k))
    at_air = np.array([[air]])
    assert window(at_air, bits=8)[0, 0] > 2 * gain_control(at_air, recording)[0, 0]


def test_counts_are_linear_and_end_at_14_bits():
    air, warm, hot = band_radiance(np.array([285.0, 310.0, 500.0]))
    dark, low, high, full = counts(np.array([0.0, air, warm, hot]), gain=1.0).astype(float)
    assert full == 2**14 - 1
    assert dark == round(SENSOR.adc_pedestal * full)
    assert (high - dark) / (low - dark) == pytest.approx(warm / air, rel=1e-3)


def test_gain_control_spreads_by_eight_per_cent_at_most():
    drawn = [draw_recording(np.random.default_rng(seed)) for seed in range(60)]
    for values in ([r.gain for r in drawn], [r.level for r in drawn]):
        assert min(values) >= 0.92
        assert max(values) <= 1.08


@pytest.mark.parametrize("seed", range(3))
def test_the_vehicle_is_seen_in_its_box_and_nowhere_else(seed):
    rng = np.random.default_rng(seed)
    scene = draw_scene(rng, draw_recording(rng), list(VEHICLES)[seed])
    empty = background_radiance(scene, Grid(96, OVERSAMPLE), texture=1.0)
    seen = render(scene, 96, OVERSAMPLE).radiance
    change = np.abs(blur(seen, OVERSAMPLE) - blur(empty, OVERSAMPLE))
    x, y, width, height = vehicle_box(scene, 96)
    rows, columns = np.indices(change.shape) + 0.5
    away = np.maximum(np.abs(rows - y) - height / 2, np.abs(columns - x) - width / 2)
    assert change[away <= 0].max() == change.max()
    assert change[away > 2].max() < 0.05 * change.max()  # what the blur carries out of it


def test_both_depths_are_used(recording):
    scene = draw_scene(np.random.default_rng(2), recording, "BTR70")
    for image in (
        sensor_image(scene, 96, np.random.default_rng(3), bits=16),
        simulator_image(scene, 96, bits=16),
    ):
        assert image.dtype == np.uint16
        assert np.unique(image).size > 256
    assert sensor_image(scene, 96, np.random.default_rng(3), bits=8).dtype == np.uint8


def test_another_frame_differs_by_the_noise_alone(recording):
    scene = draw_scene(np.random.default_rng(2), recording, "BTR70")
    frames = [sensor_image(scene, 96, np.random.default_rng(s), bits=16) for s in (0, 0, 1)]
    np.testing.assert_array_equal(frames[0], frames[1])
    difference = frames[2].astype(float) - frames[0]
    # Electronics and photons of the background, √2 for the difference of two frames.
    air = float(band_radiance(recording.weather.air_k))
    noise = np.sqrt(SENSOR.electronics_radiance**2 + air / SENSOR.electrons_per_radiance)
    scale = (2**14 - 1) * (1 - SENSOR.adc_pedestal) * recording.gain
    expected = np.sqrt(2) * noise * scale / float(band_radiance(SENSOR.saturation_k))
    assert 1.4826 * np.median(np.abs(difference)) == pytest.approx(expected, rel=0.15)
