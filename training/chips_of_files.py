"""Chips of labelled images at the resolution of their files, for baselines."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from data.boxes import pad_boxes
from data.chips import SIZE, ChipScale, cut_chips
from data.labeled import LabeledDataset
from data.transforms import resize
from metrics.boxes import largest


def boxes_of(dataset: LabeledDataset) -> np.ndarray:
    """(n, 4), x0, y0, x1, y1 of the largest box in pixels of the file; NaN without any."""
    found = dataset.domains["A"].boxes or [np.empty((0, 4))] * len(dataset)
    return largest(pad_boxes(found)).numpy()


def scale_of(*datasets: LabeledDataset) -> ChipScale | None:
    """Fitted to the first, by range where those of all are known; None without a box in it."""
    boxes = boxes_of(datasets[0])
    boxed = np.flatnonzero(np.isfinite(boxes).all(axis=1))
    if not len(boxed):
        return None
    known = all(item.range_m is not None for dataset in datasets for item in dataset.items)
    ranges = [datasets[0].items[i].range_m if known else None for i in boxed]
    return ChipScale.fit(boxes[boxed], ranges)


def read_chips(
    dataset: LabeledDataset, places: Sequence[int], scale: ChipScale | None
) -> Iterator[Tensor]:
    """(C, SIZE, SIZE) in [-1, 1] of each of `places`: the square about the target, or the whole
    image where it has no box or there is no scale. Raises UserError for a bad image.
    """
    domain, boxes = dataset.domains["A"], torch.from_numpy(boxes_of(dataset))

    def read(place: int) -> Tensor:
        image = domain.encode(torch.from_numpy(np.stack([domain.read(place)])))
        if scale is None or boxes[place].isnan().any():
            return resize(image, (SIZE, SIZE))[0]
        return cut_chips(image, boxes[[place]], [dataset.items[place].range_m], scale)[0]

    with ThreadPoolExecutor() as pool:
        yield from pool.map(read, places)
