"""Which inputs the report shows, and what each of the measured sets made of them."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor

from data.folders import ImageFile
from data.preview import preview
from data.splits import spread
from data.value_map import ValueMap
from data.value_type import ValueType
from metrics.judge import Activations
from metrics.measured_sets import MeasuredSet
from metrics.metric_properties import PAIR_METRICS
from metrics.report.plain_text import format_value
from metrics.report.views import Picture, Scene, Strip
from metrics.sets import read_images

EXAMPLES = 4  # scenes of each set, evenly over its images
WORST = 4  # scenes more, of sets that share them: where translations are least like their target
WORST_BY = ("gcss", "ssim")  # which of them was measured: what a classifier sees, before pixels
FACTS = ("psnr", "ssim", "gcss")
FULL_COLOUR = 1 / 8  # of the range of values: a difference that is shown as red or blue as can be


@dataclass(frozen=True)
class _Input:
    """contents: digests of source and target, as far as known; places: row -> place in its set."""

    name: str
    contents: dict[str, bytes]
    places: dict[int, int]


def find_scenes(rows: Sequence[MeasuredSet]) -> list[Scene]:
    """A few inputs of each set, evenly over all and those that came out worst."""
    inputs = _inputs(rows)
    notes: dict[int, list[str]] = {}  # of the inputs that are shown, by their place
    shown: Counter[int] = Counter()
    for number in range(len(rows)):
        own = _of_most_sets(inputs, number)
        if shown[number] < EXAMPLES:
            for place in spread(own, EXAMPLES):
                notes.setdefault(place, [])
                shown.update(inputs[place].places.keys())
    for number, row in enumerate(rows):
        own = _of_most_sets(inputs, number)
        title = PAIR_METRICS[key].title if (key := _judged_by(row)) else ""
        count = max(1, WORST // len(inputs[own[0]].places))
        for place in _worst(row, [(at, inputs[at].places[number]) for at in own])[:count]:
            notes.setdefault(place, []).append(f"{title} of {row.images.name}")
    return [
        _scene(inputs[place], rows, f"among the lowest {', '.join(why)}" if why else "")
        for place, why in notes.items()
    ]


def _inputs(rows: Sequence[MeasuredSet]) -> list[_Input]:
    """Images of equal names are of one input, unless their sources or targets are known to differ.

    A target that is a random one tells nothing.
    """
    found: list[_Input] = []
    named: dict[str, list[_Input]] = {}
    for number, row in enumerate(rows):
        known = ("real_A",) if row.pairing.unpaired else ("real_A", "real_B")
        for place, image in enumerate(row.values):
            contents = {kind: image.contents[kind] for kind in known if kind in image.contents}
            for one in named.setdefault(image.name, []):
                if all(one.contents.get(kind, c) == c for kind, c in contents.items()):
                    break
            else:
                one = _Input(image.name, {}, {})
                named[image.name].append(one)
                found.append(one)
            one.contents.update(contents)
            one.places[number] = place
    return found


def _of_most_sets(inputs: Sequence[_Input], number: int) -> list[int]:
    """Places of the inputs of a row: of these, the ones that most other rows have, too."""
    own = [place for place, one in enumerate(inputs) if number in one.places]
    most = max(len(inputs[place].places) for place in own)
    return [place for place in own if len(inputs[place].places) == most]


def _judged_by(row: MeasuredSet) -> str | None:
    """By which metric its images are worse than others, where its targets are its own."""
    measured = row.values[0].values.get("fake_B_vs_real_B", {})
    known = () if row.pairing.unpaired else WORST_BY
    return next((key for key in known if key in measured), None)


def _worst(row: MeasuredSet, inputs: Sequence[tuple[int, int]]) -> list[int]:
    """Places of the inputs, the worst first. inputs: place of each, and of its image in the row.

    None where all are shown anyway.
    """
    key = _judged_by(row)
    if key is None or len(inputs) <= EXAMPLES:
        return []
    values = {at: row.values[p].values["fake_B_vs_real_B"][key] for at, p in inputs}
    return sorted((at for at in values if math.isfinite(values[at])), key=values.__getitem__)


def _scene(one: _Input, rows: Sequence[MeasuredSet], note: str) -> Scene:
    """The source, the sets, the target; the first set that has a source or a target shows it."""
    views = [_View.of(rows[number], place) for number, place in one.places.items()]
    strips = [view.strip("fake_B") for view in views]
    for kind, where in (("real_A", 0), ("real_B", len(strips) + 1)):
        owner = next((view for view in views if kind in view.arrays), None)
        if owner is not None:
            strips.insert(where, owner.strip(kind))
    return Scene(one.name, strips, note)


@dataclass(frozen=True)
class _View:
    """The images of one name of a set. arrays: by kind, in values of their files."""

    row: MeasuredSet
    place: int
    arrays: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, row: MeasuredSet, place: int) -> "_View":
        files = {kind: paths[place] for kind, paths in row.images.files.items()}
        return cls(row, place, read_images(files, types=row.types))

    def strip(self, kind: str) -> Strip:
        """Of the set ("fake_B"), of its source or of its target."""
        of_set, unpaired = kind == "fake_B", self.row.pairing.unpaired
        names = {"real_A": "source", "fake_B": self.row.images.name, "real_B": "target"}
        if unpaired:
            names["real_B"] = "a real image"
        return Strip(
            names[kind],
            of_set,
            Picture(preview(self.encoded[kind])),
            difference=self._difference() if of_set else None,
            attention=self._attention(kind),
            boxes=() if unpaired and kind == "real_B" else self._boxes(kind),
            facts=tuple(self._facts()) if of_set else (),
        )

    @cached_property
    def encoded(self) -> dict[str, Tensor]:
        """Kind -> (1 or 3, H, W) in [-1, 1], and beyond."""
        own, types = self.row.instruments.unit_map, self.row.types
        return {
            kind: (own if types[kind] == own.type else _own_map(array, types[kind])).encode(array)
            for kind, array in self.arrays.items()
        }

    def _alike(self, kind: str) -> bool:
        return self.row.types.get(kind) == self.row.types["fake_B"]

    def _difference(self) -> Picture | None:
        """To the target or, where that is a random image or none, to the source.

        The latter has another tone, of which the median is taken away: one colour all over says
        nothing.
        """
        known = ("real_A",) if self.row.pairing.unpaired else ("real_B", "real_A")
        kind = next((kind for kind in known if self._alike(kind)), None)
        if kind is None:
            return None
        grey = [self.encoded[k].mean(dim=0).numpy() for k in ("fake_B", kind)]
        difference = (grey[0] - grey[1]) / 2
        if kind == "real_B":
            return Picture(coloured(difference), "less the target")
        difference -= np.median(difference)
        return Picture(coloured(difference), "less the source and the median")

    def _attention(self, kind: str) -> Picture | None:
        """None without a judge, and for values of another type than it was shown."""
        judge = self.row.instruments.judge
        if judge is None or not self._alike(kind):
            return None
        attention = judge.attention(self._see(kind), self.label)[0, 0].cpu().numpy()
        name = judge.classifier.classes[int(self.label)]
        return Picture(overlay(preview(self.encoded[kind]), attention), f"attention: {name}")

    @cached_property
    def label(self) -> Tensor:
        """(1,) the class predicted on the target or, where that is a random image, on the source;
        without such a one on the translation.
        """
        known = "real_A" if self.row.pairing.unpaired else "real_B"
        return self._see(known if self._alike(known) else "fake_B").predicted

    def _see(self, kind: str) -> Activations:
        instruments = self.row.instruments
        image = instruments.judge_map.encode(self.arrays[kind])[None]
        return instruments.judge.activations(image.to(instruments.device))

    def _boxes(self, kind: str) -> list[tuple[float, float, float, float]]:
        labels, (height, width) = self.row.instruments.labels, self.arrays[kind].shape[:2]
        file = ImageFile(self.row.images.files[kind][self.place], self.row.images.names[self.place])
        label = labels.find(file) if labels else None
        return [
            (x0 / width, y0 / height, x1 / width, y1 / height)
            for x0, y0, x1, y1 in (label.all_corners(height, width) if label else ())
        ]

    def _facts(self) -> Iterator[str]:
        if self.row.pairing.unpaired:
            return
        values = self.row.values[self.place].values.get("fake_B_vs_real_B", {})
        for key in FACTS:
            if key in values:
                metric = PAIR_METRICS[key]
                yield f"{metric.name} {format_value(metric, values[key])}"


def _own_map(array: np.ndarray, found: ValueType) -> ValueMap:
    """For an image of another type than the domain's: its own extremes."""
    low, high = float(array.min()), float(array.max())
    return ValueMap(low, high if high > low else low + 1, found)


def coloured(difference: np.ndarray) -> np.ndarray:
    """(H, W) in parts of the range of values -> (H, W, 3) uint8: red for more, blue for less."""
    from matplotlib import colormaps

    places = 0.5 + np.clip(difference / FULL_COLOUR, -1, 1) / 2
    return np.rint(colormaps["RdBu_r"](places)[..., :3] * 255).astype(np.uint8)


def overlay(image: np.ndarray, attention: np.ndarray) -> np.ndarray:
    """Attention (H, W) in [0, 1] as colour over a grey image; none leaves the image grey.

    image: (H, W) or (H, W, 3) uint8. Returns (H, W, 3) uint8.
    """
    from matplotlib import colormaps

    grey = image if image.ndim == 2 else image.mean(axis=2)
    heat = colormaps["inferno"](0.25 + 0.75 * attention)[..., :3] * 255
    share = (0.6 * attention)[..., None]
    return np.rint((1 - share) * grey[..., None] + share * heat).astype(np.uint8)
