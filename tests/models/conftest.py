"""A teacher of two classes of spots, trained once for all tests of a session that ask for it."""

import pytest
import torch

from models.classifier import ClassifierModel
from options.groups import ClassifierOptions
from util.batch import Batch, DataFacts
from util.compute import Compute


def _spots(count, *, size, side, seed, noise=0.1):
    """Noise with a dark (class 0) or a bright square (1) somewhere in each image."""
    rng = torch.Generator().manual_seed(seed)
    images = noise * torch.randn(count, 1, size, size, generator=rng)
    corners = torch.randint(0, size - side, (count, 2), generator=rng)
    label = torch.arange(count) % 2
    for image, (x, y), kind in zip(images, corners.tolist(), label.tolist(), strict=True):
        image[:, y : y + side, x : x + side] += 1.0 if kind else -1.0
    boxes = torch.cat([corners, corners + side], dim=1)[:, None].float()
    return Batch(images, None, label, ("x",) * count, box_a=boxes)


@pytest.fixture
def spots():
    return _spots


@pytest.fixture(scope="session")
def teacher():
    """A ClassifierModel of the attention network that has seen spots of 12 pixels."""
    torch.manual_seed(0)
    facts = DataFacts(classes=("dark", "bright"), class_counts=(1, 1), view="window")
    model = ClassifierModel(
        ClassifierOptions(netC="attention", lr=3e-3, beta1=0.9),
        compute=Compute(torch.device("cpu")),
        facts=facts,
    )
    for step in range(20):
        model.training_step(_spots(8, size=64, side=12, seed=100 + step))
    return model
