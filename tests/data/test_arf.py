"""ARF videos of every type, footer and header, and files that are none."""

import itertools
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings

from data.arf import ArfVideo, Footer
from tests.data.dsiac_files import (
    BLOCKS,
    COLOUR_MAP,
    COMMENT,
    FOOTER,
    IMAGE_INFO,
    SIX_FLOATS,
    SUB_BANDS,
    TYPES,
    arf_bytes,
    corrupted,
    counted,
    footer_word,
    write_anew,
)
from util.errors import UserError

FOOTERS = (0, 40, 96, 136)
RECORD = (320, 256, 12, 2**32 - 1, 2006, 270, 23, 59, 58, 999)


def random_frames(image_type: int, *shape: int) -> np.ndarray:
    """Every bit at random, so NaN with payloads too, and the extremes of whole numbers."""
    pixels = np.dtype(TYPES[image_type])
    content = np.random.default_rng(image_type).bytes(int(np.prod(shape)) * pixels.itemsize)
    frames = np.frombuffer(content, pixels).reshape(shape).copy()
    extremes = np.finfo(pixels) if pixels.kind == "f" else np.iinfo(pixels)
    frames.flat[:2] = extremes.min, extremes.max
    if pixels.kind == "f":
        frames.flat[2:6] = np.nan, np.inf, -np.inf, -0.0
    return frames


@pytest.fixture
def video(tmp_path):
    """video(content): the ArfVideo of a file of these bytes."""

    def open_video(content: bytes) -> ArfVideo:
        path = tmp_path / "cegr01923_0011.arf"
        write_anew(path, content)
        return ArfVideo(path)

    return open_video


@pytest.fixture
def plain() -> bytes:
    """Three frames of 4×5 pixels of uint16, nothing between header and frames."""
    return arf_bytes(random_frames(5, 3, 4, 5), 5)


def with_word(content: bytes, index: int, value: int) -> bytes:
    """The header's word `index` replaced."""
    return content[: 4 * index] + struct.pack(">I", value) + content[4 * index + 4 :]


def same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    return (
        one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    )


@pytest.mark.parametrize("footer_bytes", FOOTERS)
@pytest.mark.parametrize("image_type", TYPES)
def test_frames_come_back_to_the_bit_whatever_stands_around_them(video, image_type, footer_bytes):
    frames = random_frames(image_type, 3, 4, 5)
    footers = [bytes([200 + i]) * footer_bytes for i in range(3)]
    others = [flag for flag in BLOCKS if flag != FOOTER]
    for count in range(len(others) + 1):
        for flags in itertools.combinations(others, count):
            blocks = {flag: BLOCKS[flag] for flag in flags}
            if footer_bytes:
                blocks[FOOTER] = footer_word(footer_bytes)
            read = video(arf_bytes(frames, image_type, blocks=blocks, footers=footers))
            assert (len(read), read.rows, read.columns) == (3, 4, 5)
            assert read.dtype == np.dtype(TYPES[image_type]) and read.dtype.isnative
            assert all(same_bits(read.frame(i), frames[i]) for i in (2, 0, 1, 1))


def test_bytes_are_big_endian_and_rows_follow_each_other(video):
    header = struct.pack(">8I", 0xBBBBBAAD, 2, 2, 3, 3, 1, 32, 0)
    body = bytes([0, 1, 0, 2, 0, 3, 255, 255, 128, 0, 127, 255])
    np.testing.assert_array_equal(video(header + body).frame(0), [[1, 2, 3], [-1, -32768, 32767]])


def test_frames_may_begin_at_an_odd_byte(video):
    for image_type in TYPES:
        frames = random_frames(image_type, 3, 4, 5)
        read = video(arf_bytes(frames, image_type, blocks={SIX_FLOATS: bytes(25)}))
        assert all(same_bits(read.frame(i), frames[i]) for i in range(3))


def test_a_frame_is_a_copy(video, plain):
    read = video(plain)
    frame = read.frame(1)
    frame[:] = 0
    assert type(frame) is np.ndarray
    assert read.frame(1).any()


@pytest.mark.parametrize("index", [-1, 3, 10**12])
def test_frames_outside_the_video_are_refused(video, plain, index):
    with pytest.raises(IndexError, match="frames 0 to 2"):
        video(plain).frame(index)
    with pytest.raises(IndexError):
        video(plain).footer(index)


@pytest.mark.parametrize("footer_bytes", FOOTERS)
def test_the_record_behind_a_frame(video, footer_bytes):
    records = [struct.pack(">10I", i, *RECORD[1:]) for i in range(3)]
    footers = [((r if footer_bytes != 96 else b"") + b"\xff" * 96)[:footer_bytes] for r in records]
    blocks = {FOOTER: footer_word(footer_bytes)}
    read = video(arf_bytes(random_frames(5, 3, 4, 5), 5, blocks=blocks, footers=footers))
    expected = [Footer(i, *RECORD[1:]) if footer_bytes in (40, 136) else None for i in range(3)]
    assert [read.footer(i) for i in range(3)] == expected


