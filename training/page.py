"""The page of a training run: how it stands, the curves of its logs, and sample images."""

import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from data.images import write_image
from training.display import RUNNING, Display, Standing
from training.loss_curves import Curve, read_curves
from training.position import Position
from util.errors import WriteError
from util.html import Drawing, GalleryRow, write_gallery
from util.pages import PageScript

# Drawn anew when a log has grown by so much: curves take longer than the rest of the page.
GROWTH = 1.02
NONE_YET = "none yet: one comes every --print_freq and --display_freq images"
ORDER = ("real_A", "fake_B", "real_B")  # of a sample's images; others follow
SAMPLE = re.compile(r"epoch(\d+)_images(\d+)_(?:sample(\d+)_)?(\w+)\.png")


class TrainingPage(Display):
    """`folder/index.html` with one row a moment of training, the newest on top.

    The rows are what lies in `folder/images`, so a resumed run goes on with its page.
    logs: files of `LossLog` by the heading of their curves; details: text by its heading. behind:
    images that a resumed run has seen, 0 for a new one: samples of later ones are removed. Raises
    WriteError.
    """

    name = "the training page"

    def __init__(
        self,
        folder: Path,
        *,
        title: str,
        facts: Mapping[str, str],
        details: Mapping[str, str],
        logs: Mapping[str, Path],
        behind: int,
    ) -> None:
        # Now, as it takes some 30 MB: in the midst of training that would look like a leak.
        import matplotlib.backends.backend_svg
        import matplotlib.figure  # noqa: F401

        self.folder, self.title, self.facts, self.logs = folder, title, facts, logs
        self.details = details
        self.rows: dict[tuple[int, int], GalleryRow] = {}  # by epoch and images seen
        self.curves: dict[str, list[Curve]] = {}
        self.drawn: dict[str, list[Drawing]] = {}
        self.drawn_size: dict[str, int] = {}  # of the log, in bytes
        try:
            for file in (folder / "images").glob("*.png"):
                if (match := SAMPLE.fullmatch(file.name)) and int(match[2]) > behind:
                    file.unlink()
        except OSError as error:
            raise WriteError(f"cannot write into {folder} ({error.strerror}).") from None

    def samples(self, position: Position, samples: Sequence[Mapping[str, np.ndarray]]) -> None:
        """As of Display: a row of the page from its next update on."""
        moment = f"epoch{position.epoch:03d}_images{position.images:08d}"
        for number, images in enumerate(samples):
            for name, image in images.items():
                write_image(self.folder / "images" / f"{moment}_sample{number}_{name}.png", image)

    def update(self, standing: Standing) -> None:
        """Write the page anew; it reloads itself as long as training goes on."""
        running = standing.state == RUNNING
        self._find()
        self._draw(finished=not running)
        curves = {
            heading: [_plain(curve) for curve in found] for heading, found in self.curves.items()
        }
        known = {"standing": asdict(standing), "curves": curves}
        empty = {} if self.rows or any(curves.values()) else {"curves and samples": NONE_YET}
        write_gallery(
            self.folder / "index.html",
            self.title,
            {"state": standing.state, **standing.facts, **self.facts, **empty},
            [row for _, row in sorted(self.rows.items(), reverse=True)],
            drawings=self.drawn,
            details=self.details,
            refresh_seconds=30 if running else None,
            script=PageScript("training", known),
        )

    def _find(self) -> None:
        """A row of each moment that has images; those that stay as they were keep their HTML."""
        folder, before = self.folder / "images", self.rows
        moments: defaultdict[tuple[int, int], list[tuple[Any, ...]]] = defaultdict(list)
        for name in os.listdir(folder) if folder.is_dir() else ():  # noqa: PTH208
            if match := SAMPLE.fullmatch(name):
                place = int(match[3] or 0), *_rank(match[4]), name
                moments[int(match[1]), int(match[2])].append(place)
        rows = {moment: _row(*moment, sorted(files)) for moment, files in moments.items()}
        self.rows = {m: before[m] if before.get(m) == row else row for m, row in rows.items()}

    def _draw(self, *, finished: bool) -> None:
        for heading, log in self.logs.items():
            size = log.stat().st_size if log.exists() else 0
            before = self.drawn_size.get(heading, 0)
            if size > GROWTH * before or (finished and size != before):
                self.curves[heading] = read_curves(log)
                self.drawn[heading] = [Drawing(c.name, c.to_svg()) for c in self.curves[heading]]
                self.drawn_size[heading] = size


def _row(epoch: int, seen: int, files: Sequence[tuple[Any, ...]]) -> GalleryRow:
    """files: number of the sample, rank and kind of the image, and name, in their order."""
    images = [(kind, Path("images", name)) for _, _, kind, name in files]
    columns = sum(sample == files[0][0] for sample, *_ in files)  # of the first sample
    return GalleryRow(f"epoch {epoch}, {seen} images", images, columns)


def _rank(name: str) -> tuple[int, str]:
    return ORDER.index(name) if name in ORDER else len(ORDER), name


def _plain(curve: Curve) -> dict[str, list[float | None] | str]:
    """For a script, which knows no NaN."""
    columns = {
        name: [float(f"{v:.6g}") if np.isfinite(v) else None for v in getattr(curve, name)]
        for name in ("steps", "means", "least", "greatest")
    }
    return {"name": curve.name, **columns}
