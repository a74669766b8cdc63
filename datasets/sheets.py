"""Sheets of images with their boxes, to look at before the boxes are trusted."""

from collections.abc import Sequence

import numpy as np

from data.label_index import Box


def tile(image: np.ndarray, boxes: Sequence[Box], *, side: int) -> np.ndarray:
    """An image (H, W) or (H, W, 3), stretched to 8 bits, its boxes in white: (H', W') uint8.

    side: up to which it is enlarged by a whole number; larger ones stay.
    """
    grey = (image if image.ndim == 2 else image.mean(axis=2)).astype(np.float32)
    low, high = np.percentile(grey, (0.5, 99.9))
    shown = ((grey - low) / ((high - low) or 1) * 255).clip(0, 255).astype(np.uint8)
    times = max(1, side // max(shown.shape))
    return draw_boxes(shown, boxes, times)


def draw_boxes(image: np.ndarray, boxes: Sequence[Box], times: int) -> np.ndarray:
    """The image (H, W) uint8 enlarged so many times, with a white line around each box."""
    shown = image.repeat(times, axis=0).repeat(times, axis=1)
    for box in boxes:
        # Outside the box: a vehicle of few pixels must be seen in it.
        x, y, w, h = (times * number for number in box)
        left, right = (int(np.clip(edge, 0, shown.shape[1] - 1)) for edge in (x - 1, x + w))
        top, bottom = (int(np.clip(edge, 0, shown.shape[0] - 1)) for edge in (y - 1, y + h))
        shown[top, left : right + 1] = shown[bottom, left : right + 1] = 255
        shown[top : bottom + 1, left] = shown[top : bottom + 1, right] = 255
    return shown


def sheet(tiles: Sequence[np.ndarray], *, columns: int) -> np.ndarray:
    """Tiles (H, W) uint8 in rows of so many, black where one is smaller or missing."""
    height, width = (max(t.shape[axis] for t in tiles) for axis in (0, 1))
    rows = -(-len(tiles) // columns)
    whole = np.zeros((rows * height, min(columns, len(tiles)) * width), np.uint8)
    for place, shown in enumerate(tiles):
        top, left = place // columns * height, place % columns * width
        whole[top : top + shown.shape[0], left : left + shown.shape[1]] = shown
    return whole
