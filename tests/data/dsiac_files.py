"""Writers of ARF, AGT and box metrics files after the format's description, and their corruption.

Nothing here is shared with the readers in `data`.
"""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

IMAGE_INFO, COLOUR_MAP, COMMENT, SUB_BANDS, FOOTER, SIX_FLOATS, VARIABLE_BANDS = (
    1 << bit for bit in range(7)
)
TYPES = {0: "u1", 1: "u2", 2: "u2", 3: "i2", 5: "u2", 6: "u4", 7: "f4", 8: "f8"}


def counted(text: bytes) -> bytes:
    """A length and the text, padded to 4 bytes."""
    return struct.pack(">I", len(text)) + text + b"\0" * (-len(text) % 4)


# Header blocks by flag; the footers' word is 0: none.
BLOCKS = {
    IMAGE_INFO: struct.pack(">11I", *range(11)) + counted(b"field") * 3 + bytes(12),
    COLOUR_MAP: np.arange(768, dtype=">u4").tobytes(),
    COMMENT: counted(b"a comment"),
    SUB_BANDS: counted(b"bands") + bytes(4),
    FOOTER: struct.pack(">I", 0),
    SIX_FLOATS: struct.pack(">6f", *range(6)),
    VARIABLE_BANDS: counted(b"bands") + bytes(4),
}


def footer_word(footer_bytes: int) -> bytes:
    """The block of the flag FOOTER for footers of 0, 40, 96 or 136 bytes."""
    return struct.pack(">I", {0: 0, 40: 1, 96: 2, 136: 3}[footer_bytes])


def arf_bytes(
    frames: np.ndarray,
    image_type: int,
    *,
    blocks: Mapping[int, bytes] | None = None,
    footers: Sequence[bytes] = (),
) -> bytes:
    """An ARF file of frames (N, rows, columns); blocks: by flag; footers: one for each frame."""
    blocks = dict(sorted((blocks or {}).items()))
    count, rows, columns = frames.shape
    extras = b"".join(blocks.values())
    header = struct.pack(
        *(">8I", 0xBBBBBAAD, 2, rows, columns, image_type),
        *(count, 32 + len(extras), sum(blocks)),
    )
    pixels = np.dtype(TYPES[image_type]).newbyteorder(">")
    body = [frame.astype(pixels).tobytes() for frame in frames]
    footers = footers or [b""] * count
    return header + extras + b"".join(f + g for f, g in zip(body, footers, strict=True))


def agt_text(updates: Sequence[Mapping], *, keywords: bool = True) -> str:
    """An AGT file with one TgtUpd for each of `updates`: frame, time and targets.

    A target is what stands in its block, by key: {"TgtType": '"T72"', "Range": "1000"}.
    """
    lines = ["Agt{", ' PrjSect{ Name "demo" Scenario "01923" Time 2006 270 1 2 3 4 }']
    lines += [" SenSect", " {", '  Name "MWIR"  Fov 3.4 2.6', "  SenUpd { Azimuth 1.5", "  }", " }"]
    lines += [" TgtSect", " {", '  Comment "one update {a} frame"']
    for update in updates:
        lines += ["  TgtUpd", "  {"]
        if "time" in update:
            lines.append("   Time " + " ".join(map(str, update["time"])))
        if keywords:
            lines += ['   Keyword "UTMGrid 18S"', f'   Keyword "Frame# {update["frame"]}"']
        for target in update["targets"]:
            values = "".join(f"    {key}\t{value}\n" for key, value in target.items())
            lines.append(f"   Tgt{{\n{values}    TgtSenRel{{ Azimuth 4.5 Pitch -1 }}\n   }}")
        lines.append("  }")
    return "\n".join([*lines, " }", "}", ""])


def box_metrics_line(frame: int, ply_id: str, left: float, top: float) -> str:
    """One line of a .bbox_met file."""
    cells = ["site", "NA", "base", "cegr", "01923", frame, ply_id, 5.5, "NULL", left, top]
    return ",".join(map(str, [*cells, 100.5, 3.25, 250, 240, 90.5, 2.25, 1000])) + "\n"


def write_anew(path: Path, content: bytes) -> None:
    """Write a file over and over; some file systems flush to the disk what is overwritten."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)


@st.composite
def corrupted(draw: st.DrawFn, originals: Sequence[bytes], *, head: int = 32) -> bytes:
    """One of the originals with bytes changed, inserted, removed or cut off, or words of its head.

    These words, of 32 bits, get values that lead readers astray.
    """
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from(["word", "change", "insert", "remove", "cut", "word"]))
        some = draw(st.binary(min_size=1, max_size=8))
        if kind == "change":
            data[place : place + 1] = some[:1]
        elif kind == "insert":
            data[place:place] = some
        elif kind == "remove":
            del data[place : place + len(some)]
        elif kind == "cut":
            del data[place:]
        else:
            start = draw(st.sampled_from(range(4, head, 4)))
            odd = st.sampled_from([16, 64, 128, 2**16, 2**31 - 1, 2**31, 2**32 - 1])
            word = draw(st.integers(0, 12) | odd | st.integers(0, 2**32 - 1))
            data[start : start + 4] = struct.pack(">I", word)
    return bytes(data)
