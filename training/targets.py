"""Targets of labelled images at the resolution of their files, for baselines."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from data.boxes import BoxTable, pad_boxes
from data.chips import SIZE, ChipScale, cut_chips
from data.labeled import LabeledDataset
from data.transforms import resize
from metrics.boxes import largest


@dataclass(frozen=True)
class Targets:
    """What is known of those of n labelled images.

    boxes: (n, 4), x0, y0, x1, y1 of the largest in pixels of the file, NaN without any; ranges: in
    metres, None where unknown; recordings: what images have in common that were taken together.
    """

    boxes: Tensor
    ranges: Sequence[float | None]
    recordings: Sequence[str]

    @classmethod
    def of(cls, dataset: LabeledDataset, table: BoxTable) -> "Targets":
        """Raises UserError for a box beyond its image."""
        return cls(
            largest(pad_boxes(table.of([file.path for file in dataset.files]))),
            [item.range_m for item in dataset.items],
            ["/".join(item.recording) for item in dataset.items],
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
        return cut_chips(image, box, [targets.ranges[place]], scale)[0]

    with ThreadPoolExecutor() as pool:
        yield from pool.map(read, places)
