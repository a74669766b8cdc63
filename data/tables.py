"""Tables of images as people and spreadsheets write them: the only reader of labels.csv.

The readers of other formats, in data/annotations/, make tables of the same columns.
"""

import codecs
import csv
import io
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

from util.errors import UserError
from util.files import absolute, write_text

BOX_COLUMNS = ("box_x", "box_y", "box_w", "box_h")
SIZE_COLUMNS = ("image_width", "image_height")  # pixels that boxes count in, where not the file's
SEPARATORS = ",;\t"
# Of which spreadsheets write, in countries of the decimal comma.
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")
TEXT_COLUMNS = frozenset({"file", "class", "split", "group", "video", "scenario"})
ENCODINGS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # how xlsx and ods, and xls begin
END = "\0"  # no table has one

Row = dict[str, str]  # cells by column, "" for an empty one


@dataclass(frozen=True)
class Line:
    """What a table says of an image, or of one of the several objects in it.

    file: absolute, need not exist; place: table and line, for people.
    """

    file: Path
    row: Row
    place: str


@dataclass(frozen=True)
class Table:
    """columns: names in lower case; separator: between cells, for people.

    format: csv, coco, yolo or voc; classes: names of its classes by number, for formats that have
    such a list.
    """

    path: Path
    columns: tuple[str, ...]
    separator: str
    lines: tuple[Line, ...] = ()
    format: str = "csv"
    classes: Mapping[int, str] = field(default_factory=dict)

    def nearest(self, column: str, *, least: float, but: Sequence[str] = ()) -> str | None:
        """The column, none of `but`, whose name is the most alike; least: 1 is an equal one."""
        others = [name for name in self.columns if name not in but]
        return next(iter(get_close_matches(column, others, n=1, cutoff=least)), None)

    def lacks(self, column: str, *, nearest: str | None = None) -> UserError:
        """What to raise for a column that is needed or, probably, meant by another name."""
        shown = ", ".join(repr(name[:40]) for name in self.columns[:12])
        shown += ", ..." if len(self.columns) > 12 else ""
        found = f"it has {shown} (separated by {self.separator})" if shown else "it is empty"
        meant = f"; '{nearest}' is near: rename it" if nearest else "; add it"
        return UserError(f"{self.path} has no column '{column}': {found}{meant}.")


def read_table(path: Path, *, required: Sequence[str] = ()) -> Table:
    """The lines of a table that name an image in the column `file`, which is relative to the table.

    Cells are separated by commas, semicolons or tabs; the text is UTF-8, or UTF-16 with its mark.
    Blanks around cells, case of headers and blank lines do not count. A backslash in a file name is
    "/" where no file is named with it; in numbers of tables with semicolons or tabs a comma is the
    decimal point. required: columns besides `file`. Raises UserError for a table without one of
    these, for two columns of one name, for cells beyond the last column, and for what is no table.
    """
    lines, separator = _separate(list(io.StringIO(_read_text(path), newline="")), required)
    records = _records(path, lines, separator)
    header = [name.lower() for name in records[0][1]] if records else []
    named = tuple(name for name in header if name)
    table = Table(path, named, _named(separator))
    for name in ("file", *required):
        if name not in named:
            raise table.lacks(name, nearest=table.nearest(name, least=0.6))
    twice = next((name for name in named if named.count(name) > 1), None)
    if twice:
        raise UserError(f"{path} has two columns '{twice}'; rename or remove one of them.")
    folder = absolute(path).parent
    found = []
    for number, cells in records[1:]:
        place = f"{path}, line {number}"
        _check_cells(cells, header, separator, place)
        row = _row(cells, header, decimal_comma=separator != ",")
        if row["file"]:
            row["file"] = _with_slashes(folder, row["file"])
            found.append(Line(absolute(folder / row["file"]), row, place))
    return replace(table, lines=tuple(found))


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); check it.") from None
    if content.startswith(SPREADSHEETS):
        raise UserError(f"{path} is a spreadsheet's own file; save it as CSV (UTF-8).")
    encoding = next((ENCODINGS[mark] for mark in ENCODINGS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}, line {line}: this is no {encoding[:6].upper()} text; save the table as CSV "
            "(UTF-8)."
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(f"{path}, line {line}: this is no text; save the table as CSV (UTF-8).")
    return text


def _separate(lines: list[str], required: Sequence[str]) -> tuple[list[str], str]:
    """The lines less a spreadsheet's "sep=;", and what separates cells: told by the header."""
    if lines and (told := re.fullmatch(r"\"?sep=(.)\"?\s*", lines[0], re.IGNORECASE)):
        return ["\n", *lines[1:]], told[1]
    header = next((line for line in lines if line.strip()), "")

    def fit(separator: str) -> tuple[int, int]:
        cells = next(csv.reader([header], delimiter=separator, skipinitialspace=True), [])
        names = {cell.strip().lower() for cell in cells}
        return len(names & {"file", *required}), len(cells)

    try:
        return lines, max(SEPARATORS, key=fit)
    except csv.Error:  # which _records meets again
        return lines, ","


def _named(separator: str) -> str:
    return "tabs" if separator == "\t" else f"'{separator}'"


def _records(path: Path, lines: Sequence[str], separator: str) -> list[tuple[int, list[str]]]:
    """Number and cells of each line that is not blank."""
    reader = csv.reader([*lines, END], delimiter=separator, skipinitialspace=True)
    records = []
    try:
        for cells in reader:
            records.append((reader.line_num, [cell.strip() for cell in cells]))
    except csv.Error as error:
        raise UserError(
            f"{path}, line {reader.line_num}: this is no CSV ({error}); save the table anew."
        ) from None
    if records.pop()[1] != [END]:
        line = records[-1][0] + 1 if records else 1
        raise UserError(f"{path}, line {line}: a quotation mark is not closed; close it.")
    return [(number, cells) for number, cells in records if any(cells)]


def _check_cells(cells: Sequence[str], header: Sequence[str], separator: str, place: str) -> None:
    """Raises UserError for a line that is not separated as the header is."""
    if any(cells[len(header) :]):
        raise UserError(
            f"{place}: there are {len(cells)} cells under {len(header)} columns, the last of them "
            f"'{cells[-1][:40]}'; put a cell with {_named(separator)} in quotation marks."
        )
    others = [s for s in SEPARATORS if s != separator and len(cells[0].split(s)) == len(header)]
    if len(cells) == 1 < len(header) and others:
        raise UserError(
            f"{place}: cells are separated by {_named(others[0])}, those of the header by "
            f"{_named(separator)}; write all lines alike."
        )


def _row(cells: Sequence[str], header: Sequence[str], *, decimal_comma: bool) -> Row:
    row = {name: "" for name in header if name}
    row |= {name: cell for name, cell in zip(header, cells, strict=False) if name}
    if decimal_comma:
        for name in row.keys() - TEXT_COLUMNS:
            if DECIMAL_COMMA.fullmatch(row[name]):
                row[name] = row[name].replace(",", ".")
    return row


def _with_slashes(folder: Path, name: str) -> str:
    # Not Path.is_file, which raises OSError for a name that no file can have.
    if "\\" in name and not os.path.isfile(folder / name):  # noqa: PTH113
        return name.replace("\\", "/")
    return name


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> None:
    """A CSV table, whole or not at all. Raises UserError where it cannot be written."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def number_text(number: float | None) -> str:
    """For a cell of a table: at most two decimals; "" for what is unknown."""
    return "" if number is None else f"{number:.2f}".rstrip("0").rstrip(".")
