"""Target boxes as masks of pixels."""

import torch
from torch import Tensor


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
