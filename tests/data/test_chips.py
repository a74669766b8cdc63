"""Chips about boxes: where they lie, and what is beyond the edge."""

import numpy as np
import pytest
import torch

from data.chips import MARGIN, SMALLEST, cut_chips


def ramp(height, width):
    """Every pixel another value: 1000 row + column."""
    return (1000.0 * torch.arange(height)[:, None] + torch.arange(width))[None, None]


def test_a_chip_is_a_square_about_the_box_as_large_as_its_larger_side_and_a_margin():
    image, side = ramp(100, 120), round(MARGIN * 40)
    (chip,) = cut_chips(image, torch.tensor([[30.0, 40, 70, 60]]), size=side)
    top, left = 50 - side // 2, 50 - side // 2
    assert torch.equal(chip, image[0, :, top : top + side, left : left + side])


def test_a_small_box_has_a_chip_of_the_smallest_size():
    image = ramp(60, 60)
    (chip,) = cut_chips(image, torch.tensor([[29.0, 29, 31, 31]]), size=SMALLEST)
    first = 30 - SMALLEST // 2
    assert torch.equal(chip, image[0, :, first : first + SMALLEST, first : first + SMALLEST])


@pytest.mark.parametrize("box", [[0.0, 0, 20, 16], [50.0, 40, 70, 56]])
def test_beyond_the_edge_the_image_is_mirrored(box):
    """As numpy's padding, also where the chip is larger than the image."""
    image, side = ramp(56, 70), round(MARGIN * 20)
    (chip,) = cut_chips(image, torch.tensor([box]), size=side)
    padded = np.pad(image[0, 0].numpy(), 80, mode="symmetric")
    middle = [round((box[i] + box[i + 2]) / 2 - side / 2) + 80 for i in (1, 0)]
    expected = padded[middle[0] : middle[0] + side, middle[1] : middle[1] + side]
    assert np.array_equal(chip[0].numpy(), expected)
    tiny = ramp(10, 12)
    whole = cut_chips(tiny, torch.tensor([[2.0, 2, 10, 8]]), size=SMALLEST)
    assert whole.shape == (1, 1, SMALLEST, SMALLEST) and set(tiny.unique().tolist()) == set(
        whole.unique().tolist()
    )


def test_chips_of_all_boxes_have_one_size():
    images = torch.rand(2, 3, 80, 80, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([[10.0, 10, 60, 40], [30.0, 30, 40, 40]], dtype=torch.float64)
    chips = cut_chips(images, boxes)
    assert chips.shape == (2, 3, 64, 64)
    assert images.min() <= chips.min() and chips.max() <= images.max()
