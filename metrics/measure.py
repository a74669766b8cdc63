"""Every metric of every image, in one pass over the files; few images are in memory at a time."""

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

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
from metrics.instruments import Instruments
from metrics.judge import Activations, Judge
from metrics.metric_properties import COMPARISONS
from metrics.paired import luminance, mae, psnr, ssim
from metrics.profile import Profile
from metrics.sets import Arrays, ImageSet, read_images
from metrics.thermal import spatial_noise, target_contrast
from util.errors import UserError
from util.pages import as_digits

BATCH_SIZE = 16  # images in memory at a time
SIDE = 16  # of attention maps for people, which are of 8×8 features of images of 256×256

Values = dict[str, dict[str, float]]  # comparison or kind -> metric -> value
Boxes = Tensor  # (B, 4), see metrics.boxes


@dataclass(frozen=True)
class ImageValues:
    """All that was measured on the images of one name; what was not measured is absent.

    values: by comparison, and by kind for metrics of one image; contents: kind -> 16 bytes that
    stand for the pixels; attention: kind -> where the judge looks, (SIDE, SIDE) of `as_digits`.
    """

    name: str
    values: Values
    contents: dict[str, bytes]
    attention: dict[str, str] = field(default_factory=dict)


def measurable(types: Mapping[str, ValueType]) -> dict[str, str]:
    """The comparisons between kinds of one type: name -> kind of the reference.

    types: by kind; a kind without files is absent, and so are its comparisons.
    """
    return {name: kind for name, kind in COMPARISONS.items() if types.get(kind) == types["fake_B"]}


