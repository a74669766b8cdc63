"""Pix2Pix: paired translation with a conditional GAN and L1 (Isola et al. 2017)."""

import torch
from torch import Tensor

from models.targets import box_weights
from models.translation import TranslationModel
from options.groups import Pix2PixOptions
from util.batch import Batch, DataFacts
from util.compute import Compute


class Pix2PixModel(TranslationModel):
    """G(A) is near B and fools a D that sees A too (eq. 4)."""

    dataset_modes = ("aligned", "randomized")
    watched_loss = "G_L1"
    options: Pix2PixOptions

    def __init__(self, options: Pix2PixOptions, *, compute: Compute, facts: DataFacts) -> None:
        bands = options.input_nc + options.output_nc
        super().__init__(options, compute=compute, facts=facts, judged_bands=bands)
        self.add_optimiser("G", self.generator)
        self.add_optimiser("D", self.discriminator)

    @staticmethod
    def flag_of_boxes(options: Pix2PixOptions) -> str | None:
        return "--lambda_box" if options.lambda_box != 1 else None

    def training_step(self, batch: Batch) -> dict[str, Tensor]:
        a, b = batch.a, batch.b
        fake = self.generate(self.see(a, batch.box_a, real=self.facts.sensed))
        shown = self.shown(fake)
        losses = self.update_discriminator(torch.cat([a, shown], 1), torch.cat([a, b], 1))
        judged = self.judge(torch.cat([a, shown], 1))
        terms = {
            "G_GAN": self.options.lambda_GAN * self.gan(judged, True),
            "G_L1": self.options.lambda_L1 * self.weighted(batch, (fake - b).abs()).mean(),
            **self.semantic_terms(shown, batch),
        }
        self.update("G", sum(terms.values()))
        return {name: loss.detach() for name, loss in (losses | terms).items()}

    def weighted(self, batch: Batch, errors: Tensor) -> Tensor:
        """Errors (B, C, H, W) of pixels, those in boxes of targets --lambda_box times.

        The sum of weights is not divided by: the background counts as it does without boxes.
        """
        weight = self.options.lambda_box
        if weight == 1:
            return errors
        return errors * box_weights(batch.box_b, *errors.shape[-2:], weight)

    def semantic_terms(self, fake: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Further terms of G's objective on images as D sees them; plain Pix2Pix has none."""
        return {}
