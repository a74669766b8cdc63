"""Every metric of every image, in one pass over the files; few images are in memory at a time."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from data.value_map import ValueMap
from metrics import ATTENTION_METRICS, COMPARISONS, IMAGE_METRICS
from metrics.attention import attention_maps
from metrics.paired import luminance
from metrics.results import Arrays, ResultImage, read_result
from models.networks.classifier import Classifier
from util.errors import UserError

BATCH_SIZE = 16  # images in memory at a time

Values = dict[str, dict[str, float]]  # comparison -> metric -> value


@dataclass(frozen=True)
class ImageValues:
    """All that was measured on one image; what was not measured is absent.

    contents: 16 bytes each that stand for the content of real_A and real_B; None without real_B.
    """

    name: str
    values: Values
    contents: tuple[bytes, bytes] | None


@dataclass(frozen=True)
class Judge:
    """The classifier whose attention is compared, and how it is shown the images."""

    classifier: Classifier
    value_map: ValueMap
    stage: str
    device: torch.device

    def compare(
        self, batch: Sequence[Arrays], comparisons: Mapping[str, str], pool: ThreadPoolExecutor
    ) -> list[Values]:
        """Attention metrics of images of one shape; comparisons: name -> kind of the reference."""
        values: list[Values] = [{} for _ in batch]
        fakes = self._encode(batch, "fake_B")
        for comparison, kind in comparisons.items():
            references = self._encode(batch, kind)
            maps = attention_maps(self.classifier, fakes, references, stage=self.stage)
            for place, metrics in enumerate(pool.map(_attention_metrics, *maps)):
                values[place][comparison] = metrics
        return values

    def _encode(self, batch: Sequence[Arrays], kind: str) -> Tensor:
        """(B, 1 or 3, H, W) in [-1, 1]."""
        return torch.stack([self.value_map.encode(a[kind]) for a in batch]).to(self.device)


def measurable(bits: Mapping[str, int]) -> dict[str, str]:
    """The comparisons between kinds of one depth: name -> kind of the reference.

    bits: kind -> depth; a kind without files is absent, and so are its comparisons.
    """
    return {name: kind for name, kind in COMPARISONS.items() if bits.get(kind) == bits["fake_B"]}


def measure(
    images: Sequence[ResultImage],
    *,
    bits: Mapping[str, int],
    luma: bool = False,
    judge: Judge | None = None,
) -> Iterator[ImageValues]:
    """Values of each image, in the given order.

    bits: depth of each kind, of which only the `measurable` comparisons are made; luma: compare
    luminance, where an image has three bands; judge: for the attention metrics. Raises UserError
    for files that cannot be read or compared.
    """
    comparisons, data_range = measurable(bits), 2 ** bits["fake_B"] - 1
    compare = partial(_image_metrics, comparisons=comparisons, data_range=data_range, luma=luma)
    # scikit-image and the decoders release the interpreter's lock: threads use all cores.
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(images), BATCH_SIZE):
            batch = images[start : start + BATCH_SIZE]
            arrays = list(pool.map(partial(read_result, bits=bits), batch))
            values = list(pool.map(compare, batch, arrays))
            if judge:
                _add_attention(values, arrays, comparisons, judge, pool)
            for image, loaded, by_comparison in zip(batch, arrays, values, strict=True):
                contents = None
                if "real_B" in loaded:
                    contents = _digest(loaded["real_A"]), _digest(loaded["real_B"])
                yield ImageValues(image.name, by_comparison, contents)


def _image_metrics(
    image: ResultImage,
    arrays: Arrays,
    *,
    comparisons: Mapping[str, str],
    data_range: float,
    luma: bool,
) -> Values:
    if luma:
        arrays = {kind: luminance(array) for kind, array in arrays.items()}
    fake, values = arrays["fake_B"], {}
    for comparison, kind in comparisons.items():
        if arrays[kind].shape != fake.shape:
            raise UserError(
                f"{image.fake_B} and its {kind} differ in bands (one is grey, one is RGB); "
                "compare their luminance with --luma."
            )
        values[comparison] = {
            name: metric(fake, arrays[kind], data_range=data_range)
            for name, metric in IMAGE_METRICS.items()
        }
    return values


def _attention_metrics(a: np.ndarray, b: np.ndarray) -> dict[str, float]:
    return {name: metric(a, b) for name, metric in ATTENTION_METRICS.items()}


def _add_attention(
    values: list[Values],
    arrays: Sequence[Arrays],
    comparisons: Mapping[str, str],
    judge: Judge,
    pool: ThreadPoolExecutor,
) -> None:
    """Images of a batch may differ in shape: each run of equal shapes goes to the judge at once."""
    place = 0
    for _, group in groupby(arrays, key=lambda a: [a[kind].shape for kind in a]):
        for attention in judge.compare(list(group), comparisons, pool):
            for comparison, metrics in attention.items():
                values[place][comparison] |= metrics
            place += 1


def _digest(array: np.ndarray) -> bytes:
    return hashlib.blake2b(repr(array.shape).encode() + array.tobytes(), digest_size=16).digest()
