"""CUT and FastCUT: unpaired translation by patchwise contrast (Park et al. 2020)."""

import random

import torch
from torch import Tensor

from models.losses import patch_nce
from models.networks import PatchSampler, ResnetGenerator, draw_patch_ids, init_weights
from models.translation import TranslationModel
from options.groups import CutOptions
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
        self.domains = 2 if options.nce_idt else 1  # whose images are translated: A, or A and B
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
        output, keys = self.generate_and_encode(source, mirrored)
        fake = output[: len(a)]
        losses = self.update_discriminator(fake, b)

        losses["G_GAN"] = opt.lambda_GAN * self.gan(self.judge(fake), True)
        contrast = self.contrast(output, keys or self.encode_source(source), mirrored)
        losses["NCE"] = contrast[: len(a)].mean()
        if opt.nce_idt:
            losses["NCE_Y"] = contrast[len(a) :].mean()
        losses["G"] = losses["G_GAN"] + contrast.mean()
        self.update("G", losses["G"])
        return {name: loss.detach() for name, loss in losses.items()}

    def generate_and_encode(self, source: Tensor, mirrored: bool) -> tuple[Tensor, list[Tensor]]:
        """G of the images, mirrored or not, and the features of `--nce_layers` of its pass.

        The features are constants; [] where a pass over the images by themselves would have others.
        """
        if mirrored or not self.passes_agree:
            return self.generate(source.flip(-1) if mirrored else source), []
        self.check_size(source)
        with self.compute.autocast():
            output, features = self.generator.forward_and_encode(source, self.options.nce_layers)
        return output, [feature.detach() for feature in features]

    def encode(self, images: Tensor) -> list[Tensor]:
        """Features (N, C_l, H_l, W_l) of `--nce_layers`; images: (N, C, H, W), of A, then of B."""
        layers = self.options.nce_layers
        with self.compute.autocast():
            if self.passes_agree:
                return self.generator.encode(images, layers)
            # Batch statistics are those of one domain.
            passes = [self.generator.encode(part, layers) for part in images.chunk(self.domains)]
            return [torch.cat(features) for features in zip(*passes, strict=True)]

    @torch.no_grad()
    def encode_source(self, source: Tensor) -> list[Tensor]:
        """Features of `--nce_layers`, as constants."""
        return self.encode(source)

    def contrast(self, output: Tensor, keys: list[Tensor], mirrored: bool) -> Tensor:
        """λ_NCE times the mean PatchNCE loss over layers and patches: output against its source.

        output: (N, C, H, W); keys: features of its source; mirrored: the output is that of the
        mirrored source (FastCUT). Returns the loss (N,) of each image.
        """
        opt = self.options
        queries = self.encode(output)
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
                pools=self.domains if opt.nce_includes_all_negatives_from_minibatch else None,
            ).mean(dim=1)
            for query, key in zip(queries, keys, strict=True)
        ]
        return opt.lambda_NCE * torch.stack(losses).mean(dim=0)
