"""Ground truth of the DSIAC ATR database: AGT files and box metrics, joined by frame and target."""

import csv
import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from util.errors import UserError

MAX_BYTES = 32 * 2**20
BOX_METRIC_COLUMNS = 18

TOKEN = re.compile(r'"(?P<quoted>[^"]*)"?|(?P<brace>[{}])|(?P<word>[^\s{}"]+)')
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
FRAME_KEYWORD = re.compile(r"Frame#\s*(?P<number>.*)")

Point = tuple[float, float]
CentredBox = tuple[float, float, float, float]  # centre x, centre y, width, height


@dataclass(frozen=True)
class Target:
    """One vehicle in one frame.

    class_name: TgtType as written, ply_id: its serial number, "" where not given; range_m: distance
    in metres, aspect_deg: clockwise, 0 facing the sensor; centre: x, y, and box in pixels of the
    frame; time: of the update. None where not given, for a range or a box of no extent, and for a
    time that is no date.
    """

    class_name: str = ""
    ply_id: str = ""
    range_m: float | None = None
    aspect_deg: float | None = None
    centre: Point | None = None
    box: CentredBox | None = None
    time: datetime | None = None


def ground_truth(agt: Path | None, boxes: Path | None) -> dict[int, list[Target]]:
    """The targets of a video by frame, counted from 1; frames without any have an empty list.

    agt: without it nothing is known, and the result is empty: a box needs the centre that stands
    there. boxes: box metrics, which go before a box of the AGT file. They belong to the target of
    the same frame and Ply_id, leading zeros aside, or to the frame's only one, since the files may
    spell numbers differently; lines of frames or targets that the AGT file lacks are left out.

    Raises UserError as `read_agt` and `read_box_metrics` do, and for boxes none of which belongs to
    a target: files of different videos.
    """
    frames = read_agt(agt) if agt else {}
    corners = read_box_metrics(boxes) if agt and boxes else {}
    pairs = {
        frame: [(target, _corner(target, targets, corners.get(frame, {}))) for target in targets]
        for frame, targets in frames.items()
    }
    if corners and all(corner is None for row in pairs.values() for _, corner in row):
        raise UserError(f"{boxes} has no box of a target in {agt}; give files of the same video.")
    return {frame: [_with_box(*pair) for pair in row] for frame, row in pairs.items()}


def _corner(target: Target, targets: list[Target], corners: dict[str, Point]) -> Point | None:
    """The upper left corner of the target's box, of those of its frame."""
    only = next(iter(corners.values())) if len(corners) == len(targets) == 1 else None
    return corners.get(_plain(target.ply_id), only) if target.ply_id else only


def _plain(ply_id: str) -> str:
    return re.sub("^0+(?=.)", "", ply_id.strip())


def _with_box(target: Target, corner: Point | None) -> Target:
    if target.centre is None or corner is None:
        return target
    (x, y), (left, top) = target.centre, corner
    width, height = 2 * abs(x - left), 2 * abs(y - top)
    return replace(target, box=(x, y, width, height)) if width and height else target


def read_box_metrics(path: Path) -> dict[int, dict[str, Point]]:
    """Upper left corners of boxes (x, y in pixels) by frame, counted from 1, and Ply_id.

    path: a .bbox_met file, 18 columns without header. The Ply_ids come without leading zeros.
    Raises UserError for other columns, for what is no number, and for two boxes of one target.
    """
    reader = csv.reader(io.StringIO(_read(path), newline=""))
    corners: dict[int, dict[str, Point]] = {}
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            place = f"{path}, line {reader.line_num}"
            if len(row) < BOX_METRIC_COLUMNS or any(row[BOX_METRIC_COLUMNS:]):
                raise UserError(
                    f"{place}: there are {len(row)} columns, not {BOX_METRIC_COLUMNS}; "
                    "give a .bbox_met file as the database has it."
                )
            frame = _frame_number(row[5].strip(), place)
            left, top = _numbers([row[9], row[10]], 2, "the upper left corner", place)
            known = corners.setdefault(frame, {}).setdefault(_plain(row[6]), (left, top))
            if known != (left, top):
                raise UserError(
                    f"{place}: this is another box of target {_shown(row[6])} in frame {frame}; "
                    "leave one of them."
                )
    except csv.Error as error:
        raise UserError(f"{path} is not readable as CSV ({error}); copy it anew.") from None
    return corners


