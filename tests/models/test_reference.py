"""Our networks and losses against recorded outputs of the public CUT and pix2pix code."""

import pytest
import torch
from torchvision.models import resnet18

from models.gradcam import attention_map, gradcam_activation
from models.losses import GAN_LOSSES, patch_nce
from models.networks import (
    PatchDiscriminator,
    PatchSampler,
    ResnetGenerator,
    UnetGenerator,
    load_weights,
)
from models.networks.classifiers.base import pooled_linear_gradient, score_gradient

TOLERANCE = {"rtol": 0, "atol": 1e-5}
NCE_LAYERS = [0, 4, 8, 12, 16]


def weights_of(data):
    return {k.removeprefix("state/"): v for k, v in data.items() if k.startswith("state/")}


@pytest.mark.parametrize("bands", [1, 3])
def test_resnet_generator_and_features(reference, bands):
    data = reference(f"cut_resnet_9blocks_{bands}ch")
    net = ResnetGenerator(input_nc=bands, output_nc=bands, ngf=8)
    load_weights(net, weights_of(data), source="reference")
    torch.testing.assert_close(net(data["input"]), data["output"], **TOLERANCE)
    features = net.encode(data["input"], NCE_LAYERS)
    for layer, feature in zip(NCE_LAYERS, features, strict=True):
        torch.testing.assert_close(feature, data[f"feat_{layer}"], **TOLERANCE)
    assert net.feature_channels(NCE_LAYERS) == [f.shape[1] for f in features]


@pytest.mark.parametrize("bands", [1, 3])
def test_unet(reference, bands):
    data = reference(f"pix2pix_unet_256_{bands}ch")
    net = UnetGenerator(input_nc=bands, output_nc=bands, ngf=4, norm="batch", dropout=True).eval()
    load_weights(net, weights_of(data), source="reference")
    torch.testing.assert_close(net(data["input"]), data["output"], **TOLERANCE)


@pytest.mark.parametrize(
    ("name", "norm", "antialias"),
    [
        ("cut_patchgan_instance_antialias", "instance", True),
        ("cut_patchgan_instance_antialias_1ch", "instance", True),
        ("pix2pix_patchgan_batch", "batch", False),
        ("pix2pix_patchgan_batch_2ch", "batch", False),
    ],
)
def test_patch_discriminators(reference, name, norm, antialias):
    data = reference(name)
    net = PatchDiscriminator(
        input_nc=data["input"].shape[1], ndf=8, norm=norm, antialias=antialias
    ).eval()
    load_weights(net, weights_of(data), source="reference")
    torch.testing.assert_close(net(data["input"]), data["output"], **TOLERANCE)


def test_patch_sampler_and_nce(reference):
    data = reference("patchnce")
    layers = range(len(NCE_LAYERS))
    ids = [data[f"patch_ids_{i}"] for i in layers]
    net = PatchSampler(channels=[data[f"feat_k_{i}"].shape[1] for i in layers], width=16)
    load_weights(net, weights_of(data), source="reference")
    keys = net([data[f"feat_k_{i}"] for i in layers], ids)
    queries = net([data[f"feat_q_{i}"] for i in layers], ids)
    total = 0.0
    for i in layers:
        torch.testing.assert_close(keys[i].flatten(0, 1), data[f"k_{i}"], **TOLERANCE)
        torch.testing.assert_close(queries[i].flatten(0, 1), data[f"q_{i}"], **TOLERANCE)
        loss = patch_nce(queries[i], keys[i])
        torch.testing.assert_close(loss.flatten(), data[f"loss_{i}"], **TOLERANCE)
        across = patch_nce(queries[i], keys[i], pools=1)
        torch.testing.assert_close(
            across.flatten(), data[f"loss_minibatch_negatives_{i}"], **TOLERANCE
        )
        total = total + loss.mean() / len(layers)
    torch.testing.assert_close(total, data["total"], **TOLERANCE)


@pytest.mark.parametrize("mode", ["lsgan", "vanilla", "wgangp", "nonsaturating"])
def test_gan_losses(reference, mode):
    data = reference("gan_losses")
    for target in ("real", "fake"):
        value = GAN_LOSSES[mode](data["prediction"], target == "real")
        torch.testing.assert_close(value, data[f"{mode}_{target}"], **TOLERANCE)


@pytest.mark.parametrize("closed_form", [True, False])
def test_gradcam(reference, closed_form):
    data = reference("gradcam_resnet18")
    torch.manual_seed(0)
    net = resnet18(weights=None, num_classes=8).eval()
    total = sum(float(p.detach().double().abs().sum()) for p in net.parameters())
    assert total == pytest.approx(float(data["weight_abs_sum"]), rel=1e-6)
    stem = torch.nn.Sequential(*list(net.children())[:-2])
    head = torch.nn.Sequential(net.avgpool, torch.nn.Flatten(), net.fc)
    image = data["input"].clone().requires_grad_()
    features = stem(image)
    torch.testing.assert_close(head(features), data["logits"], **TOLERANCE)
    if closed_form:
        gradient = pooled_linear_gradient(net.fc.weight, data["labels"], pixels=64)
    else:
        gradient = score_gradient(head, features, data["labels"])
    activation = gradcam_activation(features, gradient)
    torch.testing.assert_close(activation, data["cam_before_relu"], **TOLERANCE)
    attention = attention_map(activation, (256, 256))
    torch.testing.assert_close(attention, data["map"], **TOLERANCE)
    attention.square().mean().backward()
    expected = data["grad_of_mean_square_map"]
    assert (image.grad - expected).norm() / expected.norm() < 1e-4
