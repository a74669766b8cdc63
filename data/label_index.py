"""What labels.csv tables say of an image, whether it is the labelled file or made from it."""

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from data.folders import ImageFile
from data.images import EXTENSIONS, read_size
from data.labels import COLUMNS
from data.tables import Row, Table, read_table
from util.errors import UserError
from util.files import absolute

RECORDING_COLUMNS = ("group", "video", "scenario")  # the first that a line has
BOX_COLUMNS = ("box_x", "box_y", "box_w", "box_h")

Box = tuple[float, float, float, float]  # left edge, upper edge, width, height
Corners = tuple[float, float, float, float]  # x0, y0, x1, y1


@dataclass(frozen=True)
class ImageLabel:
    """What is known of one image.

    file: the labelled image, which need not exist; place: table and line, for people; class_name:
    "" where unknown; range_m: distance of the target in metres; box: left and upper edge, width and
    height of the target in pixels of `file`, (0, 0) its upper left corner. None where unknown.
    recording: what it was taken from with other images, "" where unknown.
    """

    file: Path
    place: str
    class_name: str = ""
    range_m: float | None = None
    box: Box | None = None
    recording: str = ""

    @property
    def content(self) -> tuple[str, float | None, Box | None]:
        """Class, range and box, without where they come from."""
        return self.class_name, self.range_m, self.box

    def corners(self, height: int, width: int) -> Corners | None:
        """The box as x0, y0, x1, y1 in pixel edges of an image of this size; None without a box.

        The image shows the whole labelled frame, perhaps resized: the size of `file` gives the
        scale; where that is not there, the box is taken as it is. Raises UserError for a box that
        lies outside the frame, and for a `file` that is no image.
        """
        if self.box is None:
            return None
        frame_height, frame_width = self._frame_size or (height, width)
        x, y, w, h = self.box
        x0, y0, x1, y1 = x, y, x + w, y + h
        if x1 <= 0 or y1 <= 0 or x0 >= frame_width or y0 >= frame_height:
            raise UserError(
                f"{self.place}: the box at ({x:g}, {y:g}) lies outside the {frame_width}×"
                f"{frame_height} pixels of the image; boxes are in pixels of the labelled file."
            )
        right, down = width / frame_width, height / frame_height
        return x0 * right, y0 * down, x1 * right, y1 * down

    @cached_property
    def _frame_size(self) -> tuple[int, int] | None:
        there = os.path.isfile(self.file)  # noqa: PTH113  False for a name that no file can have
        return read_size(self.file) if there else None


class LabelIndex:
    """Labels of images by path or by name, in constant time.

    tables: with a column `file`, relative to the table, and any of class, range_m or range, group,
    video or scenario, and box_x, box_y, box_w, box_h; an empty cell is unknown. Tables that list
    the same file complete each other. Raises UserError for a table that cannot be read, for what is
    no number, for a box without an area, and for lines that contradict each other on one file.
    """

    def __init__(self, tables: Sequence[Path]) -> None:
        entries = [entry for table in tables for entry in _entries(table)]
        self._by_path: dict[Path, ImageLabel] = {}
        for _, label in entries:
            known = self._by_path.get(label.file)
            self._by_path[label.file] = _complete(known, label) if known else label
        # Up to two labels that differ: more say nothing more.
        self._by_name: dict[str, list[ImageLabel]] = {}
        for name, listed in entries:
            label = self._by_path[listed.file]
            for suffix in _suffixes(name):
                found = self._by_name.setdefault(suffix, [])
                if len(found) < 2 and all(label.content != other.content for other in found):
                    found.append(label)

    @property
    def why_no_box(self) -> str:
        """Why none of some images has a box, for people."""
        boxed = [label for label in self._by_path.values() if label.box]
        if not boxed:
            return f"no table has a box in the columns {', '.join(BOX_COLUMNS)}"
        return f"the tables have {len(boxed)}, of other names, such as {boxed[0].file}"

    def find(self, file: ImageFile) -> ImageLabel | None:
        """The label of an image: of its own path, else of a listed image of the same name.

        A result keeps the name of its source, and has other folders before it. So a listed path
        that ends with the image's name is looked for; where there is none, the name loses its
        leading folders one by one, down to the bare file name, until one fits. The longest name
        that fits decides. None where none does. Raises UserError where it fits several listed
        images whose labels differ.
        """
        own = self._by_path.get(absolute(file.path))
        if own is not None:
            return own
        found = next((self._by_name[n] for n in _suffixes(file.name) if n in self._by_name), [])
        if len(found) > 1:
            raise UserError(
                f"the name of {file.path} fits {found[0].place} ({found[0].file.name}), and "
                f"{found[1].place} ({found[1].file.name}), whose labels differ; list the image "
                "itself in a table, or keep its class folders in its name."
            )
        return found[0] if found else None


