"""What a judge of classes makes of chips: the squares about targets that `data.chips` cuts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from math import isnan
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data.chips import ChipScale, cut_chips
from data.label_index import ImageLabel, LabelIndex
from data.value_map import ValueMap
from metrics.confusion import confusion_matrix
from metrics.feature_store import FeatureStore
from metrics.judge import LAST_STAGE, Judge

BLOCK_ROWS = 1024


@dataclass(frozen=True)
class ChipClasses:
    """label, told: (B,) int64, the class that the table names and the one that the judge sees.

    -1 for an image without a box or, where chips go by it, a range, and for a class that is unknown
    to the table or to the judge. features: (B, D) of the judge's last stage; NaN without a chip.
    """

    label: Tensor
    told: Tensor
    features: Tensor

    @property
    def kept(self) -> Tensor:
        """(B,) float64: 1 where both are the same, else 0, NaN where one of them is unknown."""
        unknown = (self.label < 0) | (self.told < 0)
        return (self.label == self.told).double().masked_fill(unknown, torch.nan)

    def of(self, places: list[int]) -> "ChipClasses":
        """Those of some of the images."""
        return ChipClasses(self.label[places], self.told[places], self.features[places])


class ChipJudging:
    """The chips of one set, batch by batch. value_map: of what the judge sees as -1 and 1.

    labels: of all images, for the scale of chips where the judge has none of its own; flips: kind
    -> confusion matrix (K, K), class of the label by row, predicted class by column.
    """

    def __init__(self, judge: Judge, value_map: ValueMap, labels: LabelIndex) -> None:
        self._judge, self.value_map = judge, value_map
        own = judge.classifier.chip_scale
        self._scale = cache(partial(chip_scale, own, labels))
        self.flips: dict[str, Tensor] = {}
        self._features: dict[str, FeatureStore] = {}

    def judge(
        self,
        counts: Tensor,
        boxes: Tensor,
        labels: Sequence[ImageLabel | None],
        *,
        recurring: bool = True,
    ) -> ChipClasses:
        """What it makes of images (B, 1 or 3, H, W) in file values; boxes: (B, 4).

        recurring: as in `Judge.activations`.
        """
        known = [self._judge.index_of(label.class_name) if label else None for label in labels]
        label = torch.tensor([-1 if index is None else index for index in known])
        told = torch.full((len(counts),), -1)
        features = torch.full((len(counts), self._judge.classifier.embedding_size), torch.nan)
        shown, chips = chips_of(self.value_map.scale(counts), boxes, labels, self._scale)
        if shown:
            seen = self._judge.activations(chips, recurring=recurring)
            told[shown] = seen.predicted.cpu()
            features[shown] = seen.embeddings[LAST_STAGE].cpu()
        return ChipClasses(label, told, features)

    def add(self, kind: str, found: ChipClasses) -> None:
        """The next images of a kind, to be found by `retrieved`."""
        self._features.setdefault(kind, FeatureStore()).append(found.features)

    def count(self, kind: str, found: ChipClasses) -> None:
        """Add to `flips` what is known of both."""
        known = (found.label >= 0) & (found.told >= 0)
        classes = len(self._judge.classifier.classes)
        counts = confusion_matrix(found.label[known], found.told[known], classes=classes)
        self.flips[kind] = self.flips.get(kind, 0) + counts

    def retrieved(self, kind: str) -> np.ndarray:
        """`found_first` of the translations' chips among those of a kind, all that were added."""
        return found_first(*(self._features[of].array() for of in ("fake_B", kind)))


def chip_scale(
    own: Mapping[str, Any] | None, labels: LabelIndex, height: int, width: int
) -> ChipScale:
    """That of a judge in images of this size: its `own`, in plain values.

    Where it has none, or goes by ranges and the labels have none: fitted to all their boxes.
    """
    ranges = [label.range_m for label in labels.boxed]
    if own is not None and (any(ranges) or not own["by_range"]):
        return ChipScale(**own)
    return ChipScale.fit([label.corners(height, width) for label in labels.boxed], ranges)


def chips_of(
    images: Tensor,
    boxes: Tensor,
    labels: Sequence[ImageLabel | None],
    scale_in: Callable[[int, int], ChipScale],
) -> tuple[list[int], Tensor]:
    """Places of the images (B, C, H, W) that have a chip, and these, (N, C, size, size).

    boxes: (B, 4); labels: for ranges; scale_in: of chips in images of a height and width, asked for
    where there is a box.
    """
    ranges = [label and label.range_m for label in labels]
    boxed = (~boxes.isnan().any(dim=1)).nonzero().flatten().tolist()
    scale = scale_in(*images.shape[-2:]) if boxed else None
    shown = [place for place in boxed if not isnan(scale.side_at(ranges[place]))]
    if not shown:
        return shown, images[:0]
    return shown, cut_chips(images[shown], boxes[shown], [ranges[i] for i in shown], scale)


def found_first(queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """Whether each row has no larger cosine with another row of the gallery than with its own.

    queries, gallery: (n, d), own rows at equal places. Returns (n,) of 0 and 1; NaN where a query
    or its own row is not finite or all 0. Other such rows of the gallery do not count.
    """
    queries, gallery = (_unit(rows) for rows in (queries, gallery))
    known = ~(np.isnan(queries).any(axis=1) | np.isnan(gallery).any(axis=1))
    found = np.full(len(queries), np.nan)
    for start in range(0, len(queries), BLOCK_ROWS):
        rows = np.flatnonzero(known[start : start + BLOCK_ROWS]) + start
        if len(rows):
            cosines = queries[rows] @ gallery.T
            own = cosines[np.arange(len(rows)), rows]
            found[rows] = own >= np.nanmax(cosines, axis=1)
    return found


def _unit(rows: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, lengths, out=np.full(rows.shape, np.nan, np.float32), where=lengths > 0)
