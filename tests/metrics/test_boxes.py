"""Which pixels a box covers."""

import math

import pytest
import torch

from metrics.boxes import inside


@pytest.mark.parametrize(
    ("box", "columns", "rows"),
    [
        ((1, 2, 3, 4), {1, 2}, {2, 3}),
        ((1.5, 0, 2.5, 1), {1}, {0}),  # a centre on the left edge is in, on the right edge out
        ((1.6, 0, 2.4, 1), set(), {0}),
        ((0, 1.5, 1, 2.5), {0}, {1}),
        ((-5, -5, 50, 50), {0, 1, 2, 3, 4, 5}, {0, 1, 2, 3}),
        ((6, 4, 9, 9), set(), set()),
    ],
)
def test_pixels_whose_centre_is_in_the_box(box, columns, rows):
    mask = inside(torch.tensor([box], dtype=torch.float64), 4, 6)[0]
    found = {(r, c) for r in range(4) for c in range(6) if mask[r, c]}
    assert found == {(r, c) for r in rows for c in columns}


def test_each_image_has_its_own_box_and_nan_is_none():
    boxes = torch.tensor([[0.0, 0.0, 2.0, 1.0], [math.nan] * 4])
    mask = inside(boxes, 3, 3)
    assert mask.shape == (2, 3, 3) and mask.dtype == torch.bool
    assert mask.sum(dim=(1, 2)).tolist() == [2, 0]
