"""Boxes of targets that travel with training images, from their table into the batch.

Boxes of an image are an array (N, 4) of x0, y0, x1, y1 in pixel edges, x to the right and y down
from the upper left corner of the image: as many as it has targets, perhaps none.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from data.annotations.find import find_annotations
from data.folders import LABELS_FILE
from data.images import read_size
from data.label_index import LabelIndex

Half = Literal["left", "right"]  # of a side-by-side image


class BoxTable:
    """The boxes beside the images of a data root, in whichever format."""

    def __init__(self, root: Path) -> None:
        table = find_annotations(root)
        self.index = LabelIndex([] if table is None else [table])
        self.why_none = self.index.why_no_box
        if table is None:
            self.why_none = f"there is no {LABELS_FILE}, and no table of another format, for {root}"

    def of(self, files: Sequence[Path], *, half: Half | None = None) -> list[np.ndarray]:
        """Boxes of each image, by its own path alone; half: in which part of it they are wanted.

        Raises UserError for a box beyond the image.
        """
        with ThreadPoolExecutor() as pool:
            return list(pool.map(partial(self._of, half=half), files))

    def _of(self, file: Path, *, half: Half | None) -> np.ndarray:
        label = self.index.listed(file)
        if label is None or not label.targets:
            return np.empty((0, 4), np.float32)
        height, width = read_size(file)
        boxes = np.array(label.all_corners(height, width), np.float32)
        if half is not None:
            width //= 2
            boxes[:, ::2] -= width * (half == "right")
        return clip_boxes(boxes, height, width)


def clip_boxes(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """What lies in an image of this size of boxes (N, 4): (M, 4), without those all outside."""
    clipped = boxes.clip(0, np.array([width, height, width, height], np.float32))
    return clipped[(clipped[:, 0] < clipped[:, 2]) & (clipped[:, 1] < clipped[:, 3])]


def pad_boxes(boxes: Sequence[np.ndarray]) -> Tensor:
    """Boxes of B images -> (B, N, 4) float32, N of the image with most, rows of NaN in the others.

    N is 1 at least.
    """
    most = max(1, *map(len, boxes))
    padded = np.full((len(boxes), most, 4), np.nan, np.float32)
    for row, found in zip(padded, boxes, strict=True):
        row[: len(found)] = found
    return torch.from_numpy(padded)
