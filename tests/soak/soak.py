"""Train, kill, go on, test and evaluate again and again, and watch memory and open files.

    python tests/soak/soak.py --minutes 30

On a small demo set one run of CUT is trained, ended by SIGKILL or SIGTERM at a random moment, and
continued, on and on; now and then test.py and evaluate.py work on what it has got. Every process,
readers too, is looked at twice a second: its resident memory and its open file handles must not
grow while it lives, nor from one process to the next of its kind. Every end must have the right
exit code and no traceback, and the loss log must hold rising steps. Prints a line a process and a
summary; exit code 1, and the folder is kept, where anything is wrong. Needs Linux (/proc).
"""

import argparse
import csv
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from datasets.make_demo import main as make_demo
from datasets.make_unpaired import main as make_unpaired
from util.errors import EXIT_STOPPED

ROOT = Path(__file__).resolve().parents[2]
TRAINING = "--model cut --netG resnet_4blocks --ngf 8 --ndf 8 --netF_nc 16 --num_patches 32"
TRAINING += " --load_size 72 --crop_size 64 --n_epochs 1000000 --n_epochs_decay 0 --num_threads 1"
TRAINING += " --save_latest_freq 50 --save_epoch_freq 20 --keep_last 2 --print_freq 20"
TRAINING += " --display_freq 48 --update_html_freq 96"
INTERVAL = 0.5  # seconds between two looks
FEWEST_LOOKS = 16  # in a life that can tell whether memory is flat
# Memory that comes and goes with allocators and caches: more than this is growth.
SLACK_MB, SLACK_SHARE = 4.0, 0.01
SLACK_HANDLES = 12  # batches on their way from process to process are open files, too
FIRST_LOSSES = re.compile(r"\(epoch: ")


@dataclass
class Life:
    """One process: kind, and at each look its resident memory (MB) and open file handles.

    start: number of the look at which it had got to its work; None for one whose work is short.
    peak: MB, the most that it ever held, as the system counts it.
    """

    kind: str
    start: int | None = None
    peak: float = 0.0
    memory: list[float] = field(default_factory=list)
    handles: list[int] = field(default_factory=list)

    def look(self, process: int) -> None:
        """Nothing is added once it has gone."""
        try:
            handles = len(os.listdir(f"/proc/{process}/fd"))  # noqa: PTH208
            status = Path(f"/proc/{process}/status").read_text()
        except OSError:
            return
        sizes = dict(re.findall(r"^Vm(RSS|HWM):\s+(\d+) kB$", status, re.MULTILINE))
        if not sizes:  # it has ended, and nobody has asked for its exit code yet
            return
        self.memory.append(int(sizes["RSS"]) * 1024 / 1e6)
        self.peak = int(sizes["HWM"]) * 1024 / 1e6
        self.handles.append(handles)

    @property
    def growth(self) -> tuple[float, int] | None:
        """From the second quarter of its work to the last: MB, handles; None for a short life."""
        if self.start is None or len(self.memory) - self.start < FEWEST_LOOKS:
            return None
        memory, handles = self.memory[self.start :], self.handles[self.start :]
        quarter = len(memory) // 4
        early, late = slice(quarter, 2 * quarter), slice(-quarter, None)
        files = median(handles[late]) - median(handles[early])
        return median(memory[late]) - median(memory[early]), round(files)


