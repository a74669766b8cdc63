"""Labelled images seen in parts: as windows with the target anywhere in them, as chips about it.

Boxes, windows and lengths are in pixels of the frame, which is the whole image as --preprocess has
it, unless something else is said.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from data.augment import SCALE, SHIFT, ToneChange, change_tone
from data.chips import SIZE as CHIP
from data.chips import ChipScale
from data.datasets import Selection
from data.label_index import BOX_COLUMNS
from data.labeled import LabeledDataset
from data.labeled_images import LabeledImage
from data.raw import RawBatch, RawSample, RawWindow, RawWindows
from data.windows import Window, needed, place_boxes, resample
from options.groups import ClassifierOptions
from util.batch import Batch, DataFacts, Sizes, View
from util.errors import UserError

WINDOW = 128  # pixels a side of windows
NATIVE = 64  # pixels of the frame that they show of a target as far away as it is
REACH = 0.9, 1.1  # other ranges that they show it at: in the shortest and longest of all images
UNKNOWN_REACH = 0.5, 2.0  # the same in its own, where ranges are unknown
NEAREST = 0.25  # of its own, whatever those of the others: closer up there is nothing to see
BLUR = 2.5  # largest, in widths of a pixel; what is drawn below 1 is none
SWAPPED = 0.25  # share of the windows that get a background of another recording
CANDIDATES = 12  # places that are tried for one
MARGIN = 0.25  # kept about the target then, in its larger side, before as much that fades out
CONTRAST = 0.5, 2.0  # least and largest change of its contrast then
RANGE_STEP = 1.25  # ranges whose quotient is about this or less are balanced as one


@dataclass(frozen=True)
class Frame:
    """An image seen whole: height, width; across, down: pixels of its file that one of it is.

    boxes: (N, 4) of its targets, N > 0; range_m: of these, None where unknown.
    """

    height: int
    width: int
    across: float
    down: float
    boxes: np.ndarray
    range_m: float | None

    def in_file(self, window: Window) -> Window:
        """A window, in pixels of the file."""
        left, top, across, down = window
        return left * self.across, top * self.down, across * self.across, down * self.down

    @property
    def largest(self) -> np.ndarray:
        """The box of the largest target."""
        return self.boxes[(self.boxes[:, 2:] - self.boxes[:, :2]).prod(axis=1).argmax()]


class PartDataset(LabeledDataset):
    """Square parts of labelled images that all have boxes, `size` pixels a side.

    Shuffled, they are balanced by class and then by range.
    """

    size: int

    def __init__(
        self,
        selection: Selection,
        items: Sequence[LabeledImage],
        *,
        classes: tuple[str, ...],
        augment: bool,
        note: str = "",
    ) -> None:
        super().__init__(selection, items, classes=classes, augment=augment, note=note)
        self._require_a_box_each()
        self.ranges = [item.range_m for item in items]
        self.strata = list(zip(self.labels, map(range_class, self.ranges), strict=True))

    def _require_a_box_each(self) -> None:
        boxes = self.domains["A"].boxes
        without = [f.path for f, found in zip(self.files, boxes, strict=True) if not len(found)]
        if without:
            why = f": {self.selection.boxes.why_none}" if len(without) == len(boxes) else ""
            raise UserError(
                f"--view {self.view} needs the target's box for every image, and {len(without)} of "
                f"{len(boxes)} have none ({without[0]}){why}; give them in labels.csv "
                f"({', '.join(BOX_COLUMNS)}), or use --view frame."
            )

    def facts(self) -> DataFacts:
        return replace(super().facts(), balanced=True)

    def network_sizes(self) -> dict[str, Sizes]:
        return {"A": {(self.size, self.size): str(self.files[0].path)}}

    def sample(self, epoch: int, index: int, rng: np.random.Generator) -> RawSample:
        frame = self.frame(index)
        window, target = self.draw(frame, rng)
        if self.preprocessing.flip and rng.random() < 0.5:
            left, top, across, down = window
            window = left + across, top, -across, down
        blur = max(1.0, rng.uniform(0, BLUR)) if self.augment else 1.0
        others = frame.boxes[(frame.boxes != target).any(axis=1)]
        shown = self.cut(index, window, blur, boxes=np.stack([target, *others]))
        if self.augment:
            shown = self.change(shown, index, window, rng)
        return RawSample({"A": shown}, self.labels[index], self.files[index].name)

    @abstractmethod
    def draw(self, frame: Frame, rng: np.random.Generator) -> tuple[Window, np.ndarray]:
        """Which part of it is shown, and the box of the target that it is about."""

    def change(
        self, shown: RawWindow, index: int, window: Window, rng: np.random.Generator
    ) -> RawWindow:
        """What is shown of image `index`, a window of it, changed at random."""
        shape = (self.domains["A"].bands, self.size, self.size)
        return replace(shown, change=ToneChange.draw(shape, rng))

    def frame(self, index: int) -> Frame:
        """Image `index`; nothing is read."""
        rows, columns = self.sizes[self.files[index].path]
        height, width = self.preprocessing.resized(rows, columns)
        across, down = columns / width, rows / height
        boxes = self.domains["A"].boxes[index] / (across, down, across, down)
        return Frame(height, width, across, down, boxes, self.ranges[index])

    def cut(self, index: int, window: Window, blur: float, *, boxes: np.ndarray) -> RawWindow:
        """A window of image `index`, which is read, and what it shows of boxes (N, 4)."""
        values = self.domains["A"].read(index)
        rows, columns, inside = needed(
            self.frame(index).in_file(window), *values.shape[:2], size=self.size, blur=blur
        )
        placed = place_boxes(boxes, window, size=self.size)
        return RawWindow(values[rows][:, columns], inside, self.size, placed, blur)

    def prepare(self, raw: RawBatch) -> Batch:
        found = raw.images["A"]
        images = show(self.domains["A"].encode(found.parts), found)
        return Batch(images, None, raw.label, raw.names, raw.boxes["A"])


def range_class(range_m: float | None) -> int:
    """A number that ranges share which are about the same; that of unknown ones is another."""
    return -1 if range_m is None else max(0, round(math.log(range_m, RANGE_STEP)))


def show(parts: Tensor, raw: RawWindows) -> Tensor:
    """parts: those of `raw` in [-1, 1], (B + S, C, h, w) -> (B, C, size, size)."""
    shown = resample(parts, raw.windows, size=raw.size, blur=raw.blur)
    count = len(shown) - len(raw.swapped)
    images, backdrops = shown[:count], shown[count:]
    if len(raw.swapped):
        images[raw.swapped] = swap_background(images[raw.swapped], backdrops, raw.targets)
    return images if raw.change is None else change_tone(images, raw.change)


def swap_background(images: Tensor, backdrops: Tensor, targets: Tensor) -> Tensor:
    """Backdrops with the targets of the images on them, as bright and clear against them.

    images, backdrops: (S, C, H, W); targets: (S, 4) boxes. What is kept about a target fades out
    into the backdrop; mean and deviation there, the box itself left out, become those of the
    backdrop at the same place.
    """
    margin = MARGIN * (targets[:, 2:] - targets[:, :2]).amax(dim=1)
    kept = _mask(targets, margin, fade=margin, size=images.shape[-2:])
    around = kept * (1 - _mask(targets, 0 * margin, fade=0 * margin, size=images.shape[-2:]))
    mean, deviation = _moments(images, around)
    mean_there, deviation_there = _moments(backdrops, around)
    contrast = (deviation_there / deviation).clamp(*CONTRAST)
    return kept * ((images - mean) * contrast + mean_there) + (1 - kept) * backdrops


def _mask(boxes: Tensor, margin: Tensor, *, fade: Tensor, size: tuple[int, int]) -> Tensor:
    """(S, 1, H, W): 1 in boxes (S, 4) and a margin, from there to 0 along `fade` more pixels."""
    ramps = []
    for low, high, length in ((1, 3, size[0]), (0, 2, size[1])):
        places = torch.arange(length, device=boxes.device) + 0.5
        first, last = boxes[:, low] - margin, boxes[:, high] + margin
        outside = torch.maximum(first[:, None] - places, places - last[:, None]).clamp_min(0)
        ramps.append((1 - outside / fade[:, None].clamp_min(1e-6)).clamp_min(0))
    return (ramps[0][:, :, None] * ramps[1][:, None, :])[:, None]


def _moments(images: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation (S, 1, 1, 1) of images (S, C, H, W) under weights (S, 1, H, W)."""
    total = weights.sum(dim=(1, 2, 3), keepdim=True).clamp_min(1e-6)
    mean = (images.mean(dim=1, keepdim=True) * weights).sum(dim=(1, 2, 3), keepdim=True) / total
    square = ((images - mean).square().mean(dim=1, keepdim=True) * weights).sum(
        dim=(1, 2, 3), keepdim=True
    )
    return mean, (square / total).sqrt().clamp_min(1e-3)


