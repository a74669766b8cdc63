"""Image files in, arrays out, and back: the only module that opens an image file.

Pillow's own conversions turn a 16-bit image into a constant, so nothing here goes through
`.convert("L")` or `.convert("RGB")` before the depth is known.
"""

import stat
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import get_args

import numpy as np
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from data.plain_images import PlainImages, is_plain, open_plain
from data.value_type import Unit, ValueType
from util.errors import DamagedError, UserError
from util.files import replacing

EXTENSIONS = frozenset(".png .jpg .jpeg .tif .tiff .bmp .webp .pgm .ppm .pnm .npy".split())
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
SIXTEEN_BIT_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I")
FLOAT_MODE = "F"
ONE_BAND_MODES = ("L", "1", "LA")
COLOUR_MODES = ("RGB", "RGBA", "P", "PA")
OTHER_MODES = {"La": "grey with alpha multiplied in", "CMYK": "CMYK inks", "LAB": "Lab colours"}
# Orders of bytes in Pillow's words, and that of this machine, which libtiff has put them in.
NATIVE = {
    **dict.fromkeys(("F;32F", "F;32BF"), "F;32NF"),
    **dict.fromkeys(("I;16S", "I;16BS"), "I;16NS"),
    **dict.fromkeys(("I;32S", "I;32BS"), "I;32NS"),
    "I;32B": "I;32N",
}
# Pillow knows such files in the other order of bytes only.
TiffImagePlugin.OPEN_INFO[b"MM", 0, (1,), 1, (16,), ()] = ("I;16B", "I;16B")
TiffImagePlugin.OPEN_INFO[b"MM", 1, (1,), 1, (32,), ()] = ("I", "I;32B")
# These have a sign (SampleFormat 2), which Pillow drops: -1 would be 255.
TiffImagePlugin.OPEN_INFO.pop((b"II", 1, (2,), 1, (8,), ()), None)
TiffImagePlugin.OPEN_INFO.pop((b"MM", 1, (2,), 1, (8,), ()), None)
# Pillow takes the head of such a file for that of a TIFF, and finds anything.
BIG_ENDIAN_BIGTIFF = b"MM\0+"
# An image of more is refused by its head, before memory is taken; Pillow only warns of half of it.
MOST_PIXELS = 2 * Image.MAX_IMAGE_PIXELS
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
# Of tags that nothing here uses; of pixels that are not all there, Pillow raises errors.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
# A progressive JPEG has about ten, each of which costs a pass over the whole image.
MOST_SCANS = 500
FLOAT_SUFFIXES = (".tif", ".tiff")
# Tags of a TIFF, the last of EXIF, too. The unit of floats is a line of the description:
# "unit=kelvin".
SUBFILE, BITS, PHOTOMETRIC, IMAGE_DESCRIPTION, SAMPLES = 254, 258, 262, 270, 277
SAMPLE_FORMAT, ORIENTATION = 339, 274
UNIT_LINE = "unit="
# What shows an image upright, by its orientation (TIFF 6.0, tag 274).
TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: np.fliplr,
    3: lambda image: np.rot90(image, 2),
    4: np.flipud,
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: np.rot90(image, 2).swapaxes(0, 1),
    8: np.rot90,  # to the left
}


class NotFiniteError(UserError):
    """An image of floats with pixels that are no numbers."""


class PagesError(UserError):
    """A file that holds several images."""


def read_image(path: Path) -> np.ndarray:
    """Decode the one image of a file; its type is told by its content, not by its name.

    Returns (H, W) uint8, uint16 or float32 for one band, (H, W, 3) uint8 for colour. It is upright:
    turned as its orientation says, black is zero. An alpha channel is dropped, a palette is
    resolved. Counts of more than 8 bits and floats are kept as they are.
    Raises UserError for a missing or unsupported file, and for one of more than 178,956,970 pixels
    or 500 JPEG scans; PagesError for several images; DamagedError for one that breaks off or cannot
    be decoded; NotFiniteError for NaN and infinite pixels.
    """
    with _opened(path) as found:
        _require_one_page(path, found.pages)
        return _checked(found.values(0), path)


def read_pages(path: Path) -> Iterator[np.ndarray]:
    """All images of a file, each as `read_image` returns it and with its errors."""
    with _opened(path) as found:
        for page in range(found.pages):
            yield _checked(found.values(page), path)


def count_pages(path: Path) -> int:
    """How many images `read_pages` finds. Raises UserError for a missing file and for no image."""
    with _opened(path) as found:
        return found.pages


