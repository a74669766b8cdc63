"""The table of labels and boxes of a folder of images, in whichever format it is."""

from collections.abc import Sequence
from pathlib import Path

from data.annotations import coco, voc, yolo
from data.annotations.annotated import ImageTree
from data.folders import LABELS_FILE
from data.tables import Table, read_table
from util.errors import UserError
from util.files import absolute


def find_annotations(dataroot: Path, *, required: Sequence[str] = ()) -> Table | None:
    """What is known of the images in a folder and below; None where there is nothing.

    labels.csv in it or in the folder above it, else COCO JSON, YOLO text, Pascal VOC: the first
    that there is; else a labels.csv one folder higher, where that lists images of this one, as
    DATA/labels.csv those of DATA/sim/test. required: columns besides `file`. Raises UserError for
    one that cannot be read.
    """
    root = absolute(dataroot)
    places = [folder / LABELS_FILE for folder in (root, *root.parents[:2])]
    path = next((table for table in places[:2] if table.is_file()), None)
    if path:
        return read_table(path, required=required)
    if found := _find_boxes(root):
        return found
    higher = [read_table(path, required=required) for path in places[2:] if path.is_file()]
    return next((t for t in higher if any(root in x.file.parents for x in t.lines)), None)


def _find_boxes(root: Path) -> Table | None:
    images = ImageTree(root)
    return next((found for kind in (coco, yolo, voc) if (found := kind.find(images))), None)


def read_annotations(path: Path) -> Table:
    """Of a file: labels.csv or COCO JSON; or of a folder of any format, or its data.yaml.

    Raises UserError for what is none.
    """
    place, suffix = absolute(path), path.suffix.lower()
    if suffix == ".json" and path.is_file():
        folder = place.parent
        root = folder.parent if folder.name.lower() == coco.FOLDER else folder
        return coco.read(place, ImageTree(root))
    if path.is_dir() or (suffix in (".yaml", ".yml") and path.is_file()):
        found = find_annotations(place if path.is_dir() else place.parent)
        if found is not None:
            return found
        raise UserError(
            f"there is no table in {path}, of labels.csv, COCO JSON, YOLO text or Pascal VOC; "
            "check --labels."
        )
    if not path.is_file():
        raise UserError(f"there is no table {path}; check --labels.")
    return read_table(path)
