"""Make a demonstration set of simulated and real-looking MWIR night images, with the truth.

    python datasets/make_demo.py --out datasets/demo --num_train 400 --num_test 50

writes, for N = num_train or num_test frames of each domain,

    real/{train,test}/<CLASS>/*.png    as a cooled MWIR sensor sees them
    sim/{train,test}/<CLASS>/*.png     as a simulator renders them: other scenes, so unpaired
    truth/{A,B}/*.png                  num_test further scenes both ways, A simulator, B sensor
    labels.csv                         one row a file: file (relative to the folder), split,
                                       class, group, domain, range_m, aspect_deg, box_x, box_y,
                                       box_w, box_h
    demo.json                          the arguments, written last

A box is given by its upper left corner, width and height in pixels; that of the image is (0, 0).
Aspect 0 has the nose to the sensor, 90 the nose to the left. A group is one recording: the frames
that share terrain, weather, range and sensor setting. It holds every class once (of two, each four
times), so a recording can be held out whole; splits and domains share none. Everything follows from
the seed alone.

--gap says how far simulator and sensor lie apart. mild: in tone, texture and sharpness, most of
which a grey-level curve undoes. hard, as real exports: the simulator's vehicle is four parts (hull,
turret, engine, running gear) of one temperature each, engine and running gear hot or cold at
random; its ground is bare; window and gamma change from recording to recording. sim/ holds two
classes only, nearer, from higher up and in the image's middle; truth/A all of them, in the scenes
of truth/B. real/ and truth/B are the same for both.

    python datasets/make_demo.py --out datasets/demo_video --video 6 --dust

writes videos instead, each of one vehicle that drives a circle before a fixed sensor:

    frames/<CLASS>/<video>_<frame>.png
    frames/labels.csv              without boxes, as for locate_targets.py
    labels.csv                     with them; columns as of prepare_dsiac.py
    demo.json                      the arguments, written last
"""

import argparse
import json
import multiprocessing
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from pathlib import Path

import numpy as np
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data.folders import LABELS_FILE
from data.images import write_image
from data.tables import BOX_COLUMNS, write_table
from datasets.building import is_free
from datasets.demo_videos import VideoJob, make_video, plan_videos, write_tables
from datasets.scene import (
    COARSE_CLASSES,
    COARSE_VIEW,
    FAITHFUL,
    FIELD_TRIAL,
    VEHICLES,
    Scene,
    Simulator,
    Weather,
    draw_coarse_simulator,
    draw_recording,
    draw_scene,
    sensor_image,
    simulator_image,
    vehicle_box,
)
from util.cli import Parser
from util.errors import UserError, run_main
from util.files import write_text

FRAMES_PER_RECORDING = len(VEHICLES)
MINIMUM_SIZE = 32
# The arguments that decide what is written, and nothing else, go into demo.json: those of all sets,
# and those of stills or of videos, with their defaults.
COMMON = ("size", "seed", "bits")
STILLS = {"num_train": 400, "num_test": 50, "gap": "mild"}
VIDEOS = {"num_frames": 90, "frame_step": 10, "dust": False}
COLUMNS = ("file", "split", "class", "group", "domain", "range_m", "aspect_deg", *BOX_COLUMNS)
# Codes of the random streams: a stream is (seed, set, recording, frame, purpose). Videos are set 5.
SETS = {
    ("real", "train"): 0,
    ("real", "test"): 1,
    ("sim", "train"): 2,
    ("sim", "test"): 3,
    ("truth", "truth"): 4,
}
DRAW_RECORDING, DRAW_SCENE, DRAW_NOISE, DRAW_CONDITION, DRAW_HEAT = range(5)


