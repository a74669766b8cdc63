"""Image files: every supported kind comes back as it was written; the rest is refused."""

import io
import os
import re
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from data.images import (
    NotFiniteError,
    PagesError,
    count_pages,
    read_image,
    read_layout,
    read_pages,
    read_size,
    read_type,
    write_image,
)
from data.value_type import UINT16, ValueType
from util.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (13, 17), dtype=np.uint8)
RGB = RNG.integers(0, 256, (13, 17, 3), dtype=np.uint8)
COUNTS = RNG.integers(0, 65536, (13, 17), dtype=np.uint16)
COUNTS[0, :2] = 0, 65535
KELVIN = RNG.uniform(-40, 350, (13, 17)).astype(np.float32)


def png(width: int, height: int, *, depth: int, colour: int, pixels: bytes) -> bytes:
    """A PNG file by hand (ISO/IEC 15948); pixels: rows without their filter byte."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + crc(kind + content)

    def crc(content: bytes) -> bytes:
        return struct.pack(">I", zlib.crc32(content))

    stride = len(pixels) // height
    rows = b"".join(b"\0" + pixels[i * stride : (i + 1) * stride] for i in range(height))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def refuses(path: Path, *words: str) -> str:
    """read_image ends in one sentence that names the file and holds these words."""
    with pytest.raises(UserError) as caught:
        read_image(path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    for word in words:
        assert word in message
    return message


@pytest.mark.parametrize("image", [GREY, RGB, COUNTS], ids=["grey", "rgb", "16 bits"])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".TIF"])
def test_lossless_files_come_back_exactly(tmp_path, image, suffix):
    path = tmp_path / "new" / f"x{suffix}"
    write_image(path, image)
    back = read_image(path)
    assert back.dtype == image.dtype
    np.testing.assert_array_equal(back, image)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("image", [GREY, RGB], ids=["grey", "rgb"])
def test_bmp_comes_back_exactly(tmp_path, image):
    write_image(tmp_path / "x.bmp", image)
    np.testing.assert_array_equal(read_image(tmp_path / "x.bmp"), image)


def test_lossless_webp_is_read_exactly(tmp_path, write):
    write(tmp_path / "x.webp", RGB, lossless=True)
    np.testing.assert_array_equal(read_image(tmp_path / "x.webp"), RGB)


@pytest.mark.parametrize("image", [GREY, RGB, COUNTS], ids=["grey", "rgb", "16 bits"])
def test_the_size_is_told_without_the_pixels(tmp_path, image):
    path = tmp_path / "x.png"
    write_image(path, image)
    assert read_size(path) == read_image(path).shape[:2] == (13, 17)
    path.write_bytes(path.read_bytes()[:64])
    assert read_size(path) == (13, 17)
    for content in (b"", b"file,class"):
        path.write_bytes(content)
        with pytest.raises(UserError, match="is not a readable image"):
            read_size(path)
    with pytest.raises(UserError, match="there is no image"):
        read_size(tmp_path / "absent.png")


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".bmp", ".webp", ".jpg"])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "I", "I;16", "I;16B"])
def test_the_layout_is_that_of_the_decoded_image(tmp_path, mode, suffix):
    path = tmp_path / f"x{suffix}"
    image = Image.fromarray(COUNTS if mode.startswith("I") else RGB[..., 0])
    try:
        image.convert(mode).save(path)
    except (OSError, ValueError):
        pytest.skip(f"{suffix} has no such images")
    image = read_image(path)
    assert read_layout(path) == (image.shape, image.dtype)
    path.write_bytes(path.read_bytes()[:-20])
    if suffix in (".png", ".bmp"):  # their heads come first
        assert read_layout(path) == (image.shape, image.dtype)


def test_the_layout_of_no_image_is_refused(tmp_path):
    (tmp_path / "x.png").write_bytes(b"file,class")
    with pytest.raises(UserError, match="is not a readable image"):
        read_layout(tmp_path / "x.png")
    with pytest.raises(UserError, match="there is no image"):
        read_layout(tmp_path / "absent.png")


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".webp"])
def test_lossy_files_are_near(tmp_path, suffix):
    ramp = np.tile(np.arange(64, dtype=np.uint8) * 3, (32, 1))
    image = np.stack([ramp] * 3, axis=-1)
    write_image(tmp_path / f"x{suffix}", image)
    assert np.abs(read_image(tmp_path / f"x{suffix}").astype(int) - image).max() <= 6


def test_the_written_file_is_of_the_kind_that_its_name_says(tmp_path):
    kinds = {"x.png": "PNG", "x.JPG": "JPEG", "x.tif": "TIFF", "x.bmp": "BMP", "x.webp": "WEBP"}
    for name, kind in kinds.items():
        write_image(tmp_path / name, GREY)
        with Image.open(tmp_path / name) as image:
            assert image.format == kind


def test_type_is_told_by_content_not_by_name(tmp_path, write):
    for name in ("x.jpg", "x.tif", "x"):
        write(tmp_path / name, COUNTS, format="PNG")
        np.testing.assert_array_equal(read_image(tmp_path / name), COUNTS)


@pytest.mark.parametrize("order", ["<", ">"], ids=["little endian", "big endian"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_16_bit_tiff_of_either_byte_order(tmp_path, order, compression):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, COUNTS, byteorder=order, compression=compression)
    back = read_image(path)
    assert back.dtype == np.uint16 and back.dtype.isnative
    np.testing.assert_array_equal(back, COUNTS)


def test_16_bit_png_written_by_hand_keeps_every_count(tmp_path):
    counts = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    pixels = counts.astype(">u2").tobytes()
    path = tmp_path / "x.png"
    path.write_bytes(png(256, 256, depth=16, colour=0, pixels=pixels))
    np.testing.assert_array_equal(read_image(path), counts)


def test_32_bit_integers_within_16_bits_are_counts(tmp_path):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, COUNTS.astype(np.int32))
    back = read_image(path)
    assert back.dtype == np.uint16
    np.testing.assert_array_equal(back, COUNTS)


@pytest.mark.parametrize("value", [-1, 65536, 2**31 - 1])
def test_integers_beyond_16_bits_are_refused(tmp_path, value):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, np.array([[5, value]], np.int32))
    refuses(path, str(value), "16 bits")


def test_16_bit_rgb_is_refused_not_squeezed(tmp_path):
    deep = RNG.integers(0, 65536, (4, 4, 3), dtype=np.uint16)
    path = tmp_path / "x.png"
    path.write_bytes(png(4, 4, depth=16, colour=2, pixels=deep.astype(">u2").tobytes()))
    refuses(path, "16 bits", "grey band")
    tifffile.imwrite(tmp_path / "x.tif", deep, photometric="rgb")
    refuses(tmp_path / "x.tif")


def test_16_bit_grey_with_alpha_is_refused_not_squeezed(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(png(2, 1, depth=16, colour=4, pixels=bytes(8)))
    refuses(path, "16 bits")


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_floats_of_other_programs_come_as_they_are(tmp_path, compression, order):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, KELVIN, compression=compression, byteorder=order)
    back = read_image(path)
    assert back.dtype == np.float32 and back.dtype.isnative
    np.testing.assert_array_equal(back, KELVIN)
    assert read_layout(path) == (KELVIN.shape, np.dtype(np.float32))
    assert read_type(path) == ValueType("float32")


def test_floats_that_were_packed_with_a_predictor(tmp_path, write):
    path = write(tmp_path / "x.tif", KELVIN, compression="tiff_lzw", tiffinfo={317: 3})
    np.testing.assert_array_equal(read_image(path), KELVIN)


@pytest.mark.parametrize("suffix", [".tif", ".tiff", ".TIF"])
@pytest.mark.parametrize("unit", ["counts", "kelvin", "radiance"])
def test_floats_and_their_unit_come_back(tmp_path, suffix, unit):
    path = tmp_path / "new" / f"x{suffix}"
    write_image(path, KELVIN, unit=unit)
    np.testing.assert_array_equal(read_image(path), KELVIN)
    np.testing.assert_array_equal(tifffile.imread(path), KELVIN)
    assert read_type(path) == ValueType("float32", unit)


@pytest.mark.parametrize(
    ("description", "unit"),
    [
        ("unit=kelvin", "kelvin"),
        ("camera 7\nunit= radiance \nother=1", "radiance"),
        ("unit=furlong", "counts"),
        ("my unit=kelvin", "counts"),
        ('{"shape": [13, 17]}', "counts"),
    ],
)
def test_the_unit_is_a_line_of_the_description(tmp_path, description, unit):
    options = {"description": description, "metadata": None}
    tifffile.imwrite(tmp_path / "x.tif", KELVIN, **options)
    assert read_type(tmp_path / "x.tif").unit == unit
    tifffile.imwrite(tmp_path / "y.tif", COUNTS, **options)
    assert read_type(tmp_path / "y.tif") == UINT16


@pytest.mark.parametrize(("value", "count"), [(np.nan, 3), (np.inf, 1), (-np.inf, 2)])
def test_pixels_that_are_no_numbers_are_counted(tmp_path, value, count):
    image = KELVIN.copy()
    image.flat[:count] = value
    write_image(tmp_path / "x.tif", image)
    with pytest.raises(NotFiniteError):
        read_image(tmp_path / "x.tif")
    refuses(tmp_path / "x.tif", f"has {count} pixels of 221 that are NaN or infinite", "remove")


def test_only_tiff_takes_floats(tmp_path):
    for suffix in (".png", ".jpg", ".bmp", ".webp"):
        with pytest.raises(ValueError, match="only TIFF"):
            write_image(tmp_path / f"x{suffix}", KELVIN)
    assert not list(tmp_path.iterdir())


def test_inks_are_refused(tmp_path):
    Image.new("CMYK", (4, 4)).save(tmp_path / "x.jpg")
    refuses(tmp_path / "x.jpg", "CMYK inks")


UPRIGHT = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.T,
    6: lambda image: image.T[:, ::-1],
    7: lambda image: image[::-1, ::-1].T,
    8: lambda image: image.T[::-1],
}


def agrees(path: Path, expected: np.ndarray) -> None:
    """The pixels are these, and the head says so."""
    back = read_image(path)
    assert back.dtype == expected.dtype and back.dtype.isnative
    np.testing.assert_array_equal(back, expected)
    assert read_layout(path) == (expected.shape, expected.dtype)
    assert read_size(path) == expected.shape[:2]


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("image", [GREY, COUNTS, KELVIN], ids=["grey", "16 bits", "floats"])
def test_a_tiff_is_turned_upright(tmp_path, image, order, compression, orientation):
    tags = [(274, "H", 1, orientation, True)]
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, image, byteorder=order, compression=compression, extratags=tags)
    agrees(path, UPRIGHT[orientation](image))


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["png", "webp"])
def test_so_are_other_files(tmp_path, write, kind, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    path = write(tmp_path / f"x.{kind}", RGB, exif=exif, lossless=True)
    bands = [UPRIGHT[orientation](band) for band in RGB.transpose(2, 0, 1)]
    agrees(path, np.stack(bands, axis=-1))


def test_so_is_a_jpeg_whose_broken_exif_does_no_harm(tmp_path, write):
    exif = Image.Exif()
    exif[274] = 6
    path = write(tmp_path / "x.jpg", GREY, quality=100)
    plain = read_image(path)
    agrees(write(path, GREY, quality=100, exif=exif), plain.T[:, ::-1])
    agrees(write(path, GREY, quality=100, exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"), plain)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("image", [GREY, COUNTS], ids=["grey", "16 bits"])
def test_white_is_zero_at_every_depth(tmp_path, image, order, compression):
    options = {"byteorder": order, "compression": compression, "photometric": "miniswhite"}
    tifffile.imwrite(tmp_path / "x.tif", image, **options)
    agrees(tmp_path / "x.tif", np.iinfo(image.dtype).max - image)


def test_white_is_zero_only_where_the_file_says_so(tmp_path):
    """Without the tag, Pillow takes it for granted."""
    tags = [(256, 4), (257, 1), (258, 8), (259, 1), (273, 200), (277, 1), (278, 1), (279, 4)]
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    content = head + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    (tmp_path / "x.tif").write_bytes(content.ljust(200, b"\0") + bytes([0, 1, 2, 255]))
    agrees(tmp_path / "x.tif", np.array([[0, 1, 2, 255]], np.uint8))


def test_floats_of_which_zero_is_white_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", KELVIN, photometric="miniswhite")
    refuses(tmp_path / "x.tif", "zero is white")


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_unsigned_counts_of_32_bits_in_either_byte_order(tmp_path, order, compression):
    path, counts = tmp_path / "x.tif", COUNTS.astype(np.uint32)
    tifffile.imwrite(path, counts, byteorder=order, compression=compression)
    agrees(path, COUNTS)
    for beyond in (65536, 2**32 - 1):
        counts[0, 0] = beyond
        tifffile.imwrite(path, counts, byteorder=order, compression=compression)
        refuses(path, "outside 16 bits")


@pytest.mark.parametrize("kind", [np.int16, np.int32])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_signed_counts_of_either_byte_order(tmp_path, kind, order, compression):
    path, counts = tmp_path / "x.tif", (COUNTS // 2).astype(kind)
    tifffile.imwrite(path, counts, byteorder=order, compression=compression)
    agrees(path, counts.astype(np.uint16))
    tifffile.imwrite(path, counts - kind(5), byteorder=order, compression=compression)
    refuses(path, "holds values from -5 to")


@pytest.mark.parametrize(
    ("image", "options", "reason"),
    [
        (KELVIN.astype(np.float64), {}, "64-bit floats"),
        (KELVIN.astype(np.float16), {}, "16-bit floats"),
        (KELVIN.astype(np.complex64), {}, "64-bit complex numbers"),
        (COUNTS.astype(np.uint64), {}, "64 bits"),
        (COUNTS.astype(np.int16), {"photometric": "miniswhite"}, "16-bit signed.* white is zero"),
        (np.stack([COUNTS] * 2, -1), {"extrasamples": ["unassalpha"]}, "2 bands of 16 bits"),
        (COUNTS.astype(np.uint64), {"bigtiff": True}, "64 bits"),
        (GREY.astype(np.int8), {}, "8-bit signed whole numbers"),
        (GREY.astype(np.int8), {"byteorder": ">"}, "8-bit signed whole numbers"),
    ],
)
def test_a_tiff_that_is_not_read_is_refused_for_what_it_holds(tmp_path, image, options, reason):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, image, **{"photometric": "minisblack", **options})
    assert re.search(f"a TIFF of {reason}, which", refuses(path, "save one grey band"))


@pytest.mark.parametrize("side", [16, 800])  # more than 512 KB are misread, not just unread
def test_a_big_endian_bigtiff_is_refused_for_its_order(tmp_path, side):
    image = np.zeros((side, side), np.uint8)
    tifffile.imwrite(tmp_path / "x.tif", image, byteorder="<", bigtiff=True)
    agrees(tmp_path / "x.tif", image)
    tifffile.imwrite(tmp_path / "x.tif", image, byteorder=">", bigtiff=True)
    refuses(tmp_path / "x.tif", "a BigTIFF with big-endian bytes", "save it as TIFF")


# --- several images in a file


def stacked(path: Path, images: list[np.ndarray]) -> Path:
    """A file of several images, of the kind that its name says."""
    if path.suffix == ".tif":
        tifffile.imwrite(path, np.stack(images), photometric="minisblack")
    elif path.suffix == ".npy":
        np.save(path, np.stack(images))
    elif path.suffix == ".pgm":
        path.write_bytes(b"".join(pgm(image) for image in images))
    else:
        first, *others = map(Image.fromarray, images)
        first.save(path, save_all=True, append_images=others, lossless=True)
    return path


FRAMES = [np.roll(RGB[..., 0], i, axis=1) for i in range(3)]


@pytest.mark.parametrize("kind", ["tif", "png", "webp", "npy", "pgm"])
def test_several_images_in_a_file_are_refused_by_their_number(tmp_path, kind):
    path = stacked(tmp_path / f"x.{kind}", FRAMES)
    for read in (read_image, read_size, read_layout):  # the head is enough
        with pytest.raises(PagesError, match=r"x\..* holds 3 images.*split_pages"):
            read(path)
    pages = list(read_pages(path))
    assert len(pages) == 3
    for page, frame in zip(pages, FRAMES, strict=True):
        np.testing.assert_array_equal(page if page.ndim == 2 else page[..., 0], frame)


@pytest.mark.parametrize("kind", ["tif", "npy", "pgm"])
def test_pages_of_16_bits_keep_their_counts(tmp_path, kind):
    counts = [COUNTS, COUNTS[::-1]]
    np.testing.assert_array_equal(list(read_pages(stacked(tmp_path / f"x.{kind}", counts))), counts)


def test_a_smaller_version_beside_an_image_is_no_page(tmp_path):
    for name, first, second in (("x", COUNTS, COUNTS[::4, ::4]), ("y", COUNTS[::4, ::4], COUNTS)):
        with tifffile.TiffWriter(tmp_path / f"{name}.tif") as file:
            for image in (first, second):
                file.write(image, subfiletype=int(image.shape != COUNTS.shape))
        agrees(tmp_path / f"{name}.tif", COUNTS)


def test_two_sizes_without_a_word_are_two_images(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", COUNTS[::4, ::4])
    tifffile.imwrite(tmp_path / "x.tif", COUNTS, append=True)
    refuses(tmp_path / "x.tif", "holds 2 images")
    assert [page.shape for page in read_pages(tmp_path / "x.tif")] == [(4, 5), (13, 17)]


def test_the_previews_and_maps_in_a_jpeg_are_no_pages(tmp_path):
    path = tmp_path / "x.jpg"
    Image.fromarray(GREY).save(path, "MPO", save_all=True, append_images=[Image.fromarray(GREY)])
    with Image.open(path) as image:
        assert image.n_frames == 2  # the second of no kind that viewers show
    assert read_image(path).shape == GREY.shape
    content = path.read_bytes()
    # Where the head of its index says that the entries are, each of 16 bytes (CIPA DC-007).
    second = content.index(b"MPF\0") + 4 + 50 + 16
    disparity = struct.pack("<I", 0x020002)
    path.write_bytes(content[:second] + disparity + content[second + 4 :])
    refuses(path, "holds 2 images")


# --- PGM, PPM and NumPy's arrays


def pgm(image: np.ndarray, *, largest: int | None = None, comment: bytes = b"") -> bytes:
    """A binary PGM or PPM file by hand (netpbm's pgm(5), ppm(5))."""
    largest = largest or np.iinfo(image.dtype).max
    head = b"P6" if image.ndim == 3 else b"P5"
    size = f"{image.shape[1]} {image.shape[0]}\n{largest}\n".encode()
    big_endian = image.dtype.newbyteorder(">")
    return head + b"\n" + comment + size + image.astype(big_endian).tobytes()


def in_words(image: np.ndarray, *, largest: int) -> bytes:
    """The same as text."""
    size = f"{image.shape[1]} {image.shape[0]} #it\n{largest}\n"
    return (f"P{3 if image.ndim == 3 else 2}\n{size}" + " ".join(map(str, image.flat))).encode()


@pytest.mark.parametrize("image", [GREY, COUNTS, RGB], ids=["grey", "16 bits", "rgb"])
def test_pgm_and_ppm_come_as_they_are(tmp_path, image):
    largest = int(np.iinfo(image.dtype).max)
    for content in (
        pgm(image),
        pgm(image, comment=b"# by a camera, 5 6\n#\n"),
        pgm(image) + b"\n",
        in_words(image, largest=largest),
        in_words(image, largest=largest).replace(b" ", b"\n# 7\n", 60),
    ):
        (tmp_path / "x.pgm").write_bytes(content)
        agrees(tmp_path / "x.pgm", image)
    if image is not COUNTS:
        Image.fromarray(image).save(tmp_path / "x.ppm")
        agrees(tmp_path / "x.ppm", image)


def test_counts_of_14_bits_are_not_stretched_and_few_levels_are(tmp_path):
    counts, path = COUNTS // 4, tmp_path / "x.pgm"
    for content in (pgm(counts, largest=16383), in_words(counts, largest=16383)):
        path.write_bytes(content)
        agrees(path, counts)
    path.write_bytes(pgm(GREY // 64, largest=3))
    agrees(path, GREY // 64 * 85)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"P5 100000 100000 65535\n" + bytes(99), "breaks off"),
        (b"P5 9999999999 9999999999 255\n" + bytes(99), "breaks off"),
        (b"P2 9999999999 9999999999 255\n1 2 3", "breaks off"),
        (b"P5 0 4 255\n", "broken head"),
        (b"P5 4 4 65536\n" + bytes(64), "broken head"),
        (b"P5 4 4 0\n" + bytes(64), "broken head"),
        (b"P5 4\n", "broken head"),
        (b"P5 2 1 1000\n" + b"\3\xe8\3\xe9", "holds 1001 where 1000"),
        (b"P2 2 1 255\n1 -2", "no numbers"),
        (b"P2 2 1 255\n1 256", "holds 256 where 255"),
        (b"P2 2 2 255\n1 20000 3", "breaks off"),
        (b"P2 2 1 255\n1 " + b"9" * 999, "no numbers"),
        (b"P6 1 1 65535\n" + bytes(6), "several bands of 16 bits"),
        (b"P4 8 1\n\0", "PBM bitmaps"),
        (b"P7\nWIDTH 1", "PAM images"),
        (b"Pf\n1 1\n-1.0\n" + bytes(4), "PFM floats"),
        (b"P5 1 1 255\n\0P5 2 1 255\n\0\0", "several sizes"),
        (b"P5 1 1 255\n\0\r\nabc", "more bytes"),
    ],
)
def test_a_pgm_that_cannot_be_is_refused_before_memory_is_taken(
    tmp_path, limit_memory, content, reason
):
    path = tmp_path / "x.pgm"
    path.write_bytes(content)
    limit_memory(2**28)
    refuses(path, reason)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["u1", ">u2", "<u2", "<i2", ">i4", "i8", "u8", ">f4", "f2"])
def test_arrays_come_as_they_are(tmp_path, kind, order):
    image = GREY if kind == "u1" else GREY.astype(np.float32 if "f" in kind else np.uint16)
    np.save(tmp_path / "x.npy", np.asarray(image.astype(kind), order=order))
    agrees(tmp_path / "x.npy", image)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
def test_an_array_may_have_an_axis_for_its_one_band(tmp_path, kind, order):
    image = GREY.astype(kind)
    for axes in (image[..., None], image[None]):
        np.save(tmp_path / "x.npy", np.asarray(axes, order=order))
        assert count_pages(tmp_path / "x.npy") == 1
        agrees(tmp_path / "x.npy", image)


def test_arrays_of_64_bit_floats_are_rounded_to_32(tmp_path):
    kelvin = KELVIN + np.random.default_rng(0).random(KELVIN.shape)
    np.save(tmp_path / "x.npy", kelvin)
    agrees(tmp_path / "x.npy", kelvin.astype(np.float32))


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((2, 3), bool), "bool"),
        (np.zeros((2, 3), complex), "complex"),
        (np.zeros((4, 4, 3), np.uint8), "an array of 4x4x3"),
        (np.zeros(4, np.uint8), "an array of 4;"),
        (np.zeros((2, 2, 2, 2), np.uint8), "an array of 2x2x2x2"),
        (np.array([[-1, 2]]), "from -1 to 2"),
        (np.array([[1.0, np.nan]]), "NaN"),
        (np.array([[1.0, 1e300]]), "infinite"),
    ],
)
def test_other_arrays_are_refused(tmp_path, array, reason):
    np.save(tmp_path / "x.npy", array)
    refuses(tmp_path / "x.npy", reason)


