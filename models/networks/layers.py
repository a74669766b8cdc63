"""Layers and initialisation shared by the generators and discriminators.

Module positions inside each nn.Sequential fix the state-dict keys, which are those of the public
CUT and pix2pix code; buffers (`filt`) included.
"""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.networks import functions, fusible
from util.distributed import draw_rows, is_shared, stack_of_all, whole

Norm = Literal["instance", "batch", "none"]
Init = Literal["normal", "xavier", "kaiming", "orthogonal"]


def norm_layer(norm: Norm) -> Callable[[int], nn.Module]:
    """Return a function channels -> normalisation layer.

    Instance norm has no parameters and no running statistics; batch norm has both.
    """
    return {
        "instance": InstanceNorm,
        "batch": BatchNorm,
        "none": lambda channels: nn.Identity(),
    }[norm]


def uses_bias(norm: Norm) -> bool:
    """Convolutions before a norm have a bias only with instance norm, as in the public code."""
    return norm == "instance"


def is_fused() -> bool:
    """Whether torch.compile makes kernels of what is called now.

    An exported graph has torch's own operators, which other runtimes have, too.
    """
    return torch.compiler.is_compiling() and not torch.compiler.is_exporting()


class InstanceNorm(nn.InstanceNorm2d):
    """Each channel of each image to mean 0 and variance 1 (Ulyanov et al. 2016).

    The statistics are in fp32. On the CPU it keeps channels-last memory, from which torch's copies
    the images and back; and torch's gradient there (2.11) is wrong for a batch of one whose
    incoming gradient is channels-last.
    """

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W) -> the same shape and type, on the CPU the same memory format."""
        if is_fused():
            return fusible.instance_norm(x, self.eps)
        if x.device.type != "cpu" or torch.compiler.is_exporting():
            return super().forward(x)
        return functions.InstanceNormCpu.apply(x, self.eps)


class BatchNorm(nn.BatchNorm2d):
    """Torch's; by the running statistics where a channel has one value, which has no variance.

    So it is for a single image whose features have come down to one position. Of several processes
    each normalises by the whole batch, which torch's own for that cannot do on the CPU.
    """

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W) -> the same shape and type."""
        if self.training and whole(len(x)) * x.shape[2] * x.shape[3] == 1:
            statistics = self.running_mean, self.running_var
            return F.batch_norm(x, *statistics, self.weight, self.bias, eps=self.eps)
        if self.training and is_shared():
            return self._over_processes(x)
        return super().forward(x)

    def _over_processes(self, x: Tensor) -> Tensor:
        exact = x.to(torch.promote_types(x.dtype, torch.float32))
        own = torch.var_mean(exact, (0, 2, 3), correction=0)
        found, counts = stack_of_all(torch.cat(own), count=x.numel() // x.shape[1])
        variances, means = found.chunk(2, dim=1)
        shares, total = counts / counts.sum(), counts.sum()
        mean = (shares * means).sum(dim=0)
        variance = (shares * (variances + (means - mean).square())).sum(dim=0)
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (total / (total - 1)), self.momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        normed = (exact - mean[:, None, None]) * scale[:, None, None] + self.bias[:, None, None]
        return normed.to(x.dtype)


class Dropout(nn.Dropout):
    """Torch's; of several processes each draws for the whole batch what one would draw."""

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W) -> the same shape and type."""
        if not (self.training and is_shared()):
            return super().forward(x)
        layout = functions.layout_of(x)

        def draw(rows: int) -> Tensor:
            ones = x.new_ones(rows, *x.shape[1:]).contiguous(memory_format=layout)
            return F.dropout(ones, self.p)

        return x * draw_rows(len(x), draw)


class ReflectionPad(nn.ReflectionPad2d):
    """Torch's, without keeping its input for the backward pass."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W) -> (B, C, H + 2 width, W + 2 width)."""
        if is_fused():
            return fusible.reflection_pad(x, self.width)
        if torch.compiler.is_exporting():
            return super().forward(x)
        return functions.ReflectionPad.apply(x, self.width)


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
        if is_fused():
            return fusible.downsample(x)
        if torch.compiler.is_exporting():
            padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
            return F.conv2d(padded, self.filt, stride=2, groups=len(self.filt))
        return functions.Blur.apply(x, self.filt)


class Upsample(nn.Module):
    """Antialiased upsampling by 2: replicate-pad, transposed [1 3 3 1] filter, crop.

    These are the weights of bilinear interpolation, which is how it is done; `filt` is there for
    the public code, whose state dicts have it.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filt", binomial_filter((1, 3, 3, 1), channels) * 4)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W) -> (B, C, 2H, 2W)."""
        if is_fused():
            return fusible.upsample(x)
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class ImageConv(nn.Conv2d):
    """The convolution whose result is the image, always in fp32: bf16 has steps of 1/256."""

    def __init__(self, channels: int, bands: int, size: int) -> None:
        super().__init__(channels, bands, size)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, channels, H, W) -> (B, bands, H - size + 1, W - size + 1) in fp32."""
        with torch.autocast(x.device.type, enabled=False):
            x = x.to(self.weight.dtype)
            return self._by_rows(x) if x.device.type == "cpu" else super().forward(x)

    def _by_rows(self, x: Tensor) -> Tensor:
        """Each row of the kernel as a channel of its own, then their sum, a row of pixels apart.

        CPUs compute a few channels more at no cost, and one alone at a fraction of their speed.
        """
        bands, channels, rows, columns = self.weight.shape
        kernels = self.weight.transpose(1, 2).reshape(bands * rows, channels, 1, columns)
        apart = torch.eye(rows, dtype=x.dtype).view(1, rows, rows, 1).repeat(bands, 1, 1, 1)
        return F.conv2d(F.conv2d(x, kernels), apart, self.bias, groups=bands)


class ImageConvTranspose(nn.ConvTranspose2d):
    """The same, transposed."""

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W) -> (B, C', H', W') in fp32."""
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.to(self.weight.dtype))


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
