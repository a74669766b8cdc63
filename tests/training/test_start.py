"""How a run begins and goes on: with a teacher of the kind that it began with."""

import json

import numpy as np
import pytest
import torch

import train
from data.images import write_image
from models.networks.classifiers import AttentionClassifier, ResNet18Classifier
from util.errors import UserError

FLAGS = "--netG resnet_4blocks --ngf 4 --ndf 4 --netF_nc 8 --num_patches 8 --load_size 40"
FLAGS += " --crop_size 40 --n_epochs_decay 0 --print_freq 1 --num_threads 0 --gpu_ids -1 --no_html"


def test_a_teacher_of_another_kind_is_refused_and_the_run_stays_as_it_is(tmp_path):
    rng = np.random.default_rng(0)
    for folder in ("trainA", "trainB"):
        for name in "ab":
            image = rng.integers(0, 255, (40, 40), np.uint8)
            write_image(tmp_path / "data" / folder / f"{name}.png", image)
    for kind in (ResNet18Classifier, AttentionClassifier):
        teacher = kind(classes=("BMP2", "T72"), value_range=(0.0, 255.0), value_type="uint8")
        torch.save(teacher.export(), tmp_path / f"{kind.__name__}.pth")
    places = ["--name", "run", "--checkpoints_dir", str(tmp_path)]
    first, other = (str(tmp_path / f"{name}Classifier.pth") for name in ("ResNet18", "Attention"))
    model = ["--model", "cut_gradcam", "--classifier"]
    more = [*places, "--continue_train", "--n_epochs"]
    begin = [*places, *FLAGS.split(), "--dataroot", str(tmp_path / "data"), "--n_epochs", "1"]
    train.main([*begin, *model, first])
    with pytest.raises(UserError, match=r"was none of --netC attention, and .* is another kind"):
        train.main([*more, "2", *model, other])
    train.main([*more, "2"])
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["options"]["model"]["classifier"] == first
    lines = (tmp_path / "run" / "loss_log.csv").read_text().splitlines()
    assert len(lines) == 1 + 4
