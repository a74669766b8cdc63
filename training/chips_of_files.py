"""Chips of labelled images at the resolution of their files, for baselines."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from data.datasets import LabeledDataset
from data.label_index import ImageLabel
from data.transforms import resize

SIZE = 96  # pixels a side of what is made of a chip
MARGIN = 1.5  # side of a chip, in larger sides of a usual box


@dataclass(frozen=True)
class ChipScale:
    """side: pixels a side of a chip, at 1,000 m if `by_range`, and of all chips otherwise.

    It never follows the image's own box, whose size may tell the class.
    """

    side: float
    by_range: bool

    @classmethod
    def fit(cls, boxes: np.ndarray, ranges: np.ndarray) -> "ChipScale":
        """That of a usual target. boxes: (n, 4) of x0, y0, x1, y1; ranges: (n,) metres or NaN."""
        by_range = bool(np.isfinite(ranges).all())
        sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
        return cls(
            MARGIN * float(np.median(sides * ranges / 1000 if by_range else sides)), by_range
        )

    def pixels(self, range_m: float) -> int:
        """Side of the chip of a target at this range."""
        return max(1, round(self.side * 1000 / range_m if self.by_range else self.side))


def labels_of(dataset: LabeledDataset) -> list[ImageLabel | None]:
    """What the tables tell of each image."""
    table = dataset.selection.boxes
    return [table.index.listed(file.path) if table else None for file in dataset.files]


def ranges_of(dataset: LabeledDataset) -> np.ndarray:
    """(n,) metres, NaN where unknown."""
    known = [(label and label.range_m) or np.nan for label in labels_of(dataset)]
    return np.array(known, dtype=float)


def boxes_of(dataset: LabeledDataset) -> np.ndarray:
    """(n, 4), x0, y0, x1, y1 of the largest box in pixels of the file; NaN without any."""
    found = dataset.domains["A"].boxes or [np.empty((0, 4))] * len(dataset)
    return np.array([_largest(boxes) for boxes in found], dtype=float)


def _largest(boxes: np.ndarray) -> np.ndarray:
    if not len(boxes):
        return np.full(4, np.nan)
    return boxes[(boxes[:, 2:] - boxes[:, :2]).prod(axis=1).argmax()]


def scale_of(*datasets: LabeledDataset) -> ChipScale | None:
    """Fitted to the first, by range where those of all are known; None without a box in it."""
    boxes, ranges = boxes_of(datasets[0]), ranges_of(datasets[0])
    boxed = np.isfinite(boxes).all(axis=1)
    if not boxed.any():
        return None
    known = all(np.isfinite(ranges_of(dataset)).all() for dataset in datasets)
    return ChipScale.fit(boxes[boxed], ranges[boxed] if known else np.full(boxed.sum(), np.nan))


def read_chips(
    dataset: LabeledDataset, places: Sequence[int], scale: ChipScale | None
) -> Iterator[Tensor]:
    """(C, SIZE, SIZE) in [-1, 1] of each of `places`: the square about the target, or the whole
    image where it has no box or there is no scale. Raises UserError for a bad image.
    """
    domain, boxes, ranges = dataset.domains["A"], boxes_of(dataset), ranges_of(dataset)

    def read(place: int) -> Tensor:
        image = domain.encode(torch.from_numpy(np.stack([domain.read(place)])))[0]
        if scale is None or np.isnan(boxes[place]).any():
            return resize(image, (SIZE, SIZE))
        return _square(image, boxes[place], scale.pixels(ranges[place]))

    with ThreadPoolExecutor() as pool:
        yield from pool.map(read, places)


def _square(image: Tensor, box: np.ndarray, side: int) -> Tensor:
    """About the middle of the box, mirrored beyond the image's edges, resized."""
    middle = (box[:2] + box[2:]) / 2
    left, top = (round(float(edge)) + side for edge in middle - side / 2)  # in what is padded
    rows, columns = (
        torch.from_numpy(np.pad(np.arange(length), (side, side), mode="symmetric"))
        for length in image.shape[-2:]
    )
    square = image[:, rows[top : top + side]][:, :, columns[left : left + side]]
    return resize(square, (SIZE, SIZE))