@dataclass(frozen=True)
class RecordingJob:
    """The frames of one recording: what one process makes at a time."""

    domain: str  # real, sim or truth (both ways)
    split: str
    index: int
    frames: int

    @property
    def group(self) -> str:
        name = "truth" if self.domain == "truth" else f"{self.domain}-{self.split}"
        return f"{name}-{self.index:04d}"

    @property
    def images(self) -> int:
        """How many it makes."""
        return self.frames * (2 if self.domain == "truth" else 1)

    def rng(self, seed: int, frame: int, purpose: int) -> np.random.Generator:
        """A stream of its own, so that no draw depends on the order of the work."""
        code = SETS[self.domain, self.split]
        return np.random.default_rng([seed, code, self.index, frame, purpose])


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Arguments, checked. Raises UserError."""
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder to make; must not exist or be empty")
    add("--num_train", type=int, help="training frames of each domain; default 400")
    add("--num_test", type=int, help="test frames of each domain, and truth pairs; default 50")
    add("--gap", choices=("mild", "hard"), help="what the simulator gets wrong; default mild")
    add("--video", type=int, metavar="N", help="make N videos instead")
    add("--num_frames", type=int, help="frames to keep of each video; default 90")
    add("--frame_step", type=int, help="of 30 a second, keep each frame_step-th; default 10")
    add("--dust", action="store_true", default=None, help="the vehicles raise dust")
    add("--size", type=int, default=256, help="image side in pixels")
    add("--seed", type=int, default=0, help="everything follows from it")
    add("--bits", type=int, default=8, choices=(8, 16), help="16: sensor counts of 14 bits")
    add("--num_threads", type=int, default=os.cpu_count(), help="processes; the result is the same")
    args = parser.parse_args(argv)
    own, foreign = (STILLS, VIDEOS) if args.video is None else (VIDEOS, STILLS)
    for name in foreign:
        if getattr(args, name) is not None:
            state = "needs" if args.video is None else "does not go with"
            raise UserError(f"--{name} {state} --video; --help tells the two modes apart.")
    for name, value in own.items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    least = {"size": MINIMUM_SIZE, "seed": 0}
    counts = ("num_train", "num_test", "video", "num_frames", "frame_step", "num_threads")
    for name in (*counts, *least):
        value, low = getattr(args, name), least.get(name, 1)
        if value is not None and value < low:
            raise UserError(f"--{name} is {value}; it must be {low} or more.")
    return args


def already_made(out: Path, recipe: Mapping[str, int | str]) -> bool:
    """Whether `out` holds this very set; False where it is free. Raises UserError otherwise."""
    record = out / "demo.json"
    if record.is_file():
        try:
            found = json.loads(record.read_text())
        except (OSError, ValueError, RecursionError):
            found = None
        if found == recipe:
            return True
        raise UserError(
            f"{out} holds a demo set made with other arguments ({found}); "
            "delete it or choose another --out."
        )
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; choose another --out.")
    if not is_free(out):
        raise UserError(
            f"{out} is not empty and holds no finished demo set (demo.json is missing); "
            "delete it or choose another --out."
        )
    return False


def plan(num_train: int, num_test: int) -> Iterator[RecordingJob]:
    """All recordings, in the order of labels.csv."""
    for domain, split in SETS:
        count = num_train if split == "train" else num_test
        for index, start in enumerate(range(0, count, FRAMES_PER_RECORDING)):
            yield RecordingJob(domain, split, index, min(FRAMES_PER_RECORDING, count - start))


def make_recording(job: RecordingJob, out: Path, recipe: Mapping[str, int | str]) -> list[dict]:
    """Write the recording's frames; returns their rows of labels.csv."""
    seed, size, bits = recipe["seed"], recipe["size"], recipe["bits"]
    view, classes = FIELD_TRIAL, tuple(VEHICLES)
    if is_hard(recipe) and job.domain == "sim":
        view, classes = COARSE_VIEW, COARSE_CLASSES
    rng = job.rng(seed, 0, DRAW_RECORDING)
    recording = draw_recording(rng, view)
    classes = rng.permutation(classes)
    rows = []
    for frame in range(job.frames):
        vehicle = str(classes[frame % len(classes)])
        scene = draw_scene(job.rng(seed, frame, DRAW_SCENE), recording, vehicle, view)
        name = f"{job.group}-{frame}.png"
        # (viewer, file): a truth scene is seen both ways under one name.
        views = [(job.domain, f"{job.domain}/{job.split}/{scene.vehicle}/{name}")]
        if job.domain == "truth":
            views = [("sim", f"truth/A/{name}"), ("real", f"truth/B/{name}")]
        for domain, file in views:
            if domain == "sim":
                simulator = simulator_of(job, frame, recipe, recording.weather)
                image = simulator_image(scene, size, bits, simulator)
            else:
                image = sensor_image(scene, size, job.rng(seed, frame, DRAW_NOISE), bits)
            write_image(out / file, image)
            rows.append(label(scene, job, domain, file, size))
    return rows


