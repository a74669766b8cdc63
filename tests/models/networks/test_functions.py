"""Cheaper arithmetic beside torch's own: the same results, gradients and layouts."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models.networks import ResnetGenerator, functions
from models.networks.layers import (
    Downsample,
    InstanceNorm,
    ReflectionPad,
    Upsample,
    binomial_filter,
)

LAYOUTS = (torch.contiguous_format, torch.channels_last)


def result_and_gradient(function, x, weights):
    x = x.detach().requires_grad_()
    result = function(x)
    (gradient,) = torch.autograd.grad((result.float() * weights).sum(), x)
    return result.detach(), gradient


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("width", [1, 3])
def test_reflection_pad(layout, dtype, width):
    torch.manual_seed(0)
    x = torch.randn(2, 3, 7, 8).to(dtype).to(memory_format=layout)
    weights = torch.randn(2, 3, 7 + 2 * width, 8 + 2 * width)
    ours = result_and_gradient(lambda x: functions.ReflectionPad.apply(x, width), x, weights)
    plain = result_and_gradient(lambda x: F.pad(x, (width,) * 4, mode="reflect"), x, weights)
    assert torch.equal(ours[0], plain[0]) and torch.equal(ours[1], plain[1])
    assert ours[1].is_contiguous(memory_format=layout)


@pytest.mark.parametrize("width", [1, 3, 4])
def test_what_was_reflected_is_folded_back(width):
    torch.manual_seed(0)
    x, weights = torch.randn(2, 3, 5, 8), torch.randn(2, 3, 5 + 2 * width, 8 + 2 * width)
    _, expected = result_and_gradient(lambda x: F.pad(x, (width,) * 4, mode="reflect"), x, weights)
    folded = functions.fold(functions.fold(weights, width, 2), width, 3)
    torch.testing.assert_close(folded, expected)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(8, 8), (7, 9), (2, 3)])
def test_blur(layout, size):
    torch.manual_seed(0)
    x = torch.randn(2, 3, *size).to(memory_format=layout)
    kernel = binomial_filter((1, 2, 1), 3)

    def plain(x):
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), kernel, stride=2, groups=3)

    weights = torch.randn(plain(x).shape)
    ours = result_and_gradient(lambda x: functions.Blur.apply(x, kernel), x, weights)
    for found, expected in zip(ours, result_and_gradient(plain, x, weights), strict=True):
        torch.testing.assert_close(found, expected)
    assert ours[1].is_contiguous(memory_format=layout)


def kept_bytes(function, x):
    """What autograd keeps for the backward pass."""
    kept = {}

    def note(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        function(x.requires_grad_())
    return sum(kept.values())


def test_pads_and_blurs_keep_no_image():
    x, kernel = torch.randn(2, 8, 32, 32), binomial_filter((1, 2, 1), 8)
    assert kept_bytes(lambda x: functions.ReflectionPad.apply(x, 1), x) == 0
    assert kept_bytes(lambda x: functions.Blur.apply(x, kernel), x) == kernel.nbytes
    assert kept_bytes(lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"), x) == x.nbytes


class PlainDownsample(Downsample):
    def forward(self, x):
        padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
        return F.conv2d(padded, self.filt, stride=2, groups=x.shape[1])


class PlainUpsample(Upsample):
    def forward(self, x):
        padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
        y = F.conv_transpose2d(padded, self.filt, stride=2, padding=2, groups=x.shape[1])
        return y[:, :, 1:-1, 1:-1]


def make_plain(net):
    """The same network in torch's own layers and layout."""
    plain = {
        InstanceNorm: lambda layer: nn.InstanceNorm2d(layer.num_features),
        ReflectionPad: lambda layer: nn.ReflectionPad2d(layer.width),
        Downsample: lambda layer: PlainDownsample(len(layer.filt)),
        Upsample: lambda layer: PlainUpsample(len(layer.filt)),
    }
    replaced = 0
    for part in list(net.modules()):
        for name, layer in part.named_children():
            if type(layer) in plain:
                setattr(part, name, plain[type(layer)](layer))
                replaced += 1
    assert replaced == 5 + 2 + 4 + 2 * 4  # norms, pads, resampling, and those of two blocks
    return net


def test_a_generator_is_that_of_plain_layers():
    # In double precision: in fp32, rounding lets single ReLUs flip, and gradients move by 1e-3.
    losses, gradients = [], []
    for change in (make_plain, lambda net: net.to(memory_format=torch.channels_last)):
        torch.manual_seed(0)
        net = change(ResnetGenerator(input_nc=1, output_nc=1, ngf=8, n_blocks=2)).double()
        image = torch.randn(2, 1, 48, 64, generator=torch.Generator().manual_seed(1)).double()
        output, features = net.forward_and_encode(image, (4, 8, 12))
        loss = output.square().mean() + sum(f.abs().mean() for f in features)
        loss.backward()
        losses.append(loss.item())
        gradients.append(torch.cat([weight.grad.flatten() for weight in net.parameters()]))
    assert losses[1] == pytest.approx(losses[0], rel=1e-12)
    assert (gradients[1] - gradients[0]).norm() <= 1e-10 * gradients[0].norm()
