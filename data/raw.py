"""Samples between file and network: integers as they were read, and what was drawn for them.

In this form a batch crosses from process to process and to the GPU, where its dataset prepares it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby
from math import prod
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from data.augment import ThermalChange, ToneChange
from data.boxes import pad_boxes
from data.transforms import Placement
from data.windows import Window
from util.errors import UserError

Change = TypeVar("Change", ThermalChange, ToneChange)


@dataclass(frozen=True)
class RawImage:
    """One image: (H, W) or (H, W, 3), of a ValueType; change: None without augmentation.

    boxes: (N, 4) of the targets where they come to lie in the network's image (data/boxes.py), None
    where nobody asked for them.
    """

    values: np.ndarray
    placement: Placement
    change: ThermalChange | None = None
    boxes: np.ndarray | None = None

    @staticmethod
    def together(images: Sequence["RawImage"]) -> "RawImages":
        """What a batch has of them."""
        return RawImages.of(images)


@dataclass(frozen=True)
class RawWindow:
    """A window of one image, see data/windows.py.

    part: (h, w) or (h, w, 3), of a ValueType, what the window is made of; window: in it; size:
    pixels a side to which it comes, each blurred over `blur` of them; boxes: (N, 4) of the targets
    in these pixels, the first of them that which it is about; backdrop: another window, that
    replaces all around this target; change: None without augmentation.
    """

    part: np.ndarray
    window: Window
    size: int
    boxes: np.ndarray
    blur: float = 1.0
    backdrop: "RawWindow | None" = None
    change: ToneChange | None = None

    @staticmethod
    def together(images: Sequence["RawWindow"]) -> "RawWindows":
        """What a batch has of them."""
        return RawWindows.of(images)


@dataclass(frozen=True)
class RawSample:
    """One item: images by role, "A" and perhaps "B", class index or -1, name of A."""

    images: dict[str, RawImage] | dict[str, RawWindow]
    label: int
    name: str


@dataclass(frozen=True)
class RawImages:
    """The images of one role in a batch of B.

    stacks: images of one shape that are resized alike, (n, H, W) or (n, H, W, 3); members: the
    numbers of the samples that they belong to; placements: by sample; change: of all samples, or
    None.
    """

    stacks: tuple[Tensor, ...]
    members: tuple[tuple[int, ...], ...]
    placements: tuple[Placement, ...]
    change: ThermalChange | None

    @classmethod
    def of(cls, images: Sequence[RawImage]) -> "RawImages":
        """Raises UserError where they will not come to one size."""
        sizes = {(image.placement.height, image.placement.width) for image in images}
        if len(sizes) > 1:
            raise no_batch_of([f"{width}x{height}" for height, width in sorted(sizes)])
        # A crop that is not resized is all that is handed on of its image.
        kept = [image.placement.trim(image.values) for image in images]
        groups: dict[tuple[tuple[int, ...], ...], list[int]] = defaultdict(list)
        for number, (values, placement) in enumerate(kept):
            groups[values.shape, placement.size].append(number)
        changes = [image.change for image in images if image.change is not None]
        return cls(
            stacks=tuple(
                torch.from_numpy(np.stack([kept[number][0] for number in group]))
                for group in groups.values()
            ),
            members=tuple(map(tuple, groups.values())),
            placements=tuple(placement for _, placement in kept),
            change=ThermalChange.stack(changes) if changes else None,
        )

    def each(self, do: Callable[[Tensor], Tensor]) -> "RawImages":
        """The same with `do` applied to every tensor."""
        change = self.change and _each_field(self.change, do)
        return RawImages(tuple(map(do, self.stacks)), self.members, self.placements, change)


@dataclass(frozen=True)
class RawWindows:
    """The windows of a batch of B, and behind them the S that stand for backgrounds of some.

    parts: (B + S, h, w) or (B + S, h, w, 3), filled up at their ends; windows: (B + S, 4) in them;
    blur: (B + S,); size: pixels a side; swapped: (S,) numbers of those with another background;
    targets: (S, 4), boxes of what is kept of these; change: of all, or None.
    """

    parts: Tensor
    windows: Tensor
    blur: Tensor
    size: int
    swapped: Tensor
    targets: Tensor
    change: ToneChange | None

    @classmethod
    def of(cls, images: Sequence[RawWindow]) -> "RawWindows":
        """Windows of one size."""
        swapped = [number for number, image in enumerate(images) if image.backdrop]
        shown = [*images, *(images[number].backdrop for number in swapped)]
        targets = [images[number].boxes[0] for number in swapped]
        changes = [image.change for image in images if image.change is not None]
        return cls(
            parts=_filled_up([image.part for image in shown]),
            windows=torch.tensor([image.window for image in shown], dtype=torch.float32),
            blur=torch.tensor([image.blur for image in shown], dtype=torch.float32),
            size=images[0].size,
            swapped=torch.tensor(swapped, dtype=torch.int64),
            targets=torch.from_numpy(np.array(targets, np.float32).reshape(-1, 4)),
            change=ToneChange.stack(changes) if changes else None,
        )

    def each(self, do: Callable[[Tensor], Tensor]) -> "RawWindows":
        """The same with `do` applied to every tensor."""
        names = ("parts", "windows", "blur", "swapped", "targets")
        moved = {name: do(getattr(self, name)) for name in names}
        return replace(self, **moved, change=self.change and _each_field(self.change, do))


def _each_field(change: Change, do: Callable[[Tensor], Tensor]) -> Change:
    return type(change)(*(do(getattr(change, item.name)) for item in fields(change)))


def _filled_up(parts: Sequence[np.ndarray]) -> Tensor:
    """Images of several sizes in one stack: their last row and column again, to one size.

    Grey ones beside colours have three equal bands.
    """
    if any(part.ndim == 3 for part in parts):
        parts = [np.atleast_3d(part) + np.zeros(3, part.dtype) for part in parts]
    height, width = (max(part.shape[side] for part in parts) for side in (0, 1))
    stack = np.empty((len(parts), height, width, *parts[0].shape[2:]), parts[0].dtype)
    for filled, part in zip(stack, parts, strict=True):
        rows, columns = part.shape[:2]
        filled[:rows, :columns] = part
        filled[rows:, :columns] = part[-1:]
        filled[:, columns:] = filled[:, columns - 1 : columns]
    return torch.from_numpy(stack)


@dataclass(frozen=True)
class RawBatch:
    """What becomes a Batch: images by role, label (B,), names, boxes (B, N, 4) by role or {}."""

    images: dict[str, RawImages] | dict[str, RawWindows]
    label: Tensor
    names: tuple[str, ...]
    boxes: dict[str, Tensor]

    @classmethod
    def of(cls, samples: Sequence[RawSample]) -> "RawBatch":
        """Raises UserError for images of several sizes."""
        images = {
            role: first.together([sample.images[role] for sample in samples])
            for role, first in samples[0].images.items()
        }
        label = torch.tensor([sample.label for sample in samples])
        boxes = {role: [sample.images[role].boxes for sample in samples] for role in images}
        padded = {role: pad_boxes(found) for role, found in boxes.items() if found[0] is not None}
        return cls(images, label, tuple(sample.name for sample in samples), padded)

    def each(self, do: Callable[[Tensor], Tensor]) -> "RawBatch":
        """The same with `do` applied to every tensor."""
        images = {role: images.each(do) for role, images in self.images.items()}
        boxes = {role: do(found) for role, found in self.boxes.items()}
        return RawBatch(images, do(self.label), self.names, boxes)

    def pin_memory(self) -> "RawBatch":
        """The same batch in page-locked memory; torch's DataLoader calls this by its name."""
        return self.each(lambda tensor: torch.as_tensor(tensor).pin_memory())

    def to(self, device: torch.device) -> "RawBatch":
        """The same batch on another device."""
        return self.each(lambda tensor: tensor.to(device, non_blocking=True))


def no_batch_of(images: Sequence[str]) -> UserError:
    """Of images that will not come to one size: phrases such as "640x512"."""
    return UserError(
        f"images of {' and '.join(images)} pixels cannot share a batch; use --batch_size 1 or a "
        "--preprocess that gives one size."
    )


def divide(samples: Sequence[RawSample], most_pixels: int) -> Iterator[list[RawSample]]:
    """Samples in their order, in parts that can each be one batch.

    The images of a part come to one size, role by role; those of A have up to `most_pixels` pixels
    together, a single one any number.
    """

    def sizes(sample: RawSample) -> dict[str, tuple[int, int]]:
        placements = {role: image.placement for role, image in sample.images.items()}
        return {role: (placed.height, placed.width) for role, placed in placements.items()}

    for size, group in groupby(samples, key=sizes):
        alike = list(group)
        number = max(1, most_pixels // prod(size["A"]))
        for start in range(0, len(alike), number):
            yield alike[start : start + number]
