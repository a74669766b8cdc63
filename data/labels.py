"""Labels of images: a table of them, or class folders where there is none."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.annotations.find import find_annotations
from data.folders import ImageFile
from data.tables import BOX_COLUMNS, Line, Row
from util.errors import UserError
from util.files import absolute

# Other names under which real tables keep the same thing.
COLUMNS = {
    "group": ("group", "video", "scenario", "range", "range_m"),
    "video": ("video",),
    "scenario": ("scenario",),
    "range": ("range", "range_m"),
}
# Columns of other programs that are likely to be the class, and are not read as it.
LIKE_CLASS = ("label", "class_name", "classname", "class_id", "category", "type", "target")


@dataclass(frozen=True)
class Label:
    """What a table says of one image.

    class_name: "" where its objects are of several; split: in lower case; row: the whole line, by
    column; others: the lines of further objects in the image.
    """

    class_name: str
    split: str
    row: Row
    others: tuple[Row, ...] = ()


def read_labels(dataroot: Path) -> dict[Path, Label]:
    """Labels of the images below `dataroot`, by absolute path; {} where `find_annotations` is None.

    The column `class` may be empty, and missing in a table of boxes. Raises UserError for a table
    that cannot be read or has no column `class` otherwise, for one whose `class`, `split` or
    `group` is probably misspelt, and for lines that contradict each other on an image.
    """
    table = find_annotations(dataroot)
    if table is None:
        return {}
    if "class" not in table.columns:
        near = next((name for name in LIKE_CLASS if name in table.columns), None)
        near = near or table.nearest("class", least=0.6)
        if near or not {*BOX_COLUMNS} <= {*table.columns}:
            raise table.lacks("class", nearest=near)
    for name, alternatives in (("split", ("split",)), ("group", COLUMNS["group"])):
        near = table.nearest(name, least=0.8)
        if near and not {*alternatives} & {*table.columns}:
            raise table.lacks(name, nearest=near)
    root = absolute(dataroot)
    below = [line for line in table.lines if root in line.file.parents]
    return {file: _label(lines) for file, lines in by_image(below).items()}


def by_image(lines: Iterable[Line]) -> dict[Path, list[Line]]:
    """The lines of each image, in their order."""
    images: dict[Path, list[Line]] = {}
    for line in lines:
        images.setdefault(line.file, []).append(line)
    return images


def _label(lines: Sequence[Line]) -> Label:
    """Of one image."""
    first, *others = lines
    split = common_cell(lines, "split").lower()
    boxed = tuple(line.row for line in others if has_box(line.row))
    return Label(class_of(lines), split, first.row, boxed)


def class_of(lines: Sequence[Line]) -> str:
    """The class that the lines of one image agree on; "" where its objects are of several.

    Raises UserError for lines that differ, and are no objects with a box each.
    """
    differ = len({line.row.get("class") for line in lines} - {None, ""}) > 1
    if differ and all(has_box(line.row) for line in lines):
        return ""
    return common_cell(lines, "class")


def common_cell(lines: Sequence[Line], column: str) -> str:
    """What the lines of one image say in a column. Raises UserError where they differ."""
    told = [line for line in lines if line.row.get(column)]
    for line in told[1:]:
        if line.row[column] != told[0].row[column]:
            raise UserError(
                f"{told[0].place}, and {line.place}, contradict each other on the {column} of "
                f"{line.file}; correct one or leave one out."
            )
    return told[0].row[column] if told else ""


def has_box(row: Row) -> bool:
    """Whether any cell of a box is filled."""
    return any(row.get(column) for column in BOX_COLUMNS)


def tells_classes(labels: Mapping[Path, Label]) -> bool:
    """Whether they come of a table with classes, be they empty; else class folders tell them."""
    return any("class" in label.row for label in labels.values())


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
