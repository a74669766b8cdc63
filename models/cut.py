"""CUT and FastCUT: unpaired translation by patchwise contrast (Park et al. 2020)."""

import random
from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor

from models.losses import patch_nce
from models.networks import RESNET_BLOCKS, PatchSampler, draw_patch_ids, init_weights
from models.targets import blind, draw_places, mirrored_boxes, stack_boxes, touched
from models.translation import TranslationModel
from options.groups import CutOptions
from util.batch import Batch, DataFacts
from util.compute import Compute
from util.distributed import first_row, gather_domains
from util.errors import UserError


class CutModel(TranslationModel):
    """G fools D, and each patch of G(A) finds its own patch of A among others (eq. 1 and 5)."""

    dataset_modes = ("unaligned", "aligned")
    watched_loss = "NCE"
    options: CutOptions

    def __init__(self, options: CutOptions, *, compute: Compute, facts: DataFacts) -> None:
        super().__init__(options, compute=compute, facts=facts, judged_bands=options.output_nc)
        if options.netG not in RESNET_BLOCKS:
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
        if not facts.paired:
            for a, b in product(facts.sizes.get("A", ()), facts.sizes.get("B", ())):
                self._check_alike(a, b)
        self.domains = 2 if options.nce_idt else 1  # whose images are translated: A, or A and B
        # With dropout or batch statistics a second pass would not see what the first one saw.
        self.passes_agree = options.no_dropout and options.normG != "batch"

    @staticmethod
    def flag_of_boxes(options: CutOptions) -> str | None:
        if options.blind_target:
            return "--blind_target"
        return "--box_patches" if options.box_patches else None

    def training_step(self, batch: Batch) -> dict[str, Tensor]:
        a, b, opt = batch.a, batch.b, self.options
        self._check_alike(a.shape[-2:], b.shape[-2:])
        mirrored = opt.flip_equivariance and random.random() < 0.5
        source = self.see(a, batch.box_a)
        if opt.nce_idt:
            source = torch.cat([source, self.see(b, real=True)])
        output, keys = self.generate_and_encode(source, mirrored)
        shown = self.shown(output[: len(a)])
        fake, real = self.blinded(shown, batch, mirrored)
        losses = self.update_discriminator(fake, real)

        losses["G_GAN"] = opt.lambda_GAN * self.gan(self.judge(fake), True)
        keys, boxes = keys or self.encode_source(source), self.source_boxes(batch)
        contrast = self.contrast(output, keys, mirrored, boxes)
        losses["NCE"] = contrast[: len(a)].mean()
        if opt.nce_idt:
            losses["NCE_Y"] = contrast[len(a) :].mean()
        terms = self.semantic_terms(shown.flip(-1) if mirrored else shown, batch)
        losses |= terms
        losses["G"] = losses["G_GAN"] + contrast.mean() + sum(terms.values())
        self.update("G", losses["G"])
        return {name: loss.detach() for name, loss in losses.items()}

    def semantic_terms(self, fake: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Further terms of G's objective on G(A), which shows what A does; plain CUT has none."""
        return {}

    def blinded(self, fake: Tensor, batch: Batch, mirrored: bool) -> tuple[Tensor, Tensor]:
        """What D sees: G(A), mirrored or not, and B; with --blind_target neither shows a target.

        Both hide the boxes of both, or D could tell them apart by the place of what is hidden. The
        image pool keeps them hidden: a past G(A) with the boxes of its own step, as the real images
        of that step had them.
        """
        if not self.options.blind_target:
            return fake, batch.b
        box_a = mirrored_boxes(batch.box_a, fake.shape[-1]) if mirrored else batch.box_a
        boxes = torch.cat([box_a, batch.box_b], dim=1)
        return blind(fake, boxes), blind(batch.b, boxes)

    def draw_places(
        self, features: list[Tensor], boxes: Tensor | None, image: Sequence[int]
    ) -> list[Tensor]:
        """Positions of the patches in each feature map of images of this size, for the sampler.

        Without boxes all images share them; with boxes each has its own.
        """
        count, share = self.options.num_patches, self.options.box_patches
        if boxes is None:
            return draw_patch_ids(features, count)
        targets = (touched(boxes, feature.shape[-2:], image).flatten(1) for feature in features)
        return [draw_places(target, count, share) for target in targets]

    def source_boxes(self, batch: Batch) -> Tensor | None:
        """Boxes of the images that outputs are contrasted with; None for patches anywhere."""
        if not self.options.box_patches:
            return None
        return stack_boxes(batch.box_a, batch.box_b) if self.options.nce_idt else batch.box_a

    def _check_alike(self, a: Sequence[int], b: Sequence[int]) -> None:
        """Raises UserError where images of these sizes, (height, width), would make one batch."""
        if (self.options.nce_idt or self.options.blind_target) and a != b:
            raise UserError(
                f"images of A are {a[1]}x{a[0]} and images of B {b[1]}x{b[0]} pixels; use a "
                "--preprocess that gives one size, or --nce_idt False without --blind_target."
            )

    def generate_and_encode(self, source: Tensor, mirrored: bool) -> tuple[Tensor, list[Tensor]]:
        """G of the images, mirrored or not, and the features of `--nce_layers` of its pass.

        The features are constants; [] where a pass over the images by themselves would have others.
        """
        if mirrored or not self.passes_agree:
            return self.generate(source.flip(-1) if mirrored else source), []
        self.check_size(*source.shape[-2:])
        with self.compute.autocast():
            output, features = self.generator.forward_and_encode(source, self.options.nce_layers)
        return output, [feature.detach() for feature in features]

    def encode(self, images: Tensor) -> list[Tensor]:
        """Features (N, C_l, H_l, W_l) of `--nce_layers`; images: as G sees N of A, then of B."""
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

    def contrast(
        self, output: Tensor, keys: list[Tensor], mirrored: bool, boxes: Tensor | None = None
    ) -> Tensor:
        """λ_NCE times the mean PatchNCE loss over layers and patches: output against its source.

        output: (N, C, H, W); keys: features of its source; mirrored: the output is that of the
        mirrored source (FastCUT); boxes: of the source, (N, M, 4), where --box_patches draws its
        share of patches in them. Returns the loss (N,) of each image.
        """
        opt = self.options
        queries = self.encode(self.see(output, real=True))
        if mirrored:
            queries = [feature.flip(-1) for feature in queries]
        with self.compute.autocast():
            with torch.no_grad():
                ids = self.draw_places(keys, boxes, output.shape[-2:])
                keys = self.sampler(keys, ids)
            queries = self.sampler(queries, ids)
        pools, first = None, 0
        if opt.nce_includes_all_negatives_from_minibatch:
            pools, first = self.domains, first_row()
            keys = [gather_domains(key, pools) for key in keys]
        losses = [
            patch_nce(query, key, temperature=opt.nce_T, pools=pools, first=first).mean(dim=1)
            for query, key in zip(queries, keys, strict=True)
        ]
        return opt.lambda_NCE * torch.stack(losses).mean(dim=0)