def read_size(path: Path) -> tuple[int, int]:
    """(height, width) of an image as `read_image` returns it, from the head of the file alone.

    Raises UserError for a file that is missing or no image, PagesError for several images.
    """
    with _opened(path) as found:
        _require_one_page(path, found.pages)
        return found.shape[:2]


def read_head(path: Path) -> tuple[tuple[int, int], ValueType]:
    """What `read_size` and `read_type` return, with their errors, from one look at the file."""
    with _opened(path) as found:
        _require_one_page(path, found.pages)
        return found.shape[:2], found.type


def read_layout(path: Path) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of an image as `read_image` returns it, from the head of the file alone.

    Raises UserError for a file that is missing, no image or of an unsupported kind, PagesError for
    several images. What `read_image` refuses for its pixels has a layout, too.
    """
    with _opened(path) as found:
        _require_one_page(path, found.pages)
        return found.shape, np.dtype(found.type.dtype)


def read_type(path: Path) -> ValueType:
    """What the values of an image are, from the head of the file alone.

    The unit of floats is that which the description of the TIFF names in a line such as
    "unit=kelvin". Raises UserError for a file that is missing or no image.
    """
    with _opened(path) as found:
        return found.type


def has_counts_inside(path: Path) -> bool:
    """Whether an image is a JPEG of a FLIR camera, which has counts behind the picture.

    Raises UserError for a file that is missing or no image.
    """
    with _opened(path) as found:
        segments = getattr(found.image, "applist", ()) if isinstance(found, PillowImages) else ()
        return any(content.startswith(b"FLIR\0") for _, content in segments)


@dataclass(frozen=True)
class PillowImages:
    """The images of one file in Pillow's hands. frames: which of its frames are images."""

    path: Path
    image: Image.Image
    frames: tuple[int, ...]

    @property
    def pages(self) -> int:
        return len(self.frames)

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W) or (H, W, 3) of the first."""
        height, width = self.image.height, self.image.width
        # Of TIFFs Pillow tells the size after turning.
        if self.image.format != "TIFF" and _orientation(self.image) >= 5:
            height, width = width, height
        one_band = self.image.mode in (*SIXTEEN_BIT_MODES, FLOAT_MODE, *ONE_BAND_MODES)
        return (height, width) if one_band else (height, width, 3)

    @property
    def type(self) -> ValueType:
        if self.image.mode != FLOAT_MODE:
            return ValueType("uint16" if self.image.mode in SIXTEEN_BIT_MODES else "uint8")
        lines = str(self.image.tag_v2.get(IMAGE_DESCRIPTION, "")).splitlines()
        units = [x.removeprefix(UNIT_LINE).strip() for x in lines if x.startswith(UNIT_LINE)]
        return ValueType("float32", next((u for u in units if u in get_args(Unit)), "counts"))

    def values(self, page: int) -> np.ndarray:
        """Image `page`, counted from 0. Raises UserError for what is not supported."""
        image = self.image
        if image.format in ("JPEG", "MPO"):
            _refuse_endless_scans(self.path)
        if self.pages > 1:
            image.seek(self.frames[page])
        if image.format == "TIFF":
            return _tiff_values(image, self.path)
        orientation = _orientation(image)
        values = _to_array(image, self.path)
        return np.ascontiguousarray(TURNS[orientation](values)) if orientation > 1 else values


def _orientation(image: Image.Image) -> int:
    """1 to 8. Of PNG it counts where it stands before the pixels, as in browsers."""
    with suppress(Exception):  # of broken EXIF; the pixels may be whole
        found = Image.Image.getexif(image).get(ORIENTATION)
        return found if found in TURNS else 1
    return 1


def _frames(image: Image.Image) -> tuple[int, ...]:
    """The frames that are images, not smaller versions of another; the first one is left open."""
    if not getattr(image, "is_animated", False):
        return (0,)
    numbers = range(image.n_frames)
    if image.format == "TIFF":
        small = {n for n in numbers if image.seek(n) or image.tag_v2.get(SUBFILE, 0) & 1}
    elif image.format == "MPO":
        kinds = [entry["Attribute"]["MPType"] for entry in image.mpinfo[0xB002]]
        small = {n for n in numbers if kinds[n].startswith(("Large Thumbnail", "Undefined"))}
    else:
        return tuple(numbers)
    frames = tuple(n for n in numbers if n not in small) or (0,)
    image.seek(frames[0])
    return frames


@contextmanager
def _opened(path: Path) -> Iterator[PillowImages | PlainImages]:
    """The file with its head read; whatever goes wrong with it becomes a UserError."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait for ever
            raise UserError(f"{path} is a folder, pipe or device, no image; remove or rename it.")
        # Handed a path, Pillow maps raw TIFFs, and scrambles those that it has to turn.
        with path.open("rb") as file:
            head = file.read(8)
            file.seek(0)
            if head.startswith(BIG_ENDIAN_BIGTIFF):
                raise UserError(
                    f"{path} is a BigTIFF with big-endian bytes, which is not read; save it as "
                    "TIFF, or with little-endian bytes."
                )
            if is_plain(head):
                yield _of_fitting_size(open_plain(path, head))
            else:
                with Image.open(file, formats=FORMATS) as image:
                    frames = _frames(image)
                    _refuse_unread(image, path)
                    yield PillowImages(path, image, frames)
    except (UserError, MemoryError):
        raise
    except FileNotFoundError:
        raise UserError(f"there is no image {path}; check the folder and the name.") from None
    except UnidentifiedImageError:
        raise UserError(_unidentified(path)) from None
    except Image.DecompressionBombError:
        raise UserError(_too_large(path)) from None
    except Exception as error:  # a damaged file can end in an error of any type
        if isinstance(error, OSError) and error.strerror:
            raise UserError(f"{path} cannot be read ({error.strerror}); check it.") from None
        raise DamagedError(f"{path} cannot be decoded ({error}); replace or remove it.") from None


