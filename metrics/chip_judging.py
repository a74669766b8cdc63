"""What a judge of classes makes of chips: the squares about targets that `data.chips` cuts."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from data.chips import cut_chips
from data.label_index import ImageLabel
from data.value_map import ValueMap
from metrics.confusion import confusion_matrix
from metrics.feature_store import FeatureStore
from metrics.judge import LAST_STAGE, Judge

BLOCK_ROWS = 1024


class ChipJudging:
    """The chips of one set, batch by batch. value_map: of what the judge sees as -1 and 1.

    flips: kind -> confusion matrix (K, K), class of the label by row, predicted class by column.
    """

    def __init__(self, judge: Judge, value_map: ValueMap) -> None:
        self.judge, self.value_map = judge, value_map
        self.flips: dict[str, Tensor] = {}
        self._features: dict[str, FeatureStore] = {}

    def add(
        self, kind: str, counts: Tensor, boxes: Tensor, labels: Sequence[ImageLabel | None]
    ) -> Tensor:
        """The next images of a kind: whether each has the class of its label, (B,) of 0 and 1.

        counts: (B, 1 or 3, H, W) in file values; boxes: (B, 4). NaN for an image without a box, and
        for a class that is unknown to the table or to the judge.
        """
        boxed = (~boxes.isnan().any(dim=1)).nonzero()[:, 0].tolist()
        features = torch.full((len(counts), self.judge.classifier.net.fc.in_features), torch.nan)
        kept = torch.full((len(counts),), torch.nan, dtype=torch.float64)
        if boxed:
            chips = cut_chips(self.value_map.scale(counts[boxed]), boxes[boxed])
            seen = self.judge.activations(chips)
            features[boxed] = seen.embeddings[LAST_STAGE].cpu()
            for place, predicted in zip(boxed, seen.predicted.cpu(), strict=True):
                label = labels[place]
                known = self.judge.index_of(label.class_name) if label else None
                if known is not None:
                    kept[place] = float(predicted == known)
                    self._count(kind, torch.tensor([known]), predicted[None])
        self._features.setdefault(kind, FeatureStore()).append(features)
        return kept

    def _count(self, kind: str, label: Tensor, predicted: Tensor) -> None:
        counts = confusion_matrix(label, predicted, classes=len(self.judge.classifier.classes))
        self.flips[kind] = self.flips.get(kind, 0) + counts

    def retrieved(self, kind: str) -> np.ndarray:
        """`found_first` of the translations' chips among those of a kind, all that were added."""
        return found_first(*(self._features[of].array() for of in ("fake_B", kind)))


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
