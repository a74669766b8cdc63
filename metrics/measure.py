"""Every metric of every image, in one pass over the files; few images are in memory at a time."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from data.boxes import pad_boxes
from data.folders import ImageFile
from data.label_index import ImageLabel
from data.value_type import UINT8, ValueType
from metrics.attention import (
    box_share,
    cam_cosine,
    correlation,
    energy_in_box,
    gcss,
    pointing_game,
)
from metrics.baselines.dog import dog_energy
from metrics.boxes import REGIONS, regions
from metrics.chip_judging import ChipClasses, ChipJudging, chip_scale, chips_of
from metrics.ghosts import ghost_area
from metrics.hot_spots import hot_spots
from metrics.instruments import Instruments
from metrics.judge import Activations, Judge
from metrics.metric_properties import COMPARISONS
from metrics.paired import luminance, mae, psnr, ssim
from metrics.profile import Portion, Profile
from metrics.sets import Arrays, ImageSet, read_images
from metrics.thermal import spatial_noise, target_contrast, vanished
from util.distributed import gather, of_each, together
from util.errors import UserError
from util.pages import as_digits
from util.ranks import is_first, processes, rank

BATCH_SIZE = 16  # images in memory at a time
SIDE = 16  # of attention maps for people, which are of 8×8 features of images of 256×256

Values = dict[str, dict[str, float]]  # comparison or kind -> metric -> value
Boxes = Tensor  # (B, 4), see metrics.boxes


@dataclass(frozen=True)
class ImageValues:
    """All that was measured on the images of one name; what was not measured is absent.

    values: by comparison, and by kind for metrics of one image; contents: kind -> 16 bytes that
    stand for the pixels; recording: what the scene was taken from with others, else the name;
    attention: kind on which a class is predicted -> kind -> where the judge looks for that class,
    (SIDE, SIDE) of `as_digits`.
    """

    name: str
    values: Values
    contents: dict[str, bytes]
    recording: str
    attention: dict[str, dict[str, str]] = field(default_factory=dict)


def measurable(types: Mapping[str, ValueType]) -> dict[str, str]:
    """The comparisons between kinds of one type: name -> kind of the reference.

    types: by kind; a kind without files is absent, and so are its comparisons.
    """
    return {name: kind for name, kind in COMPARISONS.items() if types.get(kind) == types["fake_B"]}


@dataclass(frozen=True)
class Measurement:
    """Of one set. values: of each image, in the given order; profiles: kind -> the whole of it.

    flips: kind -> confusion matrix of the chips' classes, see `ChipJudging`.
    """

    values: list[ImageValues]
    profiles: dict[str, Profile]
    flips: dict[str, Tensor]


@torch.no_grad()
def measure(
    images: ImageSet,
    instruments: Instruments,
    *,
    types: Mapping[str, ValueType],
    comparisons: Mapping[str, str],
    described: Sequence[str],
    distinct: frozenset[str] = frozenset(),
) -> Measurement:
    """All images of a set, with a bar of progress on a terminal.

    Several processes measure a batch each at a time, and all come to the same.
    types: of each kind; comparisons: of `measurable`; described: kinds that get metrics of one
    image and a profile; distinct: kinds of which equal images count once.
    Raises UserError for files that cannot be read or compared.
    """
    measuring = _Measuring(instruments, types, comparisons, described, distinct)
    bar = tqdm(
        desc=images.name,
        total=len(images),
        unit="image",
        leave=False,
        disable=None if is_first() else True,
    )
    # The decoders release the interpreter's lock: threads use all cores.
    with ThreadPoolExecutor() as pool, bar:
        for batches in _rounds(len(images)):
            with together():
                own = _read(images, batches[rank()], types, pool)
            fresh = measuring.fresh(gather([image.contents for image in own]))[rank()]
            for found in of_each(partial(measuring.batch, own, fresh)):
                measuring.add(found)
            bar.update(sum(map(len, batches)))
    measuring.retrieve()
    return Measurement(measuring.values, measuring.profiles, measuring.flips)


def _rounds(count: int) -> Iterator[list[range]]:
    """The images of one batch for each process, until none is left; those of the last may be few.

    Batches are those of one process: what networks make of an image depends on it by a last digit.
    """
    for start in range(0, count, BATCH_SIZE * processes()):
        starts = range(start, start + BATCH_SIZE * processes(), BATCH_SIZE)
        yield [range(first, min(first + BATCH_SIZE, count)) for first in starts]


@dataclass(frozen=True)
class _Named:
    """The images of one name, kind by kind. contents: digests of the pixels."""

    name: str
    files: Mapping[str, Path]
    arrays: Arrays
    contents: dict[str, bytes]

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Of the arrays."""
        return [array.shape for array in self.arrays.values()]


