"""YOLO text: a file an image, a line an object: class number, centre and size in [0, 1].

As Darknet and Ultralytics read it; lines with polygons (segmentation) have their extent for a box.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from data.annotations.annotated import (
    AnnotatedImage,
    ImageTree,
    box_cells,
    number_classes,
    table,
)
from data.images import read_size
from data.tables import Line, Row, Table
from util.errors import UserError
from util.files import write_text

FOLDER = "labels"
LISTS = ("classes.txt", "obj.names", "classes.names")
# Of data.yaml, whose other keys are for the programs that train detectors.
NAMES_KEY = re.compile(r"^names\s*:(.*(?:\n(?:[ \t\]}-].*)?)*)", re.MULTILINE)
COMMENT = re.compile(r"(?:^|\s)#.*$", re.MULTILINE)
BRACKETS = re.compile(r"\[(.*)\]|\{(.*)\}", re.DOTALL)
COMMA = re.compile(r""",(?=(?:[^'"]|'[^']*'|"[^"]*")*$)""")  # outside quotation marks
ENTRY = re.compile(
    r"""\s*(?:-\s+|(?P<number>\d+)\s*:\s*)?(?:(["'])(?P<quoted>.+)\2|(?P<plain>[^"'\s\[{].*?))\s*"""
)
SLACK = 1e-3  # beyond the image, which rounding gives


@dataclass(frozen=True)
class ClassList:
    """Class names by number. path: where they are from; None for none, and numbers for names."""

    path: Path | None = None
    names: Mapping[int, str] = field(default_factory=dict)

    def name(self, number: int, place: str) -> str:
        """Raises UserError for a number that the list lacks."""
        if self.path is not None and number not in self.names:
            raise UserError(
                f"{place}: there is no class {number} in {self.path}, which names "
                f"{len(self.names)}; add it or correct the line."
            )
        return self.names.get(number, str(number))


def find(images: ImageTree) -> Table | None:
    """The files of the images: in the folder labels in place of images, or beside them.

    An empty file is an image without an object; an image without a file is not known. Class names
    are those of data.yaml or classes.txt in the folders of the files, and above.
    """
    found = list(images.beside(FOLDER, ".txt"))
    if not found:
        return None
    classes = _find_classes(images.root, [path for _, path in found])
    # Notes beside images may be of any encoding.
    texts = {path: _read_text(path, errors="replace") for _, path in found}
    in_labels = any(FOLDER in path.parts for path in texts)
    if classes.path is None and not in_labels and not any(map(_is_yolo, texts.values())):
        return None  # notes beside images
    lines = [
        line
        for image, path in found
        for line in _lines(texts[path].splitlines(), image, path, images, classes)
    ]
    return table(classes.path or found[0][1], lines, format="yolo", classes=classes.names)


def _read_text(path: Path, *, errors: str = "strict") -> str:
    try:
        return path.read_text(encoding="utf-8-sig", errors=errors)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); check it.") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is no UTF-8 text; export it anew.") from None


def _is_yolo(text: str) -> bool:
    first = next(filter(None, map(str.split, text.splitlines())), [])
    return len(first) >= 5 and all(math.isfinite(_number(word)) for word in first)


def _number(text: str) -> float:
    """NaN for what is none."""
    with suppress(ValueError):
        return float(text)
    return math.nan


def _lines(
    texts: Sequence[str], image: Path, path: Path, images: ImageTree, classes: ClassList
) -> list[Line]:
    """One an object; one without a box for none. Boxes of an image that is none are not known."""
    size = None
    with suppress(UserError):  # which whoever reads the image tells
        size = read_size(image)
    lines = []
    for number, text in enumerate(texts, start=1):
        if size is not None and text.strip():
            place = f"{path}, line {number}"
            lines.append(images.line(image, _cells(text.split(), size, place, classes), place))
    return lines or [images.line(image, {}, str(path))]


