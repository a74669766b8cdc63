"""What the boxes of targets mean for images, as pure functions of tensors.

Boxes are (B, N, 4) of x0, y0, x1, y1 in pixel edges, x to the right and y down from the upper left
corner of images (B, C, H, W); rows of NaN are none, and cover nothing.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from metrics.boxes import grown, inside
from util.distributed import draw_rows

RING = 3.0  # pixels about a grown box which show the background


def covered(boxes: Tensor, height: int, width: int) -> Tensor:
    """Which pixels lie in any box of their image: (B, H, W) of bool."""
    return _inside_each(boxes, height, width).any(dim=1)


def _inside_each(boxes: Tensor, height: int, width: int) -> Tensor:
    """Which pixels lie in each box: (B, N, H, W) of bool."""
    return inside(boxes.flatten(0, 1), height, width).unflatten(0, boxes.shape[:2])


def mirrored_boxes(boxes: Tensor, width: int) -> Tensor:
    """Where boxes lie once images of this width are flipped left to right."""
    x0, y0, x1, y1 = boxes.unbind(dim=-1)
    return torch.stack([width - x1, y0, width - x0, y1], dim=-1)


def stack_boxes(*batches: Tensor) -> Tensor:
    """(B, N, 4) of several batches as those of one, filled up with rows of NaN."""
    most = max(boxes.shape[1] for boxes in batches)
    filled = [F.pad(b, (0, 0, 0, most - b.shape[1]), value=torch.nan) for b in batches]
    return torch.cat(filled)


def _widened(boxes: Tensor, room: float) -> Tensor:
    return torch.cat([boxes[..., :2] - room, boxes[..., 2:] + room], dim=-1)


def blind(images: Tensor, boxes: Tensor) -> Tensor:
    """Images that show no target: the grown boxes hold the mean of what is around them.

    Around a box is a ring of 3 pixels, as far as the image goes and no other box covers it; where
    nothing is left of that, the mean of all pixels that no box covers, and 0 where there are none.
    Where boxes overlap, the mean of their fills. The gradient goes through the fills, too.
    """
    boxes, size = grown(boxes), images.shape[-2:]
    within = _inside_each(boxes, *size)
    hidden = within.any(dim=1, keepdim=True)  # (B, 1, H, W)
    ring = _inside_each(_widened(boxes, RING), *size) & ~hidden
    fills = torch.where(
        ring.any(dim=(2, 3))[:, None], _means(images, ring), _means(images, ~hidden)
    )
    shares = within / within.sum(dim=1, keepdim=True).clamp(min=1)
    filled = torch.einsum("bcn,bnhw->bchw", fills, shares)
    return torch.where(hidden, filled.to(images.dtype), images)


def _means(images: Tensor, masks: Tensor) -> Tensor:
    """Of images (B, C, H, W) where masks (B, N, H, W) are True: (B, C, N); 0 where none is."""
    sums = torch.einsum("bchw,bnhw->bcn", images.float(), masks.float())
    return sums / masks.sum(dim=(2, 3)).clamp(min=1)[:, None]


def box_weights(boxes: Tensor, height: int, width: int, weight: float) -> Tensor:
    """(B, 1, H, W): `weight` in the boxes and 1 elsewhere."""
    return torch.where(covered(boxes, height, width), weight, 1.0)[:, None]


def touched(boxes: Tensor, features: Sequence[int], image: Sequence[int]) -> Tensor:
    """Which positions of a feature map belong to a box: (B, h, w) of bool.

    features, image: (height, width) of the map and of the image it was made from. Those positions
    whose share of the image a box touches, so that a small target is not lost in a coarse map. A
    map that is larger than the image has a margin about it (reflection padding).
    """
    x0, y0, x1, y1 = boxes.unbind(dim=-1)
    (height, width), (rows, columns) = features, image
    (across, left), (down, top) = _grid(width, columns), _grid(height, rows)
    edges = [(x0 / across + left).floor(), (y0 / down + top).floor()]
    edges += [(x1 / across + left).ceil(), (y1 / down + top).ceil()]
    return covered(torch.stack(edges, dim=-1), height, width)


def cell_shares(boxes: Tensor, cells: Sequence[int], image: Sequence[int]) -> Tensor:
    """How the area of an image's boxes is spread over cells: (B, h, w), with the sum 1.

    cells, image: (height, width) in cells, which are of one size, and in pixels. All 0 for an image
    that shows no box.
    """
    x0, y0, x1, y1 = boxes.unbind(dim=-1)
    (rows, columns), (height, width) = cells, image
    across, down = _overlaps(x0, x1, columns, width), _overlaps(y0, y1, rows, height)
    areas = torch.einsum("bnh,bnw->bhw", down, across)
    return areas / areas.sum(dim=(1, 2), keepdim=True).clamp(min=torch.finfo(areas.dtype).tiny)


def _overlaps(first: Tensor, last: Tensor, cells: int, length: int) -> Tensor:
    """Of spans (B, N) with each of the cells that divide `length`: (B, N, cells); 0 for NaN."""
    edges = torch.arange(cells + 1, device=first.device) * (length / cells)
    ends = last[..., None].minimum(edges[1:]) - first[..., None].maximum(edges[:-1])
    return ends.clamp(min=0).nan_to_num()


def _grid(positions: int, pixels: int) -> tuple[int, float]:
    """Pixels a position, and positions before the image's edge."""
    stride = max(1, round(pixels / positions))
    return stride, (positions - pixels / stride) / 2


def draw_places(target: Tensor, count: int, share: float) -> Tensor:
    """Positions of patches (B, S), all of an image different, S up to `count`.

    target: (B, P) of bool, which positions belong to a target. round(share * S) positions are drawn
    among these, or all of these where there are fewer; the rest among all that are left, uniformly.
    """
    count = min(count, target.shape[1])
    order = _draw_like(target)
    first = torch.where(target, order, -1.0).topk(round(share * count), dim=1)
    taken = torch.zeros_like(order).scatter(1, first.indices, (first.values >= 0).float())
    return (_draw_like(target) + 2 * taken).topk(count, dim=1).indices


def _draw_like(target: Tensor) -> Tensor:
    """Uniform numbers (B, P)."""
    places = target.shape[1]
    return draw_rows(len(target), lambda rows: torch.rand(rows, places, device=target.device))
