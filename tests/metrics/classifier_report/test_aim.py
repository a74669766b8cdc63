"""Where maps point: closed forms of maps of a few pixels."""

import math

import numpy as np
import pytest
import torch

from metrics.classifier_report import Aim

BOX = [2.0, 2.0, 4.0, 4.0]  # 4 of 64 pixels


def a_map(*pixels):
    """(8, 8): value at (row, column)."""
    made = torch.zeros(8, 8)
    for row, column, value in pixels:
        made[row, column] = value
    return made


def test_energy_over_chance_pointing_and_empty_maps():
    maps = torch.stack(
        [
            torch.ones(8, 8),  # no aim: chance itself, its first maximum outside
            a_map((2, 3, 0.75), (7, 7, 0.25)),  # three quarters on 1/16 of the image
            a_map((2, 3, 0.25), (7, 7, 0.75)),
            a_map(),
            a_map((2, 3, 1.0)),
        ]
    )[:, None]
    boxes = torch.tensor([BOX, BOX, BOX, BOX, [math.nan] * 4])
    aim = Aim.of(maps, boxes)
    nan = math.nan
    assert aim.over_chance == pytest.approx([1, 12, 4, nan, nan], nan_ok=True)
    assert aim.pointing == pytest.approx([0, 1, 0, nan, nan], nan_ok=True)
    assert aim.empty.tolist() == [0, 0, 0, 1, 0]


def test_a_box_between_the_centres_of_pixels_is_undefined():
    aim = Aim.of(torch.ones(1, 1, 8, 8), torch.tensor([[2.6, 2.6, 3.4, 3.4]]))
    assert np.isnan(aim.over_chance).all()


def test_batches_are_joined_in_their_order():
    parts = [
        Aim.of(a_map((2, 2, 1.0), (0, 0, share))[None, None], torch.tensor([BOX]))
        for share in (0, 1, 3)
    ]
    assert Aim.joined(parts).over_chance == pytest.approx([16, 8, 4])