def test_objects_in_an_array_are_not_made(tmp_path):
    marker = tmp_path / "made"

    class Trap:
        def __reduce__(self):
            return Path.touch, (marker,)

    np.save(tmp_path / "x.npy", np.array([[Trap()]], object), allow_pickle=True)
    refuses(tmp_path / "x.npy", "objects")
    assert not marker.exists()


def test_an_array_that_is_not_there_takes_no_memory(tmp_path, limit_memory):
    head = str({"descr": "<f4", "fortran_order": False, "shape": (30000, 5000)}).encode()
    content = b"\x93NUMPY\1\0" + struct.pack("<H", len(head) + 1) + head + b"\n" + bytes(64)
    (tmp_path / "x.npy").write_bytes(content)
    limit_memory(2**28)
    refuses(tmp_path / "x.npy", "cannot be decoded")


def test_few_bits_a_pixel_are_spread_over_8_bits(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(png(4, 1, depth=2, colour=0, pixels=bytes([0b00011011])))
    np.testing.assert_array_equal(read_image(path), [[0, 85, 170, 255]])
    Image.fromarray(np.array([[True, False]])).save(path)
    np.testing.assert_array_equal(read_image(path), [[255, 0]])


def test_a_palette_becomes_its_colours(tmp_path):
    image = Image.fromarray(np.array([[0, 1, 2, 1]], np.uint8), mode="P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.save(tmp_path / "x.png")
    expected = [[[10, 20, 30], [40, 50, 60], [70, 80, 90], [40, 50, 60]]]
    np.testing.assert_array_equal(read_image(tmp_path / "x.png"), expected)


def test_alpha_is_dropped_colours_untouched(tmp_path, write):
    alpha = RNG.integers(0, 256, GREY.shape, dtype=np.uint8)
    write(tmp_path / "rgba.png", np.dstack([RGB, alpha]))
    np.testing.assert_array_equal(read_image(tmp_path / "rgba.png"), RGB)
    write(tmp_path / "la.png", np.dstack([GREY, alpha]))
    np.testing.assert_array_equal(read_image(tmp_path / "la.png"), GREY)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9])
