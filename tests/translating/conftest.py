"""Runs, images, and what test.py makes of the two."""

from pathlib import Path

import numpy as np
import pytest

import test as test_program
from data.images import read_image, write_image
from tests.translating.runs import SIZES, make_run


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """trained("resnet"): the folder of such a run of RUNS."""
    runs = tmp_path_factory.mktemp("checkpoints")

    def make(kind: str) -> Path:
        if not (runs / kind).exists():
            make_run(runs / kind, kind)
        return runs / kind

    return make


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """Folder of images of domain A, of SIZES."""
    folder = tmp_path_factory.mktemp("images")
    for seed, (name, size) in enumerate(SIZES.items()):
        image = np.random.default_rng(seed).integers(0, 256, size).astype(np.uint8)
        write_image(folder / f"{name}.png", image)
    return folder


@pytest.fixture
def tested(tmp_path, images):
    """tested(run, *flags): what test.py makes of the images, by name."""

    def call(run: Path, *flags: str, dataroot: Path = images) -> dict[str, np.ndarray]:
        places = ["--checkpoints_dir", run.parent, "--name", run.name, "--dataroot", dataroot]
        places += ["--results_dir", tmp_path / "results"]
        plain = "--dataset_mode single --preprocess none --num_threads 0 --gpu_ids -1"
        test_program.main([*map(str, places), *plain.split(), *flags])
        made = tmp_path / "results" / run.name / "test_latest" / "images" / "fake_B"
        return {name: read_image(made / f"{name}.png") for name in SIZES}

    return call
