"""One vehicle on a circle before a fixed camera: where it is, which way it looks, what is drawn."""

from dataclasses import replace

import numpy as np
import pytest

from datasets.scene import VEHICLES, vehicle_box
from datasets.scene.render import paint_vehicle
from datasets.scene.sensor import OVERSAMPLE
from datasets.scene.terrain import Grid, background_radiance
from datasets.scene.video import RADIUS_M, RANGES_M, STEP_DEG, draw_video, film

SIZE = 96


def make_video(seed=0, vehicle="T72", *, dust=False):
    return draw_video(np.random.default_rng(seed), vehicle, dust=dust)


def pictures(video, frames, **options):
    noise = options.pop("noise", np.random.default_rng)
    return [image for _, image in film(video, frames, SIZE, noise, **options)]


@pytest.mark.parametrize("seed", range(6))
def test_the_way_is_a_circle_at_a_range_of_the_database(seed):
    video = make_video(seed)
    places = video.position(np.arange(0, 2000, 7))
    assert video.centre[1] in RANGES_M
    away = np.linalg.norm(places - video.centre, axis=1)
    np.testing.assert_allclose(away, RADIUS_M, rtol=1e-12)
    # A whole turn, driven at 3 to 6 metres a second of 30 frames.
    speed = np.linalg.norm(video.position(1) - video.position(0)) * 30
    assert speed == pytest.approx(RADIUS_M * np.radians(abs(video.step_deg)) * 30, rel=1e-4)
    assert STEP_DEG[0] <= abs(video.step_deg) <= STEP_DEG[1]
    np.testing.assert_allclose(video.position(360 / video.step_deg), video.position(0), atol=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_the_nose_points_where_it_drives(seed):
    """Aspect 0 drives towards the camera, 90 to the left: direction (−sin a, −cos a)."""
    video = make_video(seed)
    for frame in (0, 100, 333, 900):
        ahead = video.position(frame + 1e-4) - video.position(frame - 1e-4)
        aspect = np.radians(video.scene(frame).aspect_deg)
        expected = -np.sin(aspect), -np.cos(aspect)
        np.testing.assert_allclose(ahead / np.linalg.norm(ahead), expected, atol=1e-5)


def test_range_and_bearing_are_those_of_the_place():
    video = make_video(3)
    for frame in (0, 50, 700):
        x, distance = video.position(frame)
        scene = video.scene(frame)
        assert scene.range_m == distance
        assert np.tan(scene.bearing) * scene.range_m == pytest.approx(x)


@pytest.mark.parametrize("vehicle", VEHICLES)
def test_the_box_holds_what_is_painted(vehicle):
    video = make_video(4, vehicle)
    for frame in (0, 400):
        scene = video.scene(frame)
        seen = paint_vehicle(np.zeros((9 * SIZE, 9 * SIZE)), scene, Grid(SIZE, 9))
        rows, columns = np.nonzero(seen)
        edges = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / 9
        x, y, width, height = vehicle_box(scene, SIZE)
        box = x - width / 2, y - height / 2, x + width / 2, y + height / 2
        np.testing.assert_allclose(edges, box, atol=0.35)


def test_the_vehicle_stays_in_the_picture():
    for seed in range(20):
        video = make_video(seed)
        for frame in range(0, 1500, 50):
            x, y, width, height = vehicle_box(video.scene(frame), SIZE)
            assert width / 2 < x < SIZE - width / 2
            assert height / 2 < y < SIZE - height / 2


def test_only_the_vehicle_differs_from_the_background():
    video = make_video(5)
    scene = video.scene(120)
    background = background_radiance(video.scene(0), Grid(SIZE, OVERSAMPLE), texture=1.0)
    kept = background.copy()
    changed = video.radiance(scene, 120, background) != background
    np.testing.assert_array_equal(background, kept)  # the next frame needs it
    seen = paint_vehicle(background.copy(), scene, Grid(SIZE, OVERSAMPLE))
    np.testing.assert_array_equal(changed, seen)


def test_frames_do_not_depend_on_those_before():
    video = make_video(6, dust=True)
    together, alone = pictures(video, [1, 31, 61]), pictures(video, [61])
    np.testing.assert_array_equal(together[2], alone[0])
    assert (together[0] != together[1]).any()


def test_a_seed_gives_one_video_and_dust_changes_only_the_dust():
    first, again = make_video(7, dust=True), make_video(7, dust=True)
    np.testing.assert_array_equal(*(pictures(video, [40])[0] for video in (first, again)))
    clear = make_video(7)
    assert clear.dust is None
    np.testing.assert_array_equal(clear.control, first.control)
    bare = replace(first, dust=None)
    np.testing.assert_array_equal(pictures(bare, [40])[0], pictures(clear, [40])[0])
    assert (pictures(first, [40])[0] != pictures(clear, [40])[0]).any()


def test_gain_and_level_wander_about_the_recording():
    video = make_video(8)
    gains = np.array([video.scene(frame).recording.gain for frame in range(0, 3000, 3)])
    gains /= video.recording.gain
    assert abs(gains.mean() - 1) < 0.03
    assert 0.02 < gains.std() < 0.08
    assert np.abs(np.diff(gains)).max() < 0.1


@pytest.mark.parametrize(("bits", "most"), [(8, 2**8), (16, 2**14)])
def test_depth(bits, most):
    (image,) = pictures(make_video(9), [1], bits=bits)
    assert (image.shape, image.dtype) == ((SIZE, SIZE), np.dtype(f"uint{bits}"))
    assert image.max() < most
