"""A sensor as a network without learnt weights: grey-level curve, level control, MTF and noise.

And a generator that is such a sensor and what a network learns to add to its images.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from metrics.boxes import faded, inside
from models.networks.functions import Saturate
from util.distributed import draw_rows
from util.seeding import generator_for

# Knots of the curve, from -1 to 1: each 8-bit level is one, and 15 lie between two of them.
KNOTS = 255 * 16 + 1
SHARES = 65  # quantiles of a target's grey levels, from 0 to 1
# Buffers that fits of earlier versions lack: a new sensor's are what these were fitted with.
LATER_BUFFERS = ("reference", "target", "target_keep", "targets_only")
# Buffers that some of these had besides, and what they hold where they say nothing.
PAST_BUFFERS = {"mtf_power": 2.0}


class FittedSensor(nn.Module):
    """What a sensor makes of a simulator's image, as a curve and some numbers say.

    A curve of grey levels; a level control that brings each image's background nearer to `level`; a
    target control that brings the grey levels of each target nearer to `target`; a Gaussian MTF;
    saturation at -1 and 1. Noise is a step of its own. All buffers have one shape whatever the fit,
    and fit images of any size. A new sensor changes nothing. In units of [-1, 1]:

    curve: (KNOTS,) grey levels after the curve, which may lie beyond -1 and 1.
    reference: share of an image's background below the grey level that is controlled, 0.5 for its
        median; level: mean of these levels; keep: share of its distance that one keeps, 0..1.
    target: (SHARES,) mean grey levels below which equal shares of a target's box lie, before the
        MTF, all 0 where the fit is not one to targets; target_keep: share of their distance that a
        target's own keep, 0..1.
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
        self.register_buffer("reference", torch.tensor(0.5))
        self.register_buffer("level", torch.tensor(0.0))
        self.register_buffer("keep", torch.tensor(1.0))
        self.register_buffer("target", torch.zeros(SHARES))
        self.register_buffer("target_keep", torch.tensor(1.0))
        self.register_buffer("blur", torch.tensor(0.0))
        self.register_buffer("noise", torch.zeros(3))
        self.register_buffer("spread", torch.zeros(2))

    @property
    def controls_targets(self) -> bool:
        """Whether boxes of targets make a difference to the images: of a fit to targets alone.

        Any other was fitted with level control that looked at targets, too.
        """
        return bool(self.target.any() and torch.minimum(self.keep, self.target_keep) < 1)

    def forward(self, images: Tensor, boxes: Tensor | None = None) -> Tensor:
        """(B, 1, H, W) in [-1, 1] -> the same without noise, differentiable; computed in fp32.

        boxes: (B, N, 4) as of a Batch, which a fit to targets heeds; targets without one keep their
        own grey levels. The gradient takes what the two controls measure as given.
        """
        if boxes is not None and self.controls_targets:
            toned = self.with_controlled_targets(self.toned(images.float(), boxes), boxes)
        else:
            toned = self.toned(images.float())
        return self.blurred(toned).clamp(-1, 1).to(images.dtype)

    def toned(self, images: Tensor, boxes: Tensor | None = None) -> Tensor:
        """Curve and level control alone: (B, 1, H, W), not clamped. boxes: of targets, not looked
        at by the level control.
        """
        toned = self.on_curve(images)
        distance = levels_below(toned.detach(), self.reference, without=boxes) - self.level
        return toned - (1 - self.keep) * distance[:, None, None, None]

    def on_curve(self, images: Tensor) -> Tensor:
        """Grey levels of any shape through the curve; its first and last piece go on beyond it."""
        place = (images + 1) * ((KNOTS - 1) / 2)
        left = place.detach().floor().clamp(0, KNOTS - 2)
        low, high = self.curve[left.long()], self.curve[left.long() + 1]
        return low + (place - left) * (high - low)

    def with_controlled_targets(self, toned: Tensor, boxes: Tensor) -> Tensor:
        """What `toned` gave, the pixels in each of boxes (B, N, 4) nearer to `target`.

        A pixel's distance is that to the mean grey level of its rank in the box.
        """
        change = torch.zeros_like(toned)
        masks = inside(boxes.flatten(0, 1), *toned.shape[-2:]).unflatten(0, boxes.shape[:2])
        for number, box in masks.any(dim=(2, 3)).nonzero().tolist():
            mask = masks[number, box]
            own = toned[number, 0][mask].detach()
            distance = own - self.usual(own)
            change[number, 0, mask] = (self.target_keep - 1) * distance
        return toned + change

    def usual(self, levels: Tensor) -> Tensor:
        """Mean grey levels of the ranks that levels (N,) of one target have among themselves."""
        ordered = levels.sort().values
        below = [torch.searchsorted(ordered, levels, right=right) for right in (False, True)]
        place = sum(below) / (2 * len(levels)) * (SHARES - 1)
        left = place.long().clamp(max=SHARES - 2)
        return torch.lerp(self.target[left], self.target[left + 1], place - left)

    def blurred(self, images: Tensor) -> Tensor:
        """(B, 1, H, W) through the MTF, mirrored at its edges."""
        count, _, height, width = images.shape
        # Without broadcasting, which would make another graph of an exported batch of one.
        down, across = (
            self.blur_along(side, images).expand(count, -1, -1) for side in (height, width)
        )
        with torch.autocast(images.device.type, enabled=False):
            return torch.bmm(torch.bmm(down, images[:, 0]), across)[:, None]

    def blur_along(self, side: int, images: Tensor) -> Tensor:
        """(side, side), symmetric: the MTF of one direction, for columns or rows of `images`.

        Mirrored at both ends, these are sums of cosines with the period of twice the side, and so
        is the point spread function.
        """
        pixels = torch.arange(side, device=images.device)
        length = torch.full_like(pixels, side)  # a number would be none to an exported graph
        # Reduced to one turn as whole numbers: floats would lose digits in large angles.
        distances = torch.arange(side + 1, device=images.device)
        halves = distances[:, None] * pixels % (2 * length)
        waves, length, halves = (x.to(images.dtype) for x in (pixels, length, halves))
        gain = self.mtf(waves / (2 * length)) * (1 + waves.clamp(max=1)) / (2 * length)
        spread = (torch.cos(math.pi * halves / length) * gain).sum(1)
        direct = (pixels[:, None] - pixels).abs()
        mirrored = side - (pixels[:, None] + pixels + 1 - side).abs()
        return spread[direct] + spread[mirrored]

    def mtf(self, frequency: Tensor) -> Tensor:
        """Contrast that is left at frequencies in cycles a pixel, 0..1; of the same shape."""
        return torch.exp(-2 * (math.pi * self.blur * frequency).square())

    def add_noise(self, images: Tensor, *, seed: int, names: Sequence[str]) -> Tensor:
        """`with_noise` of (B, 1, H, W), the same on every device.

        names: one an image; its noise follows from (seed, name) alone.
        """
        draws = []
        for _, name in zip(images, names, strict=True):
            rng = generator_for(seed, *name.encode(errors="surrogateescape"))
            shapes = noise_shapes(*images.shape[-2:])
            draws.append([torch.from_numpy(rng.standard_normal(s, np.float32)) for s in shapes])
        stacked = (torch.stack(kind) for kind in zip(*draws, strict=True))
        return self.with_noise(images, *(kind.to(images.device) for kind in stacked))

    def draw_noise(self, images: Tensor) -> Tensor:
        """`with_noise` of (B, 1, H, W), of torch's generator: in a training step."""
        shapes, device = noise_shapes(*images.shape[-2:]), images.device
        draws = [
            draw_rows(len(images), lambda n, shape=shape: torch.randn(n, *shape, device=device))
            for shape in shapes
        ]
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


