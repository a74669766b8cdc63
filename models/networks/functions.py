"""Layers' arithmetic with less memory and copying than torch's own: autograd functions.

Torch keeps the input of a padding and of a fixed filter for their backward passes, which need its
shape alone; and on the CPU its autocast pads in fp32. The results are the same.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def layout_of(x: Tensor) -> torch.memory_format:
    """Channels-last where (B, C, H, W) is nothing else, contiguous otherwise."""
    if x.is_contiguous() or not x.is_contiguous(memory_format=torch.channels_last):
        return torch.contiguous_format
    return torch.channels_last


class ReflectionPad(torch.autograd.Function):
    """(B, C, H, W) -> (B, C, H + 2 width, W + 2 width), reflected without the edge itself."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, width: int) -> Tensor:
        ctx.shape, ctx.layout, ctx.width = x.shape, layout_of(x), width
        with torch.autocast(x.device.type, enabled=False):
            return F.pad(x, (width,) * 4, mode="reflect")

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _unpad(gradient, ctx.shape, ctx.width, ctx.layout), None


class Saturate(torch.autograd.Function):
    """Clamps to [-1, 1]. What lies beyond has its gradient still where that leads back.

    With torch's own, a pixel that a network has once driven too far would learn no more.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(-1, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        # Steps go against the gradient.
        outwards = ((x > 1) & (gradient < 0)) | ((x < -1) & (gradient > 0))
        return gradient.masked_fill(outwards, 0)


class Blur(torch.autograd.Function):
    """Reflection pad by 1, then a fixed depthwise filter (C, 1, 3, 3) at every second pixel.

    On the CPU in fp32: in bf16 its backward pass takes several times as long there.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor) -> Tensor:
        ctx.shape, ctx.layout, ctx.dtype = x.shape, layout_of(x), x.dtype
        ctx.save_for_backward(kernel)
        ctx.exact = _at_least_fp32(x.dtype) if x.device.type == "cpu" else x.dtype
        with torch.autocast(x.device.type, enabled=False):
            padded = F.pad(x.to(ctx.exact), (1, 1, 1, 1), mode="reflect")
            blurred = F.conv2d(padded, kernel.to(ctx.exact), stride=2, groups=x.shape[1])
        return blurred.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (kernel,) = ctx.saved_tensors
        exact = ctx.exact
        batch, channels, height, width = ctx.shape
        padded = _shaped_like((batch, channels, height + 2, width + 2), gradient, exact, ctx.layout)
        spread, *_ = torch.ops.aten.convolution_backward(
            *(gradient.to(exact), padded, kernel.to(exact), None),
            *([2, 2], [0, 0], [1, 1], False, [0, 0], channels, [True, False, False]),
        )
        return _unpad(spread, ctx.shape, 1, ctx.layout).to(ctx.dtype), None


class InstanceNormCpu(torch.autograd.Function):
    """Instance norm on the CPU, in any layout: batch norm of one image at a time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float) -> Tensor:
        # With a scale in fp32, torch keeps the statistics of half-precision images in fp32 too.
        ones = torch.ones(x.shape[1], dtype=_at_least_fp32(x.dtype))
        y, statistics = torch.empty_like(x), []
        for image, normed in zip(x.split(1), y.split(1), strict=True):
            mean, scale = torch.empty_like(ones), torch.empty_like(ones)
            torch.ops.aten.native_batch_norm.out(
                *(image, ones, torch.zeros_like(ones), None, None, True, 0.0, eps),
                **{"out": normed, "save_mean": mean, "save_invstd": scale},
            )
            statistics += [mean, scale]
        ctx.save_for_backward(x, ones, *statistics)
        ctx.eps = eps
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        x, ones, *statistics = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=layout_of(x))
        out = torch.empty_like(x)
        for place, (mean, scale) in enumerate(zip(statistics[::2], statistics[1::2], strict=True)):
            image = slice(place, place + 1)
            out[image], *_ = torch.ops.aten.native_batch_norm_backward(
                *(gradient[image], x[image], ones, None, None, mean, scale, True, ctx.eps),
                [True, False, False],
            )
        return out, None


def _at_least_fp32(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


def _unpad(gradient: Tensor, shape: torch.Size, width: int, layout: torch.memory_format) -> Tensor:
    """Gradient of what was padded from that of the result."""
    if gradient.is_cuda and torch.are_deterministic_algorithms_enabled():
        return fold(fold(gradient, width, 2), width, 3)  # torch's kernel there is not
    x = _shaped_like(shape, gradient, gradient.dtype, layout)
    return torch.ops.aten.reflection_pad2d_backward(gradient, x, [width] * 4)


def fold(gradient: Tensor, width: int, dim: int) -> Tensor:
    """Adds what reflection put beyond both ends of a dimension to where it came from."""
    size = gradient.shape[dim] - 2 * width
    inner = gradient.narrow(dim, width, size).clone()
    inner.narrow(dim, 1, width).add_(gradient.narrow(dim, 0, width).flip(dim))
    end = gradient.narrow(dim, width + size, width).flip(dim)
    inner.narrow(dim, size - 1 - width, width).add_(end)
    return inner


def _shaped_like(
    shape: tuple[int, ...], like: Tensor, dtype: torch.dtype, layout: torch.memory_format
) -> Tensor:
    """A tensor that tells its shape; nobody reads its values."""
    return torch.empty(shape, dtype=dtype, device=like.device, memory_format=layout)
