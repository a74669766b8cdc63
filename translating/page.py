"""The page of results: rows of images, and what its script knows of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.annotations.find import find_annotations
from data.datasets import ImageDataset
from data.label_index import LabelIndex
from data.preview import histogram
from data.value_map import Stored
from util.errors import UserError
from util.html import GalleryRow, write_gallery
from util.pages import PageScript, as_digits


@dataclass(frozen=True)
class PageRow:
    """Of one name. known: what the page's script is told; note: why its label is not there."""

    images: GalleryRow
    known: Mapping[str, Any]
    note: str


class ResultsPage:
    """`index.html` of a folder of results, which can be sorted, filtered and seen large.

    stored: of each kind of image; paired: whether real_B shows the scene of real_A. note: why no
    label is on the page, "" where they are or there are none.
    """

    def __init__(
        self, dataset: ImageDataset, stored: Mapping[str, Stored], *, paired: bool
    ) -> None:
        self.stored, self.paired = stored, paired
        self.files = {file.name: file for file in dataset.files}
        # A box is in pixels of a whole file, and here of one half of it.
        self.boxed = dataset.domains["A"].half is None
        self.labels, self.note = _labels(dataset)

    def row(
        self,
        name: str,
        shown: Mapping[str, tuple[Path, np.ndarray]],
        *,
        window: Sequence[float] | None,
    ) -> PageRow:
        """shown: kind -> file, below the folder of the page, and its content, uint8.

        window: what is black and white in [-1, 1], None where images are shown as they are.
        """
        known: dict[str, Any] = {}
        note = ""
        try:
            known |= self._label(name, next(iter(shown.values()))[1].shape[:2])
        except UserError as error:
            note = f"not on the page of results: {error}"
        known["histograms"] = [as_digits(histogram(image)) for _, image in shown.values()]
        captions = {kind: kind for kind in shown}
        if window is not None:
            ends = {kind: self._ends(kind, window) for kind in shown}
            known["window"] = list(ends.values())
            captions = {k: f"{k}: {low:,.5g} to {high:,.5g}" for k, (low, high) in ends.items()}
        images = [(captions[kind], file) for kind, (file, _) in shown.items()]
        return PageRow(GalleryRow(name, images), known, note)

    def write(
        self, path: Path, title: str, facts: Mapping[str, str], rows: Sequence[PageRow]
    ) -> None:
        """Write it. Raises UserError where that cannot be."""
        scale = [(m.files.low, m.files.high, m.files.type.unit) for m in self.stored.values()]
        known: dict[str, Any] = {"kinds": list(self.stored), "paired": self.paired, "scale": scale}
        known["rows"] = [row.known for row in rows]
        script = PageScript("results", {"rows": known, "measured": None})
        write_gallery(path, title, facts, [row.images for row in rows], script=script)

    def _label(self, name: str, size: tuple[int, int]) -> dict[str, Any]:
        """Class, range in metres, and box as CSS has it: distances from the four edges.

        Raises UserError for a label that cannot be read.
        """
        if self.labels is None:
            return {}
        label = self.labels.find(self.files[name])
        corners = label.corners(*size) if label and self.boxed else None
        known: dict[str, Any] = {}
        if label and label.class_name:
            known["class"] = label.class_name
        if label and label.range_m:
            known["range"] = label.range_m
        if corners:
            height, width = size
            x0, y0, x1, y1 = corners
            edges = (y0 / height, 1 - x1 / width, 1 - y1 / height, x0 / width)
            known["box"] = " ".join(f"{100 * edge:.2f}%" for edge in edges)
        return known

    def _ends(self, kind: str, window: Sequence[float]) -> list[float]:
        """The window in values of the files."""
        values = self.stored[kind].files
        half = (values.high - values.low) / 2
        return [values.low + (end + 1) * half for end in window]


def _labels(dataset: ImageDataset) -> tuple[LabelIndex | None, str]:
    """Those of the images' labels.csv, and why there are none where there should be."""
    table = find_annotations(dataset.selection.root)
    if table is None:
        return None, ""
    try:
        return LabelIndex([table]), ""
    except UserError as error:
        return None, f"labels are not on the page of results: {error}"