def test_footers_that_the_header_does_not_announce_are_refused(video):
    frames = random_frames(5, 3, 4, 5)
    with pytest.raises(UserError, match="does not explain its length"):
        video(arf_bytes(frames, 5, footers=[bytes(40)] * 3))


@pytest.mark.parametrize(
    ("blocks", "comment"),
    [
        ({}, ""),
        ({COMMENT: counted(b"")}, ""),
        ({COMMENT: counted(b"T72 at 1000 m\0\0")}, "T72 at 1000 m"),
        ({COMMENT: counted("30 °".encode("latin-1"))}, "30 °"),
        ({COMMENT: counted(b"behind colours"), COLOUR_MAP: BLOCKS[COLOUR_MAP]}, "behind colours"),
        ({COMMENT: counted(b"before floats"), SIX_FLOATS: BLOCKS[SIX_FLOATS]}, "before floats"),
        # Where it begins is not known, or it cannot be one.
        ({COMMENT: counted(b"lost"), IMAGE_INFO: BLOCKS[IMAGE_INFO]}, ""),
        ({COMMENT: b"a text of fixed length, not counted "}, ""),
        ({COMMENT: struct.pack(">I", 5) + b"four"}, ""),
    ],
)
def test_the_comment_is_read_where_its_place_is_sure(video, blocks, comment):
    frames = random_frames(0, 1, 4, 5)
    read = video(arf_bytes(frames, 0, blocks=blocks))
    assert read.comment == comment
    assert same_bits(read.frame(0), frames[0])


@pytest.mark.parametrize(
    ("word", "value", "message"),
    [
        *((0, 0x89504E47, "does not begin as an ARF video"), (0, 0xADBABBBB, "little-endian")),
        *((1, 1, "version 1"), (1, 0x02000000, "version 33554432")),
        *((2, 0, "no video"), (3, 0, "no video"), (5, 0, "no video")),
        *((4, 10, "several bands"), (4, 13, "several bands")),
        *((4, 4, "unknown type"), (4, 9, "unknown type"), (4, 2**32 - 1, "unknown type")),
        *((7, 128, "flags 0x80,"), (7, 2**31 + 4, "flags 0x80000000,")),
        *((6, 0, "inside the header of 32"), (6, 31, "inside the header of 32")),
        *((7, 2, "inside the header of 3104"), (7, 4, "inside the header of 36")),
        *((7, 48, "inside the header of 60"), (6, 33, "2 whole frames"), (6, 2**32 - 1, "0 whole")),
        *((2, 2**32 - 1, "956,970 pixels"), (3, 2**32 - 1, "pixels"), (5, 2**32 - 1, "3 whole")),
        *((5, 4, "3 whole frames"), (5, 2, "does not explain"), (3, 4, "does not explain")),
        *((4, 0, "does not explain"), (4, 6, "1 whole frame")),
    ],
)
def test_a_header_that_cannot_be_is_refused(video, plain, word, value, message):
    with pytest.raises(UserError, match=message) as error:
        video(with_word(plain, word, value))
    assert "cegr01923_0011.arf" in str(error.value) and "\n" not in str(error.value)


def test_every_truncation_is_refused_with_the_frames_that_are_left(video, plain):
    for size in range(len(plain)):
        with pytest.raises(UserError) as error:
            video(plain[:size])
        told = (
            f" {max(0, size - 32) // 40} whole frames" if size >= 32 else "shorter than the header"
        )
        assert told in str(error.value)
    with pytest.raises(UserError, match="does not explain"):
        video(plain + b"\0")


@pytest.mark.parametrize("footer_bytes", FOOTERS)
@pytest.mark.parametrize("flag", [0, COMMENT, IMAGE_INFO, SUB_BANDS])
def test_truncated_footers_are_refused(video, footer_bytes, flag):
    blocks = {FOOTER: footer_word(footer_bytes), **({flag: BLOCKS[flag]} if flag else {})}
    footers = [bytes(footer_bytes)] * 3
    content = arf_bytes(random_frames(5, 3, 4, 5), 5, blocks=blocks, footers=footers)
    header = len(content) - 3 * (40 + footer_bytes)
    for size in range(header, len(content)):
        # Behind blocks of unknown length it may be as long as one of shorter footers.
        if flag not in (IMAGE_INFO, SUB_BANDS) or size - header not in (3 * 80, 3 * 136):
            with pytest.raises(UserError) as error:
                video(content[:size])
            sure = flag in (0, COMMENT)
            assert not sure or f"bytes {(size - header) // (40 + footer_bytes)} whole" in str(
                error.value
            )


def test_a_footers_word_that_lies_is_refused(video):
    frames = random_frames(5, 3, 4, 5)
    for said, footer_bytes in itertools.permutations(FOOTERS, 2):
        blocks = {COMMENT: BLOCKS[COMMENT], FOOTER: footer_word(said)}
        with pytest.raises(UserError, match=r"does not explain|cut off"):
            video(arf_bytes(frames, 5, blocks=blocks, footers=[bytes(footer_bytes)] * 3))


