"""Layers beside torch's own and beside the formulas that they stand for."""

import shutil

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models.networks.layers import (
    BatchNorm,
    Downsample,
    ImageConv,
    ImageConvTranspose,
    InstanceNorm,
    ReflectionPad,
    Upsample,
)
from util.compute import Compute


def gradient(function, x, weights):
    x = x.detach().requires_grad_()
    (found,) = torch.autograd.grad((function(x).double() * weights).sum(), x)
    return found


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize(("dtype", "steps"), [(torch.float32, 1e-6), (torch.bfloat16, 2**-8)])
@pytest.mark.parametrize("batch", [1, 3])
def test_instance_norm_is_that_of_torch_in_any_layout(layout, dtype, steps, batch):
    torch.manual_seed(0)
    x = (3 * torch.randn(batch, 8, 9, 7) + 5).to(dtype).to(memory_format=layout)
    weights = torch.randn(x.shape, dtype=torch.float64)
    ours = InstanceNorm(8)(x)
    assert ours.dtype == dtype
    assert ours.is_contiguous(memory_format=layout)
    exact = F.instance_norm(x.double())
    assert (ours - exact).abs().max() <= 4 * steps
    found = gradient(InstanceNorm(8), x, weights)
    expected = gradient(F.instance_norm, x.double(), weights)
    assert (found - expected).abs().max() <= 4 * steps * expected.abs().max()


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("incoming", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("batch", [1, 2])
def test_the_gradient_of_instance_norm_hangs_on_no_layout(layout, incoming, batch):
    """Torch's (2.11) is wrong on the CPU for a batch of one and an incoming channels-last one."""
    torch.manual_seed(0)
    x, weights = torch.randn(batch, 4, 8, 6), torch.randn(batch, 4, 8, 6)
    exact = gradient(F.instance_norm, x.double(), weights.double())
    x = x.to(memory_format=layout).requires_grad_()
    (found,) = torch.autograd.grad(InstanceNorm(4)(x), x, weights.to(memory_format=incoming))
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-5)
    assert found.is_contiguous(memory_format=layout)


def test_batch_norm_of_one_value_goes_by_the_running_statistics():
    torch.manual_seed(0)
    layer, seen = BatchNorm(3), torch.randn(4, 3, 5, 5)
    layer(seen)
    running = {name: buffer.clone() for name, buffer in layer.named_buffers()}
    x = torch.randn(1, 3, 1, 1, requires_grad=True)
    expected = (x - running["running_mean"].view(1, 3, 1, 1)) / (
        running["running_var"].view(1, 3, 1, 1) + layer.eps
    ).sqrt()
    found = layer(x)
    torch.testing.assert_close(found, expected)
    found.sum().backward()
    assert (x.grad > 0).all()
    assert all(torch.equal(buffer, running[name]) for name, buffer in layer.named_buffers())


@pytest.mark.parametrize("shape", [(2, 3, 1, 1), (1, 3, 1, 2), (2, 3, 4, 5)])
@pytest.mark.parametrize("training", [True, False])
def test_any_other_batch_norm_is_torchs(shape, training):
    torch.manual_seed(0)
    ours, theirs = BatchNorm(3).train(training), nn.BatchNorm2d(3).train(training)
    x = torch.randn(shape)
    assert torch.equal(ours(x), theirs(x))
    assert all(map(torch.equal, ours.buffers(), theirs.buffers()))


@pytest.mark.parametrize("size", [(8, 8), (5, 6), (1, 1)])
def test_upsample_is_the_transposed_filter_of_the_public_code(size):
    torch.manual_seed(0)
    layer, x = Upsample(3), torch.randn(2, 3, *size)
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    expected = F.conv_transpose2d(padded, layer.filt, stride=2, padding=2, groups=3)
    torch.testing.assert_close(layer(x), expected[:, :, 1:-1, 1:-1])


def test_downsample_blurs_in_full_precision_on_the_cpu():
    torch.manual_seed(0)
    layer, x = Downsample(4), torch.randn(2, 4, 9, 8)
    with torch.autocast("cpu", torch.bfloat16):
        half = layer(x.bfloat16())
        assert layer(x).dtype == torch.float32
    assert half.dtype == torch.bfloat16
    assert torch.equal(half, layer(x.bfloat16().float()).bfloat16())


@pytest.mark.parametrize("kind", [ImageConv, ImageConvTranspose])
def test_the_image_is_made_in_fp32(kind):
    torch.manual_seed(0)
    layer, x = kind(4, 1, 3), torch.randn(1, 4, 8, 8).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        image = layer(x)
    assert image.dtype == torch.float32
    torch.testing.assert_close(image, layer(x.float()))


@pytest.mark.parametrize("bands", [1, 3])
def test_the_convolution_by_rows_is_the_plain_one(bands):
    torch.manual_seed(0)
    layer, x = ImageConv(4, bands, 5).double(), torch.randn(2, 4, 9, 8, dtype=torch.float64)
    inputs = [x.requires_grad_(), layer.weight, layer.bias]
    weights = torch.randn(2, bands, 5, 4, dtype=torch.float64)
    expected = F.conv2d(x, layer.weight, layer.bias)
    torch.testing.assert_close(layer(x), expected)
    torch.testing.assert_close(
        torch.autograd.grad((layer(x) * weights).sum(), inputs),
        torch.autograd.grad((expected * weights).sum(), inputs),
    )


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
def test_compiled_layers_and_their_gradients_are_the_same():
    torch.manual_seed(0)
    compute = Compute(torch.device("cpu"), "fp32", compiled=True)
    layers = (ReflectionPad(1), nn.Conv2d(1, 4, 3), InstanceNorm(4), Downsample(4), Upsample(4))
    net = compute.place(nn.Sequential(*layers, ImageConv(4, 1, 3)))
    x, weights = torch.randn(2, 1, 12, 16), torch.randn(2, 1, 10, 14)
    plain, expected = net(x).detach(), gradient(net, x, weights)
    compute.compile(net, "forward")
    torch.testing.assert_close(net(x).detach(), plain, rtol=1e-5, atol=1e-5)
    found = gradient(net, x, weights)
    assert (found - expected).norm() <= 1e-5 * expected.norm()
