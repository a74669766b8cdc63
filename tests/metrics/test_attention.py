"""Comparison of attention maps: closed forms, numpy, scipy; and whose class the maps are of."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cosine
from scipy.stats import pearsonr
from skimage.metrics import structural_similarity

from metrics.attention import attention_maps, cam_cosine, correlation, gcss
from models.gradcam import gradcam
from models.networks.classifier import Classifier


@pytest.fixture
def maps():
    return np.random.default_rng(0).random((2, 32, 32))


def test_equal_maps(maps):
    for metric in (gcss, correlation, cam_cosine):
        assert metric(maps[0], maps[0].copy()) == pytest.approx(1)


def test_a_map_and_its_negative(maps):
    assert correlation(maps[0], 1 - maps[0]) == pytest.approx(-1)


def test_correlation_ignores_scale_and_offset_and_cosine_scale_only(maps):
    assert correlation(maps[0], 0.3 * maps[0] + 0.2) == pytest.approx(1)
    assert cam_cosine(maps[0], 0.3 * maps[0]) == pytest.approx(1)
    assert cam_cosine(maps[0], 0.3 * maps[0] + 0.2) < 0.99


def test_maps_of_separate_places():
    left, right = np.zeros((16, 16)), np.zeros((16, 16))
    left[:, :8], right[:, 8:] = 1, 1
    assert cam_cosine(left, right) == 0
    assert correlation(left, right) == pytest.approx(-1)
    assert gcss(left, right) < 0.1


def test_angle_of_45_degrees():
    a, b = np.zeros((8, 8)), np.zeros((8, 8))
    a[0, 0] = b[0, 0] = b[4, 4] = 1
    assert cam_cosine(a, b) == pytest.approx(math.sqrt(0.5))


def test_equal_to_libraries(maps):
    a, b = maps
    assert correlation(a, b) == pytest.approx(pearsonr(a.ravel(), b.ravel()).statistic)
    assert cam_cosine(a, b) == pytest.approx(1 - cosine(a.ravel(), b.ravel()))
    assert gcss(a, b) == pytest.approx(structural_similarity(a, b, data_range=1.0))


@pytest.mark.filterwarnings("error")
def test_a_constant_map_has_no_correlation_and_an_empty_one_no_direction(maps):
    empty, constant = np.zeros((32, 32)), np.ones((32, 32))
    assert math.isnan(correlation(empty, maps[0]))
    assert math.isnan(correlation(maps[0], constant))
    assert math.isnan(cam_cosine(maps[0], empty))
    assert cam_cosine(constant, constant) == pytest.approx(1)
    assert gcss(empty, empty) == pytest.approx(1)


@pytest.fixture
def classifier():
    torch.manual_seed(0)
    return Classifier(classes=("a", "b")).requires_grad_(False).eval()


def test_both_maps_are_of_the_class_predicted_on_the_reference(classifier):
    images, references = torch.rand(2, 3, 1, 64, 64) * 2 - 1
    # A class score that falls with the other one: maps of the two classes cannot be the same.
    classifier.net.fc.weight[1] = -classifier.net.fc.weight[0]
    classifier.net.fc.bias[:] = 0
    labels = classifier(references).argmax(dim=1)
    of_images, of_references = attention_maps(classifier, images, references)
    assert of_references == pytest.approx(gradcam(classifier, references, labels)[0][:, 0].numpy())
    assert of_images == pytest.approx(gradcam(classifier, images, labels)[0][:, 0].numpy())
    other, _ = gradcam(classifier, images, 1 - labels)
    assert not np.allclose(of_images, other[:, 0].numpy())


@pytest.mark.parametrize("stage", ["layer2", "layer4"])
def test_equal_images_have_equal_maps(classifier, stage):
    images = torch.rand(2, 1, 64, 64) * 2 - 1
    a, b = attention_maps(classifier, images, images.clone(), stage=stage)
    assert a.shape == (2, 64, 64) and a.dtype == np.float64
    assert a == pytest.approx(b)
