"""Image files that need no decoder: PGM and PPM, and NumPy's arrays.

Formats: netpbm's pgm(5) and ppm(5), and numpy.lib.format. What a head says is compared with the
size of the file before memory is taken.
"""

import re
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from data.value_type import ValueType
from util.errors import DamagedError, UserError

ARRAY_MAGIC = b"\x93NUMPY"
NETPBM_MAGIC = re.compile(rb"P[1-7fF][\s#]")
UNREAD_NETPBM = {b"P1": "PBM bitmaps", b"P4": "PBM bitmaps", b"P7": "PAM images"}
BLANK = rb"(?:\s|#[^\r\n]*[\r\n])+"  # comments end with their line
NETPBM_HEAD = re.compile(rb"(P[2356])" + 3 * (BLANK + rb"(\d{1,10})") + rb"\s")
LONGEST_HEAD = 4096  # bytes, comments included
LONGEST_NUMBER = 10  # digits of a pixel written as text


def is_plain(head: bytes) -> bool:
    """Whether a file that begins with these bytes is of a kind that is read here."""
    return head.startswith(ARRAY_MAGIC) or NETPBM_MAGIC.match(head) is not None


@dataclass(frozen=True)
class PlainImages:
    """The images of one file, known by its head: how many, (H, W) or (H, W, 3), and their type."""

    path: Path
    pages: int
    shape: tuple[int, ...]
    type: ValueType

    def values(self, page: int) -> np.ndarray:
        """Image `page`, counted from 0, as data.images.read_image returns it, of any whole type."""
        raise NotImplementedError


@dataclass(frozen=True)
class ArrayFile(PlainImages):
    """An array of two axes, or of three for several images or for one with a single band."""

    def values(self, page: int) -> np.ndarray:
        array = np.lib.format.open_memmap(self.path, mode="r")
        return np.array(array.reshape(self.pages, *self.shape)[page], order="C")


@dataclass(frozen=True)
class NetpbmFile(PlainImages):
    """Images one after another. starts: of the pixels; largest: the value that is white."""

    text: bool
    starts: tuple[int, ...]
    largest: int

    def values(self, page: int) -> np.ndarray:
        """Raises DamagedError for pixels that are missing, no numbers or larger than white."""
        pixels = self._written() if self.text else self._packed(self.starts[page])
        if pixels.max() > self.largest:
            raise DamagedError(
                f"{self.path} holds {pixels.max()} where {self.largest} is the largest value, as "
                "its head says; replace or remove it."
            )
        if self.type.bits == 8 and self.largest < 255:
            pixels = np.rint(pixels * (255 / self.largest))
        return pixels.reshape(self.shape).astype(self.type.dtype)

    def _packed(self, start: int) -> np.ndarray:
        stored = ">u2" if self.type.bits == 16 else "u1"
        return np.fromfile(self.path, stored, prod(self.shape), offset=start)

    def _written(self) -> np.ndarray:
        text = re.sub(rb"#[^\r\n]*", b"", self.path.read_bytes()[self.starts[0] :])
        words = text.split()[: prod(self.shape)]
        if len(words) < prod(self.shape):
            raise DamagedError(f"{self.path} breaks off; replace or remove it.")
        if not all(word.isdigit() and len(word) <= LONGEST_NUMBER for word in words):
            raise DamagedError(f"{self.path} has pixels that are no numbers; replace or remove it.")
        return np.array(words).astype(np.int64)


def open_plain(path: Path, head: bytes) -> PlainImages:
    """What the file that begins with `head` holds.

    Raises UserError for an unsupported kind, DamagedError or ValueError for a broken head.
    """
    return _open_array(path) if head.startswith(ARRAY_MAGIC) else _open_netpbm(path, head[:2])


def _open_array(path: Path) -> ArrayFile:
    array = np.lib.format.open_memmap(path, mode="r")  # no objects: they would be code
    axes, kind = array.shape, array.dtype
    if array.ndim not in (2, 3) or not array.size or axes[2:] in ((3,), (4,)):
        found = "x".join(map(str, axes)) or "no axes"
        raise UserError(
            f"{path} holds an array of {found}; height x width are needed, or images x height x "
            "width: save one band."
        )
    if kind.kind not in "iuf" or kind.itemsize > 8:
        raise UserError(f"{path} holds {kind} values; whole numbers or floats are needed.")
    name = "float32" if kind.kind == "f" else "uint8" if kind == np.uint8 else "uint16"
    # One band after height and width, as some programs keep it; images of 1 pixel across are none.
    images, height, width = (1, *axes[:2]) if array.ndim == 2 or axes[2] == 1 else axes
    return ArrayFile(path, images, (height, width), ValueType(name))


def _open_netpbm(path: Path, kind: bytes) -> NetpbmFile:
    if kind.lower() == b"pf" or kind in UNREAD_NETPBM:
        raise UserError(
            f"{path} is of a kind that is not read, {UNREAD_NETPBM.get(kind, 'PFM floats')}; save "
            "it as PGM, TIFF or PNG."
        )
    found: list[tuple[tuple[bytes, ...], int]] = []
    end, size = 0, path.stat().st_size
    with path.open("rb") as file:
        # Several images may follow each other, all in binary.
        while end < size:
            file.seek(end)
            content = file.read(LONGEST_HEAD)
            match = NETPBM_HEAD.match(content)
            if not match and found and not content.strip():
                break
            if not match:
                what = "more bytes than its head says" if found else "a broken head"
                raise DamagedError(f"{path} has {what}; replace or remove it.")
            if found and match.groups() != found[0][0]:
                raise UserError(
                    f"{path} holds images of several sizes or depths; make a file of each."
                )
            found.append((match.groups(), end + match.end()))
            end = _end_of_pixels(path, match.groups(), start=end + match.end(), size=size)
    (magic, width, height, largest), _ = found[0]
    bands = (3,) if magic in (b"P3", b"P6") else ()
    bits = 16 if int(largest) > 255 else 8
    if bands and bits > 8:
        raise UserError(
            f"{path} has several bands of 16 bits; 16 bits are supported for one band only: save "
            "the grey band alone."
        )
    shape, starts = (int(height), int(width), *bands), tuple(start for _, start in found)
    text = magic in (b"P2", b"P3")
    kind_of_values = ValueType.from_bits(bits)
    return NetpbmFile(path, len(found), shape, kind_of_values, text, starts, int(largest))


def _end_of_pixels(path: Path, head: tuple[bytes, ...], *, start: int, size: int) -> int:
    """Where the pixels end that begin at `start`. Raises DamagedError beyond `size` bytes."""
    magic, (width, height, largest) = head[0], map(int, head[1:])
    values = width * height * (3 if magic in (b"P3", b"P6") else 1)
    text = magic in (b"P2", b"P3")
    # A pixel of text takes a digit and a blank.
    least = 2 * values - 1 if text else values * (2 if largest > 255 else 1)
    if not values or not 0 < largest < 65536 or start + least > size:
        raise DamagedError(
            f"{path} breaks off or has a broken head ({width}x{height} pixels up to {largest}); "
            "replace or remove it."
        )
    return size if text else start + least
