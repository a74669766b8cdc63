"""What the formats share: images below a folder, boxes as cells, images with their objects."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from data.folders import walk_files
from data.images import EXTENSIONS
from data.tables import BOX_COLUMNS, Line, Row, Table
from util.errors import UserError
from util.files import absolute

COLUMNS = ("file", "split", "class", *BOX_COLUMNS)
IMAGE_FOLDERS = ("images", "jpegimages")  # in lower case
BESIDE_IMAGES = ("annotations", "labels")  # folders that have none
SPLIT = re.compile(r"(train|val|test)(ing|id|idation)?\d*", re.IGNORECASE)


@dataclass(frozen=True)
class AnnotatedImage:
    """One image with its objects. file: below the folder of images, with "/"; pixels."""

    file: str
    height: int
    width: int
    rows: tuple[Row, ...]

    @property
    def objects(self) -> list[tuple[str, tuple[float, ...]]]:
        """Class name and box (left, upper, width, height) of each."""
        boxed = [row for row in self.rows if row.get(BOX_COLUMNS[0])]
        return [(row.get("class", ""), tuple(float(row[c]) for c in BOX_COLUMNS)) for row in boxed]


def number_classes(
    images: Sequence[AnnotatedImage], known: Mapping[int, str], *, first: int
) -> dict[str, int]:
    """Class name -> number: those that the images came with, others after these.

    first: the number to begin with where there is none.
    """
    numbers = {name: number for number, name in known.items()}
    for name in sorted({name for image in images for name, _ in image.objects} - numbers.keys()):
        numbers[name] = max(numbers.values(), default=first - 1) + 1
    return numbers


def number_cell(number: float) -> str:
    """Of a table, without loss: what comes in goes out alike."""
    return f"{number:.9g}"


def box_cells(class_name: str, box: Sequence[float]) -> Row:
    """The cells of one object."""
    return {"class": class_name, **dict(zip(BOX_COLUMNS, map(number_cell, box), strict=True))}


class ImageTree:
    """The images below a folder, for formats that name them in other ways."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._listed: dict[Path, frozenset[str]] = {}

    @cached_property
    def files(self) -> list[Path]:
        """All of them, in the order of `walk_files`."""
        return [f for f in walk_files(self.root) if f.suffix.lower() in EXTENSIONS]

    @cached_property
    def _by_stem(self) -> dict[str, list[Path]]:
        stems: dict[str, list[Path]] = {}
        for file in self.files:
            stems.setdefault(file.stem, []).append(file)
        return stems

    def find(self, name: str, *, listed_in: Path, place: str) -> Path:
        """The image that a file calls `name`: from its folder on, or from that of its folder
        annotations, else the one of `root` that ends so.

        A name may begin with folders that are not here, of another machine, and have another
        extension. One in the folder val is not the one that train.json or train/... mean, nor is
        one in real the one of sim.json or sim/... Where there is none here, the path is from the
        file's folder on. Raises UserError where several fit, in folders beside `root` too.
        """
        path = PurePosixPath(name)
        stated = absolute(listed_in.parent / path)
        top = listed_in.parent
        if top.name.lower() in BESIDE_IMAGES:
            top = top.parent
        for file in (stated, absolute(top / path)):
            if os.path.isfile(file):  # noqa: PTH113  False for a name that no file can have
                return file
        unnamed = []
        for folder, own in self._way_from(top):
            # What a name tells goes before what its file is called.
            told = _named_in(folder, path.parts[:-1]) or _named_in(folder, _words(listed_in))
            if told and own not in told:
                return stated
            if not told:
                unnamed.append((folder, own))
        split = split_of([*re.split("[^a-zA-Z]", listed_in.stem), *path.parts[:-1]])
        folders = [self.root / word for word in _named_in(self.root, _words(listed_in))]
        found = [
            (_shared_folders(file, path), file)
            for file in self._by_stem.get(_stem(path), [])
            if not split or self.split(file) in ("", split)
            if not folders or any(folder in file.parents for folder in folders)
        ]
        best = max((shared for shared, _ in found), default=0)
        fitting = [file for shared, file in found if shared == best]
        if len(fitting) == 1:
            fitting += self._alike_beside(fitting[0], unnamed)
        if len(fitting) > 1:
            raise UserError(
                f"{place}: '{name}' may be {fitting[0]} or {fitting[1]}; name it with its folder."
            )
        return fitting[0] if fitting else stated

    def _way_from(self, top: Path) -> list[tuple[Path, str]]:
        """The folders from `top` down to that of `root`, each with what leads on to `root`."""
        parts = self.root.relative_to(top).parts if top in self.root.parents else ()
        return [(top.joinpath(*parts[:depth]), part) for depth, part in enumerate(parts)]

    def _alike_beside(self, image: Path, unnamed: Sequence[tuple[Path, str]]) -> list[Path]:
        """Images that lie in other folders as `image` does in its own; unnamed: of `_way_from`."""
        places = (
            folder / name / image.relative_to(folder / own)
            for folder, own in unnamed
            for name in sorted(self._names_in(folder) - {own})
        )
        return [place for place in places if place.is_file()]

    def beside(self, folder: str, suffix: str) -> Iterator[tuple[Path, Path]]:
        """Each image with its own file of a kind, where there is one.

        It lies in `folder` in place of the last folder "images", or in the image's folder; or
        beside the image.
        """
        for image in self.files:
            name = f"{image.stem}{suffix}"
            for place in _places(image.parent, folder):
                if name in self._names_in(place):
                    yield image, place / name
                    break

    def _names_in(self, folder: Path) -> frozenset[str]:
        if folder not in self._listed:
            names = os.listdir(folder) if folder.is_dir() else ()  # noqa: PTH208
            self._listed[folder] = frozenset(names)
        return self._listed[folder]

    def split(self, image: Path) -> str:
        """train, val or test, by the folders that the image lies in; "" for none of these."""
        inside = image.relative_to(self.root).parts[:-1] if self.root in image.parents else ()
        return split_of([*self.root.parts[-2:], *inside])

    def line(self, image: Path, row: Row, place: str) -> Line:
        """Of a table, with `row` for the cells beside file and split."""
        inside = self.root in image.parents
        name = image.relative_to(self.root) if inside else image
        cells = {"file": name.as_posix(), "split": self.split(image), **row}
        return Line(image, dict.fromkeys(COLUMNS, "") | cells, place)