def _of_fitting_size(found: PlainImages) -> PlainImages:
    if prod(found.shape[:2]) > MOST_PIXELS:
        raise UserError(_too_large(found.path))
    return found


def _too_large(path: Path) -> str:
    return f"{path} has more than {MOST_PIXELS:,} pixels, too many to decode; cut or remove it."


def _require_one_page(path: Path, pages: int) -> None:
    if pages > 1:
        raise PagesError(
            f"{path} holds {pages:,} images, and one a file is read; datasets/split_pages.py makes "
            "a file of each."
        )


def _refuse_endless_scans(path: Path) -> None:
    if path.read_bytes().count(b"\xff\xda") > MOST_SCANS:
        raise UserError(f"{path} has more than {MOST_SCANS} scans of its pixels; save it anew.")


def _unidentified(path: Path) -> str:
    """Why Pillow makes nothing of a file."""
    with suppress(Exception), path.open("rb") as file:
        head = file.read(16)
        if head[:4] in TiffImagePlugin.PREFIXES:
            tags = TiffImagePlugin.ImageFileDirectory_v2(head[: 16 if 43 in head[2:4] else 8])
            file.seek(tags.next)
            tags.load(file)
            return (
                f"{path} is a TIFF of {_kind_of_tiff(tags)}, which is not read; save one grey band "
                "of 8 or 16 bits or of 32-bit floats, or 8-bit RGB."
            )
    return (
        f"{path} is not a readable image (PNG, JPEG, TIFF, BMP, WebP, PGM, PPM and .npy are); "
        "remove it or convert it."
    )


def _kind_of_tiff(tags: TiffImagePlugin.ImageFileDirectory_v2) -> str:
    """Such as "2 bands of 16 bits" or "64-bit floats, white is zero"."""
    bits, bands = max(tags.get(BITS, (1,))), tags.get(SAMPLES, 1)
    names = {
        2: "signed whole numbers",
        3: "floats",
        5: "complex whole numbers",
        6: "complex numbers",
    }
    name = names.get(max(tags.get(SAMPLE_FORMAT, (1,))))
    values = f"{bits}-bit {name}" if name else f"{bits} bits"
    several = f"{bands} bands of {values}" if bands > 1 else values
    photometric = {0: ", white is zero", 3: " with a palette", 5: " of inks"}
    return several + photometric.get(tags.get(PHOTOMETRIC), "")


def _tiff_values(image: Image.Image, path: Path) -> np.ndarray:
    """Pillow turns TIFFs itself, and takes white for zero in 8 bits and fewer alone."""
    white_is_zero = _white_is_zero(image)
    # Without the tag it takes white for zero, too.
    done = image.tag_v2.get(PHOTOMETRIC, 0) == 0 and image.mode == "L"
    # Pillow would swap the bytes once more.
    image.tile = [
        tile._replace(args=(NATIVE.get(tile.args[0], tile.args[0]), *tile.args[1:]))
        if tile.codec_name == "libtiff"
        else tile
        for tile in image.tile
    ]
    values = _to_array(image, path)
    inverted = white_is_zero != done and image.mode != "1"
    return np.iinfo(values.dtype).max - values if inverted else values


