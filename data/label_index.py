"""What tables say of an image, whether it is the labelled file or made from it."""

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from data.annotations.find import read_annotations
from data.folders import ImageFile
from data.images import EXTENSIONS, read_size
from data.labels import COLUMNS, by_image, class_of
from data.tables import BOX_COLUMNS, SIZE_COLUMNS, Line, Row, Table, number_text
from util.errors import UserError
from util.files import absolute

RECORDING_COLUMNS = ("group", "video", "scenario")  # the first that a line has

Box = tuple[float, float, float, float]  # left edge, upper edge, width, height
Corners = tuple[float, float, float, float]  # x0, y0, x1, y1
Size = tuple[int, int]  # height, width


@dataclass(frozen=True)
class Target:
    """One object of an image. class_name: "" where unknown; place: table and line, for people."""

    box: Box
    class_name: str
    place: str

    @property
    def content(self) -> tuple[Box, str]:
        """What it is, without where it is told."""
        return self.box, self.class_name


@dataclass(frozen=True)
class ImageLabel:
    """What is known of one image.

    file: the labelled image, which need not exist; place: table and line, for people; class_name:
    "" where unknown, and where its objects are of several; range_m: distance of the target in
    metres, None where unknown; targets: objects with a box in pixels of an image of `size`, or else
    of `file`, (0, 0) its upper left corner; recording: what it was taken from with other images, ""
    where unknown.
    """

    file: Path
    place: str
    class_name: str = ""
    range_m: float | None = None
    targets: tuple[Target, ...] = ()
    size: Size | None = None
    recording: str = ""

    @property
    def target(self) -> Target | None:
        """The largest object; None where there is none."""
        return max(self.targets, key=lambda t: t.box[2] * t.box[3], default=None)

    @property
    def box(self) -> Box | None:
        """Of the largest object: left and upper edge, width and height; None without one."""
        return self.target and self.target.box

    def tells_as(self, other: "ImageLabel") -> bool:
        """Whether both tell the same, whatever of and wherever."""
        one, two = ((of.class_name, of.range_m, _contents(of)) for of in (self, other))
        return one == two

    def corners(self, height: int, width: int) -> Corners | None:
        """The largest object as x0, y0, x1, y1 in pixel edges of an image of this size, or None.

        The image shows the whole labelled frame, perhaps resized: `size`, or that of `file`, gives
        the scale; where neither is there, the box is taken as it is. Raises UserError for a box
        that lies outside the frame, and for a `file` that is no image.
        """
        return self._corners(self.target, height, width) if self.target else None

    def all_corners(self, height: int, width: int) -> list[Corners]:
        """Of all objects, as `corners`."""
        return [self._corners(target, height, width) for target in self.targets]

    def _corners(self, target: Target, height: int, width: int) -> Corners:
        frame_height, frame_width = self._frame_size or (height, width)
        x, y, w, h = target.box
        x0, y0, x1, y1 = x, y, x + w, y + h
        if x1 <= 0 or y1 <= 0 or x0 >= frame_width or y0 >= frame_height:
            raise UserError(
                f"{target.place}: the box at ({x:g}, {y:g}) lies outside the {frame_width}×"
                f"{frame_height} pixels of the image; boxes are in pixels of the labelled file."
            )
        right, down = width / frame_width, height / frame_height
        return x0 * right, y0 * down, x1 * right, y1 * down

    @cached_property
    def _frame_size(self) -> Size | None:
        there = os.path.isfile(self.file)  # noqa: PTH113  False for a name that no file can have
        return self.size or (read_size(self.file) if there else None)


def _contents(label: ImageLabel) -> set[tuple[Box, str]]:
    return {target.content for target in label.targets}


class LabelIndex:
    """Labels of images by path or by name, in constant time.

    tables: what `read_annotations` reads, or has read: lines with a `file`, relative to the table,
    and any of class, range_m or range, group, video or scenario, and box_x, box_y, box_w, box_h; an
    empty cell is unknown. Several lines with a box on one file are as many objects; tables that
    list the same file complete each other. Raises UserError for a table that cannot be read, for
    what is no number, for a box without an area, and for what contradicts another on one file.
    """

    def __init__(self, tables: Sequence[Path | Table]) -> None:
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
                if len(found) < 2 and not any(map(label.tells_as, found)):
                    found.append(label)

    @property
    def boxed(self) -> list[ImageLabel]:
        """The labels with a box."""
        return [label for label in self._by_path.values() if label.targets]

    @property
    def why_no_box(self) -> str:
        """Why none of some images has a box, for people."""
        boxed = self.boxed
        if not boxed:
            return f"no table has a box in the columns {', '.join(BOX_COLUMNS)}"
        return f"the tables have {len(boxed)}, of other names, such as {boxed[0].file}"

    def listed(self, path: Path) -> ImageLabel | None:
        """The label of an image that a table lists by this very path; None where none does."""
        return self._by_path.get(absolute(path))

    def find(self, file: ImageFile) -> ImageLabel | None:
        """The label of an image: of its own path, else of a listed image of the same name.

        A result keeps the name of its source, and has other folders before it. So a listed path
        that ends with the image's name is looked for; where there is none, the name loses its
        leading folders one by one, down to the bare file name, until one fits. The longest name
        that fits decides. None where none does. Raises UserError where it fits several listed
        images whose labels differ.
        """
        own = self.listed(file.path)
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


