"""The vehicle classifiers: those whose attention guides the translation, and their judges."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from models.base import Model
from models.losses import attention_kl
from models.networks.classifiers import CLASSIFIERS
from models.targets import cell_shares
from options.groups import ClassifierOptions
from util.batch import Batch, DataFacts
from util.compute import Compute
from util.distributed import batch_mean
from util.errors import UserError


@dataclass(frozen=True)
class Recipe:
    """What else than the rate differs in the training of a network of --netC.

    smoothing: of the labels (Szegedy et al. 2016); weight_decay: of AdamW, 0 for Adam.
    """

    smoothing: float = 0.0
    weight_decay: float = 0.0


SMOOTH = Recipe(smoothing=0.1, weight_decay=0.05)
RECIPES = {"resnet18": Recipe(), "attention": SMOOTH, "efficientnet_lite0": SMOOTH}


class ClassifierModel(Model):
    """Cross-entropy weighted against class imbalance; where the network attends, the share of each
    position should be that of the target, too.
    """

    dataset_modes = ("labeled",)
    watched_loss = "cross_entropy"
    options: ClassifierOptions

    def __init__(self, options: ClassifierOptions, *, compute: Compute, facts: DataFacts) -> None:
        super().__init__(options, compute=compute, facts=facts)
        if len(facts.classes) < 2:
            found = f"only the class {facts.classes[0]}" if facts.classes else "no class"
            raise UserError(f"the training images show {found}; a classifier needs at least two.")
        classifier = CLASSIFIERS[options.netC](
            classes=facts.classes,
            bands=options.input_nc,
            mean=facts.mean,
            std=facts.std,
            value_range=facts.value_range,
            value_type=facts.value_type,
            view=facts.view,
            chip_scale=facts.chip_scale,
        )
        weights = options.imagenet_weights
        self.notes.append(classifier.start(None if weights is None else Path(weights)))
        self.classifier = compute.place(classifier)
        compute.compile(self.classifier, "learn")
        # The bare network, so that a ResNet's state-dict keys are torchvision's.
        self.networks["classifier"] = classifier.net
        self.recipe = RECIPES[options.netC]
        self.add_optimiser("classifier", classifier.net, weight_decay=self.recipe.weight_decay)
        # Whatever their sum: cross_entropy divides by the weights of the batch.
        counts = torch.tensor(facts.class_counts, dtype=torch.float32, device=self.device)
        self.class_weights = None if facts.balanced else 1 / counts
        # What the last validation found, which goes out with the network.
        self.report: Mapping[str, Any] = {}

    @staticmethod
    def flag_of_boxes(options: ClassifierOptions) -> str | None:
        return "--netC attention" if options.netC == "attention" else None

    def training_step(self, batch: Batch) -> dict[str, Tensor]:
        with self.compute.autocast():
            scores, log_shares = self.classifier.learn(batch.a)
        terms = {"cross_entropy": self.cross_entropy(scores.float(), batch.label)}
        if log_shares is not None:
            target = cell_shares(batch.box_a, log_shares.shape[1:], batch.a.shape[-2:])
            terms["attention"] = _of_whole_batch(
                attention_kl(log_shares, target),
                (target.sum(dim=(1, 2)) > 0).to(target.dtype).mean(),
            )
        self.update("classifier", sum(terms.values()))
        accuracy = (scores.argmax(dim=1) == batch.label).float().mean()
        return {**{name: loss.detach() for name, loss in terms.items()}, "accuracy": accuracy}

    def cross_entropy(self, scores: Tensor, label: Tensor) -> Tensor:
        """Of scores (B, K); where classes have weights, a mean by those of the whole batch."""
        weights, smoothing = self.class_weights, self.recipe.smoothing
        loss = F.cross_entropy(scores, label, weight=weights, label_smoothing=smoothing)
        return loss if weights is None else _of_whole_batch(loss, weights[label].mean())

    def exports(self) -> dict[str, Any]:
        """The classifier with its classes, normalisation and last validation."""
        return {"classifier": self.classifier.export(**self.report)}

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "report": dict(self.report)}

    def load_state_dict(self, state: Mapping[str, Any], *, source: str) -> None:
        super().load_state_dict(state, source=source)
        self.report = state["report"]


def _of_whole_batch(loss: Tensor, weight: Tensor) -> Tensor:
    """A mean that was divided by the mean weight of this process's rows, by that of all rows."""
    return loss * (weight / batch_mean(weight).clamp(min=1e-12))
