"""A corpus of broken image files: of each format, what disks, networks and attackers make of it."""

import io
import struct
from collections.abc import Iterator

import numpy as np
from PIL import Image

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "PPM", "NPY")
PICTURE = np.random.default_rng(0).integers(0, 256, (13, 17, 3), dtype=np.uint8)
# Where the formats keep the width, for what is written here: offset, struct format.
WIDTH = {"PNG": (16, ">I"), "BMP": (18, "<i")}


def whole(kind: str) -> bytes:
    """A good file of this format."""
    content = io.BytesIO()
    if kind == "NPY":
        np.save(content, PICTURE[..., 0])
    else:
        Image.fromarray(PICTURE).save(content, format=kind)
    return content.getvalue()


def broken(kind: str) -> Iterator[tuple[str, bytes]]:
    """Name and content of files that no reader should make an image of."""
    good = whole(kind)
    yield "empty", b""
    yield "one byte", good[:1]
    yield "magic alone", good[:8]
    yield "head alone", good[:24]
    yield "a quarter", good[: len(good) // 4]
    yield "half", good[: len(good) // 2]
    yield "zeros", bytes(len(good))
    yield "zeros behind the magic", good[:8] + bytes(len(good) - 8)
    yield "a text", b"file,split,class\n" * 20
    yield "shifted by a byte", b"\0" + good
    yield "as text with replacements", good.decode("utf-8", errors="replace").encode()
    if kind in WIDTH:
        place, layout = WIDTH[kind]
        for width in (0, 2**31 - 1):
            packed = struct.pack(layout, width)
            yield f"width {width}", good[:place] + packed + good[place + len(packed) :]
