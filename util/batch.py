"""What a dataset hands to a model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor

from util.distributed import Share

Sizes = Mapping[tuple[int, int], str]  # (height, width) -> name of an image of this size
View = Literal["frame", "window", "chip"]  # whole, or in parts: data/views.py


@dataclass(frozen=True)
class Batch:
    """Images of B samples, and where their targets are.

    a: (B, input_nc, H, W) in [-1, 1], the images to translate or to classify.
    b: (B, output_nc, H, W) in [-1, 1], of the target domain; None where there is none.
    label: (B,) class index of the sample in the data's list of classes, -1 where unknown.
    names: B relative paths without extension, of `a`.
    box_a, box_b: (B, N, 4) of x0, y0, x1, y1 in pixel edges of `a` and `b`, what the image shows of
    the boxes of its targets; rows of NaN where it has fewer than N. N >= 1 is each domain's own.
    None where nobody asked for them.
    share: which rows of a batch of several processes these are; None where there is one process.
    """

    a: Tensor
    b: Tensor | None
    label: Tensor
    names: tuple[str, ...]
    box_a: Tensor | None = None
    box_b: Tensor | None = None
    share: Share | None = None

    @property
    def total(self) -> int:
        """Images of the whole batch, those of other processes too."""
        return self.share.total if self.share else len(self.names)

    def each(self, do: Callable[[Tensor], Tensor]) -> "Batch":
        """The same with `do` applied to every tensor."""
        return replace(self, **{name: do(tensor) for name, tensor in self._tensors().items()})

    def _tensors(self) -> dict[str, Tensor]:
        found = {name: getattr(self, name) for name in ("a", "b", "label", "box_a", "box_b")}
        return {name: tensor for name, tensor in found.items() if tensor is not None}

    def to(self, device: torch.device) -> "Batch":
        """The same batch on this device."""
        return self.each(lambda tensor: tensor.to(device))

    def __str__(self) -> str:
        """Number and size of the images."""
        count, (height, width) = len(self.names), self.a.shape[-2:]
        return f"{count} image{'s' * (count > 1)} of {width}x{height} pixels"

    def record_stream(self, stream: torch.cuda.Stream) -> None:
        """Tell the memory's owner that `stream` uses it, which another stream has filled."""
        for tensor in self._tensors().values():
            tensor.record_stream(stream)


@dataclass(frozen=True)
class DataFacts:
    """What a model may need to know of its training data before the first step.

    classes: names, in the order of Batch.label; class_counts: images of each; mean, std: of the
    images' values in [-1, 1], (0, 1) where nobody asked for them; unlabelled: how many images have
    no class; value_range: the file values of the target (or only) domain that became -1 and 1,
    source_range: those of A; value_type, source_type: what the two are, such as "uint16" or
    "float32 kelvin".
    sizes: by role, those at which the networks see the images; paired: whether the two images of a
    sample have one size. view: how labelled images are seen in training; chip_scale: how large
    chips are, `data.chips.ChipScale` in plain values, None for other views; balanced: whether
    batches have as many images of each class. sensed: whether images A are as a sensor shows them,
    and not as a simulator does.
    """

    classes: tuple[str, ...] = ()
    class_counts: tuple[int, ...] = ()
    unlabelled: int = 0
    mean: float = 0.0
    std: float = 1.0
    value_range: tuple[float, float] = (0.0, 255.0)
    source_range: tuple[float, float] = (0.0, 255.0)
    value_type: str = "uint8"
    source_type: str = "uint8"
    sizes: Mapping[str, Sizes] = field(default_factory=dict)
    paired: bool = False
    view: View = "frame"
    chip_scale: Mapping[str, Any] | None = None
    balanced: bool = False
    sensed: bool = False
