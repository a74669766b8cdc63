"""The classifier that judges translations: what it sees in an image, and where it looks."""

import hashlib
from copy import copy
from dataclasses import dataclass, field, replace

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

    @property
    def bytes(self) -> int:
        """Of memory."""
        held = self.features, self.scores, *self.embeddings.values()
        return sum(tensor.nbytes for tensor in held)


@dataclass(frozen=True)
class Judge:
    """A frozen classifier in eval mode, and the depths at which it is read.

    cam_stage: for attention maps; feature_stage: for the modality gap between sets.
    """

    classifier: Classifier
    cam_stage: str = LAST_STAGE
    feature_stage: str = LAST_STAGE

    @torch.no_grad()
    def activations(self, images: Tensor, *, recurring: bool = True) -> Activations:
        """images: (B, 1 or 3, H, W) in [-1, 1], on the classifier's device.

        recurring: whether these images may be asked about again, for a judge that remembers them.
        """
        classifier = self.classifier
        found = list(classifier.stages(images))
        stages = {stage: found[classifier.depth(stage)] for stage in STAGES}
        return Activations(
            features=stages[self.cam_stage],
            scores=classifier.look(images, stages[LAST_STAGE]),
            embeddings={
                stage: classifier.embedding(stages[stage], stage)
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

    def of_chips(self) -> "Judge":
        """The same classifier, which sees chips as they are: none is searched for its target."""
        classifier = copy(self.classifier)
        classifier.view = "chip"
        return replace(self, classifier=classifier)


@dataclass(frozen=True)
class RememberingJudge(Judge):
    """One that looks at each batch once: rows of an evaluation share targets and sources.

    It knows batches as a whole, since what a network makes of an image depends on the others by a
    last digit, and processes that share the batches must come to the same. room: bytes for what it
    has seen; what finds none is looked at again. By default 256 images of 256×256 that an attention
    network looks at have room, twice: as targets and as sources.
    """

    room: int = 2**30
    _seen: dict[bytes, Activations] = field(default_factory=dict, init=False, compare=False)

    def activations(self, images: Tensor, *, recurring: bool = True) -> Activations:
        if not recurring:
            return super().activations(images)
        key = _digest(images.cpu())
        if key in self._seen:
            return self._seen[key]
        found = super().activations(images)
        if found.bytes + sum(seen.bytes for seen in self._seen.values()) <= self.room:
            self._seen[key] = found
        return found


def _digest(images: Tensor) -> bytes:
    """Of values and shape."""
    content = repr(tuple(images.shape)).encode() + images.contiguous().numpy().tobytes()
    return hashlib.blake2b(content, digest_size=16).digest()