def table(path: Path, lines: Sequence[Line], *, format: str, classes: Mapping[int, str]) -> Table:
    """Of lines made by `ImageTree.line`."""
    columns = tuple(dict.fromkeys(name for line in lines for name in line.row)) or COLUMNS
    return Table(path, columns, "','", tuple(lines), format, classes)


def split_of(words: Sequence[str]) -> str:
    """train, val or test, by the last word that is one of them, valid2017 too; "" for none."""
    found = [match for word in words if (match := SPLIT.fullmatch(word))]
    return found[-1][1].lower() if found else ""


def _stem(name: PurePosixPath) -> str:
    return name.stem if name.suffix.lower() in EXTENSIONS else name.name


def _words(file: Path) -> list[str]:
    """Of a file's name, and the whole of it: folders are called fake_B, too."""
    return [file.stem, *re.split("[^a-zA-Z0-9]+", file.stem)]


def _named_in(folder: Path, words: Sequence[str]) -> list[str]:
    """Those that are names of folders in it, but for ones of annotations."""
    plain = (w for w in words if w.strip("./") and w.lower() not in BESIDE_IMAGES)
    return [word for word in plain if (folder / word).is_dir()]


def _shared_folders(file: Path, name: PurePosixPath) -> int:
    """How many folders before the files' own names are the same."""
    shared = 0
    for one, other in zip(file.parts[-2::-1], name.parts[-2::-1], strict=False):
        if one != other:
            break
        shared += 1
    return shared


def _places(parent: Path, folder: str) -> tuple[Path, ...]:
    parts = parent.parts
    last = max((i for i, p in enumerate(parts) if p.lower() in IMAGE_FOLDERS), default=None)
    swapped = () if last is None else (Path(*parts[:last], folder, *parts[last + 1 :]),)
    return *swapped, parent / folder, parent
