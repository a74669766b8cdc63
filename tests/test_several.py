"""Several processes compute what one computes: every model, whole runs, and how they end."""

import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import train
from data.images import write_image
from models import MODELS
from tests import several
from training import loop
from util.errors import EXIT_STOPPED, run_main
from util.ranks import rank

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each process left of all cases: one alone, and two together."""
    folder = tmp_path_factory.mktemp("several")
    several.save_classifier(folder)
    runs = [several.Started(count, folder, several.run_cases, folder) for count in (1, 2)]
    for code, errors in itertools.chain(*(run.finish() for run in runs)):
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


@pytest.fixture
def two(tmp_path):
    """Two processes of train.py with these flags: exit code and error messages of each.

    at: step and rank before which something is done, and what.
    """

    def train_program(flags, at):
        seed_step = loop.seed_step

        def meet(seed, step):
            if at and (step, rank()) == at[:2]:
                at[2]()
            seed_step(seed, step)

        loop.seed_step = meet
        sys.argv = ["train.py", *flags]
        run_main(train.main, patient=True, alone=False)

    return lambda flags, at=None: several.Started(2, tmp_path, train_program, flags, at).finish()


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


def test_killed_stopped_and_continued_ends_as_undisturbed(flags, two, tmp_path):
    assert [code for code, _ in two(flags("whole"))] == [0, 0]
    killed = torchrun("tests/several_train.py", "3", *flags("run"))
    assert killed.returncode != 0
    assert killed.stderr.count("error: another process of this run has ended") == 1
    assert "Signal 9 (SIGKILL)" in killed.stderr
    assert state(tmp_path / "run")["position"]["step"] == 2

    go_on = flags("run", "--continue_train")
    assert [
        code for code, _ in two(go_on, at=(4, 1, lambda: os.kill(os.getpid(), signal.SIGTERM)))
    ] == [EXIT_STOPPED, EXIT_STOPPED]
    words = [(tmp_path / f"2_{rank}.stdout").read_text() for rank in range(2)]
    assert "stopped by SIGTERM after step 4, and saved" in words[0] and not words[1]
    assert state(tmp_path / "run")["position"]["step"] == 4

    assert [code for code, _ in two(go_on)] == [0, 0]
    assert state(tmp_path / "run")["position"]["step"] == LAST
    assert several.largest_difference(state(tmp_path / "whole"), state(tmp_path / "run")) == 0
    networks = [(tmp_path / n / "best_net_G.pth").read_bytes() for n in ("whole", "run")]
    assert networks[0] == networks[1]


def test_another_number_of_processes_goes_on_and_says_what_differs(flags, two, tmp_path, capsys):
    assert [code for code, _ in two(flags("two", "--n_epochs_decay", "0"))] == [0, 0]
    for batch_size, steps in (("2", 6), ("1", 8)):
        name = f"one{batch_size}"
        shutil.copytree(tmp_path / "two", tmp_path / name)
        train.main(flags(name, "--continue_train", "--batch_size", batch_size))
        assert state(tmp_path / name)["position"]["step"] == steps
        said = "a batch had 2 images at the start before" in capsys.readouterr().out
        assert said == (batch_size == "1")


@pytest.mark.parametrize(
    ("flags_of_run", "words"),
    [(["--cache", "none"], r"3\.png"), (["--lr", "1e30"], r"NaN .* at step \d \(images \d, \d;")],
)
def test_what_ends_one_process_ends_all_with_one_sentence(
    flags, two, flags_of_run, words, tmp_path
):
    if "--cache" in flags_of_run:
        bad = tmp_path / "data" / "trainB" / "3.png"
        bad.write_bytes(bad.read_bytes()[:-400])
    ended = two(flags("run", *flags_of_run))
    assert [code for code, _ in ended] == [2, 2]
    lines = [line for _, errors in ended for line in errors.splitlines()]
    (told,) = [line for line in lines if line.startswith("error: ")]
    assert re.search(words, told)
    assert not any("Traceback" in line for line in lines)


def test_a_disk_that_is_full_for_the_writer_ends_all_at_the_last_checkpoint(flags, two, tmp_path):
    resource = pytest.importorskip("resource")

    def fill_disk():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))

    ended = two(flags("run"), at=(3, 0, fill_disk))
    assert [code for code, _ in ended] == [2, 2]
    assert "".join(errors for _, errors in ended).count("error: cannot write ") == 1
    assert state(tmp_path / "run")["position"]["step"] == 2
