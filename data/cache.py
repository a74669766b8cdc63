"""Images decoded once: in memory that all processes of a run share, or in a file for later runs.

Both are a file that is mapped, one without a name for `ram`, so reader processes add nothing to it,
whether they are forked (and inherit the map) or spawned (and are handed the open file). Of several
processes that train on one host the first decodes, and the others map its file.
"""

import json
import mmap
import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from hashlib import sha256
from math import prod
from multiprocessing import reduction
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple
from weakref import WeakSet

import numpy as np
from tqdm import tqdm

from data.images import read_image, read_layout
from util.distributed import made_by_host
from util.errors import UserError
from util.files import remove_leftovers, replacing
from util.memory import free_memory

Cache = Literal["ram", "disk", "none"]

LARGEST_SHARE = 0.5  # of the memory that is free without them, for all sets of a run
ALIGNMENT = 64  # bytes
LONGEST_PAUSE_S = 3600.0  # between two images that a process decodes: one that is slower has died
FORMAT = "decoded images 2"  # changes whenever the same files would be stored in another way

# Of what read_image returns.
PIXELS = {np.dtype(kind).str for kind in (np.uint8, np.uint16, np.float32)}

Layout = tuple[tuple[int, ...], str]  # shape and type of an image


class Images:
    """Images of a set, decoded anew at each call. note: how they are kept, for people."""

    note = ""

    def read(self, path: Path) -> np.ndarray:
        """As data.images.read_image; the array may be read-only."""
        return read_image(path)

    def elsewhere(self) -> "Callable[[], Images]":
        """What makes the same in another process of this host."""
        return Images


class Span(NamedTuple):
    """Where one decoded image lies in a file."""

    start: int
    shape: tuple[int, ...]
    dtype: str

    @property
    def end(self) -> int:
        return self.start + prod(self.shape) * np.dtype(self.dtype).itemsize


class KeptImages(Images):
    """Images that lie decoded in an open file."""

    def __init__(self, file: BinaryIO, spans: Mapping[Path, Span], *, where: str) -> None:
        self.file, self.spans, self.where = file, spans, where
        self.bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.note = f"{len(spans):,} images decoded, {_spell(_size(spans))} in {where}"

    def read(self, path: Path) -> np.ndarray:
        start, shape, dtype = self.spans[path]
        return np.ndarray(shape, dtype, buffer=self.bytes, offset=start)

    def elsewhere(self) -> Callable[[], Images]:
        """Where a system does not show open files to other processes, they decode anew."""
        place = Path(f"/proc/{os.getpid()}/fd/{self.file.fileno()}")
        return partial(_opened_at, place, self.spans, self.where) if place.exists() else Images

    def __reduce__(self) -> tuple[Any, ...]:
        """For spawned processes; where a system cannot send an open file, they decode anew."""
        if not hasattr(reduction, "DupFd"):
            return Images, ()
        return _received, (reduction.DupFd(self.file.fileno()), self.spans, self.where)


IN_MEMORY: WeakSet[KeptImages] = WeakSet()  # all sets of this run


def _received(sent: Any, spans: Mapping[Path, Span], where: str) -> KeptImages:
    return KeptImages(os.fdopen(sent.detach(), "rb"), spans, where=where)


def _opened_at(place: Path, spans: Mapping[Path, Span], where: str) -> Images:
    try:
        return KeptImages(place.open("rb"), spans, where=where)
    except OSError:  # of a process that may not be looked into
        return Images()


def keep_images(files: Sequence[Path], cache: Cache) -> Images:
    """The images of `files`, each decoded once, now or by an earlier run; "none": at each call.

    Where they would take more than half of the free memory, "ram" decodes at each call, too.
    Raises UserError for a bad image, and where the file of "disk" cannot be written.
    """
    if cache == "none":
        return Images()
    keep = _in_memory if cache == "ram" else _on_disk
    return made_by_host(partial(keep, files), elsewhere=lambda images: images.elsewhere())