def _suffixes(name: str) -> Iterator[str]:
    """ "a/b/c" -> "a/b/c", "b/c", "c"."""
    parts = name.split("/")
    return ("/".join(parts[start:]) for start in range(len(parts)))


def _entries(path: Path) -> list[tuple[str, ImageLabel]]:
    """Name, as ImageFile has it, and label of each line of a table."""
    if not path.is_file():
        raise UserError(f"there is no table {path}; check --labels.")
    table = read_table(path)
    check_box_columns(table)
    entries = []
    for line in table.lines:
        listed = PurePosixPath(line.row["file"])
        known_kind = listed.suffix.lower() in EXTENSIONS
        name = listed.with_suffix("") if known_kind else listed
        label = ImageLabel(
            line.file,
            line.place,
            class_name=line.row.get("class", ""),
            range_m=read_range(line.row, line.place),
            box=read_box(line.row, line.place),
            recording=next((line.row[c] for c in RECORDING_COLUMNS if line.row.get(c)), ""),
        )
        entries.append((name.as_posix(), label))
    return entries


def check_box_columns(table: Table) -> None:
    """Raises UserError for a table with some columns of a box, or with some of almost their names.

    Its boxes would be taken for unknown.
    """
    for column in (column for column in BOX_COLUMNS if column not in table.columns):
        near = table.nearest(column, least=0.6, but=BOX_COLUMNS)
        if near or not {*BOX_COLUMNS}.isdisjoint(table.columns):
            raise table.lacks(column, nearest=near)


def read_range(row: Row, place: str) -> float | None:
    """Metres to the target; None for an empty cell. Raises UserError for what is no range."""
    column = next((c for c in COLUMNS["range"] if row.get(c)), None)
    if column is None:
        return None
    metres = _number(row, column, place)
    if metres <= 0:
        raise UserError(f"{place}: {column} is {metres:g}; a range is more than 0 metres.")
    return metres


def read_box(row: Row, place: str) -> Box | None:
    """Left and upper edge, width and height; None for empty cells. Raises UserError for others."""
    empty = [column for column in BOX_COLUMNS if not row.get(column)]
    if len(empty) == len(BOX_COLUMNS):
        return None
    if empty:
        raise UserError(f"{place}: {empty[0]} is empty; give the whole box or none of it.")
    x, y, w, h = (_number(row, column, place) for column in BOX_COLUMNS)
    if w <= 0 or h <= 0:
        raise UserError(
            f"{place}: the box is {w:g} pixels wide and {h:g} high; both must be more than 0: "
            "correct it, or leave the cells of the box empty."
        )
    return x, y, w, h


def _number(row: Row, column: str, place: str) -> float:
    try:
        value = float(row[column])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(
            f"{place}: {column} is '{row[column]}', which is no number; correct it or leave it "
            "empty."
        )
    return value


def _complete(first: ImageLabel, second: ImageLabel) -> ImageLabel:
    """Both labels of one file in one."""
    for what, one, other in zip(
        ("class", "range", "box"), first.content, second.content, strict=True
    ):
        if one and other and one != other:
            raise UserError(
                f"{first.place}, and {second.place}, contradict each other on the {what} of "
                f"{first.file}; correct one or leave one out."
            )
    return replace(
        first,
        place=first.place if first.box or not second.box else second.place,
        class_name=first.class_name or second.class_name,
        range_m=first.range_m or second.range_m,
        box=first.box or second.box,
        recording=first.recording or second.recording,
    )
