"""ARF videos, the raster format of the DSIAC ATR database: a header, then frame after frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data.images import MOST_PIXELS
from util.errors import UserError

MAGIC = 0xBBBBBAAD
VERSION = 2
WORD = np.dtype(">u4")
HEADER_BYTES = 8 * WORD.itemsize

# Image type -> pixels as they lie in the file.
PIXELS = {
    0: np.dtype("u1"),
    1: np.dtype(">u2"),  # "ten bit"
    2: np.dtype(">u2"),  # "twelve bit"
    3: np.dtype(">i2"),
    5: np.dtype(">u2"),  # "short word"
    6: np.dtype(">u4"),
    7: np.dtype(">f4"),
    8: np.dtype(">f8"),
}
MULTI_BAND_TYPES = (10, 13)

IMAGE_INFO, COLOUR_MAP, COMMENT, SUB_BANDS, FOOTER = 1, 2, 4, 8, 16
# Flag -> bytes that its block takes at least; the blocks follow the header in the flags' order.
BLOCK_BYTES = {IMAGE_INFO: 0, COLOUR_MAP: 3072, COMMENT: 4, SUB_BANDS: 0, FOOTER: 4, 32: 24, 64: 0}
MAX_BLOCKS_BYTES = 65536

RECORD_BYTES = 10 * WORD.itemsize
# Bytes behind each frame by the footers' word: bit 1 is the record, bit 2 unknown content.
FOOTER_BYTES = (0, RECORD_BYTES, 96, RECORD_BYTES + 96)
FOOTER_WORDS = tuple(word.to_bytes(WORD.itemsize, "big") for word in range(len(FOOTER_BYTES)))


class _Header(NamedTuple):
    magic: int
    version: int
    rows: int
    columns: int
    image_type: int
    frames: int
    offset: int
    flags: int

    @property
    def frame_bytes(self) -> int:
        return self.rows * self.columns * PIXELS[self.image_type].itemsize


@dataclass(frozen=True)
class Footer:
    """The record behind a frame, as it stands in the file; `day` is the day of the year."""

    x: int
    y: int
    azimuth: int
    elevation: int
    year: int
    day: int
    hour: int
    minute: int
    second: int
    millisecond: int


class ArfVideo:
    """The frames of an ARF file of one band, in any order.

    path; rows, columns: of a frame; dtype: of its pixels (uint8, uint16, int16, uint32, float32 or
    float64, native byte order); comment: of the header, "" where it has none, or none whose place
    is sure: the block of flag 1, whose length is not documented, may stand before it.

    Only the header is read here. A frame is read when asked for, through a map of its own bytes
    alone: the pages of a map of the whole video would pile up as memory while it is streamed. No
    file stays open, so a video can be handed to another process.

    The file must be as long as its header says, to the byte: nothing else tells whether a frame
    lies where it is looked for. Where the header has footers, but not at a sure place which ones,
    the length tells that too.

    Raises UserError for what is no ARF file, for several bands, unknown versions, types and flags,
    and for a length that does not fit: truncated files, absurd sizes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            size = path.stat().st_size
            if not path.is_file():  # to open a pipe would wait for ever
                raise UserError(f"{path} cannot be read: it is a folder, pipe or device; check it.")
            with path.open("rb") as file:
                header = _header(file.read(HEADER_BYTES), path)
                blocks = file.read(min(header.offset - HEADER_BYTES, MAX_BLOCKS_BYTES))
        except FileNotFoundError:
            raise UserError(f"there is no video {path}; check the folder and the name.") from None
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}); check it.") from None
        self._header = header
        self._pixels = PIXELS[header.image_type]
        self.rows, self.columns = header.rows, header.columns
        self.dtype = self._pixels.newbyteorder("=")
        self.comment, footers = _comment_and_footers(header.flags, blocks)
        self._footer_bytes = _footer_that_fits(footers, header, size, path)

    def __len__(self) -> int:
        return self._header.frames

    def frame(self, index: int) -> np.ndarray:
        """Frame `index`, counted from 0: a copy, (rows, columns), of type `dtype`.

        Raises IndexError where there is no such frame, UserError where the file has shrunk or gone.
        """
        return self._read(self._start(index), self._pixels, (self.rows, self.columns))

    def footer(self, index: int) -> Footer | None:
        """The record behind frame `index`, counted from 0; None where the file has none.

        Raises as `frame` does.
        """
        start = self._start(index) + self._header.frame_bytes
        if self._footer_bytes not in (RECORD_BYTES, RECORD_BYTES + 96):
            return None
        return Footer(*self._read(start, WORD, (RECORD_BYTES // WORD.itemsize,)).tolist())

    def _start(self, index: int) -> int:
        """Where frame `index` begins in the file."""
        if not 0 <= index < len(self):
            raise IndexError(f"{self.path} has frames 0 to {len(self) - 1}, not {index}")
        return self._header.offset + index * (self._header.frame_bytes + self._footer_bytes)

    def _read(self, start: int, pixels: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        try:
            mapped = np.memmap(self.path, pixels, mode="r", offset=start, shape=shape)
        except (OSError, ValueError) as error:
            raise UserError(
                f"{self.path} has changed since it was opened ({error}); leave it in place."
            ) from None
        return np.array(mapped, dtype=pixels.newbyteorder("="))


def _header(head: bytes, path: Path) -> _Header:
    """The first 32 bytes, refused where they say what is unknown or cannot be."""
    if len(head) < HEADER_BYTES:
        raise UserError(f"{path} is shorter than the header of an ARF video; copy it anew.")
    header = _Header(*np.frombuffer(head, WORD).tolist())
    if header.magic != MAGIC:
        swapped = int.from_bytes(head[:4], "little") == MAGIC
        reason = "its bytes are in little-endian order" if swapped else f"0x{header.magic:08X}"
        raise UserError(
            f"{path} does not begin as an ARF video, with 0x{MAGIC:08X} ({reason}); "
            "export it as big-endian ARF."
        )
    unknown_flags = header.flags & ~sum(BLOCK_BYTES)
    if header.version != VERSION or unknown_flags:
        what = f"flags 0x{unknown_flags:X}" if unknown_flags else f"version {header.version}"
        raise UserError(f"{path} has {what}, which this reader of ARF does not know; export anew.")
    if header.image_type not in PIXELS:
        kind = "several bands" if header.image_type in MULTI_BAND_TYPES else "an unknown type"
        raise UserError(
            f"{path} has pixels of {kind} (image type {header.image_type}); one band of type "
            f"{', '.join(map(str, PIXELS))} is needed."
        )
    least = HEADER_BYTES + sum(n for flag, n in BLOCK_BYTES.items() if header.flags & flag)
    if header.offset < least:
        raise UserError(
            f"{path} has its first frame at byte {header.offset}, inside the header of {least} "
            "bytes or more; copy or export it anew."
        )
    return header


def _comment_and_footers(flags: int, blocks: bytes) -> tuple[str, tuple[int, ...]]:
    """Comment, and the possible lengths of footers; blocks: what stands before the frames."""
    some = FOOTER_BYTES[1:] if flags & FOOTER else FOOTER_BYTES[:1]
    if flags & IMAGE_INFO:
        return "", some
    comment, place = "", BLOCK_BYTES[COLOUR_MAP] if flags & COLOUR_MAP else 0
    if flags & COMMENT:
        begin = place + WORD.itemsize
        end = begin + int.from_bytes(blocks[place:begin], "big")
        if end > len(blocks):
            return "", some
        comment, place = blocks[begin:end].decode("latin-1").strip("\0 "), end + -end % 4
    word = blocks[place : place + WORD.itemsize]
    if flags & (FOOTER | SUB_BANDS) == FOOTER and word in FOOTER_WORDS:
        return comment, (FOOTER_BYTES[FOOTER_WORDS.index(word)],)
    return comment, some


def _footer_that_fits(footers: Sequence[int], header: _Header, size: int, path: Path) -> int:
    """The one of these lengths of footers that explains the size of the file."""
    told = (
        f"{path} has by its header {header.frames} frames of {header.columns}×{header.rows} pixels "
        f"of {PIXELS[header.image_type].itemsize} bytes from byte {header.offset} on"
    )
    if not (header.frame_bytes and header.frames):
        raise UserError(f"{told}, which is no video; copy or export it anew.")
    if header.rows * header.columns > MOST_PIXELS:  # a file with holes can be as long as it says
        raise UserError(f"{told}: more than {MOST_PIXELS:,} pixels; copy or export it anew.")
    for footer in footers:
        if header.offset + header.frames * (header.frame_bytes + footer) == size:
            return footer
    whole = max(0, size - header.offset) // (header.frame_bytes + min(footers))
    if whole < header.frames:
        raise UserError(
            f"{told}, but with its {size} bytes {'at most ' * (len(footers) > 1)}{whole} whole "
            "frames: it is cut off, copy it anew."
        )
    raise UserError(
        f"{told}, which does not explain its length of {size} bytes, so its frames may lie "
        "elsewhere; copy or export it anew."
    )
