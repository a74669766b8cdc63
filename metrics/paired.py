"""How near an image is to its partner, pixel by pixel: pure functions of two batches.

Images are float tensors (B, C, H, W) of the files' own counts: float32 holds those of 8 bits
exactly, 16 bits and luminance take float64. Both batches have one shape, dtype and device, which
must know float64. Returned are float64 tensors, one value a pair: (B,), or (..., B) for the pixels
in `where`, (..., B, H, W) of bool, NaN where that has none.
"""

from collections.abc import Callable, Iterator
from itertools import repeat

import torch
from torch import Tensor

from util.colour import LUMA_WEIGHTS

SSIM_WINDOW = 7  # side in pixels: scikit-image's default; no image may be smaller
CACHED_PIXELS = 2**17  # done at a time on a processor: their maps stay in its cache


def psnr(a: Tensor, b: Tensor, *, data_range: float, where: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio 10 log10(data_range² / MSE), in dB; more is better.

    a, b: (B, C, H, W); MSE is over all pixels and bands. data_range: 255 for 8 bits, 65535 for 16
    bits. Infinite for equal images.
    """
    return 10 * torch.log10(data_range**2 / _mean_difference(a, b, Tensor.square_, where))


def mae(a: Tensor, b: Tensor, *, where: Tensor | None = None) -> Tensor:
    """Mean absolute difference over all pixels and bands, in counts; less is better.

    a, b: (B, C, H, W).
    """
    return _mean_difference(a, b, Tensor.abs_, where)


def _mean_difference(
    a: Tensor, b: Tensor, change: Callable[[Tensor], Tensor], where: Tensor | None
) -> Tensor:
    """Mean over each image of change(a - b)."""
    means = []
    for x, y, inside in _parts(a, b, where):
        changed = change(x - y)
        if inside is None:
            means.append(changed.mean(dim=(1, 2, 3), dtype=torch.float64))
        else:
            means.append(_mean_where(changed.mean(dim=1, dtype=torch.float64), inside))
    return torch.cat(means, dim=-1)


def _mean_where(maps: Tensor, where: Tensor | None) -> Tensor:
    """Mean over each of the maps (N, H, W) of float64, over the pixels in where (..., N, H, W)."""
    if where is None:
        return maps.mean(dim=(1, 2))
    return (maps * where).sum(dim=(-2, -1)) / where.sum(dim=(-2, -1))


def ssim(a: Tensor, b: Tensor, *, data_range: float, where: Tensor | None = None) -> Tensor:
    """Mean structural similarity (Wang et al. 2004, eq. 13), in [-1, 1]; 1 for equal images.

    a, b: (B, C, H, W), sides of 7 pixels or more. Equal to scikit-image's defaults: uniform 7×7
    window, sample covariance, K1 = 0.01, K2 = 0.03, windows inside the image only, mean over the
    bands. data_range: as for `psnr`. Sums over windows are taken in the images' dtype, the rest in
    float64: float32 is exact for 8 bits, as 49 · (2 · 255)² < 2²⁴, and for nothing larger.
    where: middles of the windows that count; what is around them counts with them.
    """
    bands, edge = a.shape[1], SSIM_WINDOW // 2
    if where is not None:
        where = where[..., edge:-edge, edge:-edge].repeat_interleave(bands, dim=-3)
    # Of one band: (N, H, W).
    parts = list(_parts(a.flatten(0, 1), b.flatten(0, 1), where))
    count, height, width = parts[0][0].shape
    # Made once: fresh memory for every part would cost as much time as the arithmetic.
    workspace = a.new_empty(2, 4, count, height, width)
    windows = 4, count, height - SSIM_WINDOW + 1, width - SSIM_WINDOW + 1
    wide = a.new_empty(windows, dtype=torch.float64)
    values = []
    for x, y, inside in parts:
        maps, spare = workspace[:, :, : len(x)]  # the last part may be smaller
        sums = wide[:, : len(x)]
        # The sum p and difference q of the images, and their squares, say all.
        torch.add(x, y, out=maps[0])
        torch.sub(x, y, out=maps[1])
        torch.mul(maps[:2], maps[:2], out=maps[2:])
        sums.copy_(_window_sums(maps, spare))
        values.append(_mean_where(_ssim_of_sums(sums, data_range), inside))
    return torch.cat(values, dim=-1).unflatten(-1, (-1, bands)).mean(dim=-1)


def _window_sums(maps: Tensor, spare: Tensor) -> Tensor:
    """Sums over all windows inside the maps: (..., H, W) -> (..., H - 6, W - 6), a part of `maps`.

    Over columns, then rows, each a sum of 7 = 1 + 2 + 2 + 2. Overwrites maps and spare, which is of
    the same shape.
    """
    for dim in (-2, -1):
        length = maps.shape[dim] - SSIM_WINDOW + 1
        first, second = maps.narrow(dim, 0, length + 5), maps.narrow(dim, 1, length + 5)
        twos = spare[..., : first.shape[-2], : first.shape[-1]]
        torch.add(first, second, out=twos)
        maps = maps.narrow(dim, 0, length)
        for start in (1, 3, 5):
            maps += twos.narrow(dim, start, length)
    return maps


def _ssim_of_sums(sums: Tensor, data_range: float) -> Tensor:
    """SSIM from window sums of p = a + b, q = a - b, p² and q²: (4, N, h, w) -> (N, h, w).

    4 mean(a) mean(b) = mean(p)² - mean(q)², 2 (mean(a)² + mean(b)²) = mean(p)² + mean(q)², and the
    same with covariance and variances. Overwrites sums.
    """
    n = SSIM_WINDOW**2
    # n² mean² and (n - 1) variance of p and q; the factors go to the constants and cancel.
    squared_mean = sums[:2].square_()
    variance = sums[2:].sub_(squared_mean, alpha=1 / n)
    p, q = squared_mean
    p += 2 * n**2 * (0.01 * data_range) ** 2
    ratio = (p - q).div_(p.add_(q))
    p, q = variance
    p += 2 * (n - 1) * (0.03 * data_range) ** 2
    return ratio.mul_(p - q).div_(p.add_(q))


def _parts(
    a: Tensor, b: Tensor, where: Tensor | None
) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """All in step: a few images at a time on a processor, all at once elsewhere."""
    few = max(1, CACHED_PIXELS // a[0].numel())
    size = few if a.device.type == "cpu" else len(a)
    insides = repeat(None) if where is None else where.split(size, dim=-3)
    return zip(a.split(size), b.split(size), insides, strict=False)


def luminance(images: Tensor) -> Tensor:
    """0.2989 R + 0.587 G + 0.114 B, not rounded: (B, 1 or 3, H, W) -> (B, 1, H, W) float64.

    An image of one band is its own luminance. The weights sum to 0.9999, so 8-bit white becomes
    254.97; the data range of the comparison stays that of the files.
    """
    images = images.double()
    if images.shape[1] == 1:
        return images
    bands = images.split(1, dim=1)
    return sum(weight * band for weight, band in zip(LUMA_WEIGHTS, bands, strict=True))