def _read(
    images: ImageSet, places: range, types: Mapping[str, ValueType], pool: ThreadPoolExecutor
) -> list[_Named]:
    """Those at these places of a set."""
    files = [{kind: paths[place] for kind, paths in images.files.items()} for place in places]
    arrays = list(pool.map(lambda f: read_images(f, types=types), files))
    contents = [{kind: _digest(array) for kind, array in a.items()} for a in arrays]
    names = [images.names[place] for place in places]
    return list(map(_Named, names, files, map(_alike, arrays), contents))


@dataclass(frozen=True)
class _Images:
    """The images of one kind in a group.

    counts: (B, 1 or 3, H, W) in file values; boxes: (B, 4) of the largest target, rows of NaN for
    images without one; targets: (B, N, 4) of all, as `pad_boxes` gives them; seen, told: what the
    judge makes of the images, and the judge of chips of their targets, None where none of them
    looks.
    """

    counts: Tensor
    labels: Sequence[ImageLabel | None]
    boxes: Boxes
    targets: Tensor
    seen: Activations | None
    told: ChipClasses | None

    def of(self, places: list[int]) -> "_Images":
        """Some of the images."""
        return _Images(
            self.counts[places],
            [self.labels[place] for place in places],
            self.boxes[places],
            self.targets[places],
            self.seen and self.seen.of(places),
            self.told and self.told.of(places),
        )


@dataclass(frozen=True)
class _Found:
    """What was measured on images of equal shapes, in values that any process can be sent.

    portions, counted: kind -> of the images that count; chips: kind -> of all.
    """

    rows: list[ImageValues]
    portions: dict[str, Portion]
    chips: dict[str, ChipClasses]
    counted: dict[str, ChipClasses]


