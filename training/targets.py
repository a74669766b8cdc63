"""Targets of labelled images, and chips about them at the resolution of the files."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from data.boxes import BoxTable, pad_boxes
from data.datasets import LabeledDataset
from data.labels import group_of
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


@dataclass(frozen=True)
class Targets:
    """What is known of those of n labelled images.

    boxes: (n, 4), x0, y0, x1, y1 of the largest in pixels of the file, NaN without any; ranges: in
    metres, None where unknown; recordings: by the table, or else by the file's path.
    """

    boxes: Tensor
    ranges: Sequence[float | None]
    recordings: Sequence[str]

    @classmethod
    def of(cls, dataset: LabeledDataset, table: BoxTable) -> "Targets":
        """Raises UserError for a box beyond its image."""
        labels = [table.index.listed(file.path) for file in dataset.files]
        found = zip(dataset.files, dataset.labels, labels, strict=True)
        return cls(
            largest(pad_boxes(table.of([file.path for file in dataset.files]))),
            [label and label.range_m for label in labels],
            [
                (label and label.recording) or group_of(file, dataset.classes[index], None, "group")
                for file, index, label in found
            ],
        )


def scale_of(targets: Targets, *others: Targets) -> ChipScale | None:
    """Fitted to the first, by range where those of all are known; None without a box in it."""
    boxed = (~targets.boxes.isnan().any(dim=1)).nonzero()[:, 0].tolist()
    if not boxed:
        return None
    known = all(None not in found.ranges for found in (targets, *others))
    ranges = [targets.ranges[i] if known else None for i in boxed]
    return ChipScale.fit(targets.boxes[boxed].numpy(), ranges)


def read_chips(
    dataset: LabeledDataset, targets: Targets, places: Sequence[int], scale: ChipScale | None
) -> Iterator[Tensor]:
    """(C, SIZE, SIZE) in [-1, 1] of each of `places`: the square about the target, or the whole
    image where it has no box or there is no scale. Raises UserError for a bad image.
    """
    domain = dataset.domains["A"]

    def read(place: int) -> Tensor:
        image = domain.encode(torch.from_numpy(np.stack([domain.read(place)])))
        box = targets.boxes[[place]]
        if scale is None or box.isnan().any():
            return resize(image, (SIZE, SIZE))[0]
        return cut_chips(image, box, [targets.ranges[place]], scale, size=SIZE)[0]

    with ThreadPoolExecutor() as pool:
        yield from pool.map(read, places)
