"""Target boxes as masks of pixels."""

import torch
from torch import Tensor

# What a box is grown by on each side, a share of its width or height and pixels: boxes are tight,
# and a sensor's blur carries the target over their edges.
GROWN_SHARE, GROWN_PIXELS = 0.1, 1.5
REGIONS = ("", "_box", "_background")  # of an image; suffixes of the names of metrics


def inside(boxes: Tensor, height: int, width: int) -> Tensor:
    """Which pixels each box covers: those whose centre lies in it; (B, height, width) of bool.

    boxes: (B, 4) of x0, y0, x1, y1 in pixel edges, x to the right and y down from the upper left
    corner: the pixel of row r and column c is inside where x0 <= c + 0.5 < x1 and
    y0 <= r + 0.5 < y1. A box may reach beyond the image. A row of NaN, no box, covers none.
    """
    x0, y0, x1, y1 = boxes[:, :, None].unbind(1)  # (B, 1) each
    x = torch.arange(width, device=boxes.device) + 0.5
    y = torch.arange(height, device=boxes.device) + 0.5
    columns = (x0 <= x) & (x < x1)
    rows = (y0 <= y) & (y < y1)
    return rows[:, :, None] & columns[:, None, :]


def grown(boxes: Tensor) -> Tensor:
    """Boxes (..., 4) with each edge moved outwards by GROWN_SHARE of the side and GROWN_PIXELS."""
    corner, opposite = boxes[..., :2], boxes[..., 2:]
    margin = GROWN_SHARE * (opposite - corner) + GROWN_PIXELS
    return torch.cat([corner - margin, opposite + margin], dim=-1)


def faded(boxes: Tensor, height: int, width: int) -> Tensor:
    """How much each pixel of B images is a target's: 1 in a box, falling to 0 at the grown edge.

    boxes: (B, N, 4), as for `inside`, N an image. Returns (B, height, width), linear between the
    two edges, at the middle of each pixel.
    """
    near, far = boxes[..., None], grown(boxes)[..., None]  # (B, N, 4, 1)
    shares = []
    for axis, length in enumerate((width, height)):
        middle = torch.arange(length, device=boxes.device) + 0.5
        first, last = axis, axis + 2
        rising = (middle - far[..., first, :]) / (near[..., first, :] - far[..., first, :])
        falling = (far[..., last, :] - middle) / (far[..., last, :] - near[..., last, :])
        shares.append(torch.minimum(rising, falling).clamp(0, 1).nan_to_num())
    across, down = shares  # (B, N, length)
    return (down[..., :, None] * across[..., None, :]).amax(dim=1)


def largest(boxes: Tensor) -> Tensor:
    """The box of each image with the largest area: (B, N, 4) -> (B, 4), NaN without any."""
    sides = boxes[..., 2:] - boxes[..., :2]
    areas = sides.prod(dim=-1).nan_to_num(nan=-1.0)
    return boxes[torch.arange(len(boxes), device=boxes.device), areas.argmax(dim=1)]


def regions(boxes: Tensor, height: int, width: int) -> Tensor:
    """The REGIONS of B images, (3, B, height, width) of bool: all, in a grown box, in none.

    boxes: (B, N, 4), as for `inside`, N an image. An image without any box has only the first.
    """
    count, boxed = len(boxes), ~boxes.isnan().any(dim=-1).all(dim=-1)
    target = inside(grown(boxes).flatten(0, 1), height, width)
    target = target.view(count, -1, height, width).any(dim=1)
    return torch.stack([torch.ones_like(target), target, ~target & boxed[:, None, None]])
