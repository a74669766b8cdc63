from dataclasses import replace

import numpy as np
import pytest

from datasets.scene import (
    VEHICLES,
    draw_recording,
    draw_scene,
    render,
    simulator_image,
    vehicle_box,
)
from datasets.scene.sensor import OVERSAMPLE
from datasets.scene.simulator import FAITHFUL, window
from datasets.scene.terrain import Grid, background_radiance
from datasets.scene.thermal import band_radiance

SIZE = 96


def make_scene(seed: int, vehicle: str = "T72"):
    rng = np.random.default_rng(seed)
    return draw_scene(rng, draw_recording(rng), vehicle)


def bounds(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a mask's pixels as edges."""
    rows, columns = np.nonzero(mask)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize("seed", range(8))
def test_only_the_box_differs_from_the_empty_scene(seed):
    scene = make_scene(seed, list(VEHICLES)[seed])
    empty = window(background_radiance(scene, Grid(SIZE), FAITHFUL.texture), bits=16)
    changed = simulator_image(scene, SIZE, bits=16) != empty
    x, y, width, height = vehicle_box(scene, SIZE)
    left, top, right, bottom = bounds(changed)
    assert changed.sum() > 15
    # A pixel changes when its middle is covered: half a pixel may stick out of the box.
    assert left >= x - width / 2 - 0.5
    assert right <= x + width / 2 + 0.5
    assert top >= y - height / 2 - 0.5
    assert bottom <= y + height / 2 + 0.5


@pytest.mark.parametrize("vehicle", VEHICLES)
def test_box_is_tight(vehicle):
    scene = make_scene(3, vehicle)
    left, top, right, bottom = np.array(bounds(render(scene, SIZE, oversample=9).vehicle)) / 9
    found = ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)
    assert found == pytest.approx(vehicle_box(scene, SIZE), abs=0.35)


def test_apparent_size_follows_length_range_and_field_of_view():
    scene = replace(make_scene(5, "SUV"), aspect_deg=90.0)
    camera = replace(scene.recording.camera, fov=0.04)
    scene = replace(scene, recording=replace(scene.recording, camera=camera), pan=scene.bearing)
    corners = np.concatenate([part.points for part in VEHICLES["SUV"].parts])
    length = np.ptp(corners[:, 0])
    for range_m in (600.0, 1200.0, 2400.0):
        _, _, width, _ = vehicle_box(replace(scene, range_m=range_m), SIZE)
        expected = length / range_m / camera.fov * SIZE
        # The vehicle's nearer side looks larger by its half width over the range, under 0.3 %.
        assert width == pytest.approx(expected, rel=5e-3)


def test_aspect_turns_the_nose_from_the_sensor_to_the_left():
    scene = replace(make_scene(5, "T72"), turret_deg=0.0)  # the gun reaches out beyond the nose
    middle = (scene.bearing - scene.pan) / scene.recording.camera.fov * SIZE + SIZE / 2

    def box_at(aspect: float):
        return vehicle_box(replace(scene, aspect_deg=aspect), SIZE)

    assert box_at(90.0)[0] < middle - 1
    assert box_at(270.0)[0] > middle + 1
    assert box_at(0.0)[0] == pytest.approx(middle, abs=0.6)
    assert box_at(0.0)[2] < 0.6 * box_at(90.0)[2]


def test_facets_are_exactly_flat():
    scene = make_scene(11, "2S3")
    rendering = render(scene, 256)
    values = np.unique(rendering.radiance[rendering.vehicle])
    assert values.size <= len(VEHICLES["2S3"].facets)
    assert rendering.vehicle.sum() > 10 * values.size


def test_flat_sky_rows_carry_no_noise():
    scene = make_scene(2)
    camera = replace(scene.recording.camera, horizon_v=0.5)
    terrain = replace(scene.recording.terrain, hill_height_m=(0.01, 0.01))
    clear = replace(scene, recording=replace(scene.recording, camera=camera, terrain=terrain))
    image = simulator_image(clear, SIZE, bits=16)
    assert (image[:20] == image[:20, :1]).all()


def test_coarse_samples_are_the_middle_of_the_fine_ones():
    scene = make_scene(4, "ZSU23")
    coarse, fine = render(scene, SIZE), render(scene, SIZE, OVERSAMPLE)
    middle = slice(OVERSAMPLE // 2, None, OVERSAMPLE)
    np.testing.assert_array_equal(coarse.vehicle, fine.vehicle[middle, middle])
    np.testing.assert_allclose(coarse.radiance, fine.radiance[middle, middle], rtol=1e-12)


def test_nothing_hides_the_wheels():
    """The plants before the vehicle stay below the line of sight to it, whatever the draw."""
    for seed in range(30):
        scene = make_scene(seed)
        bushes, camera = scene.recording.terrain.bushes, scene.recording.camera
        near = bushes.range_m < scene.range_m
        tops = camera.row_of(bushes.range_m[near], bushes.height_m[near])
        assert (tops > camera.row_of(scene.range_m)).all()


def test_frames_of_a_recording_see_the_same_terrain():
    rng = np.random.default_rng(9)
    recording = draw_recording(rng)
    scene = draw_scene(rng, recording, "SUV")
    shift = 7
    moved = replace(scene, pan=scene.pan + shift / SIZE * recording.camera.fov)
    here = background_radiance(scene, Grid(SIZE), texture=1.0)
    there = background_radiance(moved, Grid(SIZE), texture=1.0)
    same = np.isclose(here[:, shift:], there[:, :-shift], rtol=1e-4)
    # Plants' outlines may fall to the other side of a sample by rounding, nothing else.
    assert same.mean() > 0.99


def test_scene_temperatures_are_those_of_a_night():
    low, high = band_radiance(np.array([270.0, 295.0]))
    for seed in range(10):
        background = background_radiance(make_scene(seed), Grid(SIZE), texture=1.0)
        assert low < background.min()
        assert background.max() < high
        rendering = render(make_scene(seed), SIZE)
        assert rendering.radiance[rendering.vehicle].max() > background.max()


def test_unknown_vehicle_is_refused():
    with pytest.raises(ValueError, match="T72"):
        make_scene(0, "M1")