@pytest.mark.parametrize("kind", ["png", "jpg", "tif", "bmp", "webp"])
def test_a_file_cut_off_is_refused(tmp_path, write, kind, share):
    path = write(tmp_path / f"x.{kind}", RGB)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refuses(path)


def test_what_is_no_image_is_refused(tmp_path):
    (tmp_path / "text.png").write_text("file,split,class\n")
    refuses(tmp_path / "text.png", "PNG")
    Image.new("L", (4, 4)).save(tmp_path / "x.png", format="GIF")
    refuses(tmp_path / "x.png")
    refuses(tmp_path / "absent.png", "there is no image")
    refuses(tmp_path)
    refuses(tmp_path / "text.png" / "below.png")


@pytest.mark.parametrize(
    "content",
    [
        png(60000, 60000, depth=1, colour=0, pixels=bytes(60000)),
        b"BM" + struct.pack("<IIIIiiHHIIIIII", 0, 0, 54, 40, 2**31 - 1, 2**31 - 1, 1, 24, *[0] * 6),
    ],
    ids=["png", "bmp"],
)
def test_a_decompression_bomb_is_refused_before_it_goes_off(tmp_path, content):
    path = tmp_path / "bomb.png"
    path.write_bytes(content)
    refuses(path, "has more than 178,956,970 pixels")
    with pytest.raises(UserError, match="pixels"):
        read_layout(path)


