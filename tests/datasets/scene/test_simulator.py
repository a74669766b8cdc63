"""The coarse engine: what it gets wrong, and what it keeps right."""

from dataclasses import replace
from itertools import chain, product

import numpy as np
import pytest

from datasets.scene import (
    COARSE_CLASSES,
    COARSE_VIEW,
    FIELD_TRIAL,
    VEHICLES,
    draw_coarse_simulator,
    draw_recording,
    draw_scene,
    simulator_image,
    vehicle_box,
)
from datasets.scene.simulator import COARSE_PARTS, RISE_K, window
from datasets.scene.thermal import band_radiance, through_atmosphere
from datasets.scene.vehicles import SURFACES

SIZE = 128
RISES = {"hull": 10.0, "turret": 20.0, "engine": 30.0, "running gear": 40.0}


def make_scene(seed: int, vehicle: str = "T72", view=FIELD_TRIAL):
    rng = np.random.default_rng(seed)
    return draw_scene(rng, draw_recording(rng, view), vehicle, view)


def draw(condition: int, frame: int):
    weather = make_scene(0).recording.weather
    return draw_coarse_simulator(
        weather, np.random.default_rng(condition), np.random.default_rng([9, frame])
    )


def levels(scene, rises, simulator) -> dict[str, int]:
    """Grey level of black bodies so much above the air, at the vehicle's range."""
    weather = scene.recording.weather
    kelvin = weather.air_k + np.array(list(rises.values()))
    seen = through_atmosphere(
        band_radiance(kelvin), scene.range_m, weather.extinction_per_km, weather.air_k
    )
    return dict(zip(rises, window(seen, 16, simulator).tolist(), strict=True))


def test_every_surface_belongs_to_one_part():
    assert sorted(chain(*COARSE_PARTS.values())) == sorted(SURFACES)
    assert RISE_K.keys() == COARSE_PARTS.keys()


@pytest.mark.parametrize("vehicle", VEHICLES)
def test_a_vehicle_has_one_grey_level_a_part(vehicle):
    scene = replace(make_scene(3, vehicle), aspect_deg=60.0)
    engine = replace(draw(0, 0), window_k=(250.0, 400.0), part_rise_k=RISES)
    image = simulator_image(scene, SIZE, 16, engine)
    known = levels(scene, RISES, engine)
    cold = simulator_image(scene, SIZE, 16, replace(engine, part_rise_k=dict.fromkeys(RISES, -30)))
    seen = np.unique(image[image != cold])
    assert set(seen) <= set(known.values())
    on_it = {facet.surface for facet in VEHICLES[vehicle].facets}
    parts = {part for part, surfaces in COARSE_PARTS.items() if on_it & {*surfaces}}
    assert set(seen) == {known[part] for part in parts}


@pytest.mark.parametrize("seed", range(4))
def test_the_box_is_that_of_the_drawing(seed):
    view = (COARSE_VIEW, FIELD_TRIAL)[seed % 2]
    scene = make_scene(seed, list(VEHICLES)[seed], view)
    engine = replace(draw(seed, 0), part_rise_k=dict.fromkeys(RISES, 200.0))
    rows, columns = np.nonzero(simulator_image(scene, 512, simulator=engine) == 255)
    edges = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    x, y, width, height = vehicle_box(scene, 512)
    box = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    assert edges == pytest.approx(box, abs=3)  # a pointed nose's tip slips between two samples


def test_plants_tracks_and_grass_are_left_out():
    scene, other = make_scene(5), make_scene(6)
    recording = scene.recording
    foreign = other.recording.terrain
    terrain = replace(
        recording.terrain,
        bushes=foreign.bushes,
        tracks=foreign.tracks,
        field_m=foreign.field_m,
        field_edge=foreign.field_edge,
    )
    planted = replace(scene, recording=replace(recording, terrain=terrain))
    engine = draw(0, 0)
    bare = [simulator_image(view, SIZE, 16, engine) for view in (scene, planted)]
    np.testing.assert_array_equal(*bare)
    covered = [simulator_image(view, SIZE, 16) for view in (scene, planted)]
    assert (covered[0] != covered[1]).any()


def test_bare_ground_without_texture_is_one_level_a_row():
    scene = make_scene(7, view=COARSE_VIEW)
    engine = replace(draw(1, 0), texture=0.0, part_rise_k=dict.fromkeys(RISES, 5.0))
    image = simulator_image(scene, SIZE, 16, engine)
    x, _, width, _ = vehicle_box(scene, SIZE)
    image = np.delete(image, np.arange(int(x - width / 2) - 1, int(x + width / 2) + 2), axis=1)
    below = image[max(0, int(scene.recording.camera.horizon_v * SIZE) + 1) :]
    assert (below == below[:, :1]).all()


def test_each_part_is_hot_or_cold_at_random():
    rises = [draw(0, frame).part_rise_k for frame in range(400)]
    for part, spans in RISE_K.items():
        drawn = np.array([rise[part] for rise in rises])
        hits = [(low <= drawn) & (drawn <= high) for low, high in spans]
        assert np.any(hits, axis=0).all()
        for hit in hits:  # a share of 400 is known to 0.025
            assert hit.mean() == pytest.approx(1 / len(spans), abs=0.1)
    states = [tuple(rise[part] < 5.0 for part in ("engine", "running gear")) for rise in rises]
    for state in product((False, True), repeat=2):
        assert states.count(state) / 400 == pytest.approx(1 / 4, abs=0.09)


def test_tone_belongs_to_the_condition_and_heat_to_the_frame():
    first, second, elsewhere = draw(0, 0), draw(0, 1), draw(1, 0)
    assert (first.window_k, first.gamma) == (second.window_k, second.gamma)
    assert first.part_rise_k != second.part_rise_k
    assert first.window_k != elsewhere.window_k
    assert first.gamma != elsewhere.gamma
    assert first.part_rise_k == elsewhere.part_rise_k


def test_windows_hold_the_air_and_span_the_grey_levels():
    air = make_scene(0).recording.weather.air_k
    at_air = []
    for condition in range(60):
        engine = draw(condition, 0)
        low, high = engine.window_k
        assert low < air < high
        ramp = window(band_radiance(np.linspace(low - 5, high + 5, 500)), 8, engine).astype(int)
        assert (np.diff(ramp) >= 0).all()
        assert (ramp[0], ramp[-1]) == (0, 255)
        at_air.append(int(window(band_radiance(np.array(air)), 8, engine)))
    assert min(at_air) < 40
    assert max(at_air) > 100


def test_the_coarse_view_is_near_high_and_in_the_middle():
    heights = []
    for seed in range(60):
        scene = make_scene(seed, COARSE_CLASSES[seed % 2], COARSE_VIEW)
        x, _, width, _ = vehicle_box(scene, SIZE)
        assert 340 < scene.range_m < 910  # the track sways about the recording's range
        assert width / 2 < x < SIZE - width / 2
        assert abs((scene.bearing - scene.pan) / scene.recording.camera.fov) <= 0.03
        heights.append(scene.recording.camera.height_m / scene.range_m)
    usual = [seen.recording.camera.height_m / seen.range_m for seen in map(make_scene, range(60))]
    assert np.median(heights) > 3 * np.median(usual)