@dataclass(frozen=True)
class Measurement:
    """Of one set. values: of each image, in the given order; profiles: kind -> the whole of it."""

    values: list[ImageValues]
    profiles: dict[str, Profile]


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

    types: of each kind; comparisons: of `measurable`; described: kinds that get metrics of one
    image and a profile; distinct: kinds of which equal images count once.
    Raises UserError for files that cannot be read or compared.
    """
    measuring = _Measuring(instruments, types, comparisons, described, distinct)
    values = []
    bar = tqdm(desc=images.name, total=len(images), unit="image", leave=False, disable=None)
    # The decoders release the interpreter's lock: threads use all cores.
    with ThreadPoolExecutor() as pool, bar:
        for start in range(0, len(images), BATCH_SIZE):
            stop = min(start + BATCH_SIZE, len(images))
            files = [{k: f[i] for k, f in images.files.items()} for i in range(start, stop)]
            arrays = list(pool.map(lambda f: read_images(f, types=types), files))
            contents = [{kind: _digest(array) for kind, array in a.items()} for a in arrays]
            arrays = map(_alike, arrays)
            named = zip(images.names[start:stop], files, contents, arrays, strict=True)
            for _, group in groupby(named, key=lambda item: [a.shape for a in item[3].values()]):
                values += measuring.group(*zip(*group, strict=True))
            bar.update(stop - start)
    return Measurement(values, measuring.profiles)


class _Measuring:
    """The measurement of one batch after the other; profiles: of what was measured so far."""

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
        self.profiles = {kind: Profile(instruments.unit_map) for kind in described}
        self._seen: set[tuple[str, bytes]] = set()

    def group(
        self,
        names: Sequence[str],
        files: Sequence[Mapping[str, Path]],
        contents: Sequence[dict[str, bytes]],
        arrays: Sequence[Arrays],
    ) -> list[ImageValues]:
        """Images of equal shapes."""
        rows = [ImageValues(name, {}, c) for name, c in zip(names, contents, strict=True)]
        counts = {kind: self._counts([a[kind] for a in arrays], kind) for kind in arrays[0]}
        needed = {"fake_B", *self.comparisons.values(), *self.profiles} & counts.keys()
        seen = {kind: self._judged(counts[kind]) for kind in needed} if self._judge else {}
        for comparison, kind in self.comparisons.items():
            if not self.instruments.luma:
                _check_bands(counts["fake_B"], counts[kind], files[0], kind)
            values = self._compare(counts["fake_B"], counts[kind])
            if seen:
                maps = self._attention(seen["fake_B"], seen[kind])
                values |= _compare_attention(*maps)
                values["class_agreement"] = (
                    seen["fake_B"].predicted == seen[kind].predicted
                ).double()
                _keep_attention(rows, {"fake_B": maps[0], kind: maps[1]})
            _distribute(values, rows, comparison)
        for kind, profile in self.profiles.items():
            found = [self._label(name, f[kind]) for name, f in zip(names, files, strict=True)]
            fresh = [place for place, row in enumerate(rows) if self._is_fresh(kind, row)]
            for place in fresh:
                profile.add_name(names[place], contents[place][kind])
            if fresh:
                judged = seen[kind].of(fresh) if seen else None
                labels = [found[place] for place in fresh]
                values = self._describe(counts[kind][fresh], labels, judged, profile)
                _distribute(values, [rows[i] for i in fresh], kind)
        return rows

    @property
    def _judge(self) -> Judge | None:
        return self.instruments.judge

    def _counts(self, arrays: Sequence[np.ndarray], kind: str) -> Tensor:
        """(B, 1 or 3, H, W) in file values: float32 holds 8 bits exactly, sums of them too."""
        dtype = torch.float32 if self.types[kind] == UINT8 else torch.float64
        images = torch.from_numpy(np.stack(arrays).astype(np.float32))
        images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)
        return images.to(self.instruments.device, dtype)

    def _judged(self, counts: Tensor) -> Activations:
        return self._judge.activations(self.instruments.judge_map.scale(counts))

    def _label(self, name: str, file: Path) -> ImageLabel | None:
        labels = self.instruments.labels
        return labels.find(ImageFile(file, name)) if labels else None

    def _is_fresh(self, kind: str, row: ImageValues) -> bool:
        """Whether an image counts. A random real_B stands under many names, but is one image."""
        key = (kind, row.contents[kind])
        repeated = kind in self.distinct and key in self._seen
        self._seen.add(key)
        return not repeated

    def _compare(self, fakes: Tensor, references: Tensor) -> dict[str, Tensor]:
        """Pixel by pixel and by LPIPS: metric -> (B,)."""
        data_range = self.instruments.unit_map.data_range
        a, b = fakes, references
        if self.instruments.luma:
            a, b = luminance(a), luminance(b)
        values = {
            "psnr": psnr(a, b, data_range=data_range),
            "ssim": ssim(a, b, data_range=data_range),
            "mae": mae(a, b),
        }
        unit = self.instruments.unit_map
        for metric, network in self.instruments.lpips.items():
            if min(fakes.shape[-2:]) >= network.smallest_side:
                values[metric] = network(unit.scale(fakes), unit.scale(references))
            else:
                values[metric] = torch.full((len(fakes),), torch.nan)
        return values

    def _attention(self, fakes: Activations, references: Activations) -> tuple[Tensor, Tensor]:
        """Both maps are of the class predicted on the reference."""
        label = references.predicted
        a, b = (self._judge.attention(seen, label).double() for seen in (fakes, references))
        return a, b

    def _describe(
        self,
        counts: Tensor,
        labels: Sequence[ImageLabel | None],
        judged: Activations | None,
        profile: Profile,
    ) -> dict[str, Tensor]:
        """Metrics of one image, and the images' share in the whole."""
        grey, size = luminance(counts), tuple(counts.shape[-2:])
        values = {"noise": spatial_noise(grey)}
        boxes = _boxes(labels, size).to(counts.device)
        boxed = not bool(boxes.isnan().all())
        if self.instruments.labels:
            values["contrast"] = target_contrast(grey, boxes)
            values["box_share"] = box_share(boxes, size)
        features = {}
        if judged is not None:
            features |= judged.embeddings
            if self.instruments.labels:
                maps = self._attention_of_targets(judged, labels) if boxed else None
                values["pointing"] = pointing_game(maps, boxes) if boxed else boxes[:, 0]
                values["cam_energy"] = energy_in_box(maps, boxes) if boxed else boxes[:, 0]
        if self.instruments.inception:
            unit = self.instruments.unit_map
            features["inception"] = self.instruments.inception((unit.scale(counts) + 1) / 2)
        profile.add(grey, features)
        return values

    def _attention_of_targets(
        self, judged: Activations, labels: Sequence[ImageLabel | None]
    ) -> Tensor:
        """Maps of each image's own class, where the table tells it and the judge knows it."""
        classes = judged.predicted.tolist()
        for place, label in enumerate(labels):
            known = self._judge.index_of(label.class_name) if label else None
            classes[place] = classes[place] if known is None else known
        return self._judge.attention(judged, torch.tensor(classes, device=judged.scores.device))


def _compare_attention(a: Tensor, b: Tensor) -> dict[str, Tensor]:
    """Of two maps: metric -> (B,)."""
    return {"gcss": gcss(a, b), "cc": correlation(a, b), "cam_cosine": cam_cosine(a, b)}


def _keep_attention(rows: Sequence[ImageValues], maps: Mapping[str, Tensor]) -> None:
    """For the page of results; the first comparison decides of which class a map is."""
    for kind, attention in maps.items():
        small = F.adaptive_avg_pool2d(attention, SIDE)[:, 0].cpu().numpy()
        for row, image in zip(rows, small, strict=True):
            row.attention.setdefault(kind, as_digits(image))


def _boxes(labels: Sequence[ImageLabel | None], size: tuple[int, int]) -> Boxes:
    unknown = (float("nan"),) * 4
    corners = [(label.corners(*size) if label else None) or unknown for label in labels]
    return torch.tensor(corners, dtype=torch.float64)


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