class WindowDataset(PartDataset):
    """Windows with the target anywhere in them, as though seen from other ranges.

    At the target's own range they show `NATIVE` pixels of the frame, at others in proportion, never
    more than the frame.
    """

    view = "window"
    size = WINDOW

    @cached_property
    def reach(self) -> tuple[float, float] | None:
        """Metres from which targets are shown; None where no range is known."""
        known = [range_m for range_m in self.ranges if range_m is not None]
        return (REACH[0] * min(known), REACH[1] * max(known)) if known else None

    def notes(self) -> list[str]:
        reach = "half to twice their range"
        if self.reach:
            reach = "{:,.0f} to {:,.0f} m".format(*self.reach)
        alone = len({item.recording for item in self.items}) == 1
        swaps = "; there is one recording: none gets another background" if alone else ""
        line = f"A: seen in windows of {self.size} pixels, targets as from {reach}{swaps}"
        return [*super().notes(), line]

    def draw(self, frame: Frame, rng: np.random.Generator) -> tuple[Window, np.ndarray]:
        target = frame.boxes[rng.integers(len(frame.boxes))]
        x0, y0, x1, y1 = target
        smaller = min(frame.height, frame.width)
        side = NATIVE * self._draw_distance(frame, rng) if self.augment else NATIVE
        side = min(max(side, x1 - x0, y1 - y0), smaller)
        left = rng.uniform(*sorted((max(0, x1 - side), min(x0, frame.width - side))))
        top = rng.uniform(*sorted((max(0, y1 - side), min(y0, frame.height - side))))
        return (left, top, side, side), target

    def _draw_distance(self, frame: Frame, rng: np.random.Generator) -> float:
        """At which it is shown, in the target's own; the frame alone would be seen beyond some."""
        near, far = UNKNOWN_REACH
        if frame.range_m is not None:
            near, far = (metres / frame.range_m for metres in self.reach)
        far = min(far, min(frame.height, frame.width) / NATIVE)
        near = min(max(near, NEAREST), far)
        return math.exp(rng.uniform(math.log(near), math.log(far)))

    def change(
        self, shown: RawWindow, index: int, window: Window, rng: np.random.Generator
    ) -> RawWindow:
        """With another background, too, in a share of them."""
        shown = super().change(shown, index, window, rng)
        if rng.random() >= SWAPPED:
            return shown
        backdrop = self._draw_backdrop(shown, index, abs(window[2]), rng)
        # Other targets of the image go with its background.
        return replace(shown, backdrop=backdrop, boxes=shown.boxes[:1]) if backdrop else shown

    def _draw_backdrop(
        self, shown: RawWindow, index: int, side: float, rng: np.random.Generator
    ) -> RawWindow | None:
        """A window of another recording's frame, as far away, whose own targets are not seen.

        They lie beyond it, or below the target that is shown; None where none was found.
        """
        x0, y0, x1, y1 = shown.boxes[0]
        margin = MARGIN * max(x1 - x0, y1 - y0)
        own = self.items[index]
        for _ in range(CANDIDATES):
            number = int(rng.integers(len(self.items)))
            place, below = rng.uniform(size=2), rng.random() < 0.5
            other, frame = self.items[number], self.frame(number)
            if other.recording == own.recording:
                continue
            known = own.range_m is not None and other.range_m is not None
            length = side * own.range_m / other.range_m if known else side
            room = np.array([frame.width, frame.height]) - length
            corner = place * room
            if below:
                middle = (frame.largest[:2] + frame.largest[2:]) / 2
                corner = middle - np.array([x0 + x1, y0 + y1]) / 2 * length / self.size
            if (corner < 0).any() or (corner > room).any():
                continue
            window = (*corner.tolist(), length, length)
            seen = place_boxes(frame.boxes, window, size=self.size)
            kept = (seen >= (x0 - margin, y0 - margin, 0, 0)) & (
                seen <= (self.size, self.size, x1 + margin, y1 + margin)
            )
            if kept.all():
                return self.cut(number, window, shown.blur, boxes=frame.boxes[:0])
        return None


