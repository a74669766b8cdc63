"""A classifier on its held-out images, beside baselines that learn less."""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from data.chips import ChipScale
from data.labeled import LabeledDataset
from data.splits import spread
from metrics.baselines.dog import dog_energy
from metrics.baselines.hog import LinearClassifier, hog_features
from metrics.boxes import largest
from metrics.classifier_report import (
    Aim,
    ClassifierReport,
    Contender,
    HeldOutImages,
    markdown,
    plain,
    report_of,
    sentences,
    terminal,
)
from metrics.judge import Judge
from models.classifier import ClassifierModel
from models.networks import evaluating
from training.targets import Targets, read_chips, scale_of
from training.validation import HeldOut, Validation
from util.batch import Batch

FITTED = 2000  # training images that HOG's classifier is fitted to, at most


class ClassifierValidation(Validation):
    """Figures of what a classifier says of images that it does not learn from, and where it looks;
    the score is its balanced accuracy.

    images: to validate on; learnt: those that the model is trained on. The model goes out with the
    report of the last validation. Raises UserError for a box beyond its image.
    """

    judge = None

    def __init__(self, model: ClassifierModel, images: HeldOut, learnt: LabeledDataset) -> None:
        self.model, self.images, self.learnt = model, images, learnt
        self.report: ClassifierReport | None = None
        self.note = f"balanced accuracy of {len(images)} images"
        table = images.dataset.selection.boxes
        self.targets, self.learnt_targets = (Targets.of(d, table) for d in (images.dataset, learnt))

    def measure(self) -> dict[str, float]:
        self.report = report_of(self._known, self._classifier(), self._baselines)
        accuracy = self.report.balanced_accuracy["classifier"]
        self.model.report = {
            "balanced_accuracy": accuracy,
            "confusion": self.report.confusion,
            "validation": plain(self.report),
        }
        return {"balanced_accuracy": accuracy}

    def score(self, values: Mapping[str, float]) -> float:
        return values["balanced_accuracy"]

    def closing_words(self) -> str:
        if self.report is None:
            return ""
        return "\n\n".join([terminal(self.report), "\n".join(sentences(self.report)), ""])

    def documents(self) -> dict[str, str]:
        if self.report is None:
            return {}
        text = json.dumps(plain(self.report), indent=1, allow_nan=False) + "\n"
        return {"validation.json": text, "validation.md": markdown(self.report)}

    @property
    def _known(self) -> HeldOutImages:
        dataset, ranges = self.images.dataset, np.array(self.targets.ranges, float)
        return HeldOutImages(
            dataset.classes, np.array(dataset.labels), ranges, self.targets.recordings
        )

    @torch.no_grad()
    def _classifier(self) -> Contender:
        judge = Judge(self.model.classifier)
        predicted: list[np.ndarray] = []
        aims: list[Aim] = []
        with evaluating(self.model.classifier):
            for batch in self.images:
                seen = judge.activations(batch.a)
                predicted.append(seen.predicted.cpu().numpy())
                if self._can_aim:
                    aims.append(Aim.of(judge.attention(seen, batch.label), _boxes(batch)))
        return Contender(
            "classifier", np.concatenate(predicted), Aim.joined(aims) if aims else None
        )

    @cached_property
    def _baselines(self) -> tuple[Contender, ...]:
        """The images stay the same while the classifier learns."""
        hog = Contender("HOG", self._hog_predictions())
        if not self._can_aim:
            return (hog,)
        aims = [Aim.of(dog_energy(batch.a), _boxes(batch)) for batch in self.images]
        return hog, Contender("DoG", aim=Aim.joined(aims))

    @property
    def _can_aim(self) -> bool:
        """Whether there is anywhere else to look than at the target, as there is not in chips."""
        return self.images.dataset.view != "chip"

    def _hog_predictions(self) -> np.ndarray:
        """(n,) class indices that HOG and a linear classifier give held-out images."""
        places = spread(range(len(self.learnt)), FITTED)
        scale = scale_of(self.learnt_targets, self.targets)
        classifier = LinearClassifier.fit(
            _features(self.learnt, self.learnt_targets, places, scale),
            np.array(self.learnt.labels)[places],
            classes=len(self.learnt.classes),
        )
        held_out = self.images.dataset
        everything = range(len(held_out))
        return classifier.predict(_features(held_out, self.targets, everything, scale))


def _features(
    dataset: LabeledDataset, targets: Targets, places: Sequence[int], scale: ChipScale | None
) -> np.ndarray:
    chips = read_chips(dataset, targets, places, scale)
    return np.concatenate([hog_features(chip[None]) for chip in chips])


def _boxes(batch: Batch) -> Tensor:
    """(B, 4), the largest of each image; NaN without any."""
    if batch.box_a is None:
        return batch.a.new_full((len(batch.a), 4), torch.nan)
    return largest(batch.box_a)
