"""Images with a class each: how they are found, and how they are seen whole."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from data.datasets import ImageDataset, Selection
from data.folders import ImageFile, find_images
from data.label_index import LabelIndex
from data.labels import Label, class_of_folder, group_of, read_labels
from data.raw import RawSample
from util.batch import DataFacts, View
from util.errors import UserError

# Folders that hold a phase or a domain, not a class.
PHASE_FOLDER = re.compile(r"(train|val|test)(_?[AB])?")
SAMPLED = 256  # images that say enough of the values of a set


@dataclass(frozen=True)
class LabeledImage:
    """One image and what is known of it. group: its recording; range_m: of its target, in metres,
    None where unknown.
    """

    file: ImageFile
    class_name: str
    group: str = ""
    range_m: float | None = None

    @classmethod
    def of(
        cls, file: ImageFile, class_name: str, row: Label | None, labels: LabelIndex
    ) -> "LabeledImage":
        """As `find_labeled` found it. labels: of the same table, for the range."""
        label = labels.listed(file.path)
        group = group_of(file, class_name, row, "group")
        return cls(file, class_name, group, label and label.range_m)

    @property
    def recording(self) -> tuple[str, str]:
        """What images have in common that were taken one after the other: groups may be scenarios,
        with a video of each class.
        """
        return self.class_name, self.group


class LabeledDataset(ImageDataset):
    """Images with a class name each, seen whole.

    items: in the order of the samples; classes: all class names, in the order of their indices;
    augment: gain, shift, ... at random; note: how the images were chosen, for people.
    """

    view: ClassVar[View] = "frame"

    def __init__(
        self,
        selection: Selection,
        items: Sequence[LabeledImage],
        *,
        classes: tuple[str, ...],
        augment: bool,
        note: str = "",
    ) -> None:
        super().__init__(selection)
        self.items = items
        self.domains["A"] = selection.domain("A", [item.file for item in items])
        self.classes = classes
        self.labels = [classes.index(item.class_name) for item in items]
        self.augment, self.note = augment, note

    def held_out(
        self, selection: Selection, items: Sequence[LabeledImage], *, note: str
    ) -> "LabeledDataset":
        """Others of these classes, as they are seen in validation: whole, nothing random in it."""
        return LabeledDataset(selection, items, classes=self.classes, augment=False, note=note)

    def facts(self) -> DataFacts:
        """With the mean and deviation of up to `SAMPLED` images, spread over the whole set."""
        domain, step = self.domains["A"], -(-len(self.files) // SAMPLED)
        images = map(domain.read, range(0, len(self.files), step))
        encoded = (domain.encode(torch.from_numpy(np.stack([image]))) for image in images)
        values = torch.stack([torch.stack([x.mean(), x.square().mean()]) for x in encoded])
        mean, mean_square = values.double().mean(dim=0).tolist()
        std = max(mean_square - mean**2, 1e-6) ** 0.5
        return replace(super().facts(), mean=mean, std=std, view=self.view)

    def sample(self, epoch: int, index: int, rng: np.random.Generator) -> RawSample:
        image = self.domains["A"].sample(index, self.preprocessing, rng, augment=self.augment)
        return RawSample({"A": image}, self.labels[index], self.files[index].name)


def find_labeled(root: Path, phase: str) -> list[tuple[ImageFile, str, Label | None]]:
    """Images of a phase with their class, and their line of labels.csv where there is one.

    A table decides by its column `split`; without a table it is class folders in `root/phase`, or
    in `root`. Raises UserError where no image has a class.
    """
    table = read_labels(root)
    if table:
        rows = [(path, label) for path, label in sorted(table.items()) if label.class_name]
        chosen = [(p, t) for p, t in rows if not t.split or t.split == phase.lower()]
        found = [(ImageFile(p, _name(p, root)), t.class_name, t) for p, t in chosen]
        # Not Path.is_file, which raises OSError for a name that no file can have.
        missing = [str(f.path) for f, _, _ in found if not os.path.isfile(f.path)]  # noqa: PTH113
        if missing:
            raise UserError(
                f"the table of {root} lists {len(missing)} images that are not there "
                f"({', '.join(missing[:3])}); correct the table."
            )
    else:
        folder = root / phase if (root / phase).is_dir() else root
        found = [(file, class_of_folder(file), None) for file in find_images(folder)]
        found = [item for item in found if item[1] and not PHASE_FOLDER.fullmatch(item[1])]
    if not found:
        splits = sorted({label.split for label in table.values() if label.class_name})
        told = f" (labels.csv has the splits {', '.join(splits)})" if splits else ""
        raise UserError(
            f"no image of {root} has a class for phase '{phase}'{told}; write a labels.csv "
            "(file,split,class,group) or put the images into class folders."
        )
    return found


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).with_suffix("").as_posix()
