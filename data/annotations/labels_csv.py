"""labels.csv as this project writes it; data/tables.py reads it."""

from collections.abc import Sequence
from pathlib import Path

from data.annotations.annotated import AnnotatedImage
from data.folders import LABELS_FILE
from data.tables import Table, write_table


def write(folder: Path, below: Path, images: Sequence[AnnotatedImage], table: Table) -> list[Path]:
    """labels.csv beside the folder `below` of the images, from `folder` on; returns it.

    With the columns of `table` but `split`: the images are all of one.
    """
    columns = ("file", *(name for name in table.columns if name not in ("file", "split")))
    rows = [
        {**dict.fromkeys(columns, ""), **row, "file": f"{below.name}/{image.file}"}
        for image in images
        for row in image.rows
    ]
    path = folder / below.parent / LABELS_FILE
    write_table(path, columns, [{name: row[name] for name in columns} for row in rows])
    return [path]
