"""Kill training again and again, continue it, and compare with the run that was left alone.

    python tests/soak/kill.py --kills 200

For each kind of model a tiny run is trained once undisturbed. Then runs with the same flags are
ended by SIGKILL, half of the times at the start of a random step and half of the times at a random
operation on a file of the run (so also in the middle of a checkpoint), continued, and killed again.
At the end the state (networks, optimisers, schedule, image pool, position), every network's file,
the loss log and the best epoch must be those of the undisturbed run, bit for bit. Exit code 1, and
the folder is kept, where one is not.

Every training is a forked child of this process, which itself computes nothing.
"""

import argparse
import csv
import json
import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import train
from data.images import write_image
from models.networks.classifiers import ResNet18Classifier
from training import loop
from util.errors import run_main

COMMON = "--load_size 36 --crop_size 32 --n_epochs 1 --n_epochs_decay 2 --save_latest_freq 3"
COMMON += " --save_epoch_freq 1 --print_freq 4 --display_freq 5 --update_html_freq 7"
NETS = "--ngf 2 --ndf 2 --netG resnet_4blocks"
CUT = f"--model cut {NETS} --netF_nc 4 --num_patches 4"
PIX2PIX = f"{NETS} --no_dropout False --pool_size 3 --val_freq 1 --val_phase test"
CASES = {
    "cut": f"{CUT} --pool_size 3 --lr_policy plateau",
    "fastcut": f"{CUT} --CUT_mode FastCUT --keep_last 2",
    "pix2pix": f"--model pix2pix {PIX2PIX} --normG batch --batch_size 2 --lr_policy cosine",
    "pix2pix_gradcam": f"--model pix2pix_gradcam {PIX2PIX} --on_nan skip",
    "classifier": "--model classifier --load_size 64 --batch_size 2",
}
READERS = {"cut": 1, "pix2pix": 1}  # with processes that read, which outlive a killed run
FILE_EVENTS = {"open", "os.rename", "os.link", "os.remove", "os.truncate", "os.mkdir", "os.rmdir"}


