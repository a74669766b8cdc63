"""A sensor as a network without learnt weights: grey-level curve, level control, MTF and noise."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from util.seeding import generator_for

# Knots of the curve, from -1 to 1: each 8-bit level is one, and 15 lie between two of them.
KNOTS = 255 * 16 + 1


class FittedSensor(nn.Module):
    """What a sensor makes of a simulator's image, as four numbers and a curve say.

    A curve of grey levels; a level control that brings each image's median nearer to `level`; a
    Gaussian MTF; saturation at -1 and 1. Noise is a step of its own. All buffers have one shape
    whatever the fit, and fit images of any size. A new sensor changes nothing. In units of [-1, 1]:

    curve: (KNOTS,) grey levels after the curve, which may lie beyond -1 and 1.
    level: mean of the images' medians; keep: share of its distance that a median keeps, 0..1.
    blur: standard deviation of the point spread function in pixels; the MTF at f cycles a pixel is
        exp(-2 π² blur² f²).
    noise: (3,) standard deviations of white noise, and of the offsets of rows and of columns; as in
        the three-dimensional noise model (D'Agostino and Webb 1991), σ_vh, σ_v and σ_h.
    spread: (2,) standard deviations between images: of the logarithm of gain, and of offset.
    """

    size_multiple = 1
    smallest_side = 1

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("curve", torch.linspace(-1, 1, KNOTS))
        self.register_buffer("level", torch.tensor(0.0))
        self.register_buffer("keep", torch.tensor(1.0))
        self.register_buffer("blur", torch.tensor(0.0))
        self.register_buffer("noise", torch.zeros(3))
        self.register_buffer("spread", torch.zeros(2))

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, H, W) in [-1, 1] -> the same without noise, differentiable; computed in fp32.

        The gradient takes each image's median as given.
        """
        return self.blurred(self.toned(images.float())).clamp(-1, 1).to(images.dtype)

    def toned(self, images: Tensor) -> Tensor:
        """Curve and level control alone: (B, 1, H, W), not clamped."""
        # Beyond the ends, the first and the last piece go on.
        place = (images + 1) * ((KNOTS - 1) / 2)
        left = place.detach().floor().clamp(0, KNOTS - 2)
        low, high = self.curve[left.long()], self.curve[left.long() + 1]
        toned = low + (place - left) * (high - low)
        distance = medians(toned.detach()) - self.level
        return toned - (1 - self.keep) * distance[:, None, None, None]

    def blurred(self, images: Tensor) -> Tensor:
        """(B, 1, H, W) through the MTF, mirrored at its edges."""
        height, width = images.shape[-2:]
        mirrored = torch.cat([images, images.flip(3)], 3)
        mirrored = torch.cat([mirrored, mirrored.flip(2)], 2)
        down = torch.fft.fftfreq(2 * height, device=images.device)[:, None]
        across = torch.fft.rfftfreq(2 * width, device=images.device)
        spectrum = torch.fft.rfft2(mirrored) * self.mtf(torch.hypot(down, across))
        return torch.fft.irfft2(spectrum, s=mirrored.shape[-2:])[..., :height, :width]

    def mtf(self, frequency: Tensor) -> Tensor:
        """Contrast that is left at frequencies in cycles a pixel, 0..1; of the same shape."""
        return torch.exp(-2 * (math.pi * self.blur * frequency).square())

    def add_noise(self, images: Tensor, *, seed: int, names: Sequence[str]) -> Tensor:
        """Another gain and offset, then noise, for each of (B, 1, H, W); clamped to [-1, 1].

        names: one an image; its noise follows from (seed, name) alone, on every device.
        """
        noisy = []
        for image, name in zip(images.float(), names, strict=True):
            height, width = image.shape[-2:]
            rng = generator_for(seed, *name.encode())

            def normal(*shape: int, rng: np.random.Generator = rng) -> Tensor:
                return torch.from_numpy(rng.standard_normal(shape, np.float32)).to(images.device)

            (gain, offset), (white, row, column) = normal(2) * self.spread, self.noise
            image = self.level + (image - self.level) * gain.exp() + offset
            image = image + white * normal(height, width)
            noisy.append(image + row * normal(height, 1) + column * normal(1, width))
        return torch.stack(noisy).clamp(-1, 1).to(images.dtype)


def medians(images: Tensor) -> Tensor:
    """Median of each of (B, C, H, W), the lower one of two: (B,).

    By sorting, which unlike torch's median is the same in every run on a GPU.
    """
    ordered = images.flatten(1).sort(dim=1).values
    return ordered[:, (ordered.shape[1] - 1) // 2]
