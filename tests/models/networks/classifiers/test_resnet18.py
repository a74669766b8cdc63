"""ResNet-18 as a classifier: its files, its normalisation, its bands, its start."""

import pytest
import torch

from models.networks.classifiers import ResNet18Classifier, load_classifier
from util.errors import UserError


@pytest.fixture
def images():
    return torch.rand(2, 1, 96, 96, generator=torch.Generator().manual_seed(5)) * 2 - 1


def test_classifier_file_restores_the_classifier(tmp_path, images):
    torch.manual_seed(0)
    classifier = ResNet18Classifier(classes=("a", "b", "c"), mean=0.25, std=0.5).eval()
    torch.save(classifier.export(balanced_accuracy=0.9), tmp_path / "c.pth")
    loaded = load_classifier(tmp_path / "c.pth")
    assert loaded.classes == ("a", "b", "c")
    assert not any(weight.requires_grad for weight in loaded.parameters())
    torch.testing.assert_close(loaded(images), classifier(images))
    # A bare state dict: classes by number, images as they are.
    torch.save(classifier.net.state_dict(), tmp_path / "bare.pth")
    bare = load_classifier(tmp_path / "bare.pth")
    assert bare.classes == ("0", "1", "2")
    torch.testing.assert_close(bare((images - 0.25) / 0.5), classifier(images))


def test_one_file_value_looks_the_same_in_any_range(images):
    torch.manual_seed(0)
    trained = ResNet18Classifier(
        classes=("a", "b"),
        mean=0.25,
        std=0.5,
        value_range=(5600.0, 16800.0),
        value_type="uint16",
    )
    counts = (images + 1) / 2 * (16800 - 5600) + 5600
    expected = trained.eval()(images)
    trained.expect_range(1000.0, 20000.0, value_type="uint16", source="it")
    assert trained.value_range == (1000.0, 20000.0)
    torch.testing.assert_close(trained((counts - 1000) / 9500 - 1), expected)


def test_classifier_takes_grey_and_rgb():
    grey = torch.rand(1, 1, 32, 32)
    for bands in (1, 3):
        classifier = ResNet18Classifier(classes=("a", "b"), bands=bands).eval()
        torch.testing.assert_close(classifier(grey), classifier(grey.expand(-1, 3, -1, -1)))


def test_imagenet_start_sums_the_rgb_filters(tmp_path):
    torch.manual_seed(0)
    imagenet = ResNet18Classifier(classes=tuple(map(str, range(1000))), bands=3).eval()
    torch.save(imagenet.net.state_dict(), tmp_path / "resnet18.pth")
    classifier = ResNet18Classifier(classes=("a", "b")).eval()
    classifier.start(tmp_path / "resnet18.pth")
    grey = torch.rand(1, 1, 64, 64)
    torch.testing.assert_close(classifier.features(grey), imagenet.features(grey))
    with pytest.raises(UserError, match="no ResNet-18"):
        torch.save({"x": torch.zeros(1)}, tmp_path / "other.pth")
        classifier.start(tmp_path / "other.pth")
