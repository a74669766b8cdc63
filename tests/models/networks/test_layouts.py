"""Channels-last memory, in which networks run, changes no result and no gradient.

Torch's own InstanceNorm2d (2.11) fails here: `test_layers.py` says where.
"""

import pytest
import torch
from torch import nn

from models.networks import (
    PatchDiscriminator,
    PatchSampler,
    PixelDiscriminator,
    ResnetGenerator,
    UnetGenerator,
)
from models.networks.classifiers import AttentionClassifier, ResNet18Classifier
from util.compute import Compute


class Learning(AttentionClassifier):
    """All that its training takes from it, as one tensor."""

    def forward(self, images):
        return torch.cat([part.flatten() for part in self.learn(images)])


NETWORKS = {
    **{
        f"ResNet with {norm} norm, {'antialiased' if antialias else 'strided'}": (
            lambda norm=norm, antialias=antialias: ResnetGenerator(
                input_nc=1,
                output_nc=1,
                ngf=8,
                n_blocks=2,
                norm=norm,
                antialias_down=antialias,
                antialias_up=antialias,
            )
        )
        for norm in ("instance", "batch", "none")
        for antialias in (True, False)
    },
    **{
        f"U-Net with {norm} norm, {'antialiased' if antialias else 'transposed'}": (
            lambda norm=norm, antialias=antialias: UnetGenerator(
                input_nc=1,
                output_nc=1,
                num_downs=5,
                ngf=8,
                norm=norm,
                dropout=False,
                antialias_up=antialias,
            )
        )
        for norm in ("instance", "batch", "none")
        for antialias in (True, False)
    },
    **{
        f"{kind.__name__} with {norm} norm": (
            lambda kind=kind, norm=norm: kind(input_nc=1, ndf=8, norm=norm)
        )
        for kind in (PatchDiscriminator, PixelDiscriminator)
        for norm in ("instance", "batch", "none")
    },
    "classifier": lambda: ResNet18Classifier(classes=("a", "b", "c")),
    "attention": lambda: Learning(classes=("a", "b", "c")),
}


def gradients(net, images):
    """Of a loss of the output and, where there are, of encoder features: of weights and image."""
    images = images.requires_grad_()
    encodes = isinstance(net, ResnetGenerator)
    output, features = net.forward_and_encode(images, (4, 8)) if encodes else (net(images), [])
    loss = sum(part.double().square().mean() for part in (output, *features))
    return torch.autograd.grad(loss, [images, *net.parameters()])


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_a_network_has_the_gradient_of_its_double(make, batch):
    images = torch.randn(batch, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    found = []
    for place in (Compute(torch.device("cpu")).place, nn.Module.double):
        torch.manual_seed(0)
        net = place(make())
        found.append(gradients(net, images.to(next(net.parameters()).dtype)))
    for here, exact in zip(*found, strict=True):
        # Rounding lets single ReLUs flip. A bias before a norm has no gradient but rounding.
        assert (here - exact).norm() <= 0.1 * exact.norm() + 1e-4


def test_the_patch_sampler_has_the_gradient_of_its_double():
    feature = torch.randn(2, 8, 6, 5, generator=torch.Generator().manual_seed(1))
    ids, found = [torch.tensor([3, 29, 17])], []
    for place in (Compute(torch.device("cpu")).place, nn.Module.double):
        torch.manual_seed(0)
        net = place(PatchSampler(channels=[8], width=4))
        x = feature.to(next(net.parameters()).dtype, memory_format=torch.channels_last)
        x = x.requires_grad_()
        (patches,) = net([x], ids)
        found.append(torch.autograd.grad(patches.square().mul(patches).sum(), x)[0])
    torch.testing.assert_close(found[0].double(), found[1], rtol=1e-4, atol=1e-6)


LAYERS = {
    "Conv2d 3x3": lambda: nn.Conv2d(8, 8, 3, padding=1),
    "Conv2d 4x4, stride 2": lambda: nn.Conv2d(8, 8, 4, stride=2, padding=1),
    "Conv2d 7x7": lambda: nn.Conv2d(8, 8, 7),
    "Conv2d 1x1": lambda: nn.Conv2d(8, 8, 1),
    "Conv2d by channel, stride 2": lambda: nn.Conv2d(8, 8, 3, stride=2, groups=8, bias=False),
    "ConvTranspose2d 4x4": lambda: nn.ConvTranspose2d(8, 8, 4, stride=2, padding=1),
    "ConvTranspose2d 3x3": lambda: nn.ConvTranspose2d(
        8, 8, 3, stride=2, padding=1, output_padding=1
    ),
    "BatchNorm2d": lambda: nn.BatchNorm2d(8),
    "ReflectionPad2d": lambda: nn.ReflectionPad2d(3),
    "Upsample": lambda: nn.Upsample(scale_factor=2, mode="bilinear"),
    "MaxPool2d": lambda: nn.MaxPool2d(3, 2, 1),
    "AdaptiveAvgPool2d": lambda: nn.AdaptiveAvgPool2d(1),
    "ReLU": lambda: nn.ReLU(),
    "LeakyReLU": lambda: nn.LeakyReLU(0.2),
    "Tanh": lambda: nn.Tanh(),
}
LAYOUTS = (torch.channels_last, torch.contiguous_format)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_what_we_take_of_torch_is_right_in_channels_last(make, batch, dtype):
    """Whatever the layout of the incoming gradient; weights are rounded for both alike."""
    torch.manual_seed(0)
    layer, exact = make().to(memory_format=torch.channels_last), make().double()
    if not isinstance(layer, nn.BatchNorm2d):  # its weights and statistics are in fp32 always
        layer = layer.to(dtype)
    exact.load_state_dict(layer.state_dict())
    x = (2 * torch.randn(batch, 8, 17, 14) + 1).to(dtype)
    whole = x.double().requires_grad_()
    expected = exact(whole)
    weights = torch.randn_like(expected).to(dtype)
    wanted = torch.autograd.grad(expected, [whole, *exact.parameters()], weights.double())
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    for layout in LAYOUTS:
        here = x.to(memory_format=torch.channels_last, copy=True).requires_grad_()
        output = layer(here)
        assert output.is_contiguous(memory_format=torch.channels_last)
        assert (output - expected).norm() <= tolerance * expected.norm()
        incoming = weights.to(output.dtype).to(memory_format=layout, copy=True)
        found = torch.autograd.grad(output, [here, *layer.parameters()], incoming)
        for ours, exactly in zip(found, wanted, strict=True):
            assert (ours - exactly).norm() <= tolerance * exactly.norm()