class _Measuring:
    """The measurement of one batch after the other. values, profiles: what was added so far."""

    def __init__(
        self,
        instruments: Instruments,
        types: Mapping[str, ValueType],
        comparisons: Mapping[str, str],
        described: Sequence[str],
        distinct: frozenset[str],
    ) -> None:
        self.instruments, self.types = instruments, types
        self.comparisons, self.distinct = comparisons, distinct
        self.values: list[ImageValues] = []
        self.profiles = {kind: Profile(instruments.unit_map) for kind in described}
        self._judged = {"fake_B", *comparisons.values(), *described}
        self._chips = None
        if instruments.chip_judge and instruments.labels:
            self._chips = ChipJudging(
                instruments.chip_judge, instruments.chip_map, instruments.labels
            )
        self._chip_scale = cache(partial(chip_scale, None, instruments.labels))
        self._seen: set[tuple[str, bytes]] = set()

    def fresh(self, batches: Sequence[Sequence[dict[str, bytes]]]) -> list[list[set[str]]]:
        """The kinds of each image that count. batches: contents of the next images.

        A random real_B stands under many names, but is one image.
        """
        return [[self._fresh_kinds(contents) for contents in batch] for batch in batches]

    def _fresh_kinds(self, contents: dict[str, bytes]) -> set[str]:
        found = set(contents.items())
        repeated = {kind for kind, _ in found & self._seen if kind in self.distinct}
        self._seen |= found
        return contents.keys() - repeated

    def batch(self, images: Sequence[_Named], fresh: Sequence[set[str]]) -> list[_Found]:
        """Measure images, which `add` adds. fresh: of `fresh`, for each of them."""
        found = []
        pairs = zip(images, fresh, strict=True)
        for _, group in groupby(pairs, key=lambda pair: pair[0].shapes):
            found.append(self._group(*zip(*group, strict=True)))
        return found

    def add(self, batch: Sequence[_Found]) -> None:
        """The next images of the set."""
        for found in batch:
            self.values += found.rows
            for kind, portion in found.portions.items():
                self.profiles[kind].add(portion)
            for kind, chips in found.chips.items():
                self._chips.add(kind, chips)
            for kind, chips in found.counted.items():
                self._chips.count(kind, chips)

    def _group(self, images: Sequence[_Named], fresh: Sequence[set[str]]) -> _Found:
        """Of equal shapes."""
        kinds = {kind: self._images(kind, images) for kind in images[0].arrays}
        own = kinds["fake_B" if "fake_B" in kinds else "real_B"].labels
        rows = [
            ImageValues(image.name, {}, image.contents, (label and label.recording) or image.name)
            for image, label in zip(images, own, strict=True)
        ]
        self._compare_kinds(kinds, rows, images[0].files)
        portions, counted = {}, {}
        for kind in self.profiles:
            places = [place for place, counting in enumerate(fresh) if kind in counting]
            if not places:
                continue
            seen, seen_rows = kinds[kind].of(places), [rows[place] for place in places]
            values, portions[kind] = self._describe(kind, seen, seen_rows)
            if seen.told:
                values["class_kept"] = seen.told.kept
                counted[kind] = seen.told
            if kind == "fake_B" and "real_A" in kinds and self.instruments.labels:
                values |= _ghosts(seen, kinds["real_A"])
            _distribute(values, seen_rows, kind)
        chips = {kind: seen.told for kind, seen in kinds.items() if seen.told}
        return _Found(rows, portions, chips, counted)

    def retrieve(self) -> None:
        """Once all images were measured: whether each chip finds its own partner first."""
        for comparison, kind in self.comparisons.items() if self._chips else ():
            found = torch.from_numpy(self._chips.retrieved(kind))
            _distribute({"retrieval": found}, self.values, comparison)

    @property
    def flips(self) -> dict[str, Tensor]:
        """As in `Measurement`."""
        return self._chips.flips if self._chips else {}

    @property
    def _judge(self) -> Judge | None:
        return self.instruments.judge

    def _images(self, kind: str, images: Sequence[_Named]) -> _Images:
        labels = self._labels([ImageFile(image.files[kind], image.name) for image in images])
        counts = self._counts([image.arrays[kind] for image in images], kind)
        size = tuple(counts.shape[-2:])
        boxes, targets = (f(labels, size).to(counts.device) for f in (_boxes, _targets))
        seen = told = None
        recurring = kind != "fake_B"  # rows share targets and sources
        if kind in self._judged and self._judge:
            judged = self.instruments.judge_map.scale(counts)
            seen = self._judge.activations(judged, recurring=recurring)
        if kind in self._judged and self._chips:
            told = self._chips.judge(counts, boxes, labels, recurring=recurring)
        return _Images(counts, labels, boxes, targets, seen, told)

    def _counts(self, arrays: Sequence[np.ndarray], kind: str) -> Tensor:
        """(B, 1 or 3, H, W) in file values: float32 holds 8 bits exactly, sums of them too."""
        dtype = torch.float32 if self.types[kind] == UINT8 else torch.float64
        images = torch.from_numpy(np.stack(arrays).astype(np.float32))
        images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)
        return images.to(self.instruments.device, dtype)

    def _labels(self, images: Sequence[ImageFile]) -> list[ImageLabel | None]:
        index = self.instruments.labels
        return [None if index is None else index.find(image) for image in images]

    def _compare_kinds(
        self, kinds: Mapping[str, _Images], rows: Sequence[ImageValues], files: Mapping[str, Path]
    ) -> None:
        """All comparisons, into the rows. files: of the first one."""
        for comparison, kind in self.comparisons.items():
            if not self.instruments.luma:
                _check_bands(kinds["fake_B"].counts, kinds[kind].counts, files, kind)
            values = self._compare(kinds["fake_B"], kinds[kind], apart=kind == "real_B")
            if self._judge:
                fakes, references = kinds["fake_B"].seen, kinds[kind].seen
                maps = self._attention(fakes, references)
                values |= _compare_attention(*maps)
                values["class_agreement"] = (fakes.predicted == references.predicted).double()
                _keep_attention(rows, kind, {"fake_B": maps[0], kind: maps[1]})
            _distribute(values, rows, comparison)
        if self._judge and "fake_B" in kinds and "real_A" not in self.comparisons.values():
            seen = kinds["fake_B"].seen
            own = self._judge.attention(seen, seen.predicted)
            _keep_attention(rows, "fake_B", {"fake_B": own})

    def _compare(self, fakes: _Images, references: _Images, *, apart: bool) -> dict[str, Tensor]:
        """Pixel by pixel and by LPIPS: metric -> (B,). apart: in the box and outside, too."""
        values = self._compare_pixels(fakes, references, apart=apart)
        unit = self.instruments.unit_map
        for metric, network in self.instruments.lpips.items():
            if min(fakes.counts.shape[-2:]) >= network.smallest_side:
                values[metric] = network(unit.scale(fakes.counts), unit.scale(references.counts))
            else:
                values[metric] = torch.full((len(fakes.counts),), torch.nan)
        return values

    def _compare_pixels(
        self, fakes: _Images, references: _Images, *, apart: bool
    ) -> dict[str, Tensor]:
        data_range = self.instruments.unit_map.data_range
        a, b, where = fakes.counts, references.counts, None
        if self.instruments.luma:
            a, b = luminance(a), luminance(b)
        if apart and self.instruments.labels:
            where = regions(fakes.targets, *a.shape[-2:])
        values = {
            "psnr": psnr(a, b, data_range=data_range, where=where),
            "ssim": ssim(a, b, data_range=data_range, where=where),
            "mae": mae(a, b, where=where),
        }
        if where is None:
            return values
        return {
            key + region: column
            for key, columns in values.items()
            for region, column in zip(REGIONS, columns, strict=True)
        }

    def _attention(self, fakes: Activations, references: Activations) -> tuple[Tensor, Tensor]:
        """Both maps are of the class predicted on the reference."""
        label = references.predicted
        a, b = (self._judge.attention(seen, label).double() for seen in (fakes, references))
        return a, b

    def _describe(
        self, kind: str, images: _Images, rows: Sequence[ImageValues]
    ) -> tuple[dict[str, Tensor], Portion]:
        """Metrics of one image, and the images' share in the whole. rows: of the images."""
        counts, boxes, judged = images.counts, images.boxes, images.seen
        grey, size = luminance(counts), tuple(counts.shape[-2:])
        values = {"noise": spatial_noise(grey)}
        boxed = not bool(boxes.isnan().all())
        if self.instruments.labels:
            values["contrast"] = target_contrast(grey, boxes)
            values["vanished"] = vanished(values["contrast"], values["noise"])
            values["hot_spots"] = hot_spots(grey, images.targets)
            values["box_share"] = box_share(boxes, size)
            values |= _aim(dog_energy(grey) if boxed else None, boxes, "dog_pointing", "dog_energy")
        features = {}
        if judged is not None:
            features |= judged.embeddings
            if self.instruments.labels:
                maps = self._attention_of_targets(judged, images.labels) if boxed else None
                values |= _aim(maps, boxes, "pointing", "cam_energy")
        unit = (self.instruments.unit_map.scale(counts) + 1) / 2
        for network, extract in self.instruments.extractors.items():
            features[network] = extract(unit)
        if "lite0" in features and boxed:
            shown, chips = chips_of(unit, boxes, images.labels, self._chip_scale)
            if shown:
                features["lite0_chips"] = self.instruments.extractors["lite0"](chips)
        named = [(row.name, row.contents[kind], row.recording) for row in rows]
        return values, self.profiles[kind].portion(named, grey, features)

    def _attention_of_targets(
        self, judged: Activations, labels: Sequence[ImageLabel | None]
    ) -> Tensor:
        """Maps of each image's own class, where the table tells it and the judge knows it."""
        classes = judged.predicted.tolist()
        for place, label in enumerate(labels):
            known = self._judge.index_of(label.class_name) if label else None
            classes[place] = classes[place] if known is None else known
        return self._judge.attention(judged, torch.tensor(classes, device=judged.scores.device))


