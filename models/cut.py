"""CUT and FastCUT: unpaired translation by patchwise contrast (Park et al. 2020)."""

import random

import torch
from torch import Tensor

from models.losses import patch_nce
from models.networks import PatchSampler, ResnetGenerator, draw_patch_ids, init_weights
from models.translation import TranslationModel
from options import CutOptions
from util.batch import Batch, DataFacts
from util.compute import Compute
from util.errors import UserError


class CutModel(TranslationModel):
    """G fools D, and each patch of G(A) finds its own patch of A among others (eq. 1 and 5)."""

    dataset_modes = ("unaligned", "aligned")
    watched_loss = "NCE"
    options: CutOptions

    def __init__(self, options: CutOptions, *, compute: Compute, facts: DataFacts) -> None:
        super().__init__(options, compute=compute, facts=facts, judged_bands=options.output_nc)
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
        self.networks["F"] = self.sampler = compute.place(sampler)
        compute.compile(self.generator, "encode", "forward_and_encode")
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
        sources = [a, b] if opt.nce_idt else [a]
        outputs, keys = self.generate_and_encode(sources, mirrored)
        losses = self.update_discriminator(outputs[0], b)

        losses["G_GAN"] = opt.lambda_GAN * self.gan(self.judge(outputs[0]), True)
        queries = self.encode(outputs)
        keys = keys or self.encode_sources(sources)
        contrasts = [self.contrast(q, k, mirrored) for q, k in zip(queries, keys, strict=True)]
        losses.update(zip(("NCE", "NCE_Y"), contrasts, strict=False))
        losses["G"] = losses["G_GAN"] + sum(contrasts) / len(contrasts)
        self.update("G", losses["G"])

        # Mirrored outputs are turned back, to stand beside their source.
        names = ("real_A", "real_B", "fake_B", "idt_B")
        images = dict(zip(names, (a, b, *outputs), strict=False))
        turned = ("fake_B", "idt_B") if mirrored else ()
        self.last_images = {
            name: (image.flip(-1) if name in turned else image).detach()
            for name, image in images.items()
        }
        return {name: loss.detach() for name, loss in losses.items()}

    def generate_and_encode(
        self, sources: list[Tensor], mirrored: bool
    ) -> tuple[list[Tensor], list[list[Tensor]]]:
        """G of each batch of images, mirrored or not, and its features of `--nce_layers`.

        These are constants; [] where a pass over the images by themselves would have others.
        """
        images = torch.cat(sources)
        if mirrored or not self.passes_agree:
            output = self.generate(images.flip(-1) if mirrored else images)
            return list(output.chunk(len(sources))), []
        self.check_size(images)
        with self.compute.autocast():
            output, features = self.generator.forward_and_encode(images, self.options.nce_layers)
        constants = [feature.detach() for feature in features]
        return list(output.chunk(len(sources))), _by_batch(constants, len(sources))

    def encode(self, batches: list[Tensor]) -> list[list[Tensor]]:
        """Features of `--nce_layers` of each batch of images."""
        layers = self.options.nce_layers
        with self.compute.autocast():
            if not self.passes_agree:
                return [self.generator.encode(images, layers) for images in batches]
            return _by_batch(self.generator.encode(torch.cat(batches), layers), len(batches))

    @torch.no_grad()
    def encode_sources(self, sources: list[Tensor]) -> list[list[Tensor]]:
        """The same as constants."""
        return self.encode(sources)

    def contrast(self, queries: list[Tensor], keys: list[Tensor], mirrored: bool) -> Tensor:
        """λ_NCE times the mean PatchNCE loss over the layers: output against its source.

        queries, keys: features (B, C_l, H_l, W_l) of both; mirrored: the output is that of the
        mirrored source (FastCUT).
        """
        opt = self.options
        if mirrored:
            queries = [feature.flip(-1) for feature in queries]
        with self.compute.autocast():
            with torch.no_grad():
                ids = draw_patch_ids(keys, opt.num_patches)
                keys = self.sampler(keys, ids)
            queries = self.sampler(queries, ids)
        losses = [
            patch_nce(
                query,
                key,
                temperature=opt.nce_T,
                minibatch_negatives=opt.nce_includes_all_negatives_from_minibatch,
            ).mean()
            for query, key in zip(queries, keys, strict=True)
        ]
        return opt.lambda_NCE * torch.stack(losses).mean()


def _by_batch(features: list[Tensor], batches: int) -> list[list[Tensor]]:
    """Features of several batches in one, layer by layer -> for each batch its features."""
    return [list(parts) for parts in zip(*(f.chunk(batches) for f in features), strict=True)]
