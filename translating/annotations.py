"""What is known of the translated images, which goes out with them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from data.annotations.annotated import AnnotatedImage
from data.annotations.find import find_annotations
from data.annotations.forms import as_it_came
from data.annotations.write import write_annotations
from data.datasets import AlignedDataset, ImageDataset
from data.fingerprint import fingerprint
from data.images import read_size
from data.label_index import fit_box, read_box
from data.labels import by_image
from data.tables import Line, Table
from util.files import absolute


@dataclass(frozen=True)
class Annotations:
    """Of the images of domain A. table: where they are from; lines: image -> what is said of it.

    Names and paths are those of the dataset.
    """

    table: Table
    lines: Mapping[str, tuple[Path, list[Line]]]

    @classmethod
    def of(cls, dataset: ImageDataset) -> "Annotations | None":
        """None where nothing is known of the images, or they are halves of others.

        Raises UserError for tables that cannot be read and for boxes that are none.
        """
        halves = isinstance(dataset, AlignedDataset) and dataset.side_by_side
        table = None if halves else find_annotations(dataset.selection.root)
        if table is None:
            return None
        table = as_it_came(table, dataset.selection.folder_letters()[0])
        known = by_image(table.lines)
        found = ((file, known.get(absolute(file.path))) for file in dataset.files)
        lines = {file.name: (file.path, of) for file, of in found if of}
        for line in (line for _, of in lines.values() for line in of):
            read_box(line.row, line.place)
        return cls(table, lines) if lines else None

    @property
    def digest(self) -> str:
        """Of all that is said."""
        return fingerprint(
            (name, json.dumps(line.row, sort_keys=True))
            for name, (_, lines) in self.lines.items()
            for line in lines
        )

    def write(
        self, folder: Path, below: Path, images: Iterable[tuple[str, Path, tuple[int, int]]]
    ) -> list[Path]:
        """Of the images in `folder / below` that anything is known of; returns the files.

        images: name, file from `folder` on, and size, which boxes are scaled to.
        """
        found = []
        for name, file, size in images:
            source, lines = self.lines.get(name, (None, ()))
            if source is not None:
                frame = read_size(source)
                rows = tuple(fit_box(line.row, line.place, frame, size) for line in lines)
                found.append(AnnotatedImage(file.relative_to(below).as_posix(), *size, rows))
        return write_annotations(folder, below, found, self.table)
