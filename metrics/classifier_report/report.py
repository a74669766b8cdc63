"""From what a classifier and its baselines say of held-out images to figures of each range."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from torch import Tensor

from metrics.classifier_report.aim import Aim
from metrics.classifier_report.kinds import KINDS, kind_of
from metrics.confusion import balanced_accuracy, confusion_matrix
from metrics.metric_properties import Metric
from metrics.summary import means_of
from metrics.values import Mean

# What is measured of each image; "energy/chance" has no upper end but that of the smallest box.
FIGURES = {
    "accuracy": Metric("accuracy", "higher", decimals=3),
    "kind": Metric("kind", "higher", decimals=3),
    "over_chance": Metric("energy/chance", "higher", significant=3),
    "pointing": Metric("pointing", "higher", decimals=3),
    "empty": Metric("empty maps", "lower", decimals=3, ranked=False),
}
ALL = "all"
MOST_ROWS = 8  # ranges; more are put together, the finest such bins being of FINEST_BIN metres
FINEST_BIN = 250

Figures = Mapping[str, Mean]  # by the keys of FIGURES; what was not measured is absent


@dataclass(frozen=True)
class HeldOutImages:
    """n labelled images that a classifier has not learnt from.

    classes: names by index; labels: (n,) class indices; ranges: (n,) metres, NaN where unknown;
    recordings: what each was taken from with others, its name where that is unknown.
    """

    classes: tuple[str, ...]
    labels: np.ndarray
    ranges: np.ndarray
    recordings: Sequence[str]


@dataclass(frozen=True)
class Contender:
    """The classifier, or a baseline. predicted: (n,) class indices; aim: of its maps; or None."""

    name: str
    predicted: np.ndarray | None = None
    aim: Aim | None = None


@dataclass(frozen=True)
class Row:
    """The images of one range, or all. figures: contender -> its own; differences: baseline -> the
    classifier's less its, image by image, of the figures that both have.
    """

    name: str
    images: int
    units: int
    figures: Mapping[str, Figures]
    differences: Mapping[str, Figures]


@dataclass(frozen=True)
class ClassifierReport:
    """What is known of a classifier.

    balanced_accuracy: contender -> over all images; confusion: (K, K) counts, true class by row;
    kinds: those that occur, and kind_confusion: the same of them, of classes whose kind is known;
    units: what the intervals are over; notes: sentences on what was left out.
    """

    classes: tuple[str, ...]
    balanced_accuracy: Mapping[str, float]
    rows: Sequence[Row]
    confusion: Tensor
    kinds: tuple[str, ...]
    kind_confusion: Tensor
    units: str
    notes: Sequence[str]


def report_of(
    images: HeldOutImages, classifier: Contender, baselines: Sequence[Contender] = ()
) -> ClassifierReport:
    """All figures. The first row is that of all images; those of ranges follow, where known."""
    ranges = dict(_by_range(images.ranges))
    units, what = _units(images, ranges.values())
    kinds = _Kinds.of(images.classes)
    told = [c for c in (classifier, *baselines) if c.predicted is not None]
    own = _columns(images, classifier, kinds)
    others = {baseline.name: _columns(images, baseline, kinds) for baseline in baselines}
    rows = {ALL: np.ones(len(images.labels), bool), **ranges}
    return ClassifierReport(
        classes=images.classes,
        balanced_accuracy={
            c.name: balanced_accuracy(_confusion(images, c.predicted)) for c in told
        },
        rows=[_row(n, mask, units, {classifier.name: own, **others}) for n, mask in rows.items()],
        confusion=_confusion(images, classifier.predicted),
        kinds=kinds.names,
        kind_confusion=kinds.confusion(images.labels, classifier.predicted),
        units=what,
        notes=list(_notes(images, kinds, [c.aim for c in (classifier, *baselines) if c.aim])),
    )


def _confusion(images: HeldOutImages, predicted: np.ndarray) -> Tensor:
    labels, told = (torch.from_numpy(np.asarray(x, np.int64)) for x in (images.labels, predicted))
    return confusion_matrix(labels, told, classes=len(images.classes))


@dataclass(frozen=True)
class _Kinds:
    """names: of the kinds that occur; of_class: (K,) index of each class's kind, -1 unknown."""

    names: tuple[str, ...]
    of_class: np.ndarray

    @classmethod
    def of(cls, classes: Sequence[str]) -> "_Kinds":
        found = [kind_of(name) for name in classes]
        names = tuple(kind for kind in KINDS if kind in found)
        return cls(names, np.array([names.index(kind) if kind else -1 for kind in found]))

    def hits(self, labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """(n,) 1 where the kind is right, else 0; NaN where that of the label is unknown."""
        own, told = self.of_class[labels], self.of_class[predicted]
        return np.where(own < 0, np.nan, own == told)

    def confusion(self, labels: np.ndarray, predicted: np.ndarray) -> Tensor:
        """(kinds, kinds) counts of the images whose true and predicted kind are known."""
        own, told = self.of_class[labels], self.of_class[predicted]
        known = (own >= 0) & (told >= 0)
        pair = (torch.from_numpy(indices[known]) for indices in (own, told))
        return confusion_matrix(*pair, classes=len(self.names))


def _by_range(ranges: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """A name and the mask (n,) of each range, ascending; bins where there are more than MOST_ROWS,
    or hardly two images are of one range, as where a target drives.

    None where no range is known.
    """
    finite = ranges[np.isfinite(ranges)]
    known = np.unique(finite)
    if len(known) <= MOST_ROWS and 2 * len(known) <= len(finite):
        yield from ((f"{metres:,.10g} m", ranges == metres) for metres in known)
        return
    widths = (FINEST_BIN * 2**power for power in count())
    width = next(w for w in widths if len(np.unique(known // w)) <= MOST_ROWS)
    for number in np.unique(known // width):
        low, high = number * width, (number + 1) * width
        yield f"{low:,.0f} to {high:,.0f} m", (ranges >= low) & (ranges < high)


def _units(images: HeldOutImages, masks: Sequence[np.ndarray]) -> tuple[np.ndarray, str]:
    """(n,) what each image counts with in a bootstrap, and its name, for people.

    The recordings; but where a range is one recording, as a scenario with many vehicles, each of
    its classes is taken for one.
    """
    recordings = np.array(images.recordings, object)
    if all(len(set(recordings[mask])) > 1 for mask in masks):
        return recordings, "recordings"
    names = [images.classes[label] for label in images.labels]
    pairs = zip(recordings, names, strict=True)
    return np.array([f"{r}\t{name}" for r, name in pairs], object), "classes of recordings"


Columns = Mapping[str, np.ndarray]  # figure -> (n,) its value of each image, NaN where undefined


def _row(name: str, mask: np.ndarray, units: np.ndarray, columns: Mapping[str, Columns]) -> Row:
    """Of the images of a mask (n,); columns: of the classifier first, then of the baselines."""
    groups = list(units[mask])
    (_, own), *others = columns.items()
    return Row(
        name,
        int(mask.sum()),
        len(set(groups)),
        {of: _means(found, mask, groups) for of, found in columns.items()},
        {of: _means(_less(own, found), mask, groups) for of, found in others},
    )


def _less(own: Columns, other: Columns) -> Columns:
    """Of the figures that both have, and of which more is better."""
    shared = [key for key, metric in FIGURES.items() if metric.ranked and key in own.keys() & other]
    return {key: own[key] - other[key] for key in shared}


def _columns(images: HeldOutImages, contender: Contender, kinds: _Kinds) -> Columns:
    found = {}
    if contender.predicted is not None:
        found["accuracy"] = (contender.predicted == images.labels).astype(float)
        if len(kinds.names) > 1:
            found["kind"] = kinds.hits(images.labels, contender.predicted)
    if contender.aim is not None:
        found |= vars(contender.aim)
    return found


def _means(columns: Columns, mask: np.ndarray, groups: Sequence[str]) -> Figures:
    if not columns:
        return {}
    table = np.stack([column[mask] for column in columns.values()], axis=1)
    return means_of(list(columns), table, groups=groups)


def _notes(images: HeldOutImages, kinds: _Kinds, aims: Sequence[Aim]) -> Iterator[str]:
    strange = [n for n, k in zip(images.classes, kinds.of_class, strict=True) if k < 0]
    if strange and kinds.names:
        yield f"no kind of vehicle is known for {', '.join(strange)}: left out of the kinds"
    total, unknown = len(images.ranges), int(np.isnan(images.ranges).sum())
    if 0 < unknown < total:
        yield f"the range of {unknown} of {total} images is unknown: they stand among all alone"
    # The map of one contender may be empty, which says nothing of the box.
    boxless = [np.isnan(aim.pointing) & (aim.empty == 0) for aim in aims]
    unboxed = int(np.any(boxless, axis=0).sum()) if aims else 0
    if unboxed == total:
        yield "no image has a box: where the classifier looks is not measured"
    elif unboxed:
        yield f"{unboxed} of {total} images have no box, and tell nothing of attention"
