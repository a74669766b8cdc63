"""The judge sees what the classifier sees, in one pass."""

import pytest
import torch

from metrics.judge import Judge, RememberingJudge
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


@pytest.fixture
def shown(classifier, monkeypatch):
    """How many images each pass of the classifier was shown."""
    counts, stages = [], classifier.stages

    def counted(images):
        counts.append(len(images))
        return stages(images)

    monkeypatch.setattr(classifier, "stages", counted)
    return counts


def test_a_batch_is_looked_at_once(classifier, images, shown):
    judge = RememberingJudge(classifier)
    seen = judge.activations(images)
    assert judge.activations(images.clone()) is seen
    # In other company an image may come to another last digit.
    judge.activations(images[:2])
    judge.activations(images.flip(0))
    assert shown == [3, 2, 3]
    assert torch.equal(seen.scores, Judge(classifier).activations(images).scores)


def test_of_equal_values_in_another_shape_it_remembers_nothing(classifier, shown):
    judge = RememberingJudge(classifier)
    judge.activations(torch.zeros(1, 1, 32, 64))
    assert judge.activations(torch.zeros(1, 1, 64, 32)).size == (64, 32)
    assert shown == [1, 1]


def test_what_finds_no_room_is_looked_at_again(classifier, images, shown):
    judge = RememberingJudge(classifier, room=2 * Judge(classifier).activations(images[:1]).bytes)
    shown.clear()
    for batch in (images[:1], images, images[:1], images):
        judge.activations(batch)
    assert shown == [1, 3, 3]


def test_what_does_not_recur_takes_no_room(classifier, images, shown):
    judge = RememberingJudge(classifier, room=Judge(classifier).activations(images[:1]).bytes)
    shown.clear()
    judge.activations(images[1:2], recurring=False)
    for _ in range(2):
        judge.activations(images[:1])
    assert shown == [1, 1]


def test_classes_are_found_by_name(classifier):
    assert Judge(classifier).index_of("c") == 2
    assert Judge(classifier).index_of("tank") is None
