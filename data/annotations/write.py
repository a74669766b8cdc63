"""Labels and boxes beside images that were made, in the format in which they came."""

from collections.abc import Sequence
from pathlib import Path

from data.annotations import coco, labels_csv, voc, yolo
from data.annotations.annotated import AnnotatedImage
from data.tables import Table

WRITERS = {"csv": labels_csv.write, "coco": coco.write, "yolo": yolo.write, "voc": voc.write}
# What they write, below the folder that holds the folder of images.
WRITTEN = ("*/labels.csv", "data.yaml", "labels/**/*.txt", "Annotations/**/*.xml")
WRITTEN += ("annotations/*.json",)


def write_annotations(
    folder: Path, below: Path, images: Sequence[AnnotatedImage], table: Table
) -> list[Path]:
    """Write those of the images in `folder / below`; returns the files.

    table: where they came from. Whoever reads the folder of the images, or names it to a program
    that trains detectors on this format, finds them. Raises WriteError.
    """
    return WRITERS[table.format](folder, below, images, table)
