"""What CUT and Pix2Pix share: a generator, a discriminator and how they are built and used."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from models.base import Model
from models.image_pool import ImagePool
from models.losses import GAN_LOSSES
from models.networks import build_discriminator, build_generator, evaluating, init_weights
from models.networks.sensor import FittedSensor, SensorGenerator, see
from options import TranslationOptions
from options.groups import GanOptions, SensorFitOptions
from util.batch import Batch, DataFacts
from util.compute import Compute
from util.errors import UserError


def make_generator(options: TranslationOptions) -> nn.Module:
    """The generator that the options describe, its weights drawn anew; a sensor in it is as new.

    Raises UserError for a sensor of colour images.
    """
    if isinstance(options, SensorFitOptions):
        return FittedSensor()
    if options.sensor and (options.input_nc, options.output_nc) != (1, 1):
        raise UserError("--sensor is for images of one band; leave --input_nc and --output_nc out.")
    generator = build_generator(
        options.netG,
        input_nc=2 if options.sensor else options.input_nc,
        output_nc=options.output_nc,
        ngf=options.ngf,
        norm=options.normG,
        dropout=not options.no_dropout,
        antialias_down=not options.no_antialias,
        antialias_up=not options.no_antialias_up,
    )
    init_weights(generator, init_type=options.init_type, init_gain=options.init_gain)
    return SensorGenerator(generator) if options.sensor else generator


def translate(
    generator: nn.Module, images: Tensor, compute: Compute, boxes: Tensor | None = None
) -> Tensor:
    """`of_any_size` without gradient. compute: what the generator was placed by."""
    compute.begin_step()
    with torch.inference_mode(), compute.autocast():
        return of_any_size(generator, images, boxes)


def of_any_size(generator: nn.Module, images: Tensor, boxes: Tensor | None = None) -> Tensor:
    """Whole images through the generator: (B, C, H, W) in [-1, 1] -> (B, C', H, W).

    Sides are reflected at the bottom and right up to what the generator needs, and cropped back.
    boxes: (B, N, 4) of the targets, for a sensor that heeds them. It has no branch that depends on
    H or W, so that an exported generator is of any size, too.
    """
    if isinstance(generator, FittedSensor):
        return generator(images, boxes)
    height, width = images.shape[-2:]
    seen = see(generator, images, boxes)
    for dim, side in ((2, height), (3, width)):
        padded = _side_for(generator, side)
        seen = seen.index_select(dim, _reflected_positions(side, padded, images.device))
    return generator(seen)[:, :, :height, :width]


def _side_for(generator: nn.Module, side: int) -> int:
    """The least that the generator takes and that holds `side`."""
    multiple = generator.size_multiple
    least = torch.sym_max(generator.smallest_side, side)  # of ints and of an export's symbols
    return (least + multiple - 1) // multiple * multiple


def _reflected_positions(size: int, padded: int, device: torch.device) -> Tensor:
    """0..size-1 and then back and forth, `padded` positions: any amount, unlike F.pad."""
    position = torch.arange(padded, device=device)
    period = torch.full_like(position, torch.sym_max(1, 2 * (size - 1)))
    position = position % period
    return torch.where(position < size, position, period - position)


class TranslationModel(Model):
    """Generator G and discriminator D of `--netG` and `--netD`.

    judged_bands: bands of what D sees.
    """

    options: GanOptions

    def __init__(
        self,
        options: GanOptions,
        *,
        compute: Compute,
        facts: DataFacts,
        judged_bands: int,
    ) -> None:
        super().__init__(options, compute=compute, facts=facts)
        self.gan = GAN_LOSSES[options.gan_mode]
        self.pool = ImagePool(options.pool_size)
        self.generator = compute.place(make_generator(options))
        discriminator = build_discriminator(
            options.netD,
            input_nc=judged_bands,
            ndf=options.ndf,
            n_layers=options.n_layers_D,
            norm=options.normD,
            antialias=not options.no_antialias,
        )
        init_weights(discriminator, init_type=options.init_type, init_gain=options.init_gain)
        self.discriminator = compute.place(discriminator)
        self.average = deepcopy(self.generator).requires_grad_(False) if options.ema else None
        compute.compile(self.generator, "forward")
        compute.compile(self.discriminator, "forward")
        for size, name in facts.sizes.get("A", {}).items():
            self.check_size(*size, example=name)
        for size, name in facts.sizes.get("B", {}).items():
            self._check_smallest(self.discriminator, "netD", *size, example=name)
        self.networks = {"G": self.generator, "D": self.discriminator}
        if self.average is not None:
            self.networks["G_ema"] = self.average

    def see(self, images: Tensor, boxes: Tensor | None = None, *, real: bool = False) -> Tensor:
        """What G is given of (B, C, H, W): the images or, with --sensor, they beside their fit."""
        return see(self.generator, images, boxes, real=real)

    def generate(self, seen: Tensor) -> Tensor:
        """G of what it sees. Raises UserError for sides that the generator cannot take."""
        self.check_size(*seen.shape[-2:])
        with self.compute.autocast():
            return self.generator(seen)

    def shown(self, fake: Tensor) -> Tensor:
        """What D is shown of G's images: with --sensor its noise is in them, drawn anew.

        Real images are noisy, and D would know G's by that they are not. What G makes of images
        that a sensor has shown keeps their noise.
        """
        if not self.options.sensor or self.facts.sensed:
            return fake
        return self.generator.sensor.draw_noise(fake)

    def translate(self, images: Tensor, boxes: Tensor | None = None) -> Tensor:
        """Whole images through G or its average, as test.py --no_noise does: eval mode, exactly."""
        generator = self.generator if self.average is None else self.average
        with evaluating(generator):
            return translate(generator, images, self.compute.exact, boxes)

    def descend(self, name: str) -> None:
        super().descend(name)
        if name == "G" and self.average is not None:
            self.update_average()

    @torch.no_grad()
    def update_average(self) -> None:
        """Bring it a step nearer to G, by --ema."""
        for kept, now in zip(self.average.parameters(), self.generator.parameters(), strict=True):
            kept.lerp_(now, 1 - self.options.ema)
        for kept, now in zip(self.average.buffers(), self.generator.buffers(), strict=True):
            kept.copy_(now)  # statistics are averages already

    def load_networks(self, networks: Mapping[str, Any], *, source: str) -> None:
        super().load_networks(networks, source=source)
        if self.average is not None and "G" in networks and "G_ema" not in networks:
            self.average.load_state_dict(self.generator.state_dict())

    def judge(self, images: Tensor) -> Tensor:
        """D of (B, judged_bands, H, W): logits (B, 1, h, w) in fp32."""
        with self.compute.autocast():
            return self.discriminator(images).float()

    def check_size(self, height: int, width: int, *, example: str = "") -> None:
        """Raises UserError for sides that the generator or the discriminator cannot take.

        example: name of an image of this size.
        """
        multiple = self.generator.size_multiple
        if height % multiple or width % multiple:
            raise UserError(
                f"{_images(height, width, example)} do not fit --netG {self.options.netG}, which "
                f"needs sides that are multiples of {multiple}; choose another "
                "--crop_size (where nothing is cropped, --load_size) or another --netG."
            )
        for net, flag in ((self.generator, "netG"), (self.discriminator, "netD")):
            self._check_smallest(net, flag, height, width, example=example)

    def _check_smallest(
        self, net: nn.Module, flag: str, height: int, width: int, *, example: str
    ) -> None:
        if min(height, width) < net.smallest_side:
            raise UserError(
                f"{_images(height, width, example)} are too small for --{flag} "
                f"{getattr(self.options, flag)}, which needs {net.smallest_side} a side; "
                "choose a larger --crop_size (where nothing is cropped, --load_size)."
            )

    def update_discriminator(self, fake: Tensor, real: Tensor) -> dict[str, Tensor]:
        """One step of D on (B, judged_bands, H, W) images. Returns its two losses."""
        fake = self.pool.query(fake.detach())
        if self.options.normD == "batch" or fake.shape != real.shape:
            logits_fake, logits_real = self.judge(fake), self.judge(real)
        else:  # each image by itself, so one pass can take all
            logits_fake, logits_real = self.judge(torch.cat([fake, real])).chunk(2)
        judged_fake, judged_real = self.gan(logits_fake, False), self.gan(logits_real, True)
        self.update("D", (judged_fake + judged_real) / 2)
        return {"D_real": judged_real.detach(), "D_fake": judged_fake.detach()}

    def samples(self, batch: Batch) -> dict[str, Tensor]:
        return {
            "real_A": batch.a,
            "fake_B": self.translate(batch.a, batch.box_a),
            "real_B": batch.b,
        }

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "pool": self.pool.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any], *, source: str) -> None:
        super().load_state_dict(state, source=source)
        self.pool.load_state_dict(state["pool"], self.device)


def _images(height: int, width: int, example: str) -> str:
    found = f"images of {width}x{height} pixels"
    return f"{found}, such as {example}," if example else found