def levels_below(images: Tensor, share: Tensor | float, *, without: Tensor | None = None) -> Tensor:
    """Grey level below which a share of each of (B, C, H, W) lies, the lower one of two: (B,).

    without: boxes (B, N, 4) of pixels that do not count, unless nothing else is left. By sorting,
    which unlike torch's median is the same in every run on a GPU.
    """
    if without is not None:
        hidden = inside(without.flatten(0, 1), *images.shape[-2:])
        hidden = hidden.unflatten(0, without.shape[:2]).any(1)
        hidden &= ~hidden.all(dim=(1, 2), keepdim=True)
        images = images.masked_fill(hidden[:, None], torch.inf)
    ordered = images.flatten(1).sort(dim=1).values
    counted = ordered.isfinite().sum(dim=1)
    place = ((counted - 1) * share).long()
    return ordered.gather(1, place[:, None])[:, 0]


class SensorGenerator(nn.Module):
    """The images of a fitted sensor, and what a network learns to add to them.

    It is given images beside their fit, as `see` puts them. Twice the network's tanh is added to
    the fit, which reaches all of [-1, 1] from anywhere in it. The network's last convolution is
    set to 0, so that a new generator makes the fit itself, to the bit. The sensor is no parameter.

    network: of two bands to one, such as a ResNet, whose layers `encode` gives.
    targets_only: a buffer, whether the network adds to targets alone. It is then given their mask,
        1 in boxes and fading to 0 about them, in the images' place, and what it adds is times that.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.sensor, self.network = FittedSensor(), network
        self.register_buffer("targets_only", torch.tensor(False))
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

    def _add(self, seen: Tensor, learnt: Tensor) -> Tensor:
        first, fit = seen.split(1, 1)
        learnt = torch.where(self.targets_only, learnt * first, learnt)
        return Saturate.apply(fit + 2 * learnt)


def sensor_of(generator: nn.Module) -> FittedSensor | None:
    """The fitted sensor that a generator is, or has inside; None for any other."""
    found = generator.sensor if isinstance(generator, SensorGenerator) else generator
    return found if isinstance(found, FittedSensor) else None


def see(
    generator: nn.Module, images: Tensor, boxes: Tensor | None = None, *, real: bool = False
) -> Tensor:
    """What a generator is given of images: of a SensorGenerator, (B, 1, H, W) beside their fit.

    boxes: (B, N, 4) of their targets; real: they are the sensor's, or made to be like those. Such
    an image is its own fit: a second time through the sensor would blur it twice. Returns
    (B, 2, H, W), in place of the images the mask of targets where the generator changes these only;
    for any other generator the images themselves.
    """
    if not isinstance(generator, SensorGenerator):
        return images
    fit = images if real else generator.sensor(images, boxes)
    mask = torch.zeros_like(images)
    if boxes is not None:
        mask = faded(boxes, *images.shape[-2:])[:, None].to(images.dtype)
    return torch.cat([torch.where(generator.targets_only, mask, images), fit], 1)


def heeds_boxes(generator: nn.Module) -> bool:
    """Whether boxes of targets make a difference to its images."""
    if isinstance(generator, SensorGenerator):
        return bool(generator.targets_only) or generator.sensor.controls_targets
    return isinstance(generator, FittedSensor) and generator.controls_targets
