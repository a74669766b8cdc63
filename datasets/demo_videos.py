"""The videos of make_demo.py: frames, their truth, and their tables."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.folders import LABELS_FILE
from data.images import write_image
from data.tables import BOX_COLUMNS, number_text, write_table
from datasets.frames import COLUMNS
from datasets.scene import VEHICLES, Scene, vehicle_box
from datasets.scene.video import draw_video, film

FRAMES = "frames"  # folder of the images
TRUTH_COLUMNS = (*BOX_COLUMNS, "box_source")
# A stream is (seed, set, video, frame, purpose), as in make_demo.py, which has the sets 0 to 4.
SET = 5
DRAW_VIDEO, DRAW_NOISE = 0, 1


@dataclass(frozen=True)
class VideoJob:
    """One video: what one process makes at a time."""

    index: int
    numbers: range  # of the frames that are kept, from 1

    @property
    def name(self) -> str:
        return f"video-{self.index:04d}"

    @property
    def vehicle(self) -> str:
        """All classes in turn."""
        return list(VEHICLES)[self.index % len(VEHICLES)]

    @property
    def images(self) -> int:
        """How many it makes."""
        return len(self.numbers)

    def rng(self, seed: int, frame: int, purpose: int) -> np.random.Generator:
        """A stream of its own, so that no draw depends on the order of the work."""
        return np.random.default_rng([seed, SET, self.index, frame, purpose])


def plan_videos(recipe: Mapping[str, int]) -> Iterator[VideoJob]:
    """All videos, in the order of labels.csv."""
    step = recipe["frame_step"]
    numbers = range(1, 1 + recipe["num_frames"] * step, step)
    return (VideoJob(index, numbers) for index in range(recipe["video"]))


def make_video(job: VideoJob, out: Path, recipe: Mapping[str, int]) -> list[dict[str, str]]:
    """Write the video's frames; returns their rows of labels.csv."""
    seed, size, bits = recipe["seed"], recipe["size"], recipe["bits"]
    video = draw_video(job.rng(seed, 0, DRAW_VIDEO), job.vehicle, dust=recipe["dust"])
    frames = film(video, job.numbers, size, lambda n: job.rng(seed, n, DRAW_NOISE), bits)
    rows = []
    for number, (scene, image) in zip(job.numbers, frames, strict=True):
        row = label(scene, job, number, size)
        write_image(out / row["file"], image)
        rows.append(row)
    return rows


def label(scene: Scene, job: VideoJob, number: int, size: int) -> dict[str, str]:
    """One row of labels.csv, as prepare_dsiac.py has them."""
    x, y, width, height = vehicle_box(scene, size)
    row = {
        "file": f"{FRAMES}/{scene.vehicle}/{job.name}_{number}.png",
        "class": scene.vehicle,
        "group": job.name,
        "video": job.name,
        "night": "1",
        "range_m": number_text(scene.range_m),
        "frame": str(number),
        "aspect_deg": number_text(scene.aspect_deg),
    }
    box = map(number_text, (x - width / 2, y - height / 2, width, height))
    box_cells = dict(zip(TRUTH_COLUMNS, (*box, "ground_truth"), strict=True))
    return dict.fromkeys(COLUMNS, "") | row | box_cells


def write_tables(out: Path, rows: list[dict[str, str]]) -> None:
    """labels.csv with the truth; FRAMES/labels.csv without boxes, as videos without truth come."""
    write_table(out / LABELS_FILE, COLUMNS, rows)
    blank = dict.fromkeys(TRUTH_COLUMNS, "")
    unboxed = [row | blank | {"file": row["file"].removeprefix(f"{FRAMES}/")} for row in rows]
    write_table(out / FRAMES / LABELS_FILE, COLUMNS, unboxed)
