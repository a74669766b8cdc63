"""Pascal VOC: an XML file an image, objects with 1-based corners (VOC devkit, section 2)."""

import math
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from data.annotations.annotated import AnnotatedImage, ImageTree, box_cells, table
from data.tables import SIZE_COLUMNS, Line, Row, Table
from util.errors import UserError
from util.files import write_text

FOLDER = "Annotations"
CORNERS = ("xmin", "ymin", "xmax", "ymax")


def find(images: ImageTree) -> Table | None:
    """The files of the images, in the folder Annotations or beside them."""
    lines: list[Line] = []
    for image, path in images.beside(FOLDER, ".xml"):
        root = _parse(path)
        if root.tag == "annotation":  # else a camera's XML beside its images
            lines += _lines(root, image, path, images)
    return table(lines[0].file.parent, lines, format="voc", classes={}) if lines else None


def _parse(path: Path) -> ElementTree.Element:
    try:
        content = path.read_bytes()
        if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
            raise UserError(f"{path} defines entities, which are not read; remove them.")
        return ElementTree.fromstring(content)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); check it.") from None
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise UserError(f"{path} is no XML ({error}); export it anew.") from None


def _lines(root: ElementTree.Element, image: Path, path: Path, images: ImageTree) -> list[Line]:
    """One an object; one without a box for an image without an object."""
    size = [(root.findtext(f"size/{length}") or "").strip() for length in ("width", "height")]
    stated = all(text.isdecimal() and int(text) for text in size)
    row = dict(zip(SIZE_COLUMNS, size, strict=True)) if stated else {}
    objects = [
        images.line(image, row | _cells(found, place), place)
        for number, found in enumerate(root.iter("object"), start=1)
        for place in [f"{path}, object {number}"]
    ]
    return objects or [images.line(image, row, str(path))]


def _cells(found: ElementTree.Element, place: str) -> Row:
    name = (found.findtext("name") or "").strip()
    if not name:
        raise UserError(f"{place}: it has no <name>; add it.")
    corners = []
    for corner in CORNERS:
        text = (found.findtext(f"bndbox/{corner}") or "").strip()
        try:
            corners.append(float(text))
        except ValueError:
            corners.append(math.nan)
        if not math.isfinite(corners[-1]):
            what = f"is '{text:.40}', which is no number" if text else "is missing"
            raise UserError(f"{place}: <{corner}> {what}; correct it.")
    x0, y0, x1, y1 = corners
    if x1 < x0 or y1 < y0:
        raise UserError(
            f"{place}: the box ends at ({x1:g}, {y1:g}), before it begins at ({x0:g}, {y0:g}); "
            "correct it."
        )
    # Pixels count from 1, and the last is in the box.
    return box_cells(name, (x0 - 1, y0 - 1, x1 - x0 + 1, y1 - y0 + 1))


def write(folder: Path, below: Path, images: Sequence[AnnotatedImage], table: Table) -> list[Path]:
    """Annotations/NAME/IMAGE.xml in `folder`, whole pixels; returns them.

    below: folder of the images, from `folder` on; its last folder is NAME.
    """
    written = []
    for image in images:
        file = Path(image.file)
        path = folder / FOLDER / below.name / file.with_suffix(".xml")
        root = ElementTree.Element("annotation")
        _add(root, "folder", (below / file).parent.as_posix())
        _add(root, "filename", file.name)
        size = ElementTree.SubElement(root, "size")
        for length, pixels in (("width", image.width), ("height", image.height), ("depth", 1)):
            _add(size, length, str(pixels))
        for name, (x, y, width, height) in image.objects:
            found = ElementTree.SubElement(root, "object")
            _add(found, "name", name)
            box = ElementTree.SubElement(found, "bndbox")
            first, last = (round(x) + 1, round(y) + 1), (round(x + width), round(y + height))
            corners = (*first, *(max(pair) for pair in zip(first, last, strict=True)))
            for corner, pixel in zip(CORNERS, corners, strict=True):
                _add(box, corner, str(pixel))
        ElementTree.indent(root)
        write_text(path, ElementTree.tostring(root, encoding="unicode") + "\n")
        written.append(path)
    return written


def _add(parent: ElementTree.Element, tag: str, text: str) -> None:
    ElementTree.SubElement(parent, tag).text = text