class Soak:
    """folder: of everything; lives: of all processes so far, by kind."""

    def __init__(self, folder: Path, *, minutes: float, seed: int, gpu_ids: str) -> None:
        self.folder, self.gpu_ids, self.draw = folder, gpu_ids, random.Random(seed)
        self.seconds = 60 * minutes
        self.lives: dict[str, list[Life]] = defaultdict(list)
        self.ends: dict[str, int] = defaultdict(int)
        self.places = ["--checkpoints_dir", str(folder / "runs"), "--name", "soak"]

    def run(self) -> None:
        """Short lives for three quarters of the time, then a long one."""
        end = time.monotonic() + 0.75 * self.seconds
        while time.monotonic() < end:
            self.train(share=self.draw.uniform(0.01, 0.08), kill=self.draw.random() < 0.6)
            if self.draw.random() < 0.5:
                self.test_and_evaluate()
        self.train(share=0.25, kill=False)
        self.test_and_evaluate()

    def train(self, *, share: float, kill: bool) -> None:
        """Start or go on, and end it after a share of the whole time, from its first losses on."""
        goes_on = (self.folder / "runs" / "soak" / "latest.pth").exists()
        flags = [*TRAINING.split(), "--dataroot", str(self.folder / "mwir_sim2cut"), *self.places]
        flags += ["--gpu_ids", self.gpu_ids] + ["--continue_train"] * goes_on
        number, code = (signal.SIGKILL, -9) if kill else (signal.SIGTERM, EXIT_STOPPED)
        self.watch("train", ["train.py", *flags], code=code, life=share * self.seconds, end=number)

    def test_and_evaluate(self) -> None:
        """Where there is a checkpoint to test."""
        if not (self.folder / "runs" / "soak" / "latest_net_G.pth").exists():
            return
        data, results = self.folder / "mwir_sim2cut", self.folder / "results"
        flags = ["--dataroot", str(data), *self.places, "--results_dir", str(results)]
        self.watch("test", ["test.py", *flags, "--num_threads", "1", "--gpu_ids", self.gpu_ids])
        sets = ["--real", str(data / "test_B"), "--set", "soak", str(results / "soak/test_latest")]
        self.watch("evaluate", ["evaluate.py", *sets, "--gpu_ids", self.gpu_ids])

    def watch(
        self,
        kind: str,
        command: list[str],
        *,
        code: int = 0,
        life: float | None = None,
        end: signal.Signals = signal.SIGTERM,
    ) -> None:
        """Run a program, look at it, and end it `life` seconds after its first losses, if at all.

        Exits where it does not end with `code`.
        """
        log = self.folder / f"{kind}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, str(ROOT / command[0]), *command[1:]],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        lives = {process.pid: Life(kind)}
        deadline = None
        while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
            if life is not None and deadline is None and FIRST_LOSSES.search(log.read_text()):
                deadline = time.monotonic() + life
                for one in lives.values():
                    one.start = len(one.memory)
            if deadline and time.monotonic() >= deadline:
                process.send_signal(end)
                deadline = life = None
            for child in readers(process.pid):
                lives.setdefault(child, Life(f"{kind}'s reader"))
            for number, one in lives.items():
                one.look(number)
            time.sleep(INTERVAL)
        process.returncode = os.waitstatus_to_exitcode(ended[1])
        # Short work peaks between two looks: the system's own count misses nothing.
        lives[process.pid].peak = ended[2].ru_maxrss * 1024 / 1e6
        said = log.read_text()
        if process.returncode != code or "Traceback" in said:
            raise SystemExit(f"{kind} ended with {process.returncode}, not {code}:\n{said[-3000:]}")
        self.note(list(lives.values()), code)

    def note(self, lives: list[Life], code: int) -> None:
        """Keep the lives of a program and its readers, and print the program's own."""
        for one in lives:
            if one.memory:
                self.lives[one.kind].append(one)
        first = lives[0]
        self.ends[{-9: "killed", EXIT_STOPPED: "stopped"}.get(code, first.kind)] += 1
        grown = "" if first.growth is None else f", grew by {first.growth[0]:+.1f} MB"
        print(
            f"{first.kind}: {len(first.memory) * INTERVAL:.0f} s, exit code {code}, "
            f"{first.peak:.0f} MB{grown}, {max(first.handles)} open files",
            flush=True,
        )

    def check(self) -> str:
        """The summary. Exits where something grew, or the log has steps that do not rise."""
        said, grown = [], []
        for kind, lives in self.lives.items():
            growths = [life.growth for life in lives if life.growth is not None]
            memory = max((g[0] for g in growths), default=0.0)
            handles = max((g[1] for g in growths), default=0)
            between, opened = across(lives)
            peak = max(life.peak for life in lives)
            allowed = SLACK_MB + SLACK_SHARE * peak
            line = (
                f"{kind}: {peak:.0f} MB and "
                f"{max(max(life.handles) for life in lives)} open files at most; growth in one "
                f"process {memory:+.1f} MB and {handles:+d} files, from the first to the last "
                f"processes {between:+.1f} MB and {opened:+d} files"
            )
            said.append(line)
            if max(memory, between) > allowed or max(handles, opened) > SLACK_HANDLES:
                grown.append(line)
        if grown:
            raise SystemExit("\n".join(["memory or open files grew:", *grown]))
        ends = ", ".join(f"{count} {end}" for end, count in sorted(self.ends.items()))
        steps = rising_steps(self.folder / "runs" / "soak" / "loss_log.csv")
        return "\n".join([f"{self.seconds / 60:g} minutes: {ends}; {steps:,} steps", *said])


def readers(process: int) -> list[int]:
    """Children of a process; none where it has gone."""
    try:
        return [
            int(c) for c in Path(f"/proc/{process}/task/{process}/children").read_text().split()
        ]
    except OSError:
        return []


def across(lives: list[Life]) -> tuple[float, int]:
    """From the first third of the processes of one kind to the last: MB and open files.

    By how much all of the last hold more than any of the first: the peaks of equal processes differ
    by what else the machine does, those of six equal evaluations on busy cores by 49 MB. Lives that
    were too short to be judged, or fewer than three, tell nothing.
    """
    lives = [life for life in lives if life.start is None or life.growth is not None]
    third = len(lives) // 3
    if not third:
        return 0.0, 0
    early, late = lives[:third], lives[-third:]
    memory = min(life.peak for life in late) - max(life.peak for life in early)
    handles = min(max(life.handles) for life in late) - max(max(x.handles) for x in early)
    return max(0.0, memory), max(0, handles)


def rising_steps(log: Path) -> int:
    """The last step of a loss log. Exits where its steps do not rise."""
    with log.open(newline="") as file:
        steps = [int(row["step"]) for row in csv.DictReader(file)]
    if any(b <= a for a, b in pairwise(steps)):
        raise SystemExit(f"the steps of {log} do not rise")
    return steps[-1]


def main() -> None:
    """Make the demo set, soak, check."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gpu_ids", default="-1", help="as train.py's")
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    folder = Path(tempfile.mkdtemp(prefix="soak_"))
    print(f"in {folder}")
    demo = folder / "demo"
    sizes = "--num_train 24 --num_test 8 --size 64 --num_threads 1".split()
    make_demo(["--out", str(demo), *sizes])
    make_unpaired(["--real", f"{demo}/real", "--sim", f"{demo}/sim", "--out", str(folder)])
    soak = Soak(folder, minutes=args.minutes, seed=args.seed, gpu_ids=args.gpu_ids)
    soak.run()
    print(soak.check())
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
