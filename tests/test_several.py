"""Several processes compute what one computes: every model, whole runs, and how they end."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from data.images import write_image
from models import MODELS
from tests import several

ROOT = Path(__file__).resolve().parents[1]


def start(count: int, *words: object) -> list[subprocess.Popen]:
    """Processes of one run, as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [
        subprocess.Popen(
            [sys.executable, *map(str, words)],
            cwd=ROOT,
            env={**os.environ, **common, "RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]


def finish(started: list[subprocess.Popen]) -> list[tuple[int, str, str]]:
    """Exit code and words of each."""
    words = [process.communicate(timeout=300) for process in started]
    return [(p.returncode, *w) for p, w in zip(started, words, strict=True)]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each process left of `tests/several.py`: one alone, and two together."""
    folder = tmp_path_factory.mktemp("several")
    several.save_classifier(folder)
    started = [*start(1, "tests/several.py", folder), *start(2, "tests/several.py", folder)]
    for code, _, errors in finish(started):
        assert code == 0, errors
    return {name: torch.load(folder / f"{name}.pth") for name in ("1_0", "2_0", "2_1")}


CASES = several.cases("")


def test_every_model_has_a_case():
    assert {name for name, _ in CASES.values()} == set(MODELS)


@pytest.mark.parametrize("case", CASES)
def test_two_processes_compute_what_one_does(case, found):
    alone, first, second = (found[name][case] for name in ("1_0", "2_0", "2_1"))
    for part in alone:
        assert several.largest_difference(alone[part], first[part]) < 1e-9, part
        assert several.largest_difference(first[part], second[part]) == 0, part


FLAGS = "--model pix2pix --netG resnet_4blocks --ngf 2 --ndf 2 --normG batch --pool_size 3"
FLAGS += " --load_size 36 --crop_size 32 --n_epochs 1 --n_epochs_decay 1 --save_latest_freq 2"
FLAGS += " --val_freq 1 --val_phase train --print_freq 2 --num_threads 0 --gpu_ids -1"
LAST = 6  # steps: of 2, 2 and 1 images, twice


@pytest.fixture
def flags(tmp_path):
    """Of train.py, for a run of this name."""
    draw = np.random.default_rng(0)
    for folder in ("trainA", "trainB"):
        for i in range(5):
            image = draw.integers(0, 256, (40, 48)).astype(np.uint8)
            write_image(tmp_path / "data" / folder / f"{i}.png", image)

    def make(name, *more):
        places = ["--dataroot", tmp_path / "data", "--checkpoints_dir", tmp_path, "--name", name]
        return [*FLAGS.split(), *map(str, places), *more]

    return make


def torchrun(*words):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return subprocess.run(
        [*command, "--nproc_per_node=2", *words],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=90,  # a process that waits for one that is gone would be there for hours
    )


def state(folder):
    return torch.load(folder / "latest.pth")


def test_killed_stopped_and_continued_ends_as_undisturbed(flags, tmp_path):
    for code, words, errors in finish(start(2, "train.py", *flags("whole"))):
        assert code == 0, words + errors

    killed = torchrun("tests/several_train.py", "3", "1", "SIGKILL", *flags("run"))
    assert killed.returncode != 0
    assert killed.stderr.count("error: another process of this run has ended") == 1
    assert "SIGKILL" in killed.stderr.replace("Signal 9", "SIGKILL")
    assert state(tmp_path / "run")["position"]["step"] == 2

    go_on = flags("run", "--continue_train")
    stopped = torchrun("tests/several_train.py", "4", "0", "SIGTERM", *go_on)
    assert stopped.stdout.count("stopped by SIGTERM after step 4, and saved") == 1

    for code, words, errors in finish(start(2, "train.py", *go_on)):
        assert code == 0, words + errors
    assert state(tmp_path / "run")["position"]["step"] == LAST
    assert several.largest_difference(state(tmp_path / "whole"), state(tmp_path / "run")) == 0
    networks = [(tmp_path / n / "best_net_G.pth").read_bytes() for n in ("whole", "run")]
    assert networks[0] == networks[1]


@pytest.mark.parametrize(
    ("flags_of_run", "words"),
    [(["--cache", "none"], r"3\.png"), (["--lr", "1e30"], r"NaN .* at step \d \(images \d, \d;")],
)
def test_what_ends_one_process_ends_all_with_one_sentence(flags, flags_of_run, words, tmp_path):
    if "--cache" in flags_of_run:
        bad = tmp_path / "data" / "trainB" / "3.png"
        bad.write_bytes(bad.read_bytes()[:-400])
    ended = finish(start(2, "train.py", *flags("run", *flags_of_run)))
    assert [code for code, *_ in ended] == [2, 2]
    (told,) = [errors for _, _, errors in ended if errors]
    assert told.startswith("error: ") and told.count("\n") == 1 and re.search(words, told)
