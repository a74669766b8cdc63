"""Pairs made of real images alone: each, and the same with its targets at random temperatures.

Domain randomisation (Tobin et al. 2017, arXiv:1703.06907) turned round. A simulator that does not
know how warm the parts of a vehicle are draws them as if at random. A network that learns to bring
real targets back from random temperatures learns which part is how warm, and repairs those of a
simulator, whose shapes are right.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from data.cache import keep_images
from data.datasets import ImageDataset, Selection
from data.raw import RawSample
from data.transforms import Placement
from data.value_map import ValueMap
from util.batch import DataFacts

GROWTH = 2  # pixels on each side by which a box is grown: boxes are tight
RING = 4  # pixels around that tell the background
CLEAR = 4.0  # standard deviations of the background by which a target's pixels stand out
LEAST = 0.03  # of its largest contrast, by which they do where the ground is flat
SPECK = 0.1  # of the largest region that stands out, below which others are none of the target
MOST_PARTS = 5
COLD = 0.25  # share of parts that are about as warm as the background
STRETCH = 0.4  # share by which a part may be farther from the background than the one it copies
FLAT = 0.6  # share of targets whose parts keep no differences in themselves
KEPT = 0.5  # most that others keep of them
SMOOTH = 0.7  # most of the blur, in pixels, before parts are told apart
EDGE = (0.3, 0.8)  # blur of the edges of parts, in pixels
EIGHT = np.ones((3, 3), dtype=bool)  # neighbours


class RandomizedDataset(ImageDataset):
    """Real images, B, and as A the same with the parts of their targets at random temperatures.

    A part is what lies between two grey levels of a target. Its new level is, over the background,
    that of some pixel of a target in another image, which is drawn with the sample. An image
    without boxes is its own partner; each crop of one with boxes shows a target. Of the simulator's
    images, which are translated later, the file values count alone.
    """

    paired = True
    boxed_roles = ("B",)

    def __init__(self, selection: Selection) -> None:
        super().__init__(selection)
        letter_a, letter_b = selection.folder_letters()
        self.add_domain("B", selection.find(letter_b))
        real = self.domains["B"]
        self.domains = {"A": replace(real, bands=selection.bands_a), "B": real}
        self.boxed = [number for number, boxes in enumerate(real.boxes) if len(boxes)]
        simulated = selection.find(letter_a).files()
        images = keep_images([file.path for file in simulated], "none")
        self.map_of_simulated = selection.value_map("A", simulated, images)

    @property
    def value_maps(self) -> dict[str, ValueMap]:
        """A: of the simulator's images, which the generator is for."""
        return super().value_maps | {"A": self.map_of_simulated}

    def facts(self) -> DataFacts:
        """A is as the sensor shows it."""
        return replace(super().facts(), sensed=True)

    def sample(self, epoch: int, index: int, rng: np.random.Generator) -> RawSample:
        real = self.domains["B"]
        values, boxes = real.read(index), real.boxes[index]
        placement = self._placement(index, values, rng)
        other = int(rng.choice(self.boxed))
        warmth = levels_over_background(real.read(other), real.boxes[other])
        changed = at_random_temperatures(values, boxes, warmth, rng)
        images = {
            "A": self.domains["A"].raw(index, changed, placement),
            "B": real.raw(index, values, placement),
        }
        return RawSample(images, -1, self.files[index].name)

    def _placement(self, index: int, values: np.ndarray, rng: np.random.Generator) -> Placement:
        """With a crop that shows one of the targets anywhere in it, whole where it fits."""
        boxes, size = self.domains["B"].boxes[index], values.shape[:2]
        drawn = self.preprocessing.draw(*size, rng, name=str(self.files[index].path))
        if not len(boxes):
            return drawn
        corners = boxes[rng.integers(len(boxes))].reshape(2, 2)
        (left, top), (right, bottom) = corners * (drawn.size[1] / size[1], drawn.size[0] / size[0])
        return replace(
            drawn,
            top=_crop_start(top, bottom, drawn.height, drawn.size[0], rng),
            left=_crop_start(left, right, drawn.width, drawn.size[1], rng),
        )


def _crop_start(first: float, last: float, length: int, side: int, rng: np.random.Generator) -> int:
    """Where a crop of `length` pixels begins along a side so that it holds first to last.

    A target that is longer than the crop fills it.
    """
    low, high = sorted((math.ceil(last) - length, math.floor(first)))
    low, high = (min(max(start, 0), side - length) for start in (low, high))
    return int(rng.integers(low, high + 1))


