"""The layers as plain arithmetic, for torch.compile to fuse.

What a compiler can see through it computes in one pass over memory, in the layout that it finds;
torch's own operators for these layers it calls as they are, or loses channels-last in (torch 2.11,
padding).
"""

import torch
from torch import Tensor


def reflection_pad(x: Tensor, width: int) -> Tensor:
    """(B, C, H, W) -> (B, C, H + 2 width, W + 2 width), reflected without the edge itself."""
    for dim in (3, 2):
        size = x.shape[dim]
        before = x.narrow(dim, 1, width).flip(dim)
        after = x.narrow(dim, size - 1 - width, width).flip(dim)
        x = torch.cat([before, x, after], dim)
    return x


def instance_norm(x: Tensor, eps: float) -> Tensor:
    """Each channel of each image of (B, C, H, W) to mean 0 and variance 1; computed in fp32."""
    exact = x.to(torch.promote_types(x.dtype, torch.float32))
    variance, mean = torch.var_mean(exact, (2, 3), correction=0, keepdim=True)
    return ((exact - mean) * torch.rsqrt(variance + eps)).to(x.dtype)


def downsample(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, ceil(H/2), ceil(W/2)): every second pixel of the smoothed image."""
    return _smooth(x, step=2)


def upsample(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, 2H, 2W), bilinear: pixels repeated, then smoothed."""
    batch, channels, height, width = x.shape
    # By views: torch's own has a backward pass that compilers turn into scattered additions.
    pixels = x.permute(0, 2, 3, 1)[:, :, None, :, None].expand(-1, -1, 2, -1, 2, -1)
    repeated = pixels.reshape(batch, 2 * height, 2 * width, channels).permute(0, 3, 1, 2)
    return _smooth(repeated, step=1)


def _smooth(x: Tensor, *, step: int) -> Tensor:
    """[1 2 1] / 4 in both directions at every `step`-th pixel, computed in fp32."""
    smooth = reflection_pad(x.to(torch.promote_types(x.dtype, torch.float32)), 1)
    for dim in (2, 3):
        size = smooth.shape[dim] - 2
        every = (slice(None),) * dim + (slice(None, None, step),)
        before, here, after = (smooth.narrow(dim, start, size)[every] for start in range(3))
        smooth = (before + 2 * here + after) / 4
    return smooth.to(x.dtype)