@pytest.mark.parametrize("footer_bytes", FOOTERS[1:])
def test_footers_are_found_where_the_word_is_not(video, footer_bytes):
    """It has an unknown bit, is not there, or stands behind what cannot be measured."""
    frames = random_frames(5, 3, 4, 5)
    word = struct.pack(">I", struct.unpack(">I", footer_word(footer_bytes))[0] | 4)
    last = {FOOTER: footer_word(footer_bytes)}
    for blocks in (
        {FOOTER: word},
        {COMMENT: counted(b"8 bytes."), FOOTER: b""},
        {COMMENT: b"T72, not counted".ljust(256), **last},
        *(
            {flag: struct.pack(">2I", n, n), **last}
            for flag in (IMAGE_INFO, SUB_BANDS)
            for n in range(4)
        ),
    ):
        read = video(arf_bytes(frames, 5, blocks=blocks, footers=[bytes(footer_bytes)] * 3))
        assert all(same_bits(read.frame(i), frames[i]) for i in range(3))


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="there is no video"):
        ArfVideo(tmp_path / "cegr01923_0001.arf")
    with pytest.raises(UserError, match="cannot be read"):
        ArfVideo(tmp_path)


def test_a_pipe_is_refused_unopened(tmp_path):
    os.mkfifo(tmp_path / "cegr01923_0001.arf")
    with pytest.raises(UserError, match="cannot be read"):
        ArfVideo(tmp_path / "cegr01923_0001.arf")


@pytest.mark.parametrize(("rows", "columns", "frames"), [(2**16, 2**16, 1), (1, 2**28, 4)])
def test_an_absurd_size_is_refused_though_a_file_with_holes_has_it(tmp_path, rows, columns, frames):
    path = tmp_path / "x.arf"
    with path.open("wb") as file:
        file.write(struct.pack(">8I", 0xBBBBBAAD, 2, rows, columns, 0, frames, 32, 0))
        file.truncate(32 + rows * columns * frames)
    with pytest.raises(UserError, match="more than 178,956,970 pixels"):
        ArfVideo(path)


def test_a_file_that_shrinks_or_goes_is_refused(video, plain):
    read = video(plain)
    read.path.write_bytes(plain[:-1])
    assert read.frame(1).any()
    with pytest.raises(UserError, match="has changed"):
        read.frame(2)
    read.path.unlink()
    with pytest.raises(UserError, match="has changed"):
        read.frame(0)


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_memory_stays_flat_in_a_long_video(tmp_path):
    rows, columns, count = 512, 640, 300
    path = tmp_path / "long.arf"
    with path.open("wb") as file:
        file.write(struct.pack(">8I", 0xBBBBBAAD, 2, rows, columns, 5, count, 32, 0))
        file.truncate(32 + count * rows * columns * 2 - 2)
        file.seek(0, 2)
        file.write(b"\x12\x34")
    video = ArfVideo(path)
    before = resident_bytes()
    total = sum(int(video.frame(i)[-1, -1]) for i in range(count))
    assert total == 0x1234
    assert resident_bytes() - before < 20 * 2**20 < path.stat().st_size / 9


SMALL = [
    arf_bytes(random_frames(0, 3, 4, 5), 0),
    arf_bytes(random_frames(5, 2, 3, 3), 5, blocks={COMMENT: counted(b"comment")}),
    arf_bytes(random_frames(7, 2, 2, 3), 7, blocks={SIX_FLOATS: BLOCKS[SIX_FLOATS]}),
    *(
        arf_bytes(
            random_frames(3, 2, 3, 4),
            3,
            blocks={IMAGE_INFO: BLOCKS[IMAGE_INFO], FOOTER: footer_word(n)},
            footers=[bytes(n)] * 2,
        )
        for n in (40, 96)
    ),
]


def expected_frames(content: bytes) -> np.ndarray:
    """What the description of the format says that these bytes hold."""
    words = struct.unpack(">8I", content[:32])
    magic, version, rows, columns, image_type, count, offset, flags = words
    assert (magic, version) == (0xBBBBBAAD, 2) and flags < 128 and offset >= 32
    pixels = np.dtype(TYPES[image_type])
    size = rows * columns * pixels.itemsize
    stride, rest = divmod(len(content) - offset, count)
    assert rest == 0 and size > 0
    assert stride - size in (FOOTERS if flags & FOOTER else (0,))
    frames = [content[offset + i * stride :][:size] for i in range(count)]
    return np.frombuffer(b"".join(frames), pixels.newbyteorder(">")).reshape(-1, rows, columns)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("corrupted") / "video.arf"


@settings(max_examples=2000, deadline=None, derandomize=True)
@given(content=corrupted(SMALL))
@example(content=SMALL[0])
@example(content=SMALL[-1])
def test_a_corrupted_file_is_refused_or_read_as_it_says(place, content):
    write_anew(place, content)
    try:
        video = ArfVideo(place)
    except UserError as error:
        assert "\n" not in str(error)
        assert content not in SMALL
        return
    frames = expected_frames(content)
    assert len(video) == len(frames)
    for i, expected in enumerate(frames):
        assert same_bits(video.frame(i), expected.astype(video.dtype))
        video.footer(i)
