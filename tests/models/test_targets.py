"""What boxes mean for images, against closed forms."""

import pytest
import torch

from metrics.boxes import grown
from models.targets import (
    blind,
    box_weights,
    cell_shares,
    covered,
    draw_places,
    mirrored_boxes,
    stack_boxes,
    touched,
)

NONE = [torch.nan] * 4


def boxes(*rows: list[float]) -> torch.Tensor:
    """Of one image."""
    return torch.tensor([[list(map(float, row)) for row in rows]])


def test_pixels_in_any_box_are_covered():
    found = covered(torch.cat([boxes([1, 0, 3, 2], [2, 1, 4, 3]), boxes(NONE, NONE)]), 3, 5)
    assert found[0].int().tolist() == [[0, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 0]]
    assert not found[1].any()


def test_mirrored_boxes_cover_the_mirrored_pixels():
    given = boxes([1, 0, 3, 2], [2, 1, 8, 3], NONE)
    found = covered(mirrored_boxes(given, 9), 4, 9)
    assert torch.equal(found, covered(given, 4, 9).flip(-1))


def test_boxes_of_two_batches_become_one_batch():
    stacked = stack_boxes(boxes([0, 0, 1, 1], [1, 1, 2, 2]), boxes([3, 3, 4, 4]))
    assert stacked.shape == (2, 2, 4)
    assert stacked[1, 0].tolist() == [3, 3, 4, 4] and stacked[1, 1].isnan().all()


def test_a_hidden_target_leaves_the_mean_of_the_ring_around_it():
    image = torch.arange(40 * 50.0).reshape(1, 1, 40, 50)
    found = blind(image, boxes([20, 10, 30, 20]))
    expected = image.clone()
    # Grown by 2.5 the edges are 17.5, 7.5, 32.5 and 22.5, and those of the ring 3 pixels further.
    hidden, outer = (slice(7, 22), slice(17, 32)), (slice(4, 25), slice(14, 35))
    ring = torch.zeros(40, 50, dtype=torch.bool)
    ring[outer], ring[hidden] = True, False
    expected[0, 0][hidden] = image[0, 0][ring].mean()
    torch.testing.assert_close(found, expected)
    other = image.clone()
    other[0, 0, 12:15, 22:25] = 1e4
    assert torch.equal(blind(other, boxes([20, 10, 30, 20])), found)


def test_targets_do_not_lie_in_each_others_ring():
    image = torch.zeros(1, 1, 30, 40)
    image[..., 10:20, 5:15] = 7.0
    image[..., 10:20, 19:29] = 9.0  # the boxes grow by 2.5: these two touch
    assert not blind(image, boxes([5, 10, 15, 20], [19, 10, 29, 20])).any()


def test_where_boxes_overlap_is_the_mean_of_their_fills():
    image = torch.zeros(1, 1, 40, 60)
    image[..., 30:] = 8.0
    left, right = [10, 15, 31, 25], [28, 15, 50, 25]
    both = blind(image, boxes(left, right))
    row = both[0, 0, 20]
    one, other = row[12], row[48]  # in the left box alone, and in the right one
    assert 0 < one < other < 8
    torch.testing.assert_close(row[29], (one + other) / 2)
    assert torch.equal(both, blind(image, boxes(right, left, NONE)))


def test_where_a_target_has_no_ring_it_takes_what_is_left_or_nothing():
    image = torch.zeros(1, 2, 8, 20)
    image[..., 16:18], image[..., 18:] = 5.0, 9.0
    # Grown, the second box ends at 16 and covers the ring of the first one, from 10.3 to 13.3.
    found = blind(image, boxes([0, 0, 8, 8], [9, 0, 14, 8]))
    torch.testing.assert_close(found[..., 0], torch.full((1, 2, 8), (5 + 5 + 9 + 9) / 4))
    torch.testing.assert_close(found[..., 15], torch.full((1, 2, 8), (5 + 5 + 9) / 3))
    assert not blind(image, boxes([0, 0, 20, 8])).any()


