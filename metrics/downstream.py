"""What images are worth for training: labelled sets, scores on test images, the table of both."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from data.fingerprint import digests, fingerprint
from data.folders import ImageFile
from data.labeled_images import find_labeled
from data.labels import Label, group_of, split_column
from metrics.confusion import accuracy, balanced_accuracy
from metrics.student import student_interval
from util.errors import UserError

COLUMNS = ("trained on", "images", "steps", "balanced accuracy", "95 % interval")
COLUMNS += ("difference to {}", "95 % interval", "accuracy")


@dataclass(frozen=True)
class LabelledSet:
    """Images with a class each.

    items: image, class name, and its line of labels.csv where there is one; digests: SHA-256 of
    each file's bytes, in the same order.
    """

    name: str
    folder: Path
    items: list[tuple[ImageFile, str, Label | None]]
    digests: list[str]

    @classmethod
    def find(cls, name: str, folder: Path, *, phase: str) -> "LabelledSet":
        """The images of a phase, as the classifier's training finds them; `folder` is absolute.

        Raises UserError where no image has a class, or a file cannot be read.
        """
        items = find_labeled(folder, phase)
        return cls(name, folder, items, digests([file.path for file, _, _ in items]))

    @property
    def counts(self) -> dict[str, int]:
        """Class name -> number of images, in the order of names."""
        return dict(sorted(Counter(name for _, name, _ in self.items).items()))

    @property
    def fingerprint(self) -> str:
        """Of name, class and content of each image."""
        pairs = zip(self.items, self.digests, strict=True)
        return fingerprint((file.name, name, content) for (file, name, _), content in pairs)

    def only(self, classes: Sequence[str]) -> "LabelledSet":
        """The images of these classes."""
        kept = [place for place, (_, name, _) in enumerate(self.items) if name in classes]
        items, digests = ([values[i] for i in kept] for values in (self.items, self.digests))
        return replace(self, items=items, digests=digests)


def common_classes(test: LabelledSet, sets: Sequence[LabelledSet]) -> tuple[str, ...]:
    """The classes that the test images show and every set teaches, sorted.

    Raises UserError for fewer than two.
    """
    found = set(test.counts).intersection(*(images.counts for images in sets))
    if len(found) < 2:
        shown = ", ".join(sorted(found)) or "none"
        raise UserError(
            f"the test images and all sets have fewer than two classes in common ({shown}); "
            "classes are told by their names: check the class folders and tables."
        )
    return tuple(sorted(found))


def left_out(test: LabelledSet, sets: Sequence[LabelledSet], classes: Sequence[str]) -> list[str]:
    """A phrase for each class of the test images that is not among `classes`."""
    return [
        f"{name} ({count} images; not in {', '.join(s.name for s in sets if name not in s.counts)})"
        for name, count in test.counts.items()
        if name not in classes
    ]


def refuse_overlap(test: LabelledSet, sets: Sequence[LabelledSet]) -> None:
    """Raises UserError where a test image is a training image too: the file, a link or a copy."""
    for images in sets:
        known = set(images.digests)
        pairs = zip(test.items, test.digests, strict=True)
        shared = [item[0].name for item, content in pairs if content in known]
        if shared:
            more = ", ..." if len(shared) > 3 else ""
            raise UserError(
                f"{len(shared)} test images are in the set {images.name} too "
                f"({', '.join(shared[:3])}{more}); a score on them says "
                "nothing: keep them apart, by folders or by the column split of labels.csv."
            )


def shared_recordings(images: LabelledSet, test: LabelledSet, *, split_by: str) -> list[str]:
    """Recordings, as "class/recording", that both sets have images of.

    By the column `split_by` where both have a table with one, else by folders and file names; []
    where the names of `images` show one recording of each class only, and so tell nothing.
    """
    tables = [[label for _, _, label in s.items] for s in (images, test)]
    by_table = all(split_column(labels, split_by) for labels in tables)

    def recordings(of: LabelledSet) -> set[tuple[str, str]]:
        rows = ((file, name, label if by_table else None) for file, name, label in of.items)
        return {(name, group_of(file, name, label, split_by)) for file, name, label in rows}

    trained = recordings(images)
    if not by_table and len(trained) == len(images.counts):
        return []
    return sorted(f"{name}/{group}" for name, group in trained & recordings(test))


@dataclass(frozen=True)
class Estimate:
    """Mean of a few values; sample deviation and interval are None for a single one."""

    values: list[float]
    mean: float
    std: float | None
    low: float | None
    high: float | None


def estimate(values: Sequence[float], *, least: float) -> Estimate:
    """Mean and its 95 % interval by Student's t, cut to the range least ... 1 of the values."""
    mean, interval = float(np.mean(values)), student_interval(values)
    if interval is None:
        return Estimate(list(values), mean, None, None, None)
    low, high = interval
    std = float(np.std(values, ddof=1))
    return Estimate(list(values), mean, std, max(least, low), min(1.0, high))


@dataclass(frozen=True)
class SetWorth:
    """One set in the table; everything by seed.

    training_images, steps: what each run saw; difference: balanced accuracy less that of the
    reference, seed by seed, None for the reference itself.
    """

    name: str
    training_images: list[int]
    steps: list[int]
    balanced_accuracy: Estimate
    accuracy: Estimate
    difference: Estimate | None


def set_worth(
    name: str,
    confusions: Sequence[Tensor],
    *,
    training_images: list[int],
    steps: list[int],
    reference: SetWorth | None,
) -> SetWorth:
    """The row of a set from the confusion matrices of its runs; reference: the first row."""
    values = [balanced_accuracy(confusion) for confusion in confusions]
    difference = None
    if reference:
        pairs = zip(values, reference.balanced_accuracy.values, strict=True)
        difference = estimate([own - other for own, other in pairs], least=-1.0)
    shares = estimate([accuracy(confusion) for confusion in confusions], least=0.0)
    return SetWorth(name, training_images, steps, estimate(values, least=0.0), shares, difference)


def table(rows: Sequence[SetWorth], *, chance: float) -> list[list[str]]:
    """The cells, headings first; the last line is that of guessing."""
    lines = [[title.format(rows[0].name) for title in COLUMNS]]
    for row in rows:
        facts = [row.name, _range(row.training_images), _range(row.steps)]
        difference = [_value(row.difference, "+"), _interval(row.difference, "+")]
        balanced = [_value(row.balanced_accuracy), _interval(row.balanced_accuracy)]
        lines.append([*facts, *balanced, *difference, _value(row.accuracy)])
    return [*lines, ["(chance)", "", "", f"{chance:.3f}", "", "", "", ""]]


def _range(counts: Sequence[int]) -> str:
    return "–".join(map(str, sorted({min(counts), max(counts)})))


def _value(of: Estimate | None, sign: str = "") -> str:
    if of is None:
        return "–"
    return f"{of.mean:{sign}.3f}" + (f" ± {of.std:.3f}" if of.std is not None else "")


def _interval(of: Estimate | None, sign: str = "") -> str:
    if of is None or of.low is None:
        return "–"
    return f"{of.low:{sign}.3f} … {of.high:{sign}.3f}"


def as_markdown(lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table; numbers to the right."""
    rule = ["---", *("---:" for _ in lines[0][1:])]
    rows = ([cell.replace("|", "\\|") for cell in line] for line in [lines[0], rule, *lines[1:]])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
