"""Attention feedback (Arshad et al. 2025): a frozen teacher sees a scene twice, and alike.

A teacher that attends (--netC attention) compares what it names, too, where it knows the target.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from metrics.boxes import largest
from models.gradcam import gradcam, maps_of_features
from models.losses import kl
from models.networks.classifiers import AttentionClassifier, classifier_kind, load_classifier
from options.groups import FeedbackOptions
from util.batch import DataFacts
from util.checkpoint import digest
from util.compute import Compute
from util.errors import UserError


class AttentionFeedback:
    """λ_gradcam times the mean squared difference of two attention maps: of an image that shows a
    scene, and of what a generator makes of it. With a teacher that attends, also λ_gradcam times
    the divergence of what it names.

    domain: of the images that show the scenes. notes: what the user should know of it.
    """

    def __init__(
        self,
        options: FeedbackOptions,
        *,
        domain: Literal["A", "B"],
        compute: Compute,
        facts: DataFacts,
    ) -> None:
        if options.classifier is None:
            raise UserError(
                "attention feedback needs a trained classifier; name its file with --classifier "
                "(train one with --model classifier)."
            )
        self.options, self.compute = options, compute
        # Not among a model's networks: it is frozen, and its own file keeps it.
        self.classifier = compute.place(load_classifier(Path(options.classifier)))
        compute.compile(self.classifier, "features")
        self.teacher = digest(self.classifier.net.state_dict())
        source = f"the classifier {options.classifier}"
        self.classifier.require_frames(source)
        known, kind = (
            (facts.value_range, facts.value_type)
            if domain == "B"
            else (facts.source_range, facts.source_type)
        )
        self.classifier.expect_range(*known, value_type=kind, source=source, domain=domain)
        self.notes = list(self._empty_maps(facts.sizes.get(domain, ())))

    @staticmethod
    def reads_boxes(options: FeedbackOptions) -> bool:
        """Whether the teacher uses boxes of the targets where there are any."""
        if options.classifier is None:
            return False
        return issubclass(classifier_kind(Path(options.classifier)), AttentionClassifier)

    def maps(self, fake: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Attention on images and on what shows their scenes, (B, 1, H, W) each in [-1, 1]."""
        stage = self.options.cam_layer
        with torch.no_grad():
            wanted, label = gradcam(self.classifier, real, stage=stage)
            found, _ = gradcam(self.classifier, fake, label, stage=stage)
        return 2 * found - 1, 2 * wanted - 1

    def terms(
        self, fake: Tensor, real: Tensor, boxes: Tensor | None, label: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Terms of the objective, with gradient to `fake` alone.

        fake, real: (B, C, H, W) in [-1, 1], of the same scenes; boxes: (B, N, 4) of their targets,
        or None; label: (B,) the class of each map, None for that which the teacher sees in `real`.
        """
        if isinstance(self.classifier, AttentionClassifier):
            return self._attended_terms(self.classifier, fake, real, boxes, label)
        stage = self.options.cam_layer
        with self.compute.autocast():
            with torch.no_grad():
                target, predicted = gradcam(self.classifier, real, label, stage=stage)
            attention, _ = gradcam(self.classifier, fake, predicted, stage=stage)
        difference = (attention - target).square().mean()
        return {"G_CAM": self.options.lambda_gradcam * difference}

    def _empty_maps(self, sizes: Iterable[tuple[int, int]]) -> Iterator[str]:
        """A map of one position is constant, and so empty: the two never differ."""
        stage = self.options.cam_layer
        stride = self.classifier.strides[self.classifier.depth(stage)]
        for height, width in [size for size in sizes if max(size) <= stride][:1]:
            yield (
                f"in images of {width}x{height} pixels the maps of --cam_layer {stage} have one "
                "position, so that G_CAM is 0: another stage or larger images have more"
            )

    def _attended_terms(
        self,
        teacher: AttentionClassifier,
        fake: Tensor,
        real: Tensor,
        boxes: Tensor | None,
        label: Tensor | None,
    ) -> dict[str, Tensor]:
        """Means over the images: those with a box are looked at there, the others as a whole."""
        if boxes is None:
            parts = [self._differences(teacher, fake, real, label, places=None)]
        else:
            places = largest(boxes).unflatten(1, (2, 2)).mean(dim=1)
            boxed = ~places.isnan().any(dim=1)
            # Two kinds of passes, of as many images as there are: for that the step waits here.
            parts = [
                self._differences(
                    teacher,
                    fake[chosen],
                    real[chosen],
                    None if label is None else label[chosen],
                    places=places[chosen] if seen_near else None,
                )
                for seen_near, chosen in ((True, boxed), (False, ~boxed))
                if chosen.any()
            ]
        attention, named = (torch.cat(found).mean() for found in zip(*parts, strict=True))
        weight = self.options.lambda_gradcam
        return {"G_CAM": weight * attention, "G_class": weight * named}

    def _differences(
        self,
        teacher: AttentionClassifier,
        fake: Tensor,
        real: Tensor,
        label: Tensor | None,
        *,
        places: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Of each image, of the maps and of what is named: (B,) and (B,).

        places: (B, 2), middles of the windows that are looked at, None for whole frames.
        """
        stage = self.options.cam_layer

        def see(images: Tensor) -> tuple[Tensor, Tensor]:
            if places is None:
                features = teacher.features(images, stage)
            else:
                features = teacher.looked_at(images, places, stage)
            return features, teacher.head(features, stage)

        with self.compute.autocast():
            with torch.no_grad():
                of_real, target_scores = see(real)
            of_fake, scores = see(fake)
        if label is None:
            label = target_scores.argmax(dim=1)
        size = of_fake.shape[-2:]
        with torch.no_grad():
            target = maps_of_features(teacher, of_real, label, size, stage=stage)
        attention = maps_of_features(teacher, of_fake, label, size, stage=stage)
        difference = (attention - target).square().mean(dim=(1, 2, 3))
        return difference, kl(target_scores, scores)