def _cells(words: Sequence[str], size: tuple[int, int], place: str, classes: ClassList) -> Row:
    numbers = [_number(word) for word in words]
    whole = all(map(math.isfinite, numbers)) and numbers[0] == abs(int(numbers[0]))
    if not whole or len(numbers) < 5:
        raise UserError(
            f"{place}: '{' '.join(words):.60}' is no class number with the centre, width and "
            "height of a box; correct it."
        )
    class_number, *box = numbers
    if len(box) > 5 and len(box) % 2 == 0:
        x, y = box[::2], box[1::2]
        box = [(min(x) + max(x)) / 2, (min(y) + max(y)) / 2, max(x) - min(x), max(y) - min(y)]
    x, y, width, height = box[:4]
    if not all(-SLACK <= share <= 1 + SLACK for share in (x, y, width, height)):
        raise UserError(
            f"{place}: '{' '.join(words):.60}' is not in shares of the image's width and height, "
            "0 to 1; divide pixels by them."
        )
    if width <= 0 or height <= 0:
        raise UserError(f"{place}: the box has no area; correct it or remove the line.")
    down, across = size
    corner = (x - width / 2) * across, (y - height / 2) * down
    return box_cells(
        classes.name(int(class_number), place), (*corner, width * across, height * down)
    )


def _find_classes(root: Path, paths: Sequence[Path]) -> ClassList:
    """In the folders of the label files, and up to the one above that of all."""
    top = root.parent
    for folder in dict.fromkeys(path.parent for path in paths):
        above = folder.parts
        last = max((i for i, part in enumerate(above) if part.lower() == FOLDER), default=None)
        stop = top if last is None else Path(*above[: max(last - 1, 1)])
        for place in (folder, *folder.parents):
            if found := _classes_in(place):
                return found
            if place == stop:
                break
    return ClassList()


def _classes_in(folder: Path) -> ClassList | None:
    for path in sorted({*folder.glob("*.yaml"), *folder.glob("*.yml")}):
        if names := _read_names(path):
            return ClassList(path, names)
    for path in (folder / name for name in LISTS):
        if path.is_file():
            names = [line.strip() for line in _read_text(path).splitlines()]
            return ClassList(path, {i: name for i, name in enumerate(names) if name})
    return None


def _read_names(path: Path) -> dict[int, str]:
    """Class names of a data.yaml, by number; {} where it has no key `names`.

    A list or numbers with names, in brackets or a line each. Raises UserError for others.
    """
    found = NAMES_KEY.search(COMMENT.sub("", _read_text(path)))
    if not found:
        return {}
    text = found[1].strip()
    inside = BRACKETS.fullmatch(text)
    parts = COMMA.split(inside[1] or inside[2] or "") if inside else text.splitlines()
    entries = [ENTRY.fullmatch(part) for part in parts if part.strip()]
    if not entries or None in entries:
        raise UserError(f"{path}: its 'names' are not read; write them as names: [T72, BMP2].")
    return {
        int(entry["number"] or place): entry["quoted"] or entry["plain"]
        for place, entry in enumerate(entries)
    }


def write(folder: Path, below: Path, images: Sequence[AnnotatedImage], table: Table) -> list[Path]:
    """labels/NAME/IMAGE.txt and data.yaml in `folder`; returns them.

    below: folder of the images, images/NAME, from `folder` on. Classes are numbered as in `table`,
    from which the objects came.
    """
    numbers = number_classes(images, table.classes, first=0)
    written = []
    for image in images:
        path = folder / FOLDER / below.name / Path(image.file).with_suffix(".txt")
        lines = []
        for name, (x, y, width, height) in image.objects:
            shares = (x + width / 2) / image.width, (y + height / 2) / image.height
            shares += width / image.width, height / image.height
            lines.append(" ".join([str(numbers[name]), *(f"{share:.6f}" for share in shares)]))
        write_text(path, "".join(f"{line}\n" for line in lines))
        written.append(path)
    names = [
        f"  {number}: {json.dumps(name, ensure_ascii=False)}" for name, number in numbers.items()
    ]
    place = below.as_posix()
    text = "\n".join([f"train: {place}", f"val: {place}", "names:", *names])
    write_text(folder / "data.yaml", text + "\n")
    return [*written, folder / "data.yaml"]
