"""Images with a class each: what is known of them, and how they are found."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from data.folders import ImageFile, find_images
from data.label_index import LabelIndex
from data.labels import Label, class_of_folder, group_of, read_labels, tells_classes
from util.errors import UserError
from util.files import absolute

# Folders that hold a phase or a domain, not a class.
PHASE_FOLDER = re.compile(r"(train|val|test)(_?[AB])?")


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


def find_labeled(root: Path, phase: str) -> list[tuple[ImageFile, str, Label | None]]:
    """Images of a phase with their class, and their line of labels.csv where there is one.

    A table with classes decides, by its column `split`. Without one it is class folders in
    `root/phase`, or in `root`, less what a table of boxes has in another split. Raises UserError
    where no image has a class.
    """
    table = read_labels(root)
    if tells_classes(table):
        rows = [(path, label) for path, label in sorted(table.items()) if label.class_name]
        chosen = [(p, t) for p, t in rows if t.split in ("", phase.lower())]
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
        files = find_images(folder)
        found = [(f, class_of_folder(f), table.get(absolute(f.path))) for f in files]
        found = [
            (file, name, label)
            for file, name, label in found
            if name and not PHASE_FOLDER.fullmatch(name)
            if not label or label.split in ("", phase.lower())
        ]
    if not found:
        raise _no_class(root, phase, table)
    return found


def _no_class(root: Path, phase: str, table: Mapping[Path, Label]) -> UserError:
    splits = sorted({label.split for label in table.values() if label.class_name})
    told = f" (labels.csv has the splits {', '.join(splits)})" if splits else ""
    way = "write a labels.csv (file,split,class,group) or put the images into class folders"
    if tells_classes(table) and not splits:
        way = (
            "its table has none: fill the column class of a labels.csv, or remove that column, and "
            "the folders that the images are in are their classes"
        )
    return UserError(f"no image of {root} has a class for phase '{phase}'{told}; {way}.")


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).with_suffix("").as_posix()
