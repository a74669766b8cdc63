"""Pix2Pix with Grad-CAM feedback (Arshad et al. 2025): attention on G(A) must equal that on B.

A teacher that attends (--netC attention) compares what it names, too, where it knows the target.
"""

from pathlib import Path

import torch
from torch import Tensor

from models.gradcam import gradcam, maps_of_features
from models.losses import kl
from models.networks.classifiers import AttentionClassifier, classifier_kind, load_classifier
from models.pix2pix import Pix2PixModel
from models.targets import largest_box
from options.groups import Pix2PixGradcamOptions
from util.batch import Batch, DataFacts
from util.checkpoint import digest
from util.compute import Compute
from util.errors import UserError


class Pix2PixGradcamModel(Pix2PixModel):
    """Adds λ_gradcam times the mean squared difference of the two attention maps and, with a
    teacher that attends, λ_gradcam times the divergence of what it names in G(A) from that in B.
    """

    dataset_modes = ("aligned",)
    options: Pix2PixGradcamOptions

    def __init__(
        self, options: Pix2PixGradcamOptions, *, compute: Compute, facts: DataFacts
    ) -> None:
        super().__init__(options, compute=compute, facts=facts)
        if options.classifier is None:
            raise UserError(
                "--model pix2pix_gradcam needs a trained classifier; name its file with "
                "--classifier (train one with --model classifier)."
            )
        # Not among the networks: it is frozen, and its own file keeps it.
        self.classifier = compute.place(load_classifier(Path(options.classifier)))
        compute.compile(self.classifier, "features")
        self.teacher = digest(self.classifier.net.state_dict())
        source = f"the classifier {options.classifier}"
        self.classifier.require_frames(source)
        self.classifier.expect_range(*facts.value_range, source=source)
        self.class_of_label = self._class_indices(facts)
        self._note_empty_maps(facts)

    def _note_empty_maps(self, facts: DataFacts) -> None:
        """A map of one position is constant, and so empty: the two never differ."""
        stage = self.options.cam_layer
        stride = self.classifier.strides[self.classifier.depth(stage)]
        small = [size for size in facts.sizes.get("B", ()) if max(size) <= stride]
        if small:
            height, width = small[0]
            self.notes.append(
                f"in images of {width}x{height} pixels the maps of --cam_layer {stage} have one "
                "position, so that G_CAM is 0: another stage or larger images have more"
            )

    def _class_indices(self, facts: DataFacts) -> Tensor | None:
        """The classifier's index of each class of the data, (K,); None without labels."""
        if self.options.cam_target == "predicted":
            return None
        known = self.classifier.classes
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
        stage = self.options.cam_layer
        with torch.no_grad():
            target, label = gradcam(self.classifier, images["real_B"], stage=stage)
            attention, _ = gradcam(self.classifier, images["fake_B"], label, stage=stage)
        maps = {"attention_fake_B": attention, "attention_real_B": target}
        return images | {name: 2 * found - 1 for name, found in maps.items()}

    @staticmethod
    def reads_boxes(options: Pix2PixGradcamOptions) -> bool:
        if options.classifier is None:
            return False
        return issubclass(classifier_kind(Path(options.classifier)), AttentionClassifier)

    def semantic_terms(self, fake: Tensor, batch: Batch) -> dict[str, Tensor]:
        label = None
        if self.class_of_label is not None:
            label = self.class_of_label[batch.label]
        if isinstance(self.classifier, AttentionClassifier):
            return self._attended_terms(self.classifier, fake, batch, label)
        stage = self.options.cam_layer
        with self.compute.autocast():
            with torch.no_grad():
                target, predicted = gradcam(self.classifier, batch.b, label, stage=stage)
            attention, _ = gradcam(self.classifier, fake, predicted, stage=stage)
        difference = (attention - target).square().mean()
        return {"G_CAM": self.options.lambda_gradcam * difference}

    def _attended_terms(
        self, teacher: AttentionClassifier, fake: Tensor, batch: Batch, label: Tensor | None
    ) -> dict[str, Tensor]:
        """Means over the images: those with a box are looked at there, the others as a whole."""
        if batch.box_b is None:
            parts = [self._differences(teacher, fake, batch.b, label, places=None)]
        else:
            places = largest_box(batch.box_b).unflatten(1, (2, 2)).mean(dim=1)
            boxed = ~places.isnan().any(dim=1)
            # Two kinds of passes, of as many images as there are: for that the step waits here.
            parts = [
                self._differences(
                    teacher,
                    fake[chosen],
                    batch.b[chosen],
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