def read_agt(path: Path) -> dict[int, list[Target]]:
    """The targets of an AGT file by frame, counted from 1; a frame may have none or several.

    A `TgtUpd` belongs to the frame of its `Keyword "Frame# N"`; in a file without these the first
    one is frame 1, the next frame 2. What is not in `Target` is skipped.
    Raises UserError, with the line, for braces that do not match, a file without `TgtSect`, and
    for what is no number where one is needed.
    """
    sections = [s for agt in _parse(path).named("Agt") for s in agt.named("TgtSect")]
    if not sections:
        raise UserError(
            f"{path} has no TgtSect in an Agt, where targets stand; check which file it is."
        )
    updates = [update for section in sections for update in section.named("TgtUpd")]
    numbers = [_frame(update, path) for update in updates]
    if not any(numbers):
        numbers = list(range(1, len(updates) + 1))
    frames: dict[int, list[Target]] = {}
    for number, update in zip(numbers, updates, strict=True):
        if number is None:
            raise UserError(
                f'{path}, line {update.line}: this TgtUpd has no Keyword "Frame# N", unlike '
                "others; add it."
            )
        time = _time(update.numbers("Time", 6, path))
        targets = [_target(block, time, path) for block in update.named("Tgt")]
        frames.setdefault(number, []).extend(targets)
    return frames


def _frame(update: "_Block", path: Path) -> int | None:
    for keyword in update.all("Keyword"):
        match = FRAME_KEYWORD.fullmatch(keyword.text.strip())
        if match:
            return _frame_number(match["number"], f"{path}, line {keyword.line}")
    return None


def _target(block: "_Block", time: datetime | None, path: Path) -> Target:
    (metres,) = block.numbers("Range", 1, path) or (0.0,)
    (aspect,) = block.numbers("Aspect", 1, path) or (None,)
    box = block.numbers("PixBox", 4, path)
    return Target(
        class_name=block.text("TgtType"),
        ply_id=block.text("PlyId"),
        range_m=metres if metres > 0 else None,
        aspect_deg=aspect,
        centre=block.numbers("PixLoc", 2, path),
        box=_from_corners(*box) if box else None,
        time=time,
    )


def _from_corners(left: float, top: float, right: float, bottom: float) -> CentredBox | None:
    if right <= left or bottom <= top:
        return None
    return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top


def _time(values: tuple[float, ...] | None) -> datetime | None:
    """From year, day of the year, hour, minute, second, millisecond."""
    if values is None:
        return None
    year, day, hour, minute, second, millisecond = map(int, values)
    try:
        start = datetime(year, 1, 1, hour, minute, second, millisecond * 1000)
        return start + timedelta(days=day - 1) if 1 <= day <= 366 else None
    except (ValueError, OverflowError):
        return None


def _frame_number(text: str, place: str) -> int:
    if not re.fullmatch(r"0*[1-9][0-9]{0,8}", text):
        raise UserError(f"{place}: the frame is {_shown(text)}; frames are numbered 1, 2, 3, ...")
    return int(text)


def _numbers(values: list[str], count: int, what: str, place: str) -> tuple[float, ...]:
    numbers = tuple(float(v) for v in values if NUMBER.fullmatch(v.strip()))
    if not len(values) == len(numbers) == count or not all(map(math.isfinite, numbers)):
        needed = f"{count} numbers" if count > 1 else "a number"
        raise UserError(f"{place}: {what} is {_shown(' '.join(values))}, not {needed}; correct it.")
    return numbers


