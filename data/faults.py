"""What is wrong with image files: found before training, by the reader that training uses."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from tqdm import tqdm

from data.images import read_image, read_layout
from data.value_map import require_depth
from util.errors import DamagedError, UserError

Kind = Literal["unreadable", "truncated", "empty", "constant", "wrong size", "wrong depth"]
Size = tuple[int, int]


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with one file, and a sentence on it."""

    path: Path
    kind: Kind
    reason: str


@dataclass(frozen=True)
class Seen:
    """An image that was decoded whole: (height, width), 8 or 16, whether all its pixels are one."""

    path: Path
    size: Size
    bits: int
    constant: bool


def look(path: Path) -> Seen | Fault:
    """Decode one image, as training does."""
    try:
        image = read_image(path)
    except DamagedError as error:  # there is a head, but not all behind it
        return Fault(path, "truncated", str(error))
    except UserError as error:
        empty = path.is_file() and not path.stat().st_size
        return Fault(path, "empty" if empty else "unreadable", str(error))
    constant = bool(image.min() == image.max())
    return Seen(path, image.shape[:2], image.dtype.itemsize * 8, constant)


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
    size, bits = size or _most(one.size for one in seen), bits or _most(one.bits for one in seen)
    return [fault for one in found for fault in _faults(one, size=size, bits=bits)]


def _faults(one: Seen | Fault, *, size: Size, bits: int) -> Iterable[Fault]:
    if isinstance(one, Fault):
        yield one
        return
    if one.constant:
        yield Fault(one.path, "constant", f"all pixels of {one.path} have one value.")
    if one.size != size:
        found, wanted = (f"{width}x{height}" for height, width in (one.size, size))
        reason = f"{one.path} is {found} pixels where {wanted} are expected."
        yield Fault(one.path, "wrong size", reason)
    if fault := _of_depth(one, bits):
        yield fault


def _of_depth(one: Seen, bits: int) -> Fault | None:
    try:
        require_depth(one.path, one.bits, bits=bits)
    except UserError as error:
        return Fault(one.path, "wrong depth", str(error))
    return None


def find_bad(
    samples: Sequence[Sequence[Path]],
    *,
    bits: Sequence[int | None],
    check_sizes: Callable[[Sequence[Path], Sequence[Size]], None],
) -> dict[Path, str]:
    """The files at which training would stop, and why.

    samples: one file a domain each; bits: by domain, None for those that most of its files have;
    check_sizes: raises UserError for sizes that do not fit in one sample, which is then laid to its
    first file. Constant images can be trained on.
    """
    bad: dict[Path, str] = {}
    domains = []
    for paths, depth in zip(zip(*samples, strict=True), bits, strict=True):
        found = look_at_all(paths)
        seen = [one for one in found if isinstance(one, Seen)]
        depth = depth or _most(one.bits for one in seen)
        wrong = [_of_depth(one, depth) if isinstance(one, Seen) else one for one in found]
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
    bits: Sequence[int | None],
    check_sizes: Callable[[Sequence[Path], Sequence[Size]], None],
) -> None:
    """Raises UserError for the first sample at which training would stop, as the heads tell.

    What only decoding shows is not seen. samples, check_sizes: as in `find_bad`; bits: by domain,
    None for that of its first file.
    """
    wanted = list(bits)
    with ThreadPoolExecutor() as pool:
        for paths, layouts in zip(samples, pool.map(_layouts, samples), strict=True):
            for place, (path, (_, dtype)) in enumerate(zip(paths, layouts, strict=True)):
                depth = dtype.itemsize * 8
                wanted[place] = wanted[place] or depth
                require_depth(path, depth, bits=wanted[place])
            check_sizes(paths, [shape[:2] for shape, _ in layouts])


def _layouts(paths: Sequence[Path]) -> list[tuple[tuple[int, ...], np.dtype]]:
    return [read_layout(path) for path in paths]


def _most(values: Iterable[Any]) -> Any:
    """The value that most have, the first of several; None of none."""
    return next((value for value, _ in Counter(values).most_common(1)), None)
