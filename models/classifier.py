"""The vehicle classifier whose attention guides the translation: ResNet-18 (He et al. 2016)."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from metrics.confusion import balanced_accuracy, confusion_matrix
from models.base import Model
from models.networks import evaluating
from models.networks.classifier import Classifier
from options.groups import ClassifierOptions
from util.batch import Batch, DataFacts
from util.compute import Compute
from util.distributed import batch_mean
from util.errors import UserError


class ClassifierModel(Model):
    """Cross-entropy weighted against class imbalance; validated by class-balanced accuracy."""

    dataset_modes = ("labeled",)
    watched_loss = "cross_entropy"
    options: ClassifierOptions

    def __init__(self, options: ClassifierOptions, *, compute: Compute, facts: DataFacts) -> None:
        super().__init__(options, compute=compute, facts=facts)
        if len(facts.classes) < 2:
            found = f"only the class {facts.classes[0]}" if facts.classes else "no class"
            raise UserError(f"the training images show {found}; a classifier needs at least two.")
        classifier = Classifier(
            classes=facts.classes,
            bands=options.input_nc,
            mean=facts.mean,
            std=facts.std,
            value_range=facts.value_range,
            value_type=facts.value_type,
        )
        if options.imagenet_weights is None:
            self.notes.append("the ResNet-18 starts from scratch: no --imagenet_weights given")
        else:
            classifier.start_from_imagenet(Path(options.imagenet_weights))
            self.notes.append(f"the ResNet-18 starts from {options.imagenet_weights}")
        self.classifier = compute.place(classifier)
        compute.compile(self.classifier, "forward")
        # The bare ResNet, so that its state-dict keys are torchvision's.
        self.networks["classifier"] = classifier.net
        self.add_optimiser("classifier", classifier.net)
        # Whatever their sum: cross_entropy divides by the weights of the batch.
        counts = torch.tensor(facts.class_counts, dtype=torch.float32, device=self.device)
        self.class_weights = 1 / counts
        self.report: dict[str, Any] = {}

    def training_step(self, batch: Batch) -> dict[str, Tensor]:
        with self.compute.autocast():
            scores = self.classifier(batch.a).float()
        # A mean by the weights of these rows, brought to those of the whole batch.
        weight = self.class_weights[batch.label].mean()
        loss = F.cross_entropy(scores, batch.label, weight=self.class_weights)
        loss = loss * (weight / batch_mean(weight))
        self.update("classifier", loss)
        accuracy = (scores.argmax(dim=1) == batch.label).float().mean()
        return {"cross_entropy": loss.detach(), "accuracy": accuracy}

    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Balanced accuracy: the mean recall of the classes that occur in the batches, in fp32."""
        size = len(self.facts.classes)
        confusion = torch.zeros(size, size, dtype=torch.int64)
        with torch.no_grad(), evaluating(self.classifier):
            for batch in batches:
                self.compute.begin_step()
                predicted = self.classifier(batch.a).argmax(dim=1)
                confusion += confusion_matrix(batch.label, predicted, classes=size)
        accuracy = balanced_accuracy(confusion)
        self.report = {"balanced_accuracy": accuracy, "confusion": confusion}
        return {"balanced_accuracy": accuracy}

    def exports(self) -> dict[str, Any]:
        """The classifier with its classes, normalisation and last validation.

        confusion: (K, K) counts, true class by row, predicted class by column.
        """
        return {"classifier": self.classifier.export(**self.report)}

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "report": self.report}

    def load_state_dict(self, state: Mapping[str, Any], *, source: str) -> None:
        super().load_state_dict(state, source=source)
        self.report = state["report"]