@dataclass(frozen=True)
class Target:
    """A target in an image: the part of it that shows it and its background.

    where: rows and columns; mask: of bool, which pixels of that are the target's; background: the
    level of what is around it.
    """

    where: tuple[slice, slice]
    mask: np.ndarray
    background: float


def at_random_temperatures(
    values: np.ndarray, boxes: np.ndarray, warmth: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """An image (H, W) or (H, W, 3) whose targets have parts of random levels; of the same type.

    boxes: (N, 4) of the targets; warmth: levels over the background that parts are drawn from,
    without any the image is returned as it is.
    """
    targets = targets_in(values, boxes) if len(warmth) else []
    result = values.copy()
    for target in targets:
        shown = result[target.where]
        grey = _grey(shown).astype(np.float64)
        difference = _reheated(grey, target, warmth, rng) - grey
        changed = shown + (difference if shown.ndim == 2 else difference[..., None])
        if values.dtype.kind in "iu":
            ends = np.iinfo(values.dtype)
            changed = np.rint(changed).clip(ends.min, ends.max)
        result[target.where] = changed.astype(values.dtype)
    return result


def _reheated(
    grey: np.ndarray, target: Target, warmth: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    count = int(rng.integers(1, MOST_PARTS + 1))
    levels = ndimage.gaussian_filter(grey, rng.uniform(0, SMOOTH)) - target.background
    own = levels[target.mask]
    shares = np.sort(rng.uniform(size=count - 1))
    # Cut where equal numbers of pixels lie between, or equal differences.
    cuts = np.quantile(own, shares) if rng.random() < 0.5 else own.min() + shares * np.ptp(own)
    part = np.searchsorted(cuts, levels)
    drawn = rng.choice(warmth, count) * rng.uniform(1 - STRETCH, 1 + STRETCH, count)
    drawn[rng.random(count) < COLD] *= LEAST
    kept = 0.0 if rng.random() < FLAT else rng.uniform(0, KEPT)
    flat = target.background + (1 - kept) * drawn[part] + kept * levels
    edge = rng.uniform(*EDGE)
    painted = ndimage.gaussian_filter(np.where(target.mask, flat, grey), edge)
    near = ndimage.binary_dilation(target.mask, EIGHT, iterations=2)
    return np.where(near, painted, grey)


def levels_over_background(values: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Of all pixels of the targets in an image (H, W) or (H, W, 3): (M,), perhaps none."""
    found = [
        _grey(values[target.where])[target.mask] - target.background
        for target in targets_in(values, boxes)
    ]
    return np.concatenate(found) if found else np.empty(0)


def targets_in(values: np.ndarray, boxes: np.ndarray) -> list[Target]:
    """The targets of boxes (N, 4) in an image (H, W) or (H, W, 3).

    A target is what stands out in the box against a ring about it, without specks, and what that
    encloses. Boxes of which nothing stands out, and those without a ring, are left out.
    """
    found = (_target_in(values, box) for box in boxes)
    return [target for target in found if target]


def _target_in(values: np.ndarray, box: np.ndarray) -> Target | None:
    size = values.shape[:2]
    inside, where = _region(box, GROWTH, size), _region(box, GROWTH + RING, size)
    grey = _grey(values[where]).astype(np.float64)
    box_mask = np.zeros(grey.shape, dtype=bool)
    rows, columns = (
        slice(i.start - w.start, i.stop - w.start) for i, w in zip(inside, where, strict=True)
    )
    box_mask[rows, columns] = True
    ring = grey[~box_mask]
    if not ring.size:
        return None
    background = float(np.median(ring))
    spread = 1.4826 * float(np.median(np.abs(ring - background)))
    contrast = np.abs(grey - background) * box_mask
    labels, count = ndimage.label(contrast > max(CLEAR * spread, LEAST * contrast.max()), EIGHT)
    if not count:
        return None
    areas = np.bincount(labels.ravel())[1:]
    kept = np.flatnonzero(areas >= SPECK * areas.max()) + 1
    mask = ndimage.binary_fill_holes(np.isin(labels, kept))
    return Target(where, mask, background)


def _grey(values: np.ndarray) -> np.ndarray:
    return values if values.ndim == 2 else values.mean(axis=2)


def _region(box: np.ndarray, growth: int, size: tuple[int, int]) -> tuple[slice, slice]:
    left, top, right, bottom = box
    height, width = size
    return (
        slice(max(0, int(top) - growth), min(height, int(np.ceil(bottom)) + growth)),
        slice(max(0, int(left) - growth), min(width, int(np.ceil(right)) + growth)),
    )
