"""Image files in, arrays out, and back: the only module that opens an image file.

Pillow's own conversions turn a 16-bit image into a constant, so nothing here goes through
`.convert("L")` or `.convert("RGB")` before the depth is known.
"""

import stat
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import numpy as np
from PIL import Image, UnidentifiedImageError

from data.value_type import Unit, ValueType
from util.errors import DamagedError, UserError
from util.files import replacing

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"})
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
SIXTEEN_BIT_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I")
FLOAT_MODE = "F"
NATIVE_FLOATS = "F;32NF"  # as Pillow calls the order of bytes of this machine
ONE_BAND_MODES = ("L", "1", "LA")
COLOUR_MODES = ("RGB", "RGBA", "P", "PA")
# An image of more is refused by its head, before memory is taken; Pillow only warns of half of it.
MOST_PIXELS = 2 * Image.MAX_IMAGE_PIXELS
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
# Of tags that nothing here uses; of pixels that are not all there, Pillow raises errors.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
# A progressive JPEG has about ten, each of which costs a pass over the whole image.
MOST_SCANS = 500
FLOAT_SUFFIXES = (".tif", ".tiff")
IMAGE_DESCRIPTION = 270  # tag of a TIFF; the unit of its floats is a line of it: "unit=kelvin"
UNIT_LINE = "unit="


class NotFiniteError(UserError):
    """An image of floats with pixels that are no numbers."""


def read_image(path: Path) -> np.ndarray:
    """Decode one image; its type is told by its content, not by its name.

    Returns (H, W) uint8, uint16 or float32 for one band, (H, W, 3) uint8 for colour. An alpha
    channel is dropped, a palette is resolved. Counts of 16-bit files and floats are kept as they
    are.
    Raises UserError for a missing or unsupported file, and for one of more than 178,956,970 pixels
    or 500 JPEG scans; DamagedError for one that breaks off or cannot be decoded; NotFiniteError for
    NaN and infinite pixels.
    """
    with _opened(path) as image:
        if image.format in ("JPEG", "MPO") and path.read_bytes().count(b"\xff\xda") > MOST_SCANS:
            raise UserError(f"{path} has more than {MOST_SCANS} scans of its pixels; save it anew.")
        _load(image)
        return _to_array(image, path)


def read_size(path: Path) -> tuple[int, int]:
    """(height, width) of an image as `read_image` returns it, from the head of the file alone.

    Raises UserError for a file that is missing or no image.
    """
    with _opened(path) as image:
        return image.height, image.width


def read_layout(path: Path) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of an image as `read_image` returns it, from the head of the file alone.

    Raises UserError for a file that is missing or no image. What `read_image` refuses for its
    content has a layout, too.
    """
    with _opened(path) as image:
        size = image.height, image.width
        one_band = image.mode in (*SIXTEEN_BIT_MODES, FLOAT_MODE, *ONE_BAND_MODES)
        return size if one_band else (*size, 3), np.dtype(_type_of(image).dtype)


def read_type(path: Path) -> ValueType:
    """What the values of an image are, from the head of the file alone.

    The unit of floats is that which the description of the TIFF names in a line such as
    "unit=kelvin". Raises UserError for a file that is missing or no image.
    """
    with _opened(path) as image:
        return _type_of(image)


def _type_of(image: Image.Image) -> ValueType:
    if image.mode != FLOAT_MODE:
        return ValueType("uint16" if image.mode in SIXTEEN_BIT_MODES else "uint8")
    lines = str(image.tag_v2.get(IMAGE_DESCRIPTION, "")).splitlines()
    named = [line.removeprefix(UNIT_LINE).strip() for line in lines if line.startswith(UNIT_LINE)]
    return ValueType("float32", next((unit for unit in named if unit in get_args(Unit)), "counts"))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The file in Pillow's hands; whatever goes wrong with it becomes a UserError."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait for ever
            raise UserError(f"{path} is a folder, pipe or device, no image; remove or rename it.")
        with Image.open(path, formats=FORMATS) as image:
            yield image
    except (UserError, MemoryError):
        raise
    except FileNotFoundError:
        raise UserError(f"there is no image {path}; check the folder and the name.") from None
    except UnidentifiedImageError:
        raise UserError(
            f"{path} is not a readable image (PNG, JPEG, TIFF, BMP and WebP are); "
            "remove it or convert it."
        ) from None
    except Image.DecompressionBombError:
        raise UserError(
            f"{path} has more than {MOST_PIXELS:,} pixels, too many to decode; cut or remove it."
        ) from None
    except Exception as error:  # a damaged file can end in an error of any type
        if isinstance(error, OSError) and error.strerror:
            raise UserError(f"{path} cannot be read ({error.strerror}); check it.") from None
        raise DamagedError(f"{path} cannot be decoded ({error}); replace or remove it.") from None


def _load(image: Image.Image) -> None:
    if image.mode == FLOAT_MODE:
        # libtiff has swapped big-endian floats when it unpacks them, and Pillow would once more.
        image.tile = [
            tile._replace(args=(NATIVE_FLOATS, *tile.args[1:]))
            if tile.codec_name == "libtiff"
            else tile
            for tile in image.tile
        ]
    image.load()


def _to_array(image: Image.Image, path: Path) -> np.ndarray:
    if image.mode in SIXTEEN_BIT_MODES:
        counts = np.asarray(image)
        if counts.min() < 0 or counts.max() > 65535:
            raise UserError(
                f"{path} holds values from {counts.min()} to {counts.max()}, outside 16 bits; "
                "rescale it to 0..65535."
            )
        return counts.astype(np.uint16)
    if image.mode == FLOAT_MODE:
        return _finite(np.asarray(image), path)
    if image.mode in (*ONE_BAND_MODES, *COLOUR_MODES):
        _refuse_deep_colour(image, path)
        if image.mode in ("P", "PA"):
            image = image.convert("RGB")
        bands = np.asarray(image.convert("L") if image.mode in ("1", "LA") else image)
        return np.ascontiguousarray(bands[..., :3] if bands.ndim == 3 else bands)
    raise UserError(
        f"{path} has bands of kind '{image.mode}'; one grey band of 8 bits, 16 bits or "
        "floats, or 8-bit RGB is needed: convert it."
    )


def _finite(values: np.ndarray, path: Path) -> np.ndarray:
    bad = values.size - np.count_nonzero(np.isfinite(values))
    if bad:
        raise NotFiniteError(
            f"{path} has {bad:,} pixels of {values.size:,} that are NaN or infinite; give them "
            "values, or remove the image."
        )
    return values


def _refuse_deep_colour(image: Image.Image, path: Path) -> None:
    """Pillow squeezes 16-bit colour PNG and TIFF files into 8 bits without a word."""
    if image.format == "PNG":
        with path.open("rb") as file:
            depth = file.read(25)[24]
    elif image.format == "TIFF":
        depth = max(image.tag_v2.get(258, (8,)))
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
