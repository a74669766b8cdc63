"""Labels of images: labels.csv, or class folders where there is none."""

import csv
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.folders import ImageFile
from util.errors import UserError

LABELS_FILE = "labels.csv"
# Other names under which real tables keep the same thing.
COLUMNS = {
    "group": ("group", "video", "scenario", "range", "range_m"),
    "video": ("video",),
    "scenario": ("scenario",),
    "range": ("range", "range_m"),
}


@dataclass(frozen=True)
class Label:
    """What labels.csv says of one image; `row` is the whole line, by column."""

    class_name: str
    split: str
    row: Mapping[str, str]


def find_table(dataroot: Path) -> Path | None:
    """labels.csv of a folder of images: in it or in the folder above; None where there is none."""
    places = (folder / LABELS_FILE for folder in (dataroot, dataroot.absolute().parent))
    return next((table for table in places if table.is_file()), None)


def read_labels(dataroot: Path) -> dict[Path, Label]:
    """Labels of the images below `dataroot`, by absolute path; {} where there is no `find_table`.

    Its column `file` is relative to the table, `class` may be empty. Raises UserError for a table
    without these columns.
    """
    table = find_table(dataroot)
    if table is None:
        return {}
    root = dataroot.absolute()
    return {path: label for path, label in _read_table(table).items() if root in path.parents}


def _read_table(table: Path) -> dict[Path, Label]:
    folder = table.absolute().parent
    return {
        # Without "..", by which any file could seem to lie below the data root.
        Path(os.path.normpath(folder / row["file"])): Label(
            row["class"] or "", row.get("split") or "", row
        )
        for _, row in read_rows(table, required=("file", "class"))
    }


def read_rows(table: Path, *, required: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """The lines of a table that name a file, with their numbers in it, the header being 1.

    required: columns, "file" among them. Raises UserError for a table without one of them, and for
    what is no table.
    """
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            missing = [c for c in required if c not in columns]
            if missing:
                raise UserError(
                    f"{table} has no column '{missing[0]}'; it needs {' and '.join(required)}."
                )
            return [(reader.line_num, row) for row in reader if row["file"]]
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{table} is not a readable CSV table ({error}); save it anew.") from None


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
