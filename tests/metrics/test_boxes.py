"""Which pixels a box covers."""

import math

import pytest
import torch

from metrics.boxes import faded, grown, inside, largest, regions


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


def test_a_grown_box_has_a_tenth_of_its_sides_and_a_pixel_and_a_half_more_on_each_side():
    box = torch.tensor([10.0, 20.0, 30.0, 25.0])
    assert grown(box).tolist() == [6.5, 18.0, 33.5, 27.0]


def test_regions_are_the_image_its_grown_boxes_and_the_rest():
    """Pixels 2 to 6 of a row: the edges at 4 and 5 move to 2.4 and 6.6."""
    none, box = [math.nan] * 4, [4.0, 4.0, 5.0, 5.0]
    boxes = torch.tensor([[box, [14.0, 4.0, 15.0, 5.0]], [box, none], [none, none]])
    whole, target, rest = regions(boxes, 9, 20)
    assert whole.all()
    assert [found.sum().item() for found in target] == [50, 25, 0]
    assert target[0, 4].nonzero()[:, 0].tolist() == [2, 3, 4, 5, 6, 12, 13, 14, 15, 16]
    assert (rest[:2] == ~target[:2]).all()
    assert not rest[2].any()


def test_the_largest_box_of_each_image():
    none = [math.nan] * 4
    boxes = torch.tensor(
        [
            [[0.0, 0, 2, 2], [1, 1, 2, 9], none],
            [none, [5, 5, 6, 6], none],
            [none, none, none],
        ]
    )
    assert largest(boxes)[:2].tolist() == [[1, 1, 2, 9], [5, 5, 6, 6]]
    assert largest(boxes)[2].isnan().all()


def test_a_target_fades_from_its_box_to_the_grown_edge():
    boxes = torch.tensor([[[10.0, 20, 20, 30], [torch.nan] * 4], [[torch.nan] * 4] * 2])
    shares = faded(boxes, 40, 32)
    assert (shares[1] == 0).all()
    # Grown by 2.5 pixels on each side: the middle of column 8 is 1.5 from the edge at x = 10.
    expected = torch.zeros(32)
    expected[7:23] = torch.tensor([0, 0.4, 0.8, *[1.0] * 10, 0.8, 0.4, 0])
    torch.testing.assert_close(shares[0, 25], expected)
    torch.testing.assert_close(shares[0, 18], 0.4 * expected)
    torch.testing.assert_close(shares[0, :, 8], shares[0].T[8])
    assert (faded(boxes, 40, 32) > 0).sum() == 14 * 14