def _aim(maps: Tensor | None, boxes: Boxes, pointing: str, energy: str) -> dict[str, Tensor]:
    """Under these names, (B,) each; maps: None where no image has a box."""
    if maps is None:
        return dict.fromkeys((pointing, energy), boxes[:, 0])
    return {pointing: pointing_game(maps, boxes), energy: energy_in_box(maps, boxes)}


def _compare_attention(a: Tensor, b: Tensor) -> dict[str, Tensor]:
    """Of two maps: metric -> (B,)."""
    return {"gcss": gcss(a, b), "cc": correlation(a, b), "cam_cosine": cam_cosine(a, b)}


def _keep_attention(rows: Sequence[ImageValues], of: str, maps: Mapping[str, Tensor]) -> None:
    """For the page of results. of: the kind on which the class of the maps is predicted."""
    for kind, attention in maps.items():
        small = F.adaptive_avg_pool2d(attention, SIDE)[:, 0].cpu().numpy()
        for row, image in zip(rows, small, strict=True):
            row.attention.setdefault(of, {})[kind] = as_digits(image)


def _boxes(labels: Sequence[ImageLabel | None], size: tuple[int, int]) -> Boxes:
    unknown = (float("nan"),) * 4
    corners = [(label.corners(*size) if label else None) or unknown for label in labels]
    return torch.tensor(corners, dtype=torch.float64)


