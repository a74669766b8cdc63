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

import numpy as np
from PIL import Image, UnidentifiedImageError

from util.errors import DamagedError, UserError
from util.files import replacing

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"})
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
SIXTEEN_BIT_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I")
ONE_BAND_MODES = ("L", "1", "LA")
COLOUR_MODES = ("RGB", "RGBA", "P", "PA")
# An image of more is refused by its head, before memory is taken; Pillow only warns of half of it.
MOST_PIXELS = 2 * Image.MAX_IMAGE_PIXELS
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
# Of tags that nothing here uses; of pixels that are not all there, Pillow raises errors.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
# A progressive JPEG has about ten, each of which costs a pass over the whole image.
MOST_SCANS = 500


def read_image(path: Path) -> np.ndarray:
    """Decode one image; its type is told by its content, not by its name.

    Returns (H, W) uint8 or uint16 for one band, (H, W, 3) uint8 for colour. An alpha channel is
    dropped, a palette is resolved. Counts of 16-bit files are kept as they are.
    Raises UserError for a missing or unsupported file, and for one of more than 178,956,970 pixels
    or 500 JPEG scans; DamagedError for one that breaks off or cannot be decoded.
    """
    with _opened(path) as image:
        if image.format in ("JPEG", "MPO") and path.read_bytes().count(b"\xff\xda") > MOST_SCANS:
            raise UserError(f"{path} has more than {MOST_SCANS} scans of its pixels; save it anew.")
        image.load()
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
        if image.mode in SIXTEEN_BIT_MODES:
            return size, np.dtype(np.uint16)
        return size if image.mode in ONE_BAND_MODES else (*size, 3), np.dtype(np.uint8)


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


def _to_array(image: Image.Image, path: Path) -> np.ndarray:
    if image.mode in SIXTEEN_BIT_MODES:
        counts = np.asarray(image)
        if counts.min() < 0 or counts.max() > 65535:
            raise UserError(
                f"{path} holds values from {counts.min()} to {counts.max()}, outside 16 bits; "
                "rescale it to 0..65535."
            )
        return counts.astype(np.uint16)
    if image.mode in (*ONE_BAND_MODES, *COLOUR_MODES):
        _refuse_deep_colour(image, path)
        if image.mode in ("P", "PA"):
            image = image.convert("RGB")
        bands = np.asarray(image.convert("L") if image.mode in ("1", "LA") else image)
        return np.ascontiguousarray(bands[..., :3] if bands.ndim == 3 else bands)
    raise UserError(
        f"{path} has bands of kind '{image.mode}'; one grey band of 8 or 16 bits or "
        "8-bit RGB is needed: convert it."
    )


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


def write_image(path: Path, image: np.ndarray) -> None:
    """Encode one image as the file type of its name, folders made as needed.

    image: (H, W) uint8 or uint16, or (H, W, 3) uint8. The file appears whole or not at all.
    Raises UserError where it cannot be written.
    """
    path = Path(path)
    shape_fits = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
    depth_fits = image.dtype == np.uint8 or (image.dtype == np.uint16 and image.ndim == 2)
    if not (shape_fits and depth_fits):
        raise ValueError(f"cannot write an image of shape {image.shape} and type {image.dtype}")
    if image.dtype == np.uint16 and path.suffix.lower() not in (".png", ".tif", ".tiff"):
        raise ValueError(f"{path}: only PNG and TIFF hold 16-bit counts without loss")
    file_format = {".jpg": "JPEG", ".tif": "TIFF"}.get(path.suffix.lower(), path.suffix[1:].upper())
    # Thermal noise repeats nowhere: looking for runs alone takes less time and gives smaller files.
    options = {"compress_level": 1, "compress_type": zlib.Z_RLE} if file_format == "PNG" else {}
    with replacing(path) as temporary, temporary.open("wb") as file:
        Image.fromarray(image).save(file, format=file_format, **options)