def _in_memory(files: Sequence[Path]) -> Images:
    spans = _spans(files, _layouts(files), start=0)
    free, kept = free_memory(), sum(len(images.bytes) for images in IN_MEMORY)
    if free is not None and kept + _size(spans) > LARGEST_SHARE * (free + kept):
        images = Images()
        images.note = (
            f"{len(files):,} images of {_spell(_size(spans))} are decoded anew each time: "
            f"{_spell(free)} of memory are free, and --cache ram takes half of that at most "
            "(--cache disk keeps them in a file)"
        )
        return images
    file = _nameless_file()
    _decode(spans, file)
    images = KeptImages(file, spans, where="memory")
    IN_MEMORY.add(images)
    return images


def _nameless_file() -> BinaryIO:
    if hasattr(os, "memfd_create"):  # Linux: in memory, without the limits of /dev/shm
        return os.fdopen(os.memfd_create("images"), "w+b")
    return tempfile.TemporaryFile()


def _on_disk(files: Sequence[Path]) -> KeptImages:
    # Of before the images are decoded: what changes meanwhile is found by the next run.
    state = _digest([FORMAT, *map(_state, files)])
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mwir-realism"
    kept = folder / f"{_digest(map(str, files))[:32]}.images"
    file, spans = _opened(kept, files, state) or _written(kept, files, state)
    return KeptImages(file, spans, where=str(kept))


Opened = tuple[BinaryIO, dict[Path, Span]]


def _opened(kept: Path, files: Sequence[Path], state: str) -> Opened | None:
    """None where there is no such file, one of another state of the images, or part of one."""
    with ExitStack() as closing:
        try:
            file = closing.enter_context(kept.open("rb"))
            head = json.loads(file.readline())
            same = head["state"] == state
            spans = _spans(files, head["layouts"], start=file.tell())
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None
        # Others are not ours: an array of "objects" would be one of addresses from the file.
        ours = {span.dtype for span in spans.values()} <= PIXELS
        whole = os.fstat(file.fileno()).st_size == spans[files[-1]].end
        if not (same and ours and whole):
            return None
        closing.pop_all()  # whoever reads the images keeps it open
        return file, spans


def _written(kept: Path, files: Sequence[Path], state: str) -> Opened:
    """A line of JSON, then the images; it takes the place of an earlier file when it is whole."""
    layouts = _layouts(files)
    remove_leftovers(kept.parent, idle_s=LONGEST_PAUSE_S)
    with replacing(kept) as temporary:
        file = temporary.open("w+b")
        file.write(json.dumps({"state": state, "layouts": layouts}).encode() + b"\n")
        spans = _spans(files, layouts, start=file.tell())
        _decode(spans, file)
        os.fsync(file.fileno())
    return file, spans


def _decode(spans: Mapping[Path, Span], file: BinaryIO) -> None:
    """Every image to its span, several at a time."""
    one_writes = threading.Lock()

    def put(path: Path) -> None:
        image = read_image(path)
        if (image.shape, image.dtype) != (spans[path].shape, spans[path].dtype):
            raise UserError(f"{path} changed while it was read; start again.")
        with one_writes:
            file.seek(spans[path].start)
            file.write(image)

    with ThreadPoolExecutor() as pool:
        done = pool.map(put, spans)
        for _ in tqdm(done, "decoding", len(spans), unit="image", leave=False, disable=None):
            pass
    file.flush()


def _layouts(files: Sequence[Path]) -> list[Layout]:
    with ThreadPoolExecutor() as pool:
        return [(shape, dtype.str) for shape, dtype in pool.map(read_layout, files)]


def _spans(files: Sequence[Path], layouts: Sequence[Layout], *, start: int) -> dict[Path, Span]:
    """One image after another, from byte `start` of a file on."""
    spans = {}
    for path, (shape, dtype) in zip(files, layouts, strict=True):
        start = -(-start // ALIGNMENT) * ALIGNMENT
        spans[path] = Span(start, tuple(shape), dtype)
        start = spans[path].end
    return spans


def _size(spans: Mapping[Path, Span]) -> int:
    return sum(span.end - span.start for span in spans.values())


def _state(path: Path) -> str:
    """What changes when a file does; a missing one is for `read_layout` to complain of."""
    with suppress(OSError):
        found = path.stat()
        return f"{path} {found.st_size} {found.st_mtime_ns}"
    return f"{path} is missing"


def _digest(lines: Iterable[str]) -> str:
    return sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()


def _spell(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