class ChipDataset(PartDataset):
    """Chips about the largest target; augment: a little beside its middle, a little larger.

    scale: of all chips; None: fitted to these images.
    """

    view = "chip"
    size = CHIP

    def __init__(
        self,
        selection: Selection,
        items: Sequence[LabeledImage],
        *,
        classes: tuple[str, ...],
        augment: bool,
        scale: ChipScale | None = None,
        note: str = "",
    ) -> None:
        super().__init__(selection, items, classes=classes, augment=augment, note=note)
        if scale is None:
            boxes = [self.frame(index).largest for index in range(len(items))]
            scale = ChipScale.fit(boxes, self.ranges)
        self.scale = scale

    def held_out(
        self, selection: Selection, items: Sequence[LabeledImage], *, note: str
    ) -> "ChipDataset":
        return ChipDataset(
            selection, items, classes=self.classes, augment=False, scale=self.scale, note=note
        )

    def facts(self) -> DataFacts:
        return replace(super().facts(), chip_scale=asdict(self.scale))

    def notes(self) -> list[str]:
        where = " at 1,000 m" if self.scale.by_range else ", whatever their range"
        line = f"A: seen in chips of {self.size} pixels, {self.scale.side:.1f} of the image{where}"
        return [*super().notes(), line]

    def draw(self, frame: Frame, rng: np.random.Generator) -> tuple[Window, np.ndarray]:
        left, top, side, _ = self.scale.window(frame.largest, frame.range_m)
        if self.augment:
            drawn = side / (1 + rng.uniform(-SCALE, SCALE))
            right, down = rng.uniform(-SHIFT, SHIFT, size=2) * side + (side - drawn) / 2
            left, top, side = left + right, top + down, drawn
        return (left, top, side, side), frame.largest


VIEWS: dict[View, type[LabeledDataset]] = {
    kind.view: kind for kind in (LabeledDataset, WindowDataset, ChipDataset)
}
# Of --view auto, by --netC.
USUAL: dict[str, View] = {"attention": "window", "efficientnet_lite0": "chip"}


def view_of(options: ClassifierOptions) -> View:
    """How training images are seen."""
    if options.view != "auto":
        return options.view
    return USUAL.get(options.netC, "frame")
