"""What every classifier keeps in its file, and what is told of other files."""

import pytest
import torch

from models.networks.classifiers import CLASSIFIERS, ResNet18Classifier, load_classifier
from options.groups import ClassifierName
from util.errors import UserError

SCALE = {"side": 60.0, "by_range": True}


def test_the_table_has_the_names_of_the_flag():
    assert tuple(CLASSIFIERS) == ClassifierName.__args__


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("netC", CLASSIFIERS)
def test_a_file_restores_its_classifier(tmp_path, netC, bands):
    torch.manual_seed(0)
    known = {"mean": 0.25, "std": 0.5, "value_range": (10.0, 90.0), "value_type": "uint16"}
    known |= {"view": "chip", "chip_scale": SCALE}
    made = CLASSIFIERS[netC](classes=("a", "b", "c"), bands=bands, **known).eval()
    torch.save(made.export(balanced_accuracy=0.9), tmp_path / "c.pth")
    loaded = load_classifier(tmp_path / "c.pth")
    assert type(loaded) is CLASSIFIERS[netC]
    assert (loaded.classes, loaded.bands, loaded.view) == (("a", "b", "c"), bands, "chip")
    assert loaded.chip_scale == SCALE and loaded.value_range == (10.0, 90.0)
    assert not any(weight.requires_grad or loaded.training for weight in loaded.parameters())
    images = torch.rand(2, 1, 64, 64)
    assert torch.equal(loaded(images), made(images))
    with pytest.raises(UserError, match=r"it was trained on chips.*--chip_classifier"):
        loaded.require_frames("it")


@pytest.mark.parametrize("netC", ["resnet34", ["attention"], None])
def test_a_network_of_another_version_is_named(tmp_path, netC):
    content = ResNet18Classifier(classes=("a", "b")).export() | {"netC": netC}
    torch.save(content, tmp_path / "c.pth")
    with pytest.raises(UserError, match=r"c\.pth holds a classifier of another version"):
        load_classifier(tmp_path / "c.pth")


def test_weights_of_another_network_are_refused(tmp_path):
    content = ResNet18Classifier(classes=("a", "b")).export() | {"netC": "attention"}
    torch.save(content, tmp_path / "c.pth")
    with pytest.raises(UserError, match="another architecture than AttentionNet"):
        load_classifier(tmp_path / "c.pth")
