"""What a dataset hands to a model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

Sizes = Mapping[tuple[int, int], str]  # (height, width) -> name of an image of this size


@dataclass(frozen=True)
class Batch:
    """Images of B samples.

    a: (B, input_nc, H, W) in [-1, 1], the images to translate or to classify.
    b: (B, output_nc, H, W) in [-1, 1], of the target domain; None where there is none.
    label: (B,) class index of the sample in the data's list of classes, -1 where unknown.
    names: B relative paths without extension, of `a`.
    """

    a: Tensor
    b: Tensor | None
    label: Tensor
    names: tuple[str, ...]

    def each(self, do: Callable[[Tensor], Tensor]) -> "Batch":
        """The same with `do` applied to every tensor."""
        b = None if self.b is None else do(self.b)
        return Batch(do(self.a), b, do(self.label), self.names)

    def to(self, device: torch.device) -> "Batch":
        """The same batch on this device."""
        return self.each(lambda tensor: tensor.to(device))

    def __str__(self) -> str:
        """Number and size of the images."""
        count, (height, width) = len(self.names), self.a.shape[-2:]
        return f"{count} image{'s' * (count > 1)} of {width}x{height} pixels"

    def record_stream(self, stream: torch.cuda.Stream) -> None:
        """Tell the memory's owner that `stream` uses it, which another stream has filled."""
        for tensor in (self.a, self.b, self.label):
            if tensor is not None:
                tensor.record_stream(stream)


@dataclass(frozen=True)
class DataFacts:
    """What a model may need to know of its training data before the first step.

    classes: names, in the order of Batch.label; class_counts: images of each; mean, std: of the
    images' values in [-1, 1], (0, 1) where nobody asked for them; unlabelled: how many images have
    no class; value_range: the file values of the target (or only) domain that became -1 and 1;
    value_type: what they are, such as "uint16" or "float32 kelvin". sizes: by role, those at which
    the networks see the images; paired: whether the two images of a sample have one size.
    """

    classes: tuple[str, ...] = ()
    class_counts: tuple[int, ...] = ()
    unlabelled: int = 0
    mean: float = 0.0
    std: float = 1.0
    value_range: tuple[float, float] = (0.0, 255.0)
    value_type: str = "uint8"
    sizes: Mapping[str, Sizes] = field(default_factory=dict)
    paired: bool = False
