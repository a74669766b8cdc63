"""Image files: every supported kind comes back as it was written; the rest is refused."""

import io
import os
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
    read_image,
    read_layout,
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
    refuses(tmp_path / "x.jpg", "'CMYK'")


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
