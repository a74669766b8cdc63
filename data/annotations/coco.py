"""COCO JSON: all images, objects and classes in one file (cocodataset.org, data format)."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data.annotations.annotated import (
    AnnotatedImage,
    ImageTree,
    box_cells,
    number_classes,
    table,
)
from data.tables import SIZE_COLUMNS, Line, Table
from util.errors import UserError
from util.files import write_text

FOLDER = "annotations"


def find(images: ImageTree) -> Table | None:
    """The JSON files in the folder, a folder below or those above it that have COCO's keys."""
    root = images.root
    places = [root.glob("*.json"), root.glob("*/*.json"), root.parent.glob("*.json")]
    places += [folder.glob(f"{FOLDER}/*.json") for folder in (root.parent, root.parent.parent)]
    files = {file for place in places for file in place if _is_coco(file)}
    tables = [read(file, images) for file in sorted(files)]
    lines = [line for found in tables for line in found.lines]
    if not any(root in line.file.parents for line in lines):
        return None
    classes: dict[int, str] = {}
    for found in tables:
        for number, name in found.classes.items():
            if classes.setdefault(number, name) != name:
                raise UserError(
                    f"{found.path}: category {number} is '{name}', and '{classes[number]}' in "
                    f"{tables[0].path}; number the classes of one dataset alike."
                )
    return table(tables[0].path, lines, format="coco", classes=classes)


def _is_coco(file: Path) -> bool:
    try:
        content = file.read_bytes()
    except OSError:
        return False
    return all(key in content for key in (b'"images"', b'"annotations"', b'"file_name"'))


def read(path: Path, images: ImageTree) -> Table:
    """Objects by image; entries of crowds are left out: they are no single object.

    An object without `bbox` has that of its polygons. Raises UserError for what is no COCO JSON,
    with the entry.
    """
    content = _load(path)
    names: dict[Any, str] = {}
    for entry, place in _entries(content, "categories", path):
        names[_get(entry, "id", int, place)] = _get(entry, "name", str, place)
    empty = _images(content, path, images)
    lines: dict[Any, list[Line]] = {number: [] for number in empty}
    for entry, place in _entries(content, "annotations", path):
        of = _get(entry, "image_id", (int, str), place)
        if of not in empty:
            raise UserError(f"{place}: there is no image {of}; add it or remove the annotation.")
        if not entry.get("iscrowd"):
            row = box_cells(_class_name(entry, names, place), _box(entry, place))
            lines[of].append(Line(empty[of].file, empty[of].row | row, place))
    found = [line for of in empty for line in lines[of] or [empty[of]]]
    return table(path, found, format="coco", classes=names)


def _images(content: Mapping[str, Any], path: Path, images: ImageTree) -> dict[Any, Line]:
    """The line of each image without an object, by the image's id."""
    lines: dict[Any, Line] = {}
    places: dict[Path, str] = {}
    for entry, place in _entries(content, "images", path):
        number, name = _get(entry, "id", (int, str), place), _get(entry, "file_name", str, place)
        if number in lines:
            raise UserError(f"{place}: image {number} is there twice; give each its own id.")
        file = images.find(name.replace("\\", "/"), listed_in=path, place=place)
        other = places.setdefault(file, place)
        if other != place:
            raise UserError(f"{place}: {file} is that of {other}, too; name each with its folder.")
        size = [entry.get(key) for key in ("width", "height")]
        stated = all(isinstance(length, int) and length > 0 for length in size)
        row = dict(zip(SIZE_COLUMNS, map(str, size), strict=True)) if stated else {}
        lines[number] = images.line(file, row, place)
    return lines


def _load(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); check it.") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no JSON ({error}); export it anew.") from None
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise UserError(f"{path} has no list 'images', so it is no COCO JSON; name another file.")
    return content


def _entries(content: Mapping[str, Any], key: str, path: Path) -> list[tuple[dict, str]]:
    """Entries of a list with their places, for people: by their ids, else counted from 1."""
    listed = content.get(key) or []
    kind = {"categories": "category", "images": "image", "annotations": "annotation"}[key]
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise UserError(f"{path}: '{key}' is no list of objects; export it anew.")
    return [
        (entry, f"{path}, {kind} {entry.get('id', f'number {number}')}")
        for number, entry in enumerate(listed, start=1)
    ]


def _get(entry: Mapping[str, Any], key: str, kind: type | tuple[type, ...], place: str) -> Any:
    if not isinstance(entry.get(key), kind):
        found = f"is {entry[key]!r:.40}" if key in entry else "is missing"
        raise UserError(f"{place}: '{key}' {found}; export it anew or correct it.")
    return entry[key]


def _class_name(entry: Mapping[str, Any], names: Mapping[int, str], place: str) -> str:
    number = _get(entry, "category_id", int, place)
    if names and number not in names:
        raise UserError(f"{place}: there is no category {number} in 'categories'; add it.")
    return names.get(number, str(number))


def _box(entry: Mapping[str, Any], place: str) -> tuple[float, ...]:
    box, polygons = entry.get("bbox"), entry.get("segmentation")
    if not box and isinstance(polygons, list) and polygons:
        box = _extent(polygons)
    numbers = isinstance(box, list | tuple) and all(
        isinstance(edge, int | float) and math.isfinite(edge) for edge in box
    )
    if not numbers or len(box) != 4:
        raise UserError(
            f"{place}: its 'bbox' is no list of 4 numbers, and it has no polygons; correct it."
        )
    if box[2] <= 0 or box[3] <= 0:
        raise UserError(
            f"{place}: the box is {box[2]:g} pixels wide and {box[3]:g} high; both must be more "
            "than 0: correct it or remove the annotation."
        )
    return tuple(box)


def _extent(polygons: Sequence[Any]) -> tuple[float, ...] | None:
    """Left, upper, width and height of polygons [x, y, x, y, ...]; None for others."""
    if not all(isinstance(polygon, list) for polygon in polygons):
        return None
    x, y = ([n for polygon in polygons for n in polygon[axis::2]] for axis in (0, 1))
    if not x or not y or not all(isinstance(n, int | float) for n in (*x, *y)):
        return None
    return min(x), min(y), max(x) - min(x), max(y) - min(y)


def write(folder: Path, below: Path, images: Sequence[AnnotatedImage], table: Table) -> list[Path]:
    """annotations/NAME.json in `folder`; returns it. below: of images, from `folder` on.

    File names count from `below` on, whose last folder is NAME; categories are numbered as `table`
    does, from which the objects came.
    """
    numbers = number_classes(images, table.classes, first=1)
    listed, annotations = [], []
    for number, image in enumerate(images, start=1):
        size = {"width": image.width, "height": image.height}
        listed.append({"id": number, "file_name": image.file, **size})
        for name, box in image.objects:
            annotation = {"id": len(annotations) + 1, "image_id": number}
            annotation |= {"category_id": numbers[name], "bbox": list(box)}
            annotations.append({**annotation, "area": box[2] * box[3], "iscrowd": 0})
    categories = [{"id": number, "name": name} for name, number in numbers.items()]
    content = {"images": listed, "annotations": annotations, "categories": categories}
    path = folder / FOLDER / f"{below.name}.json"
    write_text(path, json.dumps(content, indent=1) + "\n")
    return [path]