def _entries(source: Path | Table) -> list[tuple[str, ImageLabel]]:
    """Name, as ImageFile has it, and label of each image of a table."""
    table = source if isinstance(source, Table) else read_annotations(source)
    check_box_columns(table)
    entries = []
    for lines in by_image(table.lines).values():
        listed = PurePosixPath(lines[0].row["file"])
        known_kind = listed.suffix.lower() in EXTENSIONS
        name = listed.with_suffix("") if known_kind else listed
        entries.append((name.as_posix(), _label(lines)))
    return entries


def _label(lines: Sequence[Line]) -> ImageLabel:
    """Of one image. Raises UserError for lines that contradict each other, and bad numbers."""
    rows = [line.row for line in lines]
    targets: dict[tuple[Box, str], Target] = {}
    ranges: dict[float, str] = {}
    for line in lines:
        if box := read_box(line.row, line.place):
            target = Target(box, line.row.get("class", ""), line.place)
            targets.setdefault(target.content, target)
        if metres := read_range(line.row, line.place):
            ranges.setdefault(metres, line.place)
    if len(ranges) > 1:
        raise _contradiction(*[*ranges.values()][:2], "range", lines[0].file)
    return ImageLabel(
        lines[0].file,
        lines[0].place,
        class_name=class_of(lines),
        range_m=next(iter(ranges), None),
        targets=tuple(targets.values()),
        size=next(filter(None, (read_frame_size(line.row, line.place) for line in lines)), None),
        recording=next((r[c] for c in RECORDING_COLUMNS for r in rows if r.get(c)), ""),
    )


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


def read_frame_size(row: Row, place: str) -> Size | None:
    """Pixels, down and across, that boxes count in; None for empty cells: those of the file.

    Raises UserError for what is no size.
    """
    if not any(row.get(column) for column in SIZE_COLUMNS):
        return None
    width, height = (_number(row, column, place) for column in SIZE_COLUMNS)
    if width < 1 or height < 1:
        raise UserError(f"{place}: an image of {width:g}×{height:g} pixels is none; correct it.")
    return int(height), int(width)


def fit_box(row: Row, place: str, frame: Size | None, result: Size) -> Row:
    """The line of a labelled image, with its box in pixels of a resized one, which shows all of it.

    frame, result: sizes of both; without a size of the labelled one the box is unknown. Raises
    UserError for a box that is none.
    """
    box, frame = read_box(row, place), read_frame_size(row, place) or frame
    if box is None and not any(row.get(column) for column in SIZE_COLUMNS):
        return row
    if frame is None:
        return {name: "" if name.startswith("box_") else cell for name, cell in row.items()}
    (height, width), (new_height, new_width) = frame, result
    if frame == result:
        return row
    fitted = {name: str(n) for name, n in zip(SIZE_COLUMNS, (new_width, new_height), strict=True)}
    fitted = {name: cell for name, cell in fitted.items() if row.get(name)}
    if box is not None:
        scales = 2 * (new_width / width, new_height / height)
        edges = (number_text(edge * scale) for edge, scale in zip(box, scales, strict=True))
        fitted |= zip(BOX_COLUMNS, edges, strict=True)
    return row | fitted


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
    """What two tables tell of one file in one."""
    for what, one, other in (
        ("class", first.class_name, second.class_name),
        ("range", first.range_m, second.range_m),
        ("box", _contents(first), _contents(second)),
    ):
        if one and other and one != other:
            raise _contradiction(first.place, second.place, what, first.file)
    return replace(
        first,
        class_name=first.class_name or second.class_name,
        range_m=first.range_m or second.range_m,
        targets=first.targets or second.targets,
        size=first.size if first.targets else second.size,
        recording=first.recording or second.recording,
    )


def _contradiction(first: str, second: str, what: str, file: Path) -> UserError:
    return UserError(
        f"{first}, and {second}, contradict each other on the {what} of {file}; correct one or "
        "leave one out."
    )
