"""A sensor as a network without learnt weights: grey-level curve, level control, MTF and noise.

And a generator that is such a sensor and what a network learns to add to its images.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from models.networks.functions import Saturate
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
        """`with_noise` of (B, 1, H, W), the same on every device.

        names: one an image; its noise follows from (seed, name) alone.
        """
        draws = []
        for _, name in zip(images, names, strict=True):
            rng = generator_for(seed, *name.encode())
            shapes = noise_shapes(*images.shape[-2:])
            draws.append([torch.from_numpy(rng.standard_normal(s, np.float32)) for s in shapes])
        stacked = (torch.stack(kind) for kind in zip(*draws, strict=True))
        return self.with_noise(images, *(kind.to(images.device) for kind in stacked))

    def draw_noise(self, images: Tensor) -> Tensor:
        """`with_noise` of (B, 1, H, W), of torch's generator: in a training step."""
        shapes = noise_shapes(*images.shape[-2:])
        draws = (torch.randn(len(images), *shape, device=images.device) for shape in shapes)
        return self.with_noise(images, *draws)

    def with_noise(
        self, images: Tensor, level: Tensor, white: Tensor, rows: Tensor, columns: Tensor
    ) -> Tensor:
        """Another gain and offset, then noise, for each of (B, 1, H, W); saturated at -1 and 1.

        level, white, rows, columns: (B, *shape) each, of `noise_shapes`.
        """
        gain, offset = (level * self.spread[:, None, None]).split(1, 1)
        noisy = self.level + (images.float() - self.level) * gain.exp() + offset
        for sigma, draw in zip(self.noise, (white, rows, columns), strict=True):
            noisy = noisy + sigma * draw
        return Saturate.apply(noisy).to(images.dtype)


def noise_shapes(height: int, width: int) -> list[tuple[int, int, int]]:
    """Of the normal deviates for one image: gain and offset, pixels, rows and columns."""
    return [(2, 1, 1), (1, height, width), (1, height, 1), (1, 1, width)]


def medians(images: Tensor) -> Tensor:
    """Median of each of (B, C, H, W), the lower one of two: (B,).

    By sorting, which unlike torch's median is the same in every run on a GPU.
    """
    ordered = images.flatten(1).sort(dim=1).values
    return ordered[:, (ordered.shape[1] - 1) // 2]


class SensorGenerator(nn.Module):
    """The images of a fitted sensor, and what a network learns to add to them.

    It is given images beside their fit, as `see` puts them. Twice the network's tanh is added to
    the fit, which reaches all of [-1, 1] from anywhere in it. The network's last convolution is
    set to 0, so that a new generator makes the fit itself, to the bit. The sensor is no parameter.

    network: of two bands to one, such as a ResNet, whose layers `encode` gives.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.sensor, self.network = FittedSensor(), network
        self.size_multiple, self.smallest_side = network.size_multiple, network.smallest_side
        *_, last = (m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)))
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, seen: Tensor) -> Tensor:
        """seen: (B, 2, H, W) in [-1, 1], images and their fit -> (B, 1, H, W) in [-1, 1]."""
        return self._add(seen, self.network(seen))

    def encode(self, seen: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """Features of the network, as ResnetGenerator's."""
        return self.network.encode(seen, layers)

    def forward_and_encode(
        self, seen: Tensor, layers: Sequence[int]
    ) -> tuple[Tensor, list[Tensor]]:
        """What `forward` and `encode` give, in one pass."""
        learnt, features = self.network.forward_and_encode(seen, layers)
        return self._add(seen, learnt), features

    def feature_channels(self, layers: Sequence[int]) -> list[int]:
        """Channels of what `encode(seen, layers)` returns."""
        return self.network.feature_channels(layers)

    def add_noise(self, images: Tensor, *, seed: int, names: Sequence[str]) -> Tensor:
        """The sensor's, as FittedSensor adds it."""
        return self.sensor.add_noise(images, seed=seed, names=names)

    @staticmethod
    def _add(seen: Tensor, learnt: Tensor) -> Tensor:
        return Saturate.apply(seen[:, 1:] + 2 * learnt)


def see(generator: nn.Module, images: Tensor, *, real: bool = False) -> Tensor:
    """What a generator is given of images: of a SensorGenerator, (B, 1, H, W) beside their fit.

    real: they are the sensor's, or made to be like those. Such an image is its own fit: a second
    time through the sensor would blur it twice. Returns (B, 2, H, W); for any other generator the
    images themselves.
    """
    if not isinstance(generator, SensorGenerator):
        return images
    return torch.cat([images, images if real else generator.sensor(images)], 1)
