"""Models and batches without data, for benchmarks of training steps."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from models import MODEL_OPTIONS, model_class
from models.base import Model
from models.networks.classifiers import ResNet18Classifier
from options import parse_train
from options.groups import FeedbackOptions
from util.batch import Batch, DataFacts
from util.compute import Compute
from util.distributed import Share
from util.seeding import seed_step

CLASSES = tuple("abcdefg")


def make_batch(a: Tensor, b: Tensor, *, share: Share | None = None) -> Batch:
    """Of images (B, bands, S, S) in [-1, 1], with labels and targets. share: as of `Batch`."""
    names = tuple(f"{number}" for number in range(len(a)))
    labels = torch.arange(len(a)) % len(CLASSES)
    # A target of a quarter of the side; that of B lies beside that of A.
    box = a.shape[-1] * torch.tensor([[[0.25, 0.4, 0.5, 0.55]]]).expand(len(a), 1, 4)
    return Batch(a, b, labels, names, box, box + box[..., :1], share)


def make_model(
    name: str, flags: Sequence[str], *, bands: int, compute: Compute, folder: Path
) -> Model:
    """Of --model `name` with further flags; the classifier for Grad-CAM, in `folder`, is drawn."""
    flags = ["--model", name, "--dataroot", ".", "--input_nc", str(bands), *flags]
    if name != "classifier":
        flags += ["--output_nc", str(bands)]
    if issubclass(MODEL_OPTIONS[name], FeedbackOptions):
        torch.save(ResNet18Classifier(classes=CLASSES, bands=3).export(), folder / "classifier.pth")
        flags += ["--classifier", str(folder / "classifier.pth")]
    options = parse_train(flags, MODEL_OPTIONS).model
    facts = DataFacts(classes=CLASSES, class_counts=(1,) * len(CLASSES))
    seed_step(0, 0)
    return model_class(name)(options, compute=compute, facts=facts)
