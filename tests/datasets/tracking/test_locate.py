"""The way of a patch that is moved over a textured ground, whose places are known."""

import numpy as np
import pytest
from scipy import ndimage

from datasets.tracking.locate import NoTrack, locate_vehicle

SIDE, FRAMES, BOX = 96, 30, (12, 8)


def drive(*, seed=0, sign=1, bits=8, spot=0):
    """Frames (T, H, W) with gain, offset and noise of their own, and the patch's centres (T, 2).

    spot: how much hotter the patch's lower right corner is, 3 by 2 pixels.
    """
    random = np.random.default_rng(seed)
    ground = 40 * ndimage.gaussian_filter(random.standard_normal((SIDE, SIDE)), 2)
    detail = 25 + 15 * random.random(BOX[::-1])
    detail[-2:, -3:] += spot
    frames, centres = [], []
    for t in range(FRAMES):
        x, y = 20 + 2 * t, round(48 + 15 * np.sin(t / 6))
        scene = 90 + ground
        scene[y : y + BOX[1], x : x + BOX[0]] += sign * detail
        gain, offset = random.uniform(0.8, 1.2), random.uniform(-10, 10)
        frame = gain * scene + offset + random.normal(0, 1, scene.shape)
        scale = 1 if bits == 8 else 30
        frames.append(np.rint(frame.clip(0, 255) * scale).astype(f"uint{bits}"))
        centres.append((x + BOX[0] / 2, y + BOX[1] / 2))
    return np.array(frames), np.array(centres)


@pytest.mark.parametrize(("seed", "sign", "bits"), [(0, 1, 8), (1, -1, 8), (2, 1, 16)])
def test_the_way_is_found_in_spite_of_gain_and_offset(seed, sign, bits):
    frames, centres = drive(seed=seed, sign=sign, bits=bits)
    found = locate_vehicle(frames, np.arange(FRAMES, dtype=np.float64), BOX)
    away = np.abs(np.array([sighting.box[:2] for sighting in found]) - centres)
    assert np.median(np.hypot(*away.T)) < 1.5
    assert (away < np.array(BOX) / 2).all(axis=1).mean() > 0.9
    assert np.median([sighting.confidence for sighting in found]) > 0.7
    assert {sighting.box[2:] for sighting in found} == {BOX}


def test_a_hot_spot_is_not_taken_for_the_vehicle():
    """Nobody tells the size: it is that of the whole patch, and the middle that of it, too."""
    frames, centres = drive(seed=3, spot=110)
    found = locate_vehicle(frames, np.arange(FRAMES, dtype=np.float64))
    width, height = found[0].box[2:]
    assert 0.7 * BOX[0] < width < 1.3 * BOX[0]
    assert 0.7 * BOX[1] < height < 1.3 * BOX[1]
    away = np.array([sighting.box[:2] for sighting in found]) - centres
    assert np.median(np.hypot(*away.T)) < 1.5


def test_where_nothing_moves_there_is_no_track():
    frames, _ = drive()
    still = np.stack([np.random.default_rng(t).normal(0, 1, (SIDE, SIDE)) for t in range(FRAMES)])
    still = np.rint(still + frames[0]).astype(np.uint8)
    with pytest.raises(NoTrack, match="shows nothing that moves"):
        locate_vehicle(still, np.arange(FRAMES, dtype=np.float64), BOX)


def test_a_video_of_few_frames_or_of_many_pictures_has_no_track():
    frames, _ = drive()
    with pytest.raises(NoTrack, match="has 7 frames"):
        locate_vehicle(frames[:7], np.arange(7, dtype=np.float64))
    random = np.random.default_rng(5)
    other = random.integers(0, 255, (12, SIDE, SIDE)).astype(np.uint8)
    with pytest.raises(NoTrack, match="does not show one picture"):
        locate_vehicle(other, np.arange(12, dtype=np.float64))
