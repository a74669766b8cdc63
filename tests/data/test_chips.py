"""Chips: how large they are, by what, and where they lie."""

import numpy as np
import pytest
import torch

from data.chips import MARGIN, ChipScale, cut_chips


def ramp(height, width):
    """Every pixel another value: 1000 row + column."""
    return (1000.0 * torch.arange(height)[:, None] + torch.arange(width))[None, None]


def test_the_scale_is_that_of_the_median_target_brought_to_a_kilometre():
    ranges = np.array([1000.0, 1500, 2000, 3000])
    sizes = np.array([30, 36, 31, 500]) * 1000 / ranges
    boxes = np.stack([0 * sizes, 0 * sizes, sizes, 0.7 * sizes], axis=1)
    boxes[1] = [10, 10, 22, 34]  # 24 high: its larger side
    assert ChipScale.fit(boxes, ranges) == ChipScale(MARGIN * 33.5, by_range=True)


@pytest.mark.parametrize(
    ("sizes", "by_range"),
    [((40.0, 20.0, 10.0), True), ((20.0, 21.0, 19.0), False), ((30.0, 28.0, 40.0), False)],
)
def test_chips_go_by_ranges_that_tell_sizes_alone(sizes, by_range):
    """Not where each recording has a lens of its own, and targets are as large at any range."""
    boxes = [[5, 5, 5 + size, 9] for size in sizes]
    scale = ChipScale.fit(boxes, [500, 1000, 2000])
    assert scale.by_range == by_range
    assert scale.side == MARGIN * (20 if by_range else np.median(sizes))


def test_of_a_single_range_chips_go_by_it():
    boxes = [[0, 0, size, 4] for size in (7.3, 11.1, 30.7)]
    scale = ChipScale.fit(boxes, [1300] * 3)
    assert scale.by_range and scale.side == pytest.approx(MARGIN * 11.1 * 1.3)


def test_where_a_range_is_unknown_all_chips_have_one_side():
    boxes = [[0, 0, 10, 5], [0, 0, 20, 5], [5, 5, 17, 9]]
    scale = ChipScale.fit(boxes, [1000, None, 2000])
    assert scale == ChipScale(MARGIN * 12, by_range=False)
    assert scale.side_at(500) == scale.side_at(None) == MARGIN * 12


def test_the_side_falls_with_the_range_and_never_follows_the_own_box():
    scale = ChipScale(60.0, by_range=True)
    assert scale.side_at(1500) == 40 and np.isnan(scale.side_at(None))
    for box in ([40, 40, 50, 50], [20, 30, 70, 60]):
        assert scale.window(box, 3000) == (35, 35, 20, 20)


def test_a_chip_of_whole_pixels_shows_them_as_they_are():
    image = ramp(100, 120)
    scale = ChipScale(60.0, by_range=True)
    (chip,) = cut_chips(image, torch.tensor([[30.0, 40, 70, 60]]), [1000], scale, size=60)
    torch.testing.assert_close(chip, image[0, :, 20:80, 20:80], rtol=0, atol=0.01)


@pytest.mark.parametrize("box", [[0.0, 0, 20, 16], [50.0, 40, 70, 56], [-3.0, 20, 7, 30]])
@pytest.mark.parametrize("side", [30, 200])
def test_beyond_the_edge_the_image_is_mirrored(box, side):
    """As numpy's padding, also where the chip is larger than the image."""
    image = ramp(56, 70)
    scale = ChipScale(float(side), by_range=False)
    (chip,) = cut_chips(image, torch.tensor([box]), [None], scale, size=side)
    padded = np.pad(image[0, 0].numpy(), 200, mode="symmetric")
    top, left = (int((box[i] + box[i + 2] - side) / 2) + 200 for i in (1, 0))
    expected = padded[top : top + side, left : left + side]
    np.testing.assert_allclose(chip[0].numpy(), expected, atol=0.05)


def test_chips_of_all_boxes_have_one_size_and_no_new_extremes():
    images = torch.rand(2, 3, 80, 80, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([[10.0, 10, 60, 40], [30.0, 30, 40, 40]], dtype=torch.float64)
    chips = cut_chips(images, boxes, [900, 4000], ChipScale(60.0, by_range=True))
    assert chips.shape == (2, 3, 96, 96)
    assert images.min() <= chips.min() and chips.max() <= images.max()


def test_real_frames_have_chips_of_about_60_pixels_at_a_kilometre(shared_data):
    from data.label_index import LabelIndex

    labels = LabelIndex([shared_data("mwir") / "labels.csv"]).boxed
    boxes = [label.corners(256, 256) for label in labels]
    scale = ChipScale.fit(boxes, [label.range_m for label in labels])
    assert scale.by_range and 50 < scale.side < 66
