"""Two processes of test.py and of evaluate.py leave the files of one, and end together."""

import json
import os
import re
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import evaluate
import test as test_program
from data.images import write_image
from models.networks.classifiers import ResNet18Classifier
from tests import several
from tests.translating.runs import make_run
from translating.loop import Translation
from util.errors import run_main
from util.ranks import rank

LABELS = "file,class,range_m,box_x,box_y,box_w,box_h\n"
LABELS += "".join(f"{i}.png,{'ab'[i % 2]},1000,20,30,9,8\n" for i in range(4))


@pytest.fixture
def two(tmp_path):
    """two(program, flags): exit code and error messages of two processes of it."""

    def begin(program, flags):
        sys.argv = [program.__name__, *flags]
        run_main(program.main, patient=True, alone=False)

    return lambda program, flags: several.Started(2, tmp_path, begin, program, flags).finish()


def files_in(folder: Path) -> dict[str, bytes]:
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def the_error(ended) -> str:
    """The one sentence that all have ended with."""
    lines = [line for _, errors in ended for line in errors.splitlines()]
    assert not any("Traceback" in line for line in lines)
    (told,) = [line for line in lines if line.startswith("error: ")]
    return told


@pytest.fixture
def translated(tmp_path):
    """translated(kind, *flags): flags of test.py for five images and a run of this kind."""

    def make(kind, *flags):
        draw = np.random.default_rng(0)
        for i in range(5):
            image = draw.integers(0, 256, (128, 128)).astype(np.uint8)
            write_image(tmp_path / "data" / f"{i}.png", image)
        (tmp_path / "data" / "labels.csv").write_text(LABELS)
        make_run(tmp_path / kind, kind)
        places = ["--checkpoints_dir", tmp_path, "--name", kind, "--dataroot", tmp_path / "data"]
        places += ["--results_dir", tmp_path / "results", "--num_threads", 0, "--gpu_ids", -1]
        plain = ["--dataset_mode", "single", "--preprocess", "none", *flags]
        return tmp_path / "results" / kind / "test_latest", [*map(str, places), *plain]

    return make


@pytest.mark.parametrize(
    ("kind", "flags"),
    [("sensor_inside", ("--batch_size", "2")), ("unet", ("--no_eval", "--save_bits", "8"))],
)
def test_two_processes_translate_as_one_does(kind, flags, translated, two, tmp_path):
    """The noise of a sensor, dropout: what is drawn does not hang on who has the image."""
    folder, flags = translated(kind, *flags)
    test_program.main(flags)
    expected = files_in(folder)
    assert sum(name.endswith(".png") for name in expected) >= 10
    shutil.rmtree(folder)
    assert [code for code, _ in two(test_program, flags)] == [0, 0]
    assert files_in(folder) == expected
    assert not (tmp_path / "2_1.stdout").read_text()
    assert [code for code, _ in two(test_program, [*flags, "--resume"])] == [0, 0]
    assert "left as it is" in (tmp_path / "2_0.stdout").read_text()


def test_an_image_that_one_process_cannot_read_ends_both(translated, two):
    folder, flags = translated("resnet")
    test_program.main(flags)
    bad = Path(flags[flags.index("--dataroot") + 1]) / "3.png"
    bad.write_bytes(bad.read_bytes()[:-400])
    ended = two(test_program, flags)
    assert [code for code, _ in ended] == [2, 2]
    assert "3.png" in the_error(ended)
    assert not (folder / "result.json").exists()
    assert not list(folder.rglob("*.part"))


def test_a_process_that_is_killed_ends_the_other(translated, two, monkeypatch):
    folder, flags = translated("resnet")
    finish = Translation.finish

    def meet(translation, batch, fake):
        if rank() == 1 and batch.names == ("3",):
            os.kill(os.getpid(), signal.SIGKILL)
        return finish(translation, batch, fake)

    monkeypatch.setattr(Translation, "finish", meet)
    ended = two(test_program, flags)
    assert [code for code, _ in ended] == [2, -signal.SIGKILL]
    assert re.search(r"another process of this run has ended.*start them all", the_error(ended))
    assert not (folder / "result.json").exists()


@pytest.fixture
def evaluated(tmp_path, monkeypatch):
    """Folder of unpaired results, of which targets repeat, and flags that measure all of them."""
    monkeypatch.setattr("metrics.measure.BATCH_SIZE", 2)  # three batches, of which one is smaller
    draw = np.random.default_rng(0)
    results = tmp_path / "results"
    targets = draw.integers(0, 60000, (3, 64, 64))
    for i in range(5):
        kinds = {"real_A": draw.integers(0, 256, (64, 64)), "real_B": targets[i % 3]}
        kinds["fake_B"] = draw.integers(0, 60000, (64, 64))
        for kind, values in kinds.items():
            image = values.astype(np.uint8 if kind == "real_A" else np.uint16)
            write_image(results / "images" / kind / f"{i}.png", image)
    (results / "result.json").write_text(json.dumps({"paired": False}))
    (tmp_path / "labels.csv").write_text(LABELS)
    torch.manual_seed(0)
    torch.save(ResNet18Classifier(classes=("a", "b")).export(), tmp_path / "classifier.pth")
    flags = ["--results", results, "--labels", tmp_path / "labels.csv", "--gpu_ids", -1]
    flags += ["--classifier", tmp_path / "classifier.pth"]
    flags += ["--out", tmp_path / "out" / "means.json", "--csv", tmp_path / "out" / "images.csv"]
    return results, [*map(str, flags)]


def test_two_processes_measure_as_one_does(evaluated, two, tmp_path, capsys):
    _, flags = evaluated
    evaluate.main(flags)
    told, expected = capsys.readouterr().out, files_in(tmp_path / "out")
    assert expected.keys() == {"means.json", "images.csv"}
    shutil.rmtree(tmp_path / "out")
    assert [code for code, _ in two(evaluate, flags)] == [0, 0]
    assert files_in(tmp_path / "out") == expected
    said = [(tmp_path / f"2_{rank}.stdout").read_text() for rank in range(2)]
    assert said == [told, ""]


def test_what_one_process_cannot_measure_ends_both(evaluated, two, tmp_path):
    results, flags = evaluated
    bad = results / "images" / "fake_B" / "3.png"
    bad.write_bytes(bad.read_bytes()[:-400])
    ended = two(evaluate, flags)
    assert [code for code, _ in ended] == [2, 2]
    assert "fake_B/3.png" in the_error(ended)
    assert not (tmp_path / "out").exists()