def test_images_without_boxes_stay_as_they_are_and_each_keeps_its_own():
    images = torch.rand(3, 1, 16, 16)
    given = torch.cat([boxes([4, 4, 8, 8], NONE), boxes(NONE, NONE), boxes([4, 4, 8, 8], NONE)])
    found = blind(images, given)
    assert torch.equal(found[1], images[1])
    torch.testing.assert_close(found[2:], blind(images[2:], given[2:]))


def test_the_gradient_of_a_hidden_target_is_zero():
    image = torch.rand(1, 1, 20, 20, requires_grad=True)
    found = blind(image, boxes([6, 6, 12, 12]))
    found.square().sum().backward()
    inside = covered(grown(boxes([6, 6, 12, 12])), 20, 20)[0]
    assert not image.grad[0, 0][inside].any() and image.grad[0, 0][~inside].all()


def test_box_weights():
    weights = box_weights(torch.cat([boxes([1, 0, 3, 1]), boxes(NONE)]), 2, 4, 20.0)
    assert weights.tolist() == [[[[1, 20, 20, 1], [1, 1, 1, 1]]], [[[1] * 4, [1] * 4]]]


@pytest.mark.parametrize(
    ("features", "rows", "columns"),
    [
        ((32, 40), (9, 15), (6, 21)),  # one position a pixel
        ((16, 20), (4, 8), (3, 11)),  # one of 2x2: those that the box touches
        ((8, 10), (2, 4), (1, 6)),
        ((38, 46), (12, 18), (9, 24)),  # with 3 reflected pixels on each side
    ],
)
def test_positions_that_a_box_touches(features, rows, columns):
    expected = torch.zeros(1, *features, dtype=torch.bool)
    expected[0, slice(*rows), slice(*columns)] = True
    # x from 6.2 to 20.5 of 40, y from 9.0 to 15.0 of 32.
    assert torch.equal(touched(boxes([6.2, 9, 20.5, 15]), features, (32, 40)), expected)


def test_a_share_of_places_is_drawn_in_the_target():
    torch.manual_seed(0)
    target = torch.zeros(3, 400, dtype=torch.bool)
    target[0, 100:200] = True  # as many as are wanted, and more
    target[1, 5:12] = True  # fewer
    places = draw_places(target, 40, 0.5)
    assert places.shape == (3, 40)
    assert all(len(set(row)) == 40 and max(row) < 400 for row in places.tolist())
    within = target.gather(1, places).sum(dim=1)
    assert within[0] >= 20 and within[1] == 7 and within[2] == 0


def test_places_are_uniform_in_the_target_and_outside_of_it():
    torch.manual_seed(0)
    target = torch.zeros(4000, 12, dtype=torch.bool)
    target[:, 2:6] = True
    counts = draw_places(target, 4, 0.5).flatten().bincount(minlength=12) / 4000
    # 2 of the 4 in the target, and 2 of the 10 places that are left then.
    inside = 2 / 4 + 2 / 4 * 2 / 10
    expected = torch.full((12,), 2 / 10)
    expected[2:6] = inside
    torch.testing.assert_close(counts, expected, atol=0.03, rtol=0)


@pytest.mark.parametrize("count", [5, 9])
def test_there_are_no_more_places_than_positions(count):
    places = draw_places(torch.ones(2, 5, dtype=torch.bool), count, 0.9)
    assert [sorted(row) for row in places.tolist()] == [list(range(5))] * 2


def test_cells_have_the_share_of_the_boxes_area_that_lies_in_them():
    """Against 10 x 10 points a pixel."""
    given = torch.cat([boxes([3.2, 1, 9.9, 6.5], [0, 7, 2, 10.5]), boxes([-4, 3, 30, 4], NONE)])
    found = cell_shares(given, (3, 4), (12, 16))
    points = covered(given * 10, 120, 160).float()
    assert points.shape == (2, 120, 160)
    expected = torch.nn.functional.avg_pool2d(points[:, None], 40)[:, 0]
    torch.testing.assert_close(found, expected / expected.sum(dim=(1, 2), keepdim=True))


@pytest.mark.parametrize("box", [NONE, [5, 5, 5, 9], [20, 2, 24, 5]], ids=["none", "flat", "away"])
def test_an_image_without_a_box_has_no_shares(box):
    found = cell_shares(boxes(box), (3, 4), (12, 16))
    assert found.shape == (1, 3, 4) and not found.any()
