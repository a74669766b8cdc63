"""Pix2Pix with Grad-CAM feedback (Arshad et al. 2025): attention on G(A) must equal that on B."""

import torch
from torch import Tensor

from models.feedback import AttentionFeedback
from models.pix2pix import Pix2PixModel
from options.groups import Pix2PixGradcamOptions
from util.batch import Batch, DataFacts
from util.compute import Compute
from util.errors import UserError


class Pix2PixGradcamModel(Pix2PixModel):
    """Adds what a teacher finds different between G(A) and its partner B."""

    dataset_modes = ("aligned",)
    options: Pix2PixGradcamOptions

    def __init__(
        self, options: Pix2PixGradcamOptions, *, compute: Compute, facts: DataFacts
    ) -> None:
        super().__init__(options, compute=compute, facts=facts)
        self.feedback = AttentionFeedback(options, domain="B", compute=compute, facts=facts)
        self.teacher = self.feedback.teacher
        self.notes += self.feedback.notes
        self.class_of_label = self._class_indices(facts)

    def _class_indices(self, facts: DataFacts) -> Tensor | None:
        """The classifier's index of each class of the data, (K,); None without labels."""
        if self.options.cam_target == "predicted":
            return None
        known = self.feedback.classifier.classes
        unknown = sorted(set(facts.classes) - set(known))
        if unknown:
            raise UserError(
                f"--cam_target label: the data shows {', '.join(unknown)}, which the classifier "
                f"{self.options.classifier} does not know (it knows {', '.join(known)}); "
                "use --cam_target predicted or another classifier."
            )
        if facts.unlabelled:
            raise UserError(
                f"--cam_target label: {facts.unlabelled} training pairs have no class; label them "
                "in labels.csv or use --cam_target predicted."
            )
        return torch.tensor([known.index(name) for name in facts.classes], device=self.device)

    def samples(self, batch: Batch) -> dict[str, Tensor]:
        """With the attention on translation and target, white where it is greatest."""
        images = super().samples(batch)
        fake, real = self.feedback.maps(images["fake_B"], images["real_B"])
        return images | {"attention_fake_B": fake, "attention_real_B": real}

    @staticmethod
    def reads_boxes(options: Pix2PixGradcamOptions) -> bool:
        return AttentionFeedback.reads_boxes(options)

    def semantic_terms(self, fake: Tensor, batch: Batch) -> dict[str, Tensor]:
        label = None if self.class_of_label is None else self.class_of_label[batch.label]
        return self.feedback.terms(fake, batch.b, batch.box_b, label)
