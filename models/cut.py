"""CUT and FastCUT: unpaired translation by patchwise contrast (Park et al. 2020)."""

import random

import torch
from torch import Tensor

from models.losses import patch_nce
from models.networks import PatchSampler, ResnetGenerator, draw_patch_ids, init_weights
from models.translation import TranslationModel
from options import CutOptions
from util.batch import Batch, DataFacts
from util.errors import UserError


class CutModel(TranslationModel):
    """G fools D, and each patch of G(A) finds its own patch of A among others (eq. 1 and 5)."""

    dataset_modes = ("unaligned", "aligned")
    watched_loss = "NCE"
    options: CutOptions

    def __init__(self, options: CutOptions, *, device: torch.device, facts: DataFacts) -> None:
        super().__init__(options, device=device, facts=facts, judged_bands=options.output_nc)
        if not isinstance(self.generator, ResnetGenerator):
            raise UserError(
                f"--model cut compares layers of a ResNet; --netG {options.netG} has none: "
                "choose resnet_9blocks, resnet_6blocks or resnet_4blocks."
            )
        if options.input_nc != options.output_nc:
            raise UserError(
                f"--model cut sends A and B through one encoder; --input_nc {options.input_nc} and "
                f"--output_nc {options.output_nc} must be equal."
            )
        try:
            channels = self.generator.feature_channels(options.nce_layers)
        except ValueError as error:
            raise UserError(f"--nce_layers: {error}; correct the list.") from None
        sampler = PatchSampler(
            channels=channels, width=options.netF_nc, use_mlp=options.netF == "mlp_sample"
        )
        init_weights(sampler, init_type=options.init_type, init_gain=options.init_gain)
        self.networks["F"] = self.sampler = sampler.to(device)
        self.add_optimiser("G", self.generator, self.sampler)
        self.add_optimiser("D", self.discriminator)
        # With dropout or batch statistics a second pass would not see what the first one saw.
        self.passes_agree = options.no_dropout and options.normG != "batch"

    def training_step(self, batch: Batch) -> dict[str, Tensor]:
        a, b, opt = batch.a, batch.b, self.options
        if opt.nce_idt and a.shape != b.shape:
            raise UserError(
                f"the images of A are {a.shape[3]}x{a.shape[2]} and those of B {b.shape[3]}x"
                f"{b.shape[2]} pixels; use a --preprocess that gives one size, or --nce_idt False."
            )
        mirrored = opt.flip_equivariance and random.random() < 0.5
        source = torch.cat([a, b]) if opt.nce_idt else a
        output, features = self.generate_and_encode(source, mirrored)
        fake, identity = output[: len(a)], output[len(a) :]
        losses = self.update_discriminator(fake, b)

        losses["G_GAN"] = opt.lambda_GAN * self.gan(self.discriminator(fake), True)
        keys = [feature[: len(a)] for feature in features] or self.encode_source(a)
        losses["NCE"] = contrast = self.contrast(fake, keys, mirrored)
        if opt.nce_idt:
            keys = [feature[len(a) :] for feature in features] or self.encode_source(b)
            losses["NCE_Y"] = self.contrast(identity, keys, mirrored)
            contrast = (losses["NCE"] + losses["NCE_Y"]) / 2
        losses["G"] = losses["G_GAN"] + contrast
        self.update("G", losses["G"])

        # Mirrored outputs are turned back, to stand beside their source.
        images = {"real_A": a, "fake_B": fake, "real_B": b}
        if opt.nce_idt:
            images["idt_B"] = identity
        turned = ("fake_B", "idt_B") if mirrored else ()
        self.last_images = {
            name: (image.flip(-1) if name in turned else image).detach()
            for name, image in images.items()
        }
        return {name: loss.detach() for name, loss in losses.items()}

    def generate_and_encode(self, source: Tensor, mirrored: bool) -> tuple[Tensor, list[Tensor]]:
        """G of the images, mirrored or not, and the features of `--nce_layers` of its pass.

        The features are constants; [] where a pass over the images by themselves would have others.
        """
        self.check_size(source)
        if mirrored or not self.passes_agree:
            return self.generator(source.flip(-1) if mirrored else source), []
        output, features = self.generator.forward_and_encode(source, self.options.nce_layers)
        return output, [feature.detach() for feature in features]

    @torch.no_grad()
    def encode_source(self, source: Tensor) -> list[Tensor]:
        """Features of `--nce_layers`, as constants."""
        return self.generator.encode(source, self.options.nce_layers)

    def contrast(self, output: Tensor, keys: list[Tensor], mirrored: bool) -> Tensor:
        """λ_NCE times the mean PatchNCE loss over the layers: output against its source.

        output: (B, C, H, W); keys: features of its source; mirrored: the output is that of the
        mirrored source (FastCUT).
        """
        opt = self.options
        queries = self.generator.encode(output, opt.nce_layers)
        if mirrored:
            queries = [feature.flip(-1) for feature in queries]
        with torch.no_grad():
            ids = draw_patch_ids(keys, opt.num_patches)
            keys = self.sampler(keys, ids)
        losses = [
            patch_nce(
                query,
                key,
                temperature=opt.nce_T,
                minibatch_negatives=opt.nce_includes_all_negatives_from_minibatch,
            ).mean()
            for query, key in zip(self.sampler(queries, ids), keys, strict=True)
        ]
        return opt.lambda_NCE * torch.stack(losses).mean()
