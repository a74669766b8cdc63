"""A run that takes a second."""

from pathlib import Path

import numpy as np
import pytest

import train
from data.images import write_image


@pytest.fixture
def short_run(tmp_path):
    """short_run(name, *flags): the folder of a run of two epochs of three steps."""
    for folder in ("trainA", "trainB"):
        for i in range(3):
            image = np.random.default_rng(i).integers(0, 256, (40, 40)).astype(np.uint8)
            write_image(tmp_path / "data" / folder / f"{i}.png", image)
    flags = ["--dataroot", str(tmp_path / "data"), "--checkpoints_dir", str(tmp_path / "runs")]
    flags += "--ngf 2 --ndf 2 --netG resnet_4blocks --netF_nc 4 --num_patches 4".split()
    flags += "--load_size 36 --crop_size 32 --gpu_ids -1 --num_threads 0 --print_freq 1".split()
    flags += "--display_freq 1 --n_epochs 2 --n_epochs_decay 0".split()

    def run(name: str, *more: str) -> Path:
        train.main([*flags, "--name", name, *more])
        return tmp_path / "runs" / name

    return run
