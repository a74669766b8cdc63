"""Chips of labelled images at the resolution of their files, for baselines."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from data.boxes import pad_boxes
from data.datasets import LabeledDataset
from data.label_index import ImageLabel
from data.transforms import resize
from metrics.boxes import largest

SIZE = 96  # pixels a side of what is made of a chip
MARGIN = 2.0  # side of a chip, in larger sides of the middlemost target


@dataclass(frozen=True)
class ChipScale:
    """side: pixels a side of a chip, at 1,000 m if `by_range`, and of all chips otherwise.

    It never follows the image's own box, whose size may tell the class.
    """

    side: float
    by_range: bool

    @classmethod
    def fit(cls, boxes: np.ndarray, ranges: Sequence[float | None]) -> "ChipScale":
        """That of a usual target. boxes: (n, 4) of x0, y0, x1, y1; ranges: in metres."""
        sizes = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
        by_range = None not in ranges
        if by_range:
            sizes = sizes * np.array(ranges) / 1000
        return cls(MARGIN * float(np.median(sizes)), by_range)


def cut_chips(
    images: Tensor,
    boxes: Tensor,
    ranges: Sequence[float | None],
    scale: ChipScale,
    *,
    size: int = SIZE,
) -> Tensor:
    """The square about the middle of each box, resized: (B, C, H, W) -> (B, C, size, size).

    boxes: (B, 4); ranges: in metres, known where `scale` goes by them. What lies beyond the image
    is the image mirrored at its edge.
    """
    found = zip(images, boxes.tolist(), ranges, strict=True)
    return torch.stack([_cut(image, box, metres, scale, size) for image, box, metres in found])


def _cut(
    image: Tensor, box: Sequence[float], range_m: float | None, scale: ChipScale, size: int
) -> Tensor:
    side = max(1, round(scale.side * 1000 / range_m if scale.by_range else scale.side))
    middles = (box[1] + box[3]) / 2, (box[0] + box[2]) / 2
    rows, columns = (
        np.pad(np.arange(length), side, mode="symmetric")[round(middle + side / 2) :][:side]
        for middle, length in zip(middles, image.shape[-2:], strict=True)
    )
    return resize(image[:, rows][:, :, columns], (size, size))


def labels_of(dataset: LabeledDataset) -> list[ImageLabel | None]:
    """What the tables tell of each image."""
    table = dataset.selection.boxes
    return [table.index.listed(file.path) if table else None for file in dataset.files]


def ranges_of(dataset: LabeledDataset) -> list[float | None]:
    """Metres to the target of each image, None where unknown."""
    return [label and label.range_m for label in labels_of(dataset)]


def boxes_of(dataset: LabeledDataset) -> np.ndarray:
    """(n, 4), x0, y0, x1, y1 of the largest box in pixels of the file; NaN without any."""
    found = dataset.domains["A"].boxes or [np.empty((0, 4))] * len(dataset)
    return largest(pad_boxes(found)).numpy()


def scale_of(*datasets: LabeledDataset) -> ChipScale | None:
    """Fitted to the first, by range where those of all are known; None without a box in it."""
    boxes, ranges = boxes_of(datasets[0]), ranges_of(datasets[0])
    boxed = np.flatnonzero(np.isfinite(boxes).all(axis=1))
    if not len(boxed):
        return None
    known = all(None not in ranges_of(dataset) for dataset in datasets)
    return ChipScale.fit(boxes[boxed], [ranges[i] if known else None for i in boxed])


def read_chips(
    dataset: LabeledDataset, places: Sequence[int], scale: ChipScale | None
) -> Iterator[Tensor]:
    """(C, SIZE, SIZE) in [-1, 1] of each of `places`: the square about the target, or the whole
    image where it has no box or there is no scale. Raises UserError for a bad image.
    """
    domain, ranges = dataset.domains["A"], ranges_of(dataset)
    boxes = torch.from_numpy(boxes_of(dataset))

    def read(place: int) -> Tensor:
        image = domain.encode(torch.from_numpy(np.stack([domain.read(place)])))
        if scale is None or boxes[place].isnan().any():
            return resize(image, (SIZE, SIZE))[0]
        return cut_chips(image, boxes[[place]], [ranges[place]], scale, size=SIZE)[0]

    with ThreadPoolExecutor() as pool:
        yield from pool.map(read, places)
