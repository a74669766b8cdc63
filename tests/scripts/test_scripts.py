"""The shell scripts as users run them: from anywhere, with any signs in paths, twice."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from data.images import read_image
from datasets.make_demo import main as make_demo

ROOT = Path(__file__).resolve().parents[2]
NETS = "--netG resnet_4blocks --ngf 4 --ndf 4 --load_size 72 --crop_size 64"
STAGES = (
    *("mwir_real2cut", "mwir_pix2pix", "mwir_pix2pix_gradcam"),
    *("mwir_classifier", "mwir_judge"),
)
ODD_NAME = 'my "work", it\'s\n$HOME `*` 적외선'
ABLATION = [
    *("simulator", "simulator → sensor fit"),
    *("simulator → Pix2Pix", "simulator → Pix2Pix+Grad-CAM"),
    *("CUT pseudo-pairs", "pseudo-pairs → sensor fit"),
    *("pseudo-pairs → Pix2Pix", "pseudo-pairs → Pix2Pix+Grad-CAM"),
]


@pytest.fixture
def places(tmp_path):
    """Environment of the scripts: everything is made in a folder whose name is a trap for them."""
    work = tmp_path / ODD_NAME
    folders = {name: str(work / name.lower()) for name in ("DATASETS", "CHECKPOINTS", "RESULTS")}
    return work, {**os.environ, **folders, "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}


def call(script, *flags, env, cwd):
    return subprocess.run(
        [str(ROOT / "scripts" / script), *map(str, flags)],
        env=env,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_pipeline_and_what_stands_on_it(places, tmp_path):
    """The ablation, which begins with the pipeline; other data; the downstream table, which begins
    with the pipeline again.
    """
    work, env = places
    data = work / "demo images"
    make_demo(["--out", str(data), "--num_train", "16", "--num_test", "4", "--size", "64"])
    env |= {
        "CUT_FLAGS": f"{NETS} --netF_nc 8 --num_patches 8 --n_epochs 1 --n_epochs_decay 0",
        "PIX2PIX_FLAGS": f"{NETS} --n_epochs 1 --n_epochs_decay 0",
        "CLASSIFIER_FLAGS": "--load_size 64 --n_epochs 1 --n_epochs_decay 0",
        "GRADCAM_FLAGS": f"{NETS} --epoch_count 2 --n_epochs 2 --n_epochs_decay 0",
    }
    relative = data.relative_to(work)
    done = call(
        "run_ablation.sh", relative, "--gpu_ids", "-1", "--num_threads", 0, env=env, cwd=work
    )
    assert done.returncode == 0, done.stderr
    check_ablation(work / "results" / "ablation")
    for name in STAGES:
        assert (work / "checkpoints" / name / "finished").exists()
    results = work / "results" / "mwir_pix2pix_gradcam" / "test_latest" / "images"
    outputs = list((results / "fake_B").rglob("*.png"))
    assert len(outputs) == 4
    assert all(read_image(path).shape == (64, 64) for path in outputs)
    metrics = json.loads((work / "results" / "mwir_pix2pix_gradcam" / "metrics.json").read_text())
    assert metrics["n"] == 4
    for key in ("gcss", "psnr_box"):
        assert metrics["fake_B_vs_real_B"][key]["mean"] is not None

    before = {path: path.stat().st_mtime_ns for path in (work / "checkpoints").rglob("*.pth")}
    refuse_other_data_and_flags(data, env, work)
    reheat(data, env, work)
    # How images are read makes no other run.
    flags = (data, "--gpu_ids", "-1", "--num_threads", 1)
    env["DOWNSTREAM_FLAGS"] = "--seeds 1"
    done = call("run_downstream.sh", *flags, env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    # The runs, their results (of real2cut twice, and of its training images), the pseudo-pairs.
    assert done.stdout.count(": left as it is") == len(STAGES) + 5 + 1
    assert before == {path: path.stat().st_mtime_ns for path in before}
    table = json.loads((work / "results" / "downstream" / "downstream.json").read_text())
    assert [row["name"] for row in table["sets"]] == ["real", "translated", "simulator-like"]


def reheat(data, env, work):
    """The recipe that learns from real vehicles at random temperatures, beside the same judge."""
    small = "--ngf 4 --ndf 4 --crop_size 32 --n_epochs 1 --n_epochs_decay 0"
    flags = (data, "--gpu_ids", "-1", "--num_threads", 0)
    done = call(
        "run_pipeline.sh",
        *flags,
        env={**env, "RECIPE": "reheat", "REHEAT_FLAGS": small},
        cwd=work,
    )
    assert done.returncode == 0, done.stderr
    metrics = json.loads((work / "results" / "mwir_reheat" / "metrics.json").read_text())
    assert metrics["n"] == 4


def refuse_other_data_and_flags(data, env, work):
    """Under the names of runs of `data`; NAME_PREFIX gives others their own names."""
    other = work / "other images"
    make_demo(
        ["--out", str(other), "--num_train", "16", "--num_test", "4", "--size", "64", "--seed", "1"]
    )
    files = [f for f in work.rglob("*") if f.is_file() and f.name != "lock"]
    written = {f: f.stat().st_mtime_ns for f in files}
    cpu = ("--gpu_ids", "-1", "--num_threads", 0)
    longer = (*NETS.split(), "--n_epochs", 2, "--n_epochs_decay", 0)
    for script, flags, name, words in (
        ("run_pipeline.sh", (other, *cpu), "mwir_classifier", "from other training images"),
        ("run_pix2pix.sh", (*cpu, *longer), "mwir_pix2pix", "with --n_epochs 1, not 2"),
    ):
        done = call(script, *flags, env={**env, "RESUME": "1"}, cwd=work)
        assert done.returncode == 2
        assert done.stderr.startswith(f"error: {work / 'checkpoints' / name} was made {words}")
        assert "NAME_PREFIX" in done.stderr and done.stderr.replace(ODD_NAME, "").count("\n") == 1
        assert written == {f: f.stat().st_mtime_ns for f in files}
    done = call(
        *("run_classifier.sh", other, *cpu, *env["CLASSIFIER_FLAGS"].split()),
        env={**env, "NAME_PREFIX": "other_"},
        cwd=work,
    )
    assert done.returncode == 0, done.stderr
    for name in ("mwir_classifier", "other_mwir_classifier"):
        assert (work / "checkpoints" / name / "finished").exists()


@pytest.fixture
def say(places, tmp_path):
    """Calls a script on a data root, with a Python that only says its arguments."""
    python = tmp_path / "python"
    python.write_text('#!/usr/bin/env bash\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    data = tmp_path / "data"
    for domain in ("real", "sim"):
        (data / domain).mkdir(parents=True)

    def say(script, *flags, **env):
        env = {**places[1], "PYTHON": str(python), **env}
        return call(script, data, *flags, env=env, cwd=tmp_path)

    return say


@pytest.mark.parametrize(
    ("script", "recipe"),
    [
        *(("run_pipeline.sh", recipe) for recipe in ("published", "target", "reheat")),
        *(("run_ablation.sh", "published"), ("run_downstream.sh", "published")),
    ],
)
def test_name_prefix_begins_every_name(say, script, recipe):
    done = say(script, NAME_PREFIX="night_", RECIPE=recipe)
    assert done.returncode == 0, done.stderr
    words = done.stdout.replace("make_pseudo_pairs", "")
    assert words.count("mwir_") == words.count("night_mwir_") > 5
    assert "--prefix\nnight_\n" in words


def test_the_target_recipe_fits_and_measures_and_trains_no_translation(say):
    done = say("run_pipeline.sh", RECIPE="target")
    assert done.returncode == 0, done.stderr
    runs = [line.removeprefix("== ") for line in done.stdout.splitlines() if "== " in line]
    assert runs == ["mwir_judge", "mwir_target_fit", "evaluation"]
    assert "--model\nsensor_fit\n--fit_target\n" in done.stdout
    assert "mwir_target_fit/test_latest" in done.stdout.split("== evaluation")[1]


@pytest.mark.parametrize(
    ("flags", "seed"),
    [
        ((), "1"),
        (("--seed", "3"), "4"),
        (("--seed=3", "--num_threads", "0"), "4"),
        (("--seed", "08"), "9"),
        (("--seed", "x"), "x"),
    ],
)
def test_the_judge_has_another_seed_than_the_teacher(say, flags, seed):
    done = say("run_judge.sh", *flags)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["--seed", seed]


@pytest.mark.parametrize(
    "stage", "real2cut pix2pix pix2pix_gradcam sim2cut sensor_fit target_fit reheat".split()
)
def test_a_stage_translates_all_test_images(say, stage):
    done = say(f"run_{stage}.sh")
    assert done.returncode == 0, done.stderr
    assert "--num_test\nall\n" in done.stdout.split("/test.py\n")[1]


@pytest.mark.parametrize(
    ("recipe", "stage"),
    [*(("published", s) for s in "CLASSIFIER CUT PIX2PIX GRADCAM".split()), ("reheat", "REHEAT")],
)
def test_a_misspelt_flag_of_any_stage_is_told_before_the_first(say, recipe, stage):
    done = say(
        "run_pipeline.sh", PYTHON=sys.executable, RECIPE=recipe, **{f"{stage}_FLAGS": "--n_epoch 3"}
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "error: --n_epoch is not a flag of train.py; did you mean --n_epochs?\n"


def test_another_recipe_is_named(say):
    done = say("run_pipeline.sh", RECIPE="targets")
    assert done.returncode == 2
    assert done.stderr == "error: there is no RECIPE=targets; it is published, target or reheat.\n"


def check_ablation(folder):
    """Eight rows, judged by a classifier that taught none, pairs only where there are any."""
    report = json.loads((folder / "report.json").read_text())
    assert list(report["rows"]) == ABLATION
    assert report["protocol"]["classifier"].endswith("mwir_judge/latest_net_classifier.pth")
    for name, row in report["rows"].items():
        assert (row["fake_B_vs_real_B"] is not None) == ("pairs" in name)
        assert (row["real_A_vs_fake_B"] is not None) == ("→" in name)
        assert row["judge_is_teacher"] is (False if "→" in name else None)
        assert row["sets"]["kid_mwir"] is not None
    # Four images a set are too few to be thinned.
    assert any(note.startswith("not matched in range") for note in report["notes"])
    assert (folder / "report.html").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("script", "flags"),
    [
        ("run_pipeline.sh", []),
        ("run_pipeline.sh", ["nowhere"]),
        ("run_classifier.sh", []),
        ("run_judge.sh", []),
        ("run_ablation.sh", ["nowhere"]),
        ("run_downstream.sh", ["nowhere"]),
        ("run_classifier.sh", ["nowhere"]),
        ("run_real2cut.sh", ["--lamda_NCE", "1"]),
    ],
)
def test_bad_input_is_one_sentence(places, tmp_path, script, flags):
    done = call(script, *flags, env=places[1], cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("code", "queued_again"), [(0, False), (75, True), (2, False)])
def test_a_slurm_job_that_was_stopped_is_queued_again(tmp_path, code, queued_again):
    commands = {
        "srun": '"$@"',
        "scontrol": 'echo "$@" > queued',
        "work": f'[ "$RESUME" = 1 ]; exit {code}',
    }
    for name, body in commands.items():
        (tmp_path / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "7"}
    assert call("slurm/train.sbatch", "work", env=env, cwd=tmp_path).returncode == code
    queue = tmp_path / "queued"
    assert (queue.read_text() if queue.exists() else "") == "requeue 7\n" * queued_again


@pytest.mark.parametrize(("code", "queued_again"), [(0, False), (75, True), (2, False)])
def test_a_slurm_job_on_several_nodes_starts_processes_of_one_run(tmp_path, code, queued_again):
    place = "SLURM_PROCID=5 SLURM_LOCALID=1 SLURM_NTASKS=8 SLURM_NTASKS_PER_NODE=4"
    told = '"$RANK of $WORLD_SIZE, $LOCAL_RANK of $LOCAL_WORLD_SIZE, $MASTER_ADDR:$MASTER_PORT, $*"'
    commands = {
        "srun": f'{place} "$@"',
        "scontrol": '[ "$1" = show ] && printf "node1\\nnode2\\n" || echo "$@" > queued',
        "python": f"echo {told} > told; exit {code}",
    }
    for name, body in commands.items():
        (tmp_path / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHON": "python"}
    env |= {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "node[1-2]"}
    done = call("slurm/train_nodes.sbatch", "--name", "a b", env=env, cwd=tmp_path)
    assert done.returncode == code
    expected = "5 of 8, 1 of 4, node1:20007, train.py --resume --name a b\n"
    assert (tmp_path / "told").read_text() == expected
    assert (tmp_path / "queued").exists() == queued_again


def test_a_script_that_is_told_to_stop_says_so_when_its_program_has_ended(places, tmp_path):
    """The program at work gets the signal too, and answers it in its own way."""
    python = tmp_path / "python"
    python.write_text("#!/usr/bin/env bash\necho ready\nread -r _\nexit 143\n")
    python.chmod(0o755)
    started = subprocess.Popen(
        [str(ROOT / "scripts" / "run_real2cut.sh")],
        env={**places[1], "PYTHON": str(python)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert started.stdout.readline() == "ready\n"
    started.terminate()
    started.communicate("go on\n")
    assert started.returncode == 75


def test_a_missing_environment_is_named(places, tmp_path):
    env = {**places[1], "PYTHON": str(tmp_path / "no python")}
    done = call("run_evaluate.sh", env=env, cwd=tmp_path)
    assert done.returncode == 2
    assert "setup.sh" in done.stderr


def test_pip_can_build_the_requirements_by_itself():
    """visdom, which it cannot build, is optional."""
    required = (ROOT / "requirements.txt").read_text()
    assert "visdom" not in required and "torch" in required
    assert "visdom==" in (ROOT / "requirements-visdom.txt").read_text()
    assert "requirements-visdom.txt" in (ROOT / "scripts" / "setup.sh").read_text()
