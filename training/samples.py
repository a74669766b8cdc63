"""The few images that show how a run comes on: the same ones at every moment."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from data.datasets import ImageDataset
from data.preview import common_window, preview, windowed
from data.splits import spread
from data.value_map import as_image
from data.value_type import UINT8
from models.base import Model
from util.batch import Batch
from util.errors import UserError

COUNT = 4
IMAGES = ("real_A", "fake_B", "real_B")  # what a window is for; attention is no image


@dataclass(frozen=True)
class Sample:
    """One image and its partner. window: (1, 2), what is shown as black and as white, of
    `common_window`; None for images of 8 bits, which are shown as they are.
    """

    batch: Batch
    window: Tensor | None

    @classmethod
    def of(cls, batch: Batch, *, eight_bit: bool) -> "Sample":
        """The window is that of the images themselves, so that all moments have the same."""
        images = [image for image in (batch.a, batch.b) if image is not None]
        return cls(batch, None if eight_bit else common_window(images))

    def show(self, model: Model) -> Mapping[str, np.ndarray]:
        """What the model makes of it now: (H, W) or (H, W, 3) uint8 by name."""
        return {name: self._grey(name, found) for name, found in model.samples(self.batch).items()}

    def _grey(self, name: str, image: Tensor) -> np.ndarray:
        if self.window is None or name not in IMAGES:
            return preview(image[0])
        return as_image(windowed(image, self.window)[0].cpu())


def fixed_samples(dataset: ImageDataset, device: torch.device) -> list[Sample]:
    """One of each of the first classes and others, evenly over all; cut as for a first epoch.

    Each a batch of its own, as images may have sizes of their own. One that cannot be read is left
    out: training tells of it where it comes to it.
    """
    eight_bit = all(found.type == UINT8 for found in dataset.value_maps.values())
    raw = [dataset.collect([(0, index)]) for index in _chosen(dataset)]
    batches = [dataset.prepare(found) for found in raw if not isinstance(found, UserError)]
    return [Sample.of(batch.to(device), eight_bit=eight_bit) for batch in batches]


def _chosen(dataset: ImageDataset) -> list[int]:
    firsts = sorted(dataset.labels.index(label) for label in set(dataset.labels) - {-1})[:COUNT]
    others = [i for i in spread(range(len(dataset)), min(COUNT, len(dataset))) if i not in firsts]
    return [*firsts, *others][:COUNT]