def main() -> None:
    """Make images, kill, compare. Exit code 1 for a difference."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--kills", type=int, default=20, help="in all, over all models")
    parser.add_argument("--kills_a_run", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gpu_ids", default="-1", help="a GPU's number trains --deterministic")
    args = parser.parse_args()
    torch.set_num_threads(1)
    draw, folder = random.Random(args.seed), Path(tempfile.mkdtemp(prefix="kill_"))
    make_data(folder)
    flags = {name: case_flags(name, folder, args.gpu_ids) for name in CASES}
    events = {name: Attempt(flags[name], folder / "whole" / name).finish() for name in CASES}
    kills = runs = 0
    while kills < args.kills:
        name = list(CASES)[runs % len(CASES)]
        place = folder / f"run{runs}" / name
        wanted = min(args.kills_a_run, args.kills - kills)
        done = kill_repeatedly(Attempt(flags[name], place), events[name], wanted, draw)
        kills, runs = kills + done, runs + 1
        compare(folder / "whole" / name, place)
        shutil.rmtree(place)
        print(f"{name}: killed {done} times, {kills} of {args.kills} in all; equal", flush=True)
    shutil.rmtree(folder)
    print(f"{kills} kills in {runs} runs of {len(CASES)} models: all equal, bit for bit")


def make_data(folder: Path) -> None:
    """Five images a folder with their classes, and a classifier that takes part in a loss."""
    draw = np.random.default_rng(0)
    lines = ["file,split,class,group"]
    for role in ("trainA", "trainB", "testA", "testB"):
        for i in range(5):
            image = draw.integers(0, 256, (40, 48)).astype(np.uint8)
            write_image(folder / "data" / role / f"{i}.png", image)
    lines += [f"trainA/{i}.png,train,{('T72', 'BMP2')[i % 2]},video{i}" for i in range(5)]
    (folder / "data" / "labels.csv").write_text("\n".join(lines) + "\n")
    torch.manual_seed(0)
    torch.save(ResNet18Classifier(classes=("BMP2", "T72")).export(), folder / "classifier.pth")


def case_flags(name: str, folder: Path, gpu_ids: str) -> list[str]:
    """Flags of train.py but for the place of the run."""
    flags = [*COMMON.split(), *CASES[name].split(), "--dataroot", str(folder / "data")]
    flags += ["--num_threads", str(READERS.get(name, 0)), "--gpu_ids", gpu_ids]
    if name == "pix2pix_gradcam":
        flags += ["--classifier", str(folder / "classifier.pth")]
    return flags + ["--deterministic"] * (gpu_ids != "-1")


class Attempt:
    """One run at `place`, trained in child processes."""

    def __init__(self, flags: list[str], place: Path) -> None:
        self.place = place
        self.flags = [*flags, "--checkpoints_dir", str(place.parent), "--name", place.name]

    def finish(self) -> dict[str, int]:
        """To the end. Returns how many steps and file operations that took."""
        counts = self.place.with_suffix(".counts")
        counts.parent.mkdir(parents=True, exist_ok=True)
        code = self._fork(lambda: Counter(self.place, counts))
        if code != 0:
            raise SystemExit(f"{self.place} ended with {code}: {self._log().read_text()}")
        return json.loads(counts.read_text())

    def until(self, kind: str, number: int) -> bool:
        """Until the number-th event of a kind. Whether it was killed there, and not finished."""
        code = self._fork(lambda: Killer(self.place, kind, number))
        if code not in (0, -signal.SIGKILL):
            raise SystemExit(f"{self.place} ended with {code}: {self._log().read_text()}")
        return code != 0

    def _log(self) -> Path:
        return self.place.with_suffix(".log")

    def _fork(self, watch: Callable[[], Any]) -> int:
        """The exit code of a training in a child; that of a signal is negative."""
        self.place.parent.mkdir(parents=True, exist_ok=True)
        child = os.fork()
        if child:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        code = 1
        try:
            log = os.open(self._log(), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            goes_on = any((self.place / f"{f}.pth").exists() for f in ("latest", "previous"))
            watch()
            run_main(lambda: train.main(self.flags + ["--continue_train"] * goes_on))
            code = 0
        except SystemExit as left:
            code = left.code
        finally:
            sys.stdout.flush()
            os._exit(code)


class Counter:
    """Counts steps and operations on files of the run, and writes the counts at every one."""

    def __init__(self, place: Path, report: Path) -> None:
        self.counts = {"step": 0, "file": 0}
        self.report = os.open(report, os.O_WRONLY | os.O_CREAT)
        watch_events(place, self.count)

    def count(self, kind: str) -> None:
        self.counts[kind] += 1
        os.pwrite(self.report, json.dumps(self.counts).encode(), 0)


class Killer:
    """SIGKILL at the number-th event of one kind."""

    def __init__(self, place: Path, kind: str, number: int) -> None:
        self.kind, self.left = kind, number
        watch_events(place, self.count)

    def count(self, kind: str) -> None:
        self.left -= kind == self.kind
        if self.left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


def watch_events(place: Path, tell: Callable[[str], None]) -> None:
    """Tell of the start of every step, and of every operation on a file in `place`, before it."""
    main_process, step = os.getpid(), loop.seed_step

    def at_step(seed: int, number: int) -> None:
        tell("step")
        step(seed, number)

    def at_file(event: str, args: tuple) -> None:
        own = event in FILE_EVENTS and os.getpid() == main_process
        if own and str(args[0]).startswith(f"{place}/"):
            tell("file")

    loop.seed_step = at_step
    sys.addaudithook(at_file)


def kill_repeatedly(
    attempt: Attempt, events: dict[str, int], kills: int, draw: random.Random
) -> int:
    """Kill up to `kills` times, then let it finish. Returns how often it was killed."""
    for done in range(kills):
        kind = draw.choice(["step", "file"])
        # Half of the run at most, so that a run can be killed several times.
        killed = attempt.until(kind, draw.randint(1, events[kind] // 2))
        if (attempt.place / "finished").exists():  # killed, if at all, after that
            return done + killed
    attempt.finish()
    return kills


def compare(whole: Path, parts: Path) -> None:
    """Exit where the runs differ in anything but their clocks."""
    expected, found = ({file.name for file in f.iterdir()} - {"lock"} for f in (whole, parts))
    if expected != found:
        raise SystemExit(f"{parts} has other files than {whole}: {sorted(expected ^ found)}")
    for file in sorted(whole.glob("*.pth")):
        states = [torch.load(f / file.name, map_location="cpu") for f in (whole, parts)]
        if difference := first_difference(*states):
            raise SystemExit(f"{parts / file.name} differs in {difference}")
    for name in ("loss_log.csv", "validation_log.csv", "best.json"):
        if (whole / name).exists() and content(whole / name) != content(parts / name):
            raise SystemExit(f"{parts / name} differs from {whole / name}")


def content(file: Path) -> Any:
    """Of a log or of best.json, less the clocks."""
    if file.suffix == ".json":
        return file.read_text()
    rows = csv.DictReader(file.open())
    return [{k: v for k, v in row.items() if not k.startswith("seconds")} for row in rows]


def first_difference(a: Any, b: Any, where: str = "") -> str:
    """The place of the first value that is not the same, bit for bit; "" where all are.

    Clocks may differ.
    """
    if isinstance(a, torch.Tensor):
        same = isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
        return "" if same else where
    if isinstance(a, dict):
        if a.keys() != b.keys():
            return where
        names = [name for name in a if not str(name).startswith("seconds")]
        return next(filter(None, (first_difference(a[n], b[n], f"{where}/{n}") for n in names)), "")
    if isinstance(a, list | tuple):
        if len(a) != len(b):
            return where
        places = (f"{where}/{i}" for i in range(len(a)))
        return next(filter(None, map(first_difference, a, b, places)), "")
    return "" if a == b else where


if __name__ == "__main__":
    main()