def is_hard(recipe: Mapping[str, int | str]) -> bool:
    """Whether the simulator is the coarse one; a set made without the choice is mild."""
    return recipe.get("gap", "mild") == "hard"


def simulator_of(
    job: RecordingJob, frame: int, recipe: Mapping[str, int | str], weather: Weather
) -> Simulator:
    """The engine that exports a frame; its errors are drawn apart from the scene."""
    if not is_hard(recipe):
        return FAITHFUL
    condition = job.rng(recipe["seed"], 0, DRAW_CONDITION)
    return draw_coarse_simulator(weather, condition, job.rng(recipe["seed"], frame, DRAW_HEAT))


def label(scene: Scene, job: RecordingJob, domain: str, file: str, size: int) -> dict:
    """One row of labels.csv."""
    x, y, width, height = vehicle_box(scene, size)
    corner = x - width / 2, y - height / 2
    numbers = (scene.range_m, scene.aspect_deg, *corner, width, height)
    texts = (file, job.split, scene.vehicle, job.group, domain)
    return dict(zip(COLUMNS, (*texts, *(f"{number:.2f}" for number in numbers)), strict=True))


def make_all(out: Path, recipe: Mapping[str, int | str], processes: int) -> list[dict]:
    """Make every recording or video in `processes` processes; returns the rows in their order."""
    jobs: list[RecordingJob] | list[VideoJob]
    if "video" in recipe:
        jobs, make = list(plan_videos(recipe)), make_video
    else:
        jobs, make = list(plan(recipe["num_train"], recipe["num_test"])), make_recording
    work = partial(make, out=out, recipe=recipe)
    rows: list[dict] = []
    processes = min(processes, len(jobs))
    with tqdm(total=sum(job.images for job in jobs), unit="image", disable=None) as progress:
        if processes == 1:
            for job in jobs:
                rows += work(job)
                progress.update(len(rows) - progress.n)
            return rows
        # A fresh interpreter each: forking a process with threads in it can hang.
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            for made in pool.imap(work, jobs):
                rows += made
                progress.update(len(made))
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point. Raises UserError."""
    args = parse(argv)
    names = (*STILLS,) if args.video is None else ("video", *VIDEOS)
    recipe = {name: getattr(args, name) for name in (*names, *COMMON)}
    if recipe.get("gap") == "mild":
        del recipe["gap"]  # sets made before there was a choice hold none
    if already_made(args.out, recipe):
        print(f"{args.out} already holds this demo set; nothing to do.")
        return
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        rows = make_all(args.out, recipe, args.num_threads)
        if args.video is None:
            write_table(args.out / LABELS_FILE, COLUMNS, sorted(rows, key=itemgetter("file")))
        else:
            write_tables(args.out, rows)
        write_text(args.out / "demo.json", json.dumps(recipe, indent=2) + "\n")
    except OSError as error:
        raise UserError(f"cannot write to {args.out} ({error.strerror or error}).") from None
    print(f"{args.out}: {len(rows)} images of {args.size}×{args.size} pixels, {args.bits} bits.")


if __name__ == "__main__":
    run_main(main)
