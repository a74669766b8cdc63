"""What is wrong with image files: found before training, by the reader that training uses."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from tqdm import tqdm

from data.images import (
    NotFiniteError,
    PagesError,
    has_counts_inside,
    read_head,
    read_image,
    read_type,
)
from data.value_map import require_type
from data.value_type import ValueType
from util.errors import DamagedError, UserError

Kind = Literal[
    *("unreadable", "truncated", "empty", "several images", "not finite", "constant"),
    *("wrong size", "wrong depth", "bytes swapped", "counts inside"),
]
Size = tuple[int, int]

# Noise is as rough either way; of an image, swapping bytes makes noise.
MUCH_SMOOTHER = 2.0


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with one file, and a sentence on it."""

    path: Path
    kind: Kind
    reason: str


@dataclass(frozen=True)
class Seen:
    """An image that was decoded whole.

    size: (height, width); constant: whether all its pixels are one; swapped: whether its bytes seem
    to be; counts_inside: whether it is but the picture of counts, which are in the file, too.
    """

    path: Path
    size: Size
    type: ValueType
    constant: bool
    swapped: bool = False
    counts_inside: bool = False


def look(path: Path) -> Seen | Fault:
    """Decode one image, as training does."""
    try:
        image, found, inside = read_image(path), read_type(path), has_counts_inside(path)
    except PagesError as error:
        return Fault(path, "several images", str(error))
    except NotFiniteError as error:
        return Fault(path, "not finite", str(error))
    except DamagedError as error:  # there is a head, but not all behind it
        return Fault(path, "truncated", str(error))
    except UserError as error:
        empty = path.is_file() and not path.stat().st_size
        return Fault(path, "empty" if empty else "unreadable", str(error))
    constant = bool(image.min() == image.max())
    return Seen(path, image.shape[:2], found, constant, _is_swapped(image), inside)


def _is_swapped(image: np.ndarray) -> bool:
    """Whether a 16-bit image is much smoother with the bytes of each count swapped."""
    if image.dtype != np.uint16:
        return False
    return _roughness(image) > MUCH_SMOOTHER * _roughness(image.byteswap()) > 0


def _roughness(image: np.ndarray) -> float:
    """Mean difference of neighbours in a row, in standard deviations; 0 without any contrast."""
    spread = float(image.std())
    return float(np.abs(np.diff(image.astype(np.int32))).mean()) / spread if spread else 0.0


def look_at_all(paths: Sequence[Path]) -> list[Seen | Fault]:
    """Several at a time, in their order."""
    with ThreadPoolExecutor() as pool:
        found = pool.map(look, paths)
        bar = tqdm(found, "looking", len(paths), unit="image", leave=False, disable=None)
        return list(bar)


def find_faults(
    paths: Sequence[Path], *, size: Size | None = None, bits: int | None = None
) -> list[Fault]:
    """Everything that is wrong in a set of images, by file.

    size, bits: that all must have; None for those that most have.
    """
    found = look_at_all(paths)
    seen = [one for one in found if isinstance(one, Seen)]
    size = size or _most(one.size for one in seen)
    wanted = _most(one.type for one in seen if bits in (None, one.type.bits))
    if bits and not wanted:
        wanted = ValueType.from_bits(bits)
    return [fault for one in found for fault in _faults(one, size=size, wanted=wanted)]


def _faults(one: Seen | Fault, *, size: Size, wanted: ValueType) -> Iterable[Fault]:
    if isinstance(one, Fault):
        yield one
        return
    if one.constant:
        yield Fault(one.path, "constant", f"all pixels of {one.path} have one value.")
    if one.size != size:
        found, expected = (f"{width}x{height}" for height, width in (one.size, size))
        reason = f"{one.path} is {found} pixels where {expected} are expected."
        yield Fault(one.path, "wrong size", reason)
    if fault := _of_type(one, wanted):
        yield fault
    if one.swapped:
        yield Fault(
            one.path,
            "bytes swapped",
            f"{one.path} is much smoother with the two bytes of each count swapped, as some "
            "cameras and programs write them; swap them.",
        )
    if one.counts_inside:
        yield Fault(
            one.path,
            "counts inside",
            f"{one.path} has a FLIR camera's counts inside, which are not read: its picture is, "
            "whose grey levels or false colours are no temperatures; export the counts as 16-bit "
            "TIFF.",
        )


def _of_type(one: Seen, wanted: ValueType) -> Fault | None:
    try:
        require_type(one.path, one.type, wanted)
    except UserError as error:
        return Fault(one.path, "wrong depth", str(error))
    return None


def find_bad(
    samples: Sequence[Sequence[Path]],
    *,
    types: Sequence[ValueType | None],
    check_sizes: Callable[[Sequence[Path], Sequence[Size]], None],
) -> dict[Path, str]:
    """The files at which training would stop, and why.

    samples: one file a domain each; types: by domain, None for that which most of its files have;
    check_sizes: raises UserError for sizes that do not fit in one sample, which is then laid to its
    first file. Constant images can be trained on.
    """
    bad: dict[Path, str] = {}
    domains = []
    for paths, known in zip(zip(*samples, strict=True), types, strict=True):
        found = look_at_all(paths)
        seen = [one for one in found if isinstance(one, Seen)]
        wanted = known or _most(one.type for one in seen)
        wrong = [_of_type(one, wanted) if isinstance(one, Seen) else one for one in found]
        bad |= {fault.path: fault.reason for fault in wrong if fault}
        domains.append(found)
    for paths, ones in zip(samples, zip(*domains, strict=True), strict=True):
        if bad.keys().isdisjoint(paths):
            try:
                check_sizes(paths, [one.size for one in ones])
            except UserError as error:
                bad[paths[0]] = str(error)
    return bad


def check_heads(
    samples: Sequence[Sequence[Path]],
    *,
    types: Sequence[ValueType | None],
    check_sizes: Callable[[Sequence[Path], Sequence[Size]], None],
) -> dict[Path, Size]:
    """The sizes of all files. Raises UserError for the first sample at which training would stop.

    What only decoding shows is not seen. samples, check_sizes: as in `find_bad`; types: by domain,
    None for that of its first file.
    """
    wanted, sizes = list(types), {}
    with ThreadPoolExecutor() as pool:
        for paths, heads in zip(samples, pool.map(_heads, samples), strict=True):
            for domain, (path, (_, found)) in enumerate(zip(paths, heads, strict=True)):
                wanted[domain] = wanted[domain] or found
                require_type(path, found, wanted[domain])
            check_sizes(paths, [size for size, _ in heads])
            sizes |= {path: size for path, (size, _) in zip(paths, heads, strict=True)}
    return sizes


def _heads(paths: Sequence[Path]) -> list[tuple[Size, ValueType]]:
    return [read_head(path) for path in paths]


def _most(values: Iterable[Any]) -> Any:
    """The value that most have, the first of several; None of none."""
    return next((value for value, _ in Counter(values).most_common(1)), None)
