"""The layers as arithmetic beside torch's operators, in both memory layouts."""

import pytest
import torch
import torch.nn.functional as F

from models.networks import fusible
from models.networks.layers import Downsample, Upsample

LAYERS = {
    "pad": (
        lambda x: fusible.reflection_pad(x, 3),
        lambda x: F.pad(x, (3, 3, 3, 3), mode="reflect"),
    ),
    "norm": (lambda x: fusible.instance_norm(x, 1e-5), F.instance_norm),
    "down": (
        fusible.downsample,
        lambda x: F.conv2d(
            F.pad(x, (1, 1, 1, 1), mode="reflect"),
            Downsample(x.shape[1]).filt.to(x.dtype),
            stride=2,
            groups=x.shape[1],
        ),
    ),
    "up": (
        fusible.upsample,
        lambda x: F.conv_transpose2d(
            F.pad(x, (1, 1, 1, 1), mode="replicate"),
            Upsample(x.shape[1]).filt.to(x.dtype),
            stride=2,
            padding=2,
            groups=x.shape[1],
        )[:, :, 1:-1, 1:-1],
    ),
}


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("size", [(8, 6), (5, 7)])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_and_its_gradient_are_those_of_torch(name, size, layout):
    torch.manual_seed(0)
    ours, reference = LAYERS[name]
    x = torch.randn(2, 3, *size, dtype=torch.float64).to(memory_format=layout).requires_grad_()
    found, expected = ours(x), reference(x)
    torch.testing.assert_close(found, expected)
    if layout == torch.channels_last:
        assert found.is_contiguous(memory_format=layout)
    weights = torch.randn_like(expected)
    gradients = [torch.autograd.grad(y, x, weights)[0] for y in (found, expected)]
    torch.testing.assert_close(*gradients)


def test_statistics_of_half_precision_are_those_of_its_values_in_full():
    torch.manual_seed(0)
    x = (torch.randn(1, 2, 16, 16) + 30).bfloat16()
    found = fusible.instance_norm(x, 1e-5)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, F.instance_norm(x.float()).bfloat16())
