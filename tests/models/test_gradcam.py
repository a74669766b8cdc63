"""Attention maps: closed form, order of operations, gradient, flags."""

import pytest
import torch
import torch.nn.functional as F

from models.gradcam import (
    attention_map,
    gradcam,
    gradcam_activation,
)
from models.networks.classifiers import ResNet18Classifier
from models.networks.classifiers.base import pooled_linear_gradient, score_gradient


@pytest.fixture
def classifier():
    torch.manual_seed(0)
    return ResNet18Classifier(classes=("BMP2", "T72", "ZSU23")).eval().requires_grad_(False)


@pytest.fixture
def images():
    return torch.rand(2, 1, 96, 128, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_closed_form_weights_equal_autograd(classifier, images):
    label = torch.tensor([0, 2])
    features = classifier.features(images)
    general = score_gradient(classifier.head, features, label)
    maps, _ = gradcam(classifier, images, label)
    activation = gradcam_activation(features, general)
    torch.testing.assert_close(maps, attention_map(activation, (96, 128)), rtol=0, atol=1e-5)


def test_the_closed_form_is_the_constant_gradient_of_the_score(classifier, images):
    label = torch.tensor([0, 2])
    features = classifier.requires_grad_().features(images)
    gradient = pooled_linear_gradient(classifier.net.fc.weight, label, pixels=3 * 4)
    assert not gradient.requires_grad
    assert torch.equal(classifier.score_gradient(features, label), gradient)
    expected = score_gradient(classifier.head, features, label)
    torch.testing.assert_close(gradient.expand_as(expected), expected)


def test_maps_of_an_earlier_stage_are_those_of_the_class(classifier, images):
    label = torch.tensor([0, 2])
    features = classifier.features(images, "layer2").requires_grad_()
    score = classifier.head(features, "layer2")[[0, 1], label].sum()
    weights = torch.autograd.grad(score, features)[0].mean(dim=(2, 3), keepdim=True)
    expected = attention_map((features * weights).sum(dim=1, keepdim=True), (96, 128))
    maps, _ = gradcam(classifier, images, label, stage="layer2")
    torch.testing.assert_close(maps, expected, rtol=0, atol=1e-5)


def test_each_map_is_stretched_from_its_own_minimum_to_its_own_maximum():
    activation = torch.tensor([[1.0, 3.0, 5.0], [2.0, 2.5, 3.0]])[:, None, None]
    expected = torch.tensor([0.0, 0.5, 1.0]).expand(2, 1, 1, 3)
    torch.testing.assert_close(attention_map(activation, (1, 3)), expected)


def test_every_stage_gives_maps_of_the_image_size(classifier, images):
    for stage in ("layer1", "layer2", "layer3", "layer4"):
        maps, _ = gradcam(classifier, images, stage=stage)
        assert maps.shape == (2, 1, 96, 128)
        assert maps.amin() == 0
        torch.testing.assert_close(maps.amax(dim=(1, 2, 3)), torch.ones(2))


def test_predicted_class_is_the_highest_score(classifier, images):
    _, label = gradcam(classifier, images)
    assert torch.equal(label, classifier(images).argmax(dim=1))


def test_images_of_a_batch_do_not_see_each_other(classifier, images):
    maps, _ = gradcam(classifier, images)
    alone, _ = gradcam(classifier, images[:1])
    torch.testing.assert_close(maps[:1], alone, rtol=0, atol=1e-5)


def test_interpolates_before_the_relu():
    activation = torch.tensor([[[[-1.0, 1.0]]]])
    expected = F.relu(F.interpolate(activation, size=(1, 8), mode="bilinear"))
    torch.testing.assert_close(attention_map(activation, (1, 8)), expected / expected.max())


@pytest.mark.parametrize("value", [-2.0, 0.0, 3.0, 0.1])
def test_constant_map_is_all_zero_with_finite_gradient(value):
    activation = torch.full((1, 1, 3, 3), value, requires_grad=True)
    attention = attention_map(activation, (97, 61))
    assert torch.count_nonzero(attention) == 0
    attention.sum().backward()
    assert torch.isfinite(activation.grad).all()


def test_gradient_of_the_map_equals_finite_differences():
    # With the weights held constant the map is a function of the activation alone.
    activation = torch.randn(
        1, 1, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3)
    )
    activation.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: attention_map(x, (7, 7)), (activation,))


def test_gradient_reaches_the_image_and_not_the_classifier(classifier, images):
    images.requires_grad_()
    maps, _ = gradcam(classifier, images)
    maps.square().mean().backward()
    assert images.grad.abs().sum() > 0
    assert all(p.grad is None for p in classifier.parameters())


def test_training_mode_is_neither_used_nor_lost(classifier, images):
    expected, _ = gradcam(classifier, images)
    statistics = classifier.net.bn1.running_mean.clone()
    classifier.train()
    classifier.net.layer2.eval()
    maps, _ = gradcam(classifier, images)
    assert torch.equal(maps, expected)
    assert torch.equal(classifier.net.bn1.running_mean, statistics)
    assert classifier.net.layer1.training
    assert not classifier.net.layer2.training
