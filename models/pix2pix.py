"""Pix2Pix: paired translation with a conditional GAN and L1 (Isola et al. 2017)."""

import torch
from torch import Tensor

from models.translation import TranslationModel
from options.groups import Pix2PixOptions
from util.batch import Batch, DataFacts
from util.compute import Compute


class Pix2PixModel(TranslationModel):
    """G(A) is near B and fools a D that sees A too (eq. 4)."""

    dataset_modes = ("aligned",)
    watched_loss = "G_L1"
    options: Pix2PixOptions

    def __init__(self, options: Pix2PixOptions, *, compute: Compute, facts: DataFacts) -> None:
        bands = options.input_nc + options.output_nc
        super().__init__(options, compute=compute, facts=facts, judged_bands=bands)
        self.add_optimiser("G", self.generator)
        self.add_optimiser("D", self.discriminator)

    def training_step(self, batch: Batch) -> dict[str, Tensor]:
        a, b = batch.a, batch.b
        fake = self.generate(a)
        losses = self.update_discriminator(torch.cat([a, fake], 1), torch.cat([a, b], 1))
        judged = self.judge(torch.cat([a, fake], 1))
        terms = {
            "G_GAN": self.options.lambda_GAN * self.gan(judged, True),
            "G_L1": self.options.lambda_L1 * (fake - b).abs().mean(),
            **self.semantic_terms(fake, batch),
        }
        self.update("G", sum(terms.values()))
        return {name: loss.detach() for name, loss in (losses | terms).items()}

    def semantic_terms(self, fake: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Further terms of G's objective; plain Pix2Pix has none."""
        return {}