def _targets(labels: Sequence[ImageLabel | None], size: tuple[int, int]) -> Tensor:
    corners = [label.all_corners(*size) if label else [] for label in labels]
    return pad_boxes([np.array(found, np.float32).reshape(-1, 4) for found in corners])


def _ghosts(fakes: _Images, sources: _Images) -> dict[str, Tensor]:
    grey = luminance(fakes.counts), luminance(sources.counts)
    area = torch.from_numpy(ghost_area(*grey, fakes.targets))
    share = (area > 0).double().masked_fill(area.isnan(), torch.nan)
    return {"ghosts": share, "ghost_area": 100 * area}


def _distribute(values: Mapping[str, Tensor], rows: Sequence[ImageValues], name: str) -> None:
    """One row an image: the values (B,) of a metric go to the rows under `name`."""
    for metric, column in values.items():
        for row, value in zip(rows, column.tolist(), strict=True):
            row.values.setdefault(name, {})[metric] = value


def _alike(arrays: Arrays) -> Arrays:
    """Where one of the images is grey, colour files of three equal bands are grey too."""
    if all(array.ndim == 3 for array in arrays.values()):
        return arrays
    return {
        kind: array[..., 0] if array.ndim == 3 and (array == array[..., :1]).all() else array
        for kind, array in arrays.items()
    }


def _check_bands(fakes: Tensor, others: Tensor, files: Mapping[str, Path], kind: str) -> None:
    if fakes.shape != others.shape:
        raise UserError(
            f"{files['fake_B']} and its {kind} differ in bands (one is grey, one is RGB); "
            "compare their luminance with --luma."
        )


def _digest(array: np.ndarray) -> bytes:
    return hashlib.blake2b(repr(array.shape).encode() + array.tobytes(), digest_size=16).digest()
