"""Runs and results of earlier code go on to the same numbers; make.py wrote them."""

import json
import shutil

import numpy as np
import pytest

import evaluate
import test as test_program
import train
from data.images import read_image
from tests.earlier.make import FLAGS, HERE, ONE_MORE, losses

NAMES = list(FLAGS)


@pytest.fixture
def earlier(tmp_path, monkeypatch):
    """A copy of the folders, where the programs are called."""
    for part in ("data", "checkpoints", "results"):
        shutil.copytree(HERE / part, tmp_path / part)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def noted(name: str) -> dict:
    return json.loads((HERE / f"{name}.json").read_text())


def places(name: str) -> list[str]:
    return ["--dataroot", f"data/{name}", "--name", name]


@pytest.mark.parametrize("name", NAMES)
def test_a_run_goes_on_to_the_same_losses(earlier, name):
    train.main([*FLAGS[name], *ONE_MORE, *places(name)])
    found, expected = losses(earlier / "checkpoints" / name), noted(name)["losses"]
    assert len(found) == len(expected) == 3
    for row, wanted in zip(found, expected, strict=True):
        assert row == pytest.approx(wanted, rel=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_translates_as_it_did(earlier, name):
    shutil.rmtree(earlier / "results")
    flags = "--phase test --num_threads 0 --gpu_ids -1 --precision fp32".split()
    test_program.main([*flags, *places(name)])
    folder = earlier / "results" / name / "test_latest" / "images"
    for file in sorted((HERE / "results" / name / "test_latest" / "images").rglob("*.png")):
        was = read_image(file)
        now = read_image(folder / file.relative_to(HERE / "results" / name / "test_latest/images"))
        assert now.dtype == was.dtype
        # A count of 8 bits, of 16 bits as small a share of the range of values.
        limit = 1 if was.dtype == np.uint8 else 10
        assert np.abs(now.astype(int) - was.astype(int)).max() <= limit


@pytest.mark.parametrize("name", NAMES)
def test_results_are_measured_as_they_were(earlier, name):
    evaluate.main(["--results", f"results/{name}/test_latest", "--out", "found.json"])
    found, expected = json.loads((earlier / "found.json").read_text()), noted(name)["evaluation"]
    for part, wanted in flat(expected).items():
        assert flat(found)[part] == pytest.approx(wanted, rel=1e-6), part


def flat(content, path="") -> dict[str, float]:
    """Numbers of a nested record by their path."""
    if isinstance(content, dict):
        parts = content.items()
    elif isinstance(content, list):
        parts = enumerate(content)
    else:
        return {} if content is None else {path: content}
    return {k: v for name, part in parts for k, v in flat(part, f"{path}/{name}").items()}
