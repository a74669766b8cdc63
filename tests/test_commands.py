"""What holds for every program, from the first moment: quick answers, bare surroundings."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data.images import write_image

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = sorted(
    str(path.relative_to(ROOT))
    for path in [*ROOT.glob("*.py"), *(ROOT / "datasets").glob("*.py")]
    if "run_main(main" in path.read_text(encoding="utf-8")
)
SLOW = ("torch", "torchvision", "matplotlib")

# Runs a program as a user id without a line in the table of users, in a process of its own.
STRANGER = """
import pwd, runpy, sys
def unknown(uid): raise KeyError("uid not found")
pwd.getpwuid = unknown
sys.path.insert(0, "")
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
# Prints, behind all else, which of the modules in the first argument the program has imported.
WATCHED = """
import runpy, sys
slow, sys.argv = sys.argv[1].split(","), sys.argv[2:]
sys.path.insert(0, "")
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    print("imported:", *sorted(set(slow) & sys.modules.keys()))
"""


def python(*words, **environment):
    return subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_the_programs_are_found():
    expected = {"train.py", "test.py", "evaluate.py", "export.py", "datasets/scan.py"}
    assert expected <= set(PROGRAMS)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("flag", ["--help", "--no_such_flag"])
def test_help_and_mistakes_do_not_wait_for_torch(program, flag):
    done = python("-c", WATCHED, ",".join(SLOW), program, flag)
    assert done.returncode == (0 if flag == "--help" else 2), done.stderr
    assert done.stdout.splitlines()[-1] == "imported:"


SHARED = ("train.py", "test.py", "evaluate.py")


@pytest.mark.parametrize("program", [name for name in PROGRAMS if name not in SHARED])
def test_one_of_several_processes_begins_nothing(program):
    done = python(program, "--help", WORLD_SIZE="2")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: this is one of 2 processes (WORLD_SIZE)")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("program", SHARED)
@pytest.mark.parametrize(("rank", "lines"), [("0", 1), ("1", 0)])
def test_a_mistake_in_the_flags_of_several_processes_is_told_once(program, rank, lines):
    done = python(program, "--no_such_flag", WORLD_SIZE="2", RANK=rank)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", lines)


def test_a_sole_process_of_a_launcher_is_as_any_other():
    assert python("test.py", "--help", WORLD_SIZE="1").returncode == 0


@pytest.fixture
def stranger(tmp_path):
    """Runs a program as a user without a name, home or variables: stranger("test.py", ...)."""

    def run(program, *words):
        environment = {"PATH": os.defpath, "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)}
        return subprocess.run(
            [sys.executable, "-c", STRANGER, program, *map(str, words)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )

    return run


@pytest.fixture
def images(tmp_path):
    """A folder of two 8-bit images."""
    draw = np.random.default_rng(0)
    for name in ("0.png", "1.png"):
        image = draw.integers(0, 256, (32, 32)).astype(np.uint8)
        write_image(tmp_path / "images" / name, image)
    return tmp_path / "images"


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_needs_no_name_of_the_user(stranger, program):
    done = stranger(program, "--help")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_user_without_name_and_home_can_measure_and_report(stranger, images, tmp_path):
    out = tmp_path / "report"
    folders = ["--fake", images, "--real", images, "--gpu_ids", "-1"]
    done = stranger("evaluate.py", *folders, "--report", out)
    assert done.returncode == 0, done.stderr
    assert (out / "report.html").exists()
    assert not (ROOT / "~").exists()


def test_a_notebooks_backend_for_drawings_is_not_asked_for(images, tmp_path):
    out = tmp_path / "report"
    folders = ["--fake", images, "--real", images, "--gpu_ids", "-1"]
    missing = {"MPLBACKEND": "module://package_that_is_not_here.backend_inline"}
    done = python("evaluate.py", *folders, "--report", out, **missing)
    assert done.returncode == 0, done.stderr
    assert (out / "report.html").exists()


def test_a_notebooks_backend_does_not_keep_a_run_from_its_page(images, tmp_path):
    for folder in ("trainA", "trainB"):
        (tmp_path / folder).symlink_to(images)
    flags = "--netG resnet_4blocks --ngf 2 --ndf 2 --netF_nc 4 --num_patches 4 --load_size 32"
    flags += " --crop_size 32 --n_epochs 1 --n_epochs_decay 0 --num_threads 0 --gpu_ids -1"
    places = ["--dataroot", tmp_path, "--checkpoints_dir", tmp_path / "runs", "--name", "run"]
    missing = {"MPLBACKEND": "module://package_that_is_not_here.backend_inline"}
    done = python("train.py", *flags.split(), *places, **missing)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "run" / "web" / "index.html").exists()