def test_the_limit_is_in_pixels_and_a_large_image_below_it_is_read_without_a_word(
    tmp_path, monkeypatch, recwarn
):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    path = tmp_path / "x.tif"
    write_image(path, COUNTS[:10, :10])
    assert read_image(path).size == 100 and not recwarn.list
    write_image(path, COUNTS[:1, :17].repeat(6, 0))
    refuses(path, "pixels")


def test_a_pipe_a_device_and_a_loop_of_links_are_refused_unopened(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    (tmp_path / "a.png").symlink_to("b.png")
    (tmp_path / "b.png").symlink_to("a.png")
    for name in ("pipe.png", "device.png"):
        refuses(tmp_path / name, "no image")
    refuses(tmp_path / "a.png", "cannot be read")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_encoder_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.png"
    write_image(path, GREY)
    before = path.read_bytes()

    def fail(self, file, **options):
        file.write(b"half an image")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(UserError, match="No space left"):
        write_image(path, RGB)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_replaced_not_written_over(tmp_path):
    path = tmp_path / "x.png"
    write_image(path, GREY)
    (tmp_path / "link.png").hardlink_to(path)
    write_image(path, RGB)
    np.testing.assert_array_equal(read_image(tmp_path / "link.png"), GREY)
    np.testing.assert_array_equal(read_image(path), RGB)


def test_a_folder_that_cannot_be_is_an_error_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "x.png"
    with pytest.raises(UserError) as caught:
        write_image(path, GREY)
    assert str(path) in str(caught.value)


def test_what_the_file_cannot_hold_is_a_programming_error(tmp_path):
    with pytest.raises(ValueError, match="16-bit"):
        write_image(tmp_path / "x.jpg", COUNTS)
    for image in (COUNTS[..., None].repeat(3, -1), RGB[..., :2], GREY / 255):
        with pytest.raises(ValueError, match="shape"):
            write_image(tmp_path / "x.png", image)
    assert list(tmp_path.iterdir()) == []


def test_real_radiometric_counts_are_not_squeezed(shared_data):
    files = sorted(shared_data("radiometric16").rglob("*.png"))
    assert files
    for file in files:
        image = read_image(file)
        assert image.dtype == np.uint16 and len(np.unique(image)) > 256


def test_a_jpeg_of_endless_scans_is_refused(tmp_path):
    """Of few bytes, each scan takes as long as the image itself."""
    content = io.BytesIO()
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(content, "JPEG", progressive=True)
    content = content.getvalue()
    start = content.index(b"\xff\xda")
    scan = content[start : content.index(b"\xff\xda", start + 2)]
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    assert read_image(path).shape == (64, 64)
    path.write_bytes(content[:start] + 501 * scan + b"\xff\xd9")
    with pytest.raises(UserError, match=r"x\.jpg has more than 500 scans"):
        read_image(path)


@pytest.mark.filterwarnings("default")
def test_broken_tags_cost_no_words(tmp_path):
    """Python's warnings would stand between the sentences on bad images."""
    path = tmp_path / "x.tif"
    tags = [(256, 8), (257, 8), (258, 8), (259, 1), (262, 1), (273, 200), (277, 1), (278, 8)]
    tags = [(tag, 4, 1, value) for tag, value in [*tags, (279, 64)]] + [(270, 2, 2**32 - 1, 10)]
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    rest = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    path.write_bytes((head + rest).ljust(300, b"\0"))
    program = "import sys; from pathlib import Path; from data.images import read_image\n"
    program += "print(read_image(Path(sys.argv[1])).shape)"
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("(8, 8)\n", "")
