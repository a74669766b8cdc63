"""The datasets of a training run by its flags, and one sample, by the steps that make batches."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from data.build import build_training_datasets
from data.datasets import ImageDataset
from data.value_map import ValueMap
from options import TrainConfig
from util.errors import UserError


@dataclass(frozen=True)
class Sample:
    """Images (C, H, W) in [-1, 1], class index or -1, name of `a`."""

    a: Tensor
    b: Tensor | None
    label: int
    name: str


def training_datasets(
    config: TrainConfig,
    *,
    value_maps: Mapping[str, ValueMap] | None = None,
    left_out: Mapping[str, str] | None = None,
    boxes_for: str | None = None,
) -> tuple[ImageDataset, ImageDataset | None]:
    """As train.py builds them."""
    return build_training_datasets(
        config.data,
        config.model,
        seed=config.run.seed,
        full_size_after=config.training.n_epochs,
        value_maps=value_maps or {},
        left_out=left_out or {},
        boxes_for=boxes_for,
    )


def item(dataset: ImageDataset, epoch: int, index: int) -> Sample | UserError:
    """Sample `index` of `epoch`: a batch of its own, or why there is none."""
    raw = dataset.collect([(epoch, index)])
    if isinstance(raw, UserError):
        return raw
    batch = dataset.prepare(raw)
    b = None if batch.b is None else batch.b[0]
    return Sample(batch.a[0], b, int(batch.label), *batch.names)
