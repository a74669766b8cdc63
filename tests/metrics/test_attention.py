"""Comparison of attention maps, and of maps with boxes: closed forms, numpy, scipy."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cosine
from scipy.stats import pearsonr
from skimage.metrics import structural_similarity

from metrics.attention import (
    box_share,
    cam_cosine,
    correlation,
    energy_in_box,
    gcss,
    pointing_game,
)

NO_BOX = [math.nan] * 4


@pytest.fixture
def maps():
    return torch.from_numpy(np.random.default_rng(0).random((2, 3, 1, 32, 32)))


def one(*, at=(), shape=(8, 8)):
    """A map (1, 1, H, W) that is 1 at some places (row, column)."""
    made = torch.zeros(1, 1, *shape)
    for row, column in at:
        made[0, 0, row, column] = 1
    return made


def test_equal_maps(maps):
    for metric in (gcss, correlation, cam_cosine):
        assert metric(maps[0], maps[0].clone()).tolist() == pytest.approx([1, 1, 1])


def test_a_map_and_its_negative(maps):
    assert correlation(maps[0], 1 - maps[0]).tolist() == pytest.approx([-1, -1, -1])


def test_correlation_ignores_scale_and_offset_and_cosine_scale_only(maps):
    first = maps[0]
    assert correlation(first, 0.3 * first + 0.2).tolist() == pytest.approx([1, 1, 1])
    assert cam_cosine(first, 0.3 * first).tolist() == pytest.approx([1, 1, 1])
    assert (cam_cosine(first, 0.3 * first + 0.2) < 0.99).all()


def test_maps_of_separate_places():
    left, right = torch.zeros(2, 1, 1, 16, 16)
    left[..., :8], right[..., 8:] = 1, 1
    assert cam_cosine(left, right).item() == 0
    assert correlation(left, right).item() == pytest.approx(-1)
    assert gcss(left, right).item() < 0.1


def test_angle_of_45_degrees():
    a, b = one(at=[(0, 0)]), one(at=[(0, 0), (4, 4)])
    assert cam_cosine(a, b).item() == pytest.approx(math.sqrt(0.5))


def test_equal_to_libraries(maps):
    ours = zip(*(metric(*maps).tolist() for metric in (correlation, cam_cosine, gcss)), strict=True)
    for values, a, b in zip(ours, *maps[:, :, 0].numpy(), strict=True):
        theirs = pearsonr(a.ravel(), b.ravel()).statistic, 1 - cosine(a.ravel(), b.ravel())
        assert values == pytest.approx((*theirs, structural_similarity(a, b, data_range=1.0)))


def test_a_constant_map_has_no_correlation_and_an_empty_one_no_direction(maps):
    first, empty, constant = maps[0, :1], torch.zeros(1, 1, 32, 32), torch.full((1, 1, 32, 32), 0.1)
    assert correlation(empty, first).isnan() and correlation(first, constant).isnan()
    assert cam_cosine(first, empty).isnan()
    assert cam_cosine(constant, constant).item() == pytest.approx(1)
    assert gcss(empty, empty).isnan() and not gcss(empty, first).isnan()


@pytest.mark.parametrize(
    ("at", "hit"), [((3, 2), 1), ((3, 4), 1), ((3, 5), 0), ((2, 2), 0), ((5, 1), 0)]
)
def test_pointing_game(at, hit):
    """The box covers columns 2 to 4 and rows 3 to 5."""
    boxes = torch.tensor([[2.0, 3.0, 5.0, 6.0]])
    assert pointing_game(one(at=[at]), boxes).item() == hit


def test_energy_in_the_box_and_its_chance():
    boxes = torch.tensor([[2.0, 3.0, 5.0, 6.0]])
    inside_and_outside = one(at=[(3, 2), (4, 4), (0, 0), (7, 7)])
    assert energy_in_box(inside_and_outside, boxes).item() == pytest.approx(0.5)
    flat = torch.full((1, 1, 8, 8), 0.3)
    assert box_share(boxes, (8, 8)).item() == pytest.approx(9 / 64)
    assert energy_in_box(flat, boxes).item() == pytest.approx(9 / 64)


def test_each_map_has_its_own_box():
    maps = torch.cat([one(at=[(1, 1)])] * 3)
    boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [4.0, 4.0, 8.0, 8.0], NO_BOX])
    for metric in (pointing_game, energy_in_box):
        assert metric(maps, boxes).tolist() == pytest.approx([1, 0, math.nan], nan_ok=True)
    shares = box_share(boxes, (8, 8)).tolist()
    assert shares == pytest.approx([4 / 64, 16 / 64, math.nan], nan_ok=True)


def test_an_empty_map_points_nowhere():
    boxes = torch.tensor([[0.0, 0.0, 8.0, 8.0]])
    assert pointing_game(one(), boxes).isnan() and energy_in_box(one(), boxes).isnan()
