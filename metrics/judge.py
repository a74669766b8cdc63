"""The classifier that judges translations: what it sees in an image, and where it looks."""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.gradcam import maps_of_features
from models.networks.classifiers import LAST_STAGE, STAGES, Classifier


@dataclass(frozen=True)
class Activations:
    """What one pass of the classifier over B images gives.

    features: (B, C, h, w) of the stage that attention maps are made of; scores: (B, K) by class;
    embeddings: stage -> (B, D), its features as one vector, which FID and KID compare in the last
    stage; size: (H, W) of the images.
    """

    features: Tensor
    scores: Tensor
    embeddings: dict[str, Tensor]
    size: tuple[int, int]

    @property
    def predicted(self) -> Tensor:
        """(B,) class indices."""
        return self.scores.argmax(dim=1)

    def of(self, places: list[int]) -> "Activations":
        """Those of some of the images."""
        embeddings = {stage: means[places] for stage, means in self.embeddings.items()}
        return Activations(self.features[places], self.scores[places], embeddings, self.size)


@dataclass(frozen=True)
class Judge:
    """A frozen classifier in eval mode, and the depths at which it is read.

    cam_stage: for attention maps; feature_stage: for the modality gap between sets.
    """

    classifier: Classifier
    cam_stage: str = LAST_STAGE
    feature_stage: str = LAST_STAGE

    @torch.no_grad()
    def activations(self, images: Tensor) -> Activations:
        """images: (B, 1 or 3, H, W) in [-1, 1], on the classifier's device."""
        classifier = self.classifier
        found = list(classifier.stages(images))
        stages = {stage: found[classifier.depth(stage)] for stage in STAGES}
        return Activations(
            features=stages[self.cam_stage],
            scores=classifier.look(images, stages[LAST_STAGE]),
            embeddings={
                stage: classifier.pool(stages[stage], stage)
                for stage in {LAST_STAGE, self.feature_stage}
            },
            size=tuple(images.shape[-2:]),
        )

    def attention(self, seen: Activations, label: Tensor) -> Tensor:
        """Its attention maps (B, 1, H, W) in [0, 1] of the classes `label` (B,)."""
        with torch.no_grad():
            return maps_of_features(
                self.classifier, seen.features, label, seen.size, stage=self.cam_stage
            )

    def index_of(self, class_name: str) -> int | None:
        """Index of a class by its name; None for one that it does not know."""
        names = self.classifier.classes
        return names.index(class_name) if class_name in names else None
