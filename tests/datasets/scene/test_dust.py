"""Dust: Beer-Lambert's limits, where the cloud lies, and how it fades."""

from dataclasses import replace

import numpy as np
import pytest

from datasets.scene.dust import Dust, Puffs, optical_depth
from datasets.scene.sensor import OVERSAMPLE
from datasets.scene.terrain import Grid, background_radiance
from datasets.scene.thermal import band_radiance, through_atmosphere
from datasets.scene.video import draw_video

SIZE, FRAME = 64, 200
GRID = Grid(SIZE, OVERSAMPLE)


@pytest.fixture
def video():
    return draw_video(np.random.default_rng(2), "T72", dust=True)


def even(dust: Dust, **changes) -> Dust:
    """Without billows, so that depths have closed forms."""
    return replace(dust, billows=np.zeros((64, 64), np.float32), **changes)


def one_puff(scene, *, nearer: float, depth: float = 1.0) -> Puffs:
    """A puff of 2 by 1 metres in the line of sight to the vehicle, `nearer` metres before it."""
    distance = scene.range_m - nearer
    place = np.array([[distance * np.tan(scene.bearing), distance, 0.0]])
    return Puffs(place, np.array([[2.0, 1.0]]), np.array([depth]))


def rendered(video, dust):
    video = replace(video, dust=dust)
    background = background_radiance(video.scene(0), GRID, texture=1.0)
    return video.radiance(video.scene(FRAME), FRAME, background), background


def test_a_puff_lies_before_or_behind_the_vehicle(video):
    scene, dust = video.scene(FRAME), even(video.dust)
    for nearer, order in ((5.0, slice(None)), (-5.0, slice(None, None, -1))):
        empty, cloud = optical_depth(one_puff(scene, nearer=nearer), dust, scene, 512, 0.0)[order]
        assert not empty.any()
        assert cloud.max() == pytest.approx(1.0, rel=0.01)


def test_a_puff_is_a_gaussian_of_its_size(video):
    """The integral over the image of τ₀ exp(−½(x/σₓ)² − ½(y/σᵧ)²) is 2π σₓ σᵧ τ₀."""
    scene = video.scene(FRAME)
    camera = scene.recording.camera
    puffs = one_puff(scene, nearer=1.0, depth=0.7)
    _, cloud = optical_depth(puffs, even(video.dust), scene, 512, 0.0)
    spreads = np.array([2.0 / camera.fov, 1.0 / camera.fov_down]) / puffs.place[0, 1] * 512
    assert cloud.sum() == pytest.approx(2 * np.pi * spreads.prod() * 0.7, rel=0.02)
    rows, columns = np.indices(cloud.shape) + 0.5
    u = 512 * (np.tan(scene.bearing) / camera.fov + 0.5)
    v = 512 * camera.row_of(puffs.place[0, 1])
    assert (columns * cloud).sum() / cloud.sum() == pytest.approx(u, abs=0.05)
    assert (rows * cloud).sum() / cloud.sum() == pytest.approx(v, abs=0.05)


def test_without_depth_there_is_no_dust(video):
    thin, background = rendered(video, even(video.dust, depth=0.0))
    clear, _ = rendered(video, None)
    np.testing.assert_allclose(thin, clear, rtol=1e-12)
    assert (clear != background).any()


def test_dense_dust_hides_everything_behind_its_own_glow(video):
    dust = even(video.dust, depth=1e6)
    image, _ = rendered(video, dust)
    scene, weather = video.scene(FRAME), video.recording.weather
    glow = through_atmosphere(
        band_radiance(weather.ground_k + dust.offset_k),
        scene.range_m,
        weather.extinction_per_km,
        weather.air_k,
    )
    assert np.isclose(image, glow, rtol=1e-9).mean() > 0.01


def test_dust_lies_between_what_it_covers_and_its_glow(video):
    """L = L₀ exp(−τ) + L_dust (1 − exp(−τ)) is a mean of the two, and nearer L_dust for more τ."""
    dust = even(video.dust)
    clear, _ = rendered(video, None)
    thin, _ = rendered(video, replace(dust, depth=0.5))
    thick, _ = rendered(video, replace(dust, depth=2.0))
    dense, _ = rendered(video, replace(dust, depth=1e6))
    covered = np.isclose(dense, np.median(dense[dense != clear]), rtol=1e-9)
    full = dense[covered]
    assert covered.sum() > 100
    for less, more in ((clear, thin), (thin, thick)):
        assert (np.abs(more[covered] - full) <= np.abs(less[covered] - full) + 1e-12).all()
    # The thicker cloud has four times the depth: exp(−4τ) = exp(−τ)⁴, away from the vehicle.
    behind = covered & (np.abs(clear - full[0]) > 1e-6)
    shares = [(image[behind] - full[0]) / (clear[behind] - full[0]) for image in (thin, thick)]
    background_only = np.abs(shares[1] - shares[0] ** 4) < 1e-6
    assert background_only.mean() > 0.9


def test_older_dust_is_wider_higher_thinner_and_downwind(video):
    dust = even(video.dust, wind=(2.0, 0.5), jitter=np.zeros((64, 3)), life=8.0)
    ages = np.array([0.5, 2.0, 6.0])
    puffs = dust.puffs(np.zeros((3, 2)), ages, spacing_m=0.5)
    np.testing.assert_allclose(puffs.place[:, :2], np.outer(ages, (2.0, 0.5)))
    assert (np.diff(puffs.place[:, 2]) > 0).all()
    assert (np.diff(puffs.spread_m, axis=0) > 0).all()
    # What a puff holds, depth times area, only decays.
    held = puffs.depth * puffs.spread_m.prod(axis=1)
    np.testing.assert_allclose(held / held[0], np.exp(-(ages - ages[0]) / 8.0))


def test_a_trail_is_as_dense_for_any_spacing(video):
    dust = even(video.dust, jitter=np.zeros((64, 3)), wind=(0.0, 0.0))
    scene = video.scene(FRAME)
    middles = []
    for spacing in (0.25, 0.5):
        x = np.arange(-20, 20, spacing) + scene.range_m * np.tan(scene.bearing)
        sources = np.column_stack([x, np.full(x.size, scene.range_m - 3)])
        puffs = dust.puffs(sources, np.full(x.size, 0.1), spacing)
        _, cloud = optical_depth(puffs, dust, scene, 256, 0.0)
        middles.append(cloud.max())
    assert middles[0] == pytest.approx(middles[1], rel=0.02)
    assert middles[0] == pytest.approx(dust.depth, rel=0.15)


def test_dust_is_warm_or_cool():
    drawn = [Dust.draw(np.random.default_rng(seed)).offset_k for seed in range(30)]
    assert min(drawn) < -4 < 2 < max(drawn)
    assert all(-8 <= offset <= -4.8 or 2.4 <= offset <= 4 for offset in drawn)
