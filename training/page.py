"""The page of a training run: sample images, and the curves of its logs."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from data.images import write_image
from training.loss_curves import read_curves
from util.html import Drawing, GalleryRow, write_gallery
from util.packages import require

# Drawn anew when a log has grown by so much: curves take longer than the rest of the page.
GROWTH = 1.02
ORDER = ("real_A", "fake_B", "real_B", "idt_B")  # of a row's images; others follow
SAMPLE = re.compile(r"epoch(\d+)_images(\d+)_(\w+)\.png")


class TrainingPage:
    """`folder/index.html` with one row a moment of training, the newest on top.

    The rows are what lies in `folder/images`, so a resumed run goes on with its page.
    logs: files of `LossLog` by the heading of their curves.
    """

    def __init__(
        self,
        folder: Path,
        *,
        title: str,
        facts: Mapping[str, str],
        logs: Mapping[str, Path],
    ) -> None:
        """Raises UserError where a package is missing."""
        require("the training page (which --no_html leaves out)", "dominate", "matplotlib")
        # Now, as it takes some 30 MB: in the midst of training that would look like a leak.
        import matplotlib.backends.backend_svg
        import matplotlib.figure  # noqa: F401

        self.folder, self.title, self.facts, self.logs = folder, title, facts, logs
        self.found: set[str] = set()  # files of images
        self.rows: dict[tuple[int, int], GalleryRow] = {}  # by epoch and images seen
        self.drawn: dict[str, list[Drawing]] = {}
        self.drawn_size: dict[str, int] = {}  # of the log, in bytes

    def add(self, epoch: int, images_seen: int, images: Mapping[str, np.ndarray]) -> None:
        """Save a row of images, (H, W) or (H, W, 3) uint8 by name. `update` shows it."""
        for name, image in images.items():
            file = f"epoch{epoch:03d}_images{images_seen:08d}_{name}.png"
            write_image(self.folder / "images" / file, image)

    def update(self, *, finished: bool = False) -> None:
        """Write the page anew; it reloads itself as long as training goes on."""
        self._find()
        self._draw(finished=finished)
        write_gallery(
            self.folder / "index.html",
            self.title,
            self.facts,
            [row for _, row in sorted(self.rows.items(), reverse=True)],
            drawings=self.drawn,
            refresh_seconds=None if finished else 30,
        )

    def _find(self) -> None:
        """Rows of the images that are new; of all, where some have gone."""
        folder = self.folder / "images"
        names = {file.name for file in os.scandir(folder)} if folder.is_dir() else set()
        if self.found - names:
            self.found, self.rows = set(), {}
        fresh: dict[tuple[int, int], list[tuple[str, Path]]] = {}
        for name in names - self.found:
            if match := SAMPLE.fullmatch(name):
                moment = (int(match[1]), int(match[2]))
                fresh.setdefault(moment, []).append((match[3], Path("images", name)))
        for (epoch, seen), images in fresh.items():
            known = self.rows.get((epoch, seen))
            images = sorted([*(known.images if known else ()), *images], key=_rank)
            self.rows[epoch, seen] = GalleryRow(f"epoch {epoch}, {seen} images", images)
        self.found = names

    def _draw(self, *, finished: bool) -> None:
        for heading, log in self.logs.items():
            size = log.stat().st_size if log.exists() else 0
            before = self.drawn_size.get(heading, 0)
            if size > GROWTH * before or (finished and size != before):
                drawings = [Drawing(curve.name, curve.to_svg()) for curve in read_curves(log)]
                self.drawn[heading], self.drawn_size[heading] = drawings, size


def _rank(image: tuple[str, Path]) -> tuple[int, str]:
    name, _ = image
    return ORDER.index(name) if name in ORDER else len(ORDER), name
