"""Layers and initialisation shared by the generators and discriminators.

Module positions inside each nn.Sequential fix the state-dict keys, which are those of the public
CUT and pix2pix code; buffers (`filt`) included.
"""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Norm = Literal["instance", "batch", "none"]
Init = Literal["normal", "xavier", "kaiming", "orthogonal"]


def norm_layer(norm: Norm) -> Callable[[int], nn.Module]:
    """Return a function channels -> normalisation layer.

    Instance norm has no parameters and no running statistics; batch norm has both.
    """
    return {
        "instance": nn.InstanceNorm2d,
        "batch": nn.BatchNorm2d,
        "none": lambda channels: nn.Identity(),
    }[norm]


def uses_bias(norm: Norm) -> bool:
    """Convolutions before a norm have a bias only with instance norm, as in the public code."""
    return norm == "instance"


def binomial_filter(taps: tuple[int, ...], channels: int) -> Tensor:
    """Separable low-pass kernel (channels, 1, n, n) that sums to 1 (Zhang 2019, sec. 3.2)."""
    row = torch.tensor(taps, dtype=torch.float32)
    kernel = torch.outer(row, row)
    return (kernel / kernel.sum()).repeat(channels, 1, 1, 1)


class Downsample(nn.Module):
    """Antialiased downsampling by 2: reflect-pad, blur with [1 2 1], keep every second pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filt", binomial_filter((1, 2, 1), channels))

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W) -> (B, C, ceil(H/2), ceil(W/2))."""
        padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
        return F.conv2d(padded, self.filt, stride=2, groups=x.shape[1])


class Upsample(nn.Module):
    """Antialiased upsampling by 2: replicate-pad, transposed [1 3 3 1] filter, crop."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filt", binomial_filter((1, 3, 3, 1), channels) * 4)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W) -> (B, C, 2H, 2W)."""
        padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
        y = F.conv_transpose2d(padded, self.filt, stride=2, padding=2, groups=x.shape[1])
        return y[:, :, 1:-1, 1:-1]


def init_weights(net: nn.Module, *, init_type: Init, init_gain: float) -> nn.Module:
    """Draw the weights of all convolutions and linear layers anew; biases become 0.

    Batch norm scales are drawn from N(1, init_gain). `init_gain` is the standard deviation for
    "normal" and the gain of torch.nn.init for "xavier" and "orthogonal".
    """
    draw = {
        "normal": lambda w: nn.init.normal_(w, 0.0, init_gain),
        "xavier": lambda w: nn.init.xavier_normal_(w, gain=init_gain),
        "kaiming": lambda w: nn.init.kaiming_normal_(w, a=0, mode="fan_in"),
        "orthogonal": lambda w: nn.init.orthogonal_(w, gain=init_gain),
    }[init_type]
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            draw(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, init_gain)
            nn.init.zeros_(module.bias)
    return net
