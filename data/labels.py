"""Labels of images: labels.csv, or class folders where there is none."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data.folders import LABELS_FILE, ImageFile
from data.tables import Line, Row, read_table
from util.errors import UserError
from util.files import absolute

# Other names under which real tables keep the same thing.
COLUMNS = {
    "group": ("group", "video", "scenario", "range", "range_m"),
    "video": ("video",),
    "scenario": ("scenario",),
    "range": ("range", "range_m"),
}


@dataclass(frozen=True)
class Label:
    """What labels.csv says of one image. split: in lower case; row: the whole line, by column."""

    class_name: str
    split: str
    row: Row


def find_table(dataroot: Path) -> Path | None:
    """labels.csv of a folder of images: in it or in the folder above; None where there is none."""
    root = absolute(dataroot)
    places = (folder / LABELS_FILE for folder in (root, root.parent))
    return next((table for table in places if table.is_file()), None)


def read_labels(dataroot: Path) -> dict[Path, Label]:
    """Labels of the images below `dataroot`, by absolute path; {} where there is no `find_table`.

    Its column `class` may be empty. Raises UserError for a table that cannot be read or has no such
    column, for one whose `split` or `group` is probably misspelt, and for lines that contradict
    each other on an image.
    """
    path = find_table(dataroot)
    if path is None:
        return {}
    table = read_table(path, required=("class",))
    for name, alternatives in (("split", ("split",)), ("group", COLUMNS["group"])):
        near = table.nearest(name, least=0.8)
        if near and not {*alternatives} & {*table.columns}:
            raise table.lacks(name, nearest=near)
    root = absolute(dataroot)
    return _labels([line for line in table.lines if root in line.file.parents])


def _labels(lines: Sequence[Line]) -> dict[Path, Label]:
    labels: dict[Path, Label] = {}
    places: dict[Path, str] = {}
    for line in lines:
        label = Label(line.row["class"], line.row.get("split", "").lower(), line.row)
        known = labels.setdefault(line.file, label)
        if (known.class_name, known.split) != (label.class_name, label.split):
            raise UserError(
                f"{places[line.file]}, and {line.place}, contradict each other on the class or "
                f"split of {line.file}; correct one or leave one out."
            )
        places.setdefault(line.file, line.place)
    return labels


def class_of_folder(file: ImageFile) -> str:
    """The first folder of the image's relative path; "" for an image in the top folder."""
    return file.name.split("/")[0] if "/" in file.name else ""


def group_of(file: ImageFile, class_name: str, label: Label | None, split_by: str) -> str:
    """The recording that an image belongs to, by the column `split_by`, or by the file's path.

    Without such a column it is the folder below the class folder; where there is none, the file's
    name less its last digits: frame numbers.
    """
    if label is not None:
        for column in COLUMNS[split_by]:
            if label.row.get(column):
                return label.row[column]
    folders = file.name.split("/")[:-1]
    if class_name in folders[:-1]:
        return "/".join(folders[folders.index(class_name) + 1 :])
    return re.sub(r"\d+$", "", file.path.stem)


def split_column(labels: Sequence[Label | None], split_by: str) -> str | None:
    """Which column of the table `group_of` reads; None where it goes by file names."""
    rows = [label.row for label in labels if label is not None]
    return next((c for c in COLUMNS[split_by] if any(row.get(c) for row in rows)), None)
