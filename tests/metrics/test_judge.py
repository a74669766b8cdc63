"""The judge sees what the classifier sees, in one pass."""

import pytest
import torch

from metrics.judge import Judge
from models.gradcam import gradcam
from models.networks.classifiers import ResNet18Classifier


@pytest.fixture
def classifier():
    torch.manual_seed(0)
    return ResNet18Classifier(classes=("a", "b", "c")).requires_grad_(False).eval()


@pytest.fixture
def images():
    return torch.rand(3, 1, 64, 64) * 2 - 1


def test_scores_are_those_of_the_classifier(classifier, images):
    seen = Judge(classifier).activations(images)
    assert torch.allclose(seen.scores, classifier(images))
    assert torch.equal(seen.predicted, classifier(images).argmax(dim=1))


@pytest.mark.parametrize("stage", ["layer2", "layer4"])
def test_embeddings_are_means_over_positions(classifier, images, stage):
    seen = Judge(classifier, feature_stage=stage).activations(images)
    expected = classifier.features(images, stage).flatten(2).mean(dim=2)
    assert torch.allclose(seen.embeddings[stage], expected, atol=1e-6)
    # What the last layer of the network is linear in, whatever the chosen stage.
    linear = classifier.net.fc(seen.embeddings["layer4"])
    assert torch.allclose(linear, seen.scores, atol=1e-5)


@pytest.mark.parametrize("stage", ["layer3", "layer4"])
def test_attention_is_grad_cam(classifier, images, stage):
    judge = Judge(classifier, cam_stage=stage)
    label = torch.tensor([0, 2, 1])
    maps = judge.attention(judge.activations(images), label)
    expected, _ = gradcam(classifier, images, label, stage=stage)
    assert maps.shape == (3, 1, 64, 64)
    assert torch.allclose(maps, expected, atol=1e-5)


def test_activations_of_some_of_the_images(classifier, images):
    judge = Judge(classifier)
    some, alone = judge.activations(images).of([2, 0]), judge.activations(images[[2, 0]])
    assert torch.allclose(some.scores, alone.scores, atol=1e-5)
    label = torch.tensor([1, 1])
    assert torch.allclose(judge.attention(some, label), judge.attention(alone, label), atol=1e-4)


def test_classes_are_found_by_name(classifier):
    assert Judge(classifier).index_of("c") == 2
    assert Judge(classifier).index_of("tank") is None
