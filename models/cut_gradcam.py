"""CUT with Grad-CAM feedback: attention on G(A) must equal that on A, whose scene it shows.

Arshad et al. (2025) ask it of Pix2Pix and its partner images; here it is asked where a target can
turn into another, as unpaired translation has no partner that says what it is.
"""

from torch import Tensor

from models.cut import CutModel
from models.feedback import AttentionFeedback
from options.groups import CutGradcamOptions
from util.batch import Batch, DataFacts
from util.compute import Compute


class CutGradcamModel(CutModel):
    """Adds what a teacher, which knows images of A, finds different between A and G(A)."""

    options: CutGradcamOptions

    def __init__(self, options: CutGradcamOptions, *, compute: Compute, facts: DataFacts) -> None:
        super().__init__(options, compute=compute, facts=facts)
        self.feedback = AttentionFeedback(options, domain="A", compute=compute, facts=facts)
        self.teacher = self.feedback.teacher
        self.notes += self.feedback.notes

    def samples(self, batch: Batch) -> dict[str, Tensor]:
        """With the attention on source and translation, white where it is greatest."""
        images = super().samples(batch)
        fake, real = self.feedback.maps(images["fake_B"], images["real_A"])
        return images | {"attention_fake_B": fake, "attention_real_A": real}

    @staticmethod
    def reads_boxes(options: CutGradcamOptions) -> bool:
        return AttentionFeedback.reads_boxes(options)

    def semantic_terms(self, fake: Tensor, batch: Batch) -> dict[str, Tensor]:
        return self.feedback.terms(fake, batch.a, batch.box_a)
