"""Images with a class each, seen whole."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch

from data.datasets import ImageDataset, Selection
from data.labeled_images import LabeledImage
from data.raw import RawSample
from util.batch import DataFacts, View

SAMPLED = 256  # images that say enough of the values of a set


class LabeledDataset(ImageDataset):
    """Images with a class name each, seen whole.

    items: in the order of the samples; classes: all class names, in the order of their indices;
    augment: gain, shift, ... at random; note: how the images were chosen, for people.
    """

    view: ClassVar[View] = "frame"

    def __init__(
        self,
        selection: Selection,
        items: Sequence[LabeledImage],
        *,
        classes: tuple[str, ...],
        augment: bool,
        note: str = "",
    ) -> None:
        super().__init__(selection)
        self.items = items
        self.domains["A"] = selection.domain("A", [item.file for item in items])
        self.classes = classes
        self.labels = [classes.index(item.class_name) for item in items]
        self.augment, self.note = augment, note

    def held_out(
        self, selection: Selection, items: Sequence[LabeledImage], *, note: str
    ) -> "LabeledDataset":
        """Others of these classes, as they are seen in validation: whole, nothing random in it."""
        return LabeledDataset(selection, items, classes=self.classes, augment=False, note=note)

    def facts(self) -> DataFacts:
        """With the mean and deviation of up to `SAMPLED` images, spread over the whole set."""
        domain, step = self.domains["A"], -(-len(self.files) // SAMPLED)
        images = map(domain.read, range(0, len(self.files), step))
        encoded = (domain.encode(torch.from_numpy(np.stack([image]))) for image in images)
        values = torch.stack([torch.stack([x.mean(), x.square().mean()]) for x in encoded])
        mean, mean_square = values.double().mean(dim=0).tolist()
        std = max(mean_square - mean**2, 1e-6) ** 0.5
        return replace(super().facts(), mean=mean, std=std, view=self.view)

    def sample(self, epoch: int, index: int, rng: np.random.Generator) -> RawSample:
        image = self.domains["A"].sample(index, self.preprocessing, rng, augment=self.augment)
        return RawSample({"A": image}, self.labels[index], self.files[index].name)