def _to_array(image: Image.Image, path: Path) -> np.ndarray:
    """(H, W) or (H, W, 3), of a type that `_checked` takes."""
    _refuse_unread(image, path)  # another page may be of another kind than the first
    image.load()
    if image.mode in (*SIXTEEN_BIT_MODES, FLOAT_MODE):
        values = np.asarray(image)
        return values.astype(np.uint16) if image.mode.startswith("I;16") else values
    if image.mode in ("P", "PA"):
        image = image.convert("RGB")
    bands = np.asarray(image.convert("L") if image.mode in ("1", "LA") else image)
    return np.ascontiguousarray(bands[..., :3] if bands.ndim == 3 else bands)


def _checked(values: np.ndarray, path: Path) -> np.ndarray:
    """Numbers of any type as uint8, uint16 or float32."""
    if values.dtype.kind == "f":
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
            return _finite(values.astype(np.float32, copy=False), path)
    if values.dtype in (np.uint8, np.uint16):
        return values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.min() < 0 or values.max() > 65535:
        raise UserError(
            f"{path} holds values from {values.min()} to {values.max()}, outside 16 bits; "
            "rescale it to 0..65535."
        )
    return values.astype(np.uint16)


def _finite(values: np.ndarray, path: Path) -> np.ndarray:
    bad = values.size - np.count_nonzero(np.isfinite(values))
    if bad:
        raise NotFiniteError(
            f"{path} has {bad:,} pixels of {values.size:,} that are NaN or infinite; give them "
            "values, or remove the image."
        )
    return values


def _refuse_unread(image: Image.Image, path: Path) -> None:
    """Raises UserError for a kind of image that is not supported, as its head tells."""
    if image.mode == FLOAT_MODE and _white_is_zero(image):
        raise UserError(
            f"{path} holds floats of which zero is white (PhotometricInterpretation 0), so that "
            "nothing tells what is hot; save it with black as zero."
        )
    if image.mode in (*SIXTEEN_BIT_MODES, FLOAT_MODE):
        return
    if image.mode not in (*ONE_BAND_MODES, *COLOUR_MODES):
        raise UserError(
            f"{path} holds {OTHER_MODES.get(image.mode, image.mode)}; one grey band of 8 "
            "bits, 16 bits or floats, or 8-bit RGB is needed: convert it."
        )
    _refuse_deep_colour(image, path)


def _white_is_zero(image: Image.Image) -> bool:
    return image.format == "TIFF" and image.tag_v2.get(PHOTOMETRIC, 1) == 0


def _refuse_deep_colour(image: Image.Image, path: Path) -> None:
    """Pillow squeezes 16-bit colour PNG and TIFF files into 8 bits without a word."""
    if image.format == "PNG":
        with path.open("rb") as file:
            depth = file.read(25)[24]
    elif image.format == "TIFF":
        depth = max(image.tag_v2.get(BITS, (8,)))
    else:
        return
    if depth > 8:
        raise UserError(
            f"{path} has several bands of {depth} bits; 16 bits are supported for one band only: "
            "save the grey band alone."
        )


def write_image(path: Path, image: np.ndarray, *, unit: Unit = "counts") -> None:
    """Encode one image as the file type of its name, folders made as needed.

    image: (H, W) uint8, uint16 or float32, or (H, W, 3) uint8; unit: of floats, as `read_type`
    finds it. The file appears whole or not at all. Raises UserError where it cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    shape_fits = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
    deep = image.dtype in (np.uint16, np.float32)
    if not (shape_fits and (image.dtype == np.uint8 or (deep and image.ndim == 2))):
        raise ValueError(f"cannot write an image of shape {image.shape} and type {image.dtype}")
    if image.dtype == np.uint16 and suffix not in (".png", *FLOAT_SUFFIXES):
        raise ValueError(f"{path}: only PNG and TIFF hold 16-bit counts without loss")
    if image.dtype == np.float32 and suffix not in FLOAT_SUFFIXES:
        raise ValueError(f"{path}: only TIFF holds floats")
    file_format = {".jpg": "JPEG", ".tif": "TIFF"}.get(suffix, suffix[1:].upper())
    # Thermal noise repeats nowhere: looking for runs alone takes less time and gives smaller files.
    options = {"compress_level": 1, "compress_type": zlib.Z_RLE} if file_format == "PNG" else {}
    if image.dtype == np.float32 and unit != "counts":
        options["description"] = f"{UNIT_LINE}{unit}"
    with replacing(path) as temporary, temporary.open("wb") as file:
        Image.fromarray(image).save(file, format=file_format, **options)