def _shown(text: str) -> str:
    """Quoted for a message, on one line whatever the file has there."""
    return repr(text if len(text) <= 40 else f"{text[:40]}...")


def _read(path: Path) -> str:
    """An ASCII file; other characters may stand in comments."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path} is too big for ground truth; check which file it is.")
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"there is no file {path}; check the folder and the name.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); check it.") from None
    if b"\0" in content:
        line = content.count(b"\n", 0, content.index(b"\0")) + 1
        raise UserError(f"{path}, line {line}: this is no text; check which file it is.")
    return content.decode("latin-1")


class _Token(NamedTuple):
    text: str
    line: int
    quoted: bool

    @property
    def is_name(self) -> bool:
        return not self.quoted and self.text[0].isalpha()


class _Field(NamedTuple):
    values: list[str]
    line: int

    @property
    def text(self) -> str:
        return " ".join(self.values)


@dataclass
class _Block:
    """`name{ ... }`: its fields by key, each as often as it occurs, and its blocks."""

    name: str
    line: int
    fields: dict[str, list[_Field]] = field(default_factory=dict)
    blocks: list["_Block"] = field(default_factory=list)

    def named(self, name: str) -> list["_Block"]:
        return [block for block in self.blocks if block.name == name]

    def all(self, key: str) -> list[_Field]:
        return self.fields.get(key, [])

    def text(self, key: str) -> str:
        """The first field of this key as text; "" without one."""
        return next((f.text for f in self.all(key)), "")

    def numbers(self, key: str, count: int, path: Path) -> tuple[float, ...] | None:
        """The first field of this key, `count` numbers; None without one."""
        for found in self.all(key):
            return _numbers(found.values, count, key, f"{path}, line {found.line}")
        return None

    def add(self, statement: list[_Token]) -> None:
        """A key and its values."""
        if statement:
            key, *values = statement
            self.fields.setdefault(key.text, []).append(_Field([v.text for v in values], key.line))


def _tokens(text: str) -> Iterator[_Token]:
    """Braces, words, and quoted strings, which end with their line at the latest."""
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        for match in TOKEN.finditer(line):
            quoted = match["quoted"]
            yield _Token(match[0] if quoted is None else quoted, number, quoted is not None)


def _parse(path: Path) -> _Block:
    """The nested blocks of an AGT file, in a block without a name.

    A key is a word that begins with a letter; its values follow, on further lines too. A word of
    the same line straight after the key is a value without quotes. No recursion: files may be
    nested as deeply as they like.
    """
    stack = [_Block("", 0)]
    statement: list[_Token] = []
    for token in _tokens(_read(path)):
        brace = "" if token.quoted else token.text
        if brace == "{":
            name = statement.pop() if statement else None
            if name is None or not name.is_name:
                raise _misplaced("this brace opens a block without a name", token, path)
            stack[-1].add(statement)
            stack[-1].blocks.append(_Block(name.text, name.line))
            stack.append(stack[-1].blocks[-1])
            statement = []
        elif brace == "}":
            if len(stack) == 1:
                raise _misplaced("this brace closes nothing", token, path)
            stack.pop().add(statement)
            statement = []
        elif token.is_name and not (len(statement) == 1 and statement[0].line == token.line):
            stack[-1].add(statement)
            statement = [token]
        elif statement:
            statement.append(token)
        else:
            raise _misplaced(f"{_shown(token.text)} has no key before it", token, path)
    if len(stack) > 1:
        raise _misplaced(f"{_shown(stack[-1].name)} is never closed", stack[-1], path)
    stack[-1].add(statement)
    return stack[0]


def _misplaced(problem: str, where: _Token | _Block, path: Path) -> UserError:
    return UserError(f"{path}, line {where.line}: {problem}; correct it or copy the file anew.")
