"""Files of a run: written whole or not at all, read without executing anything."""

import errno
import hashlib
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePath
from typing import Any

import torch
from torch import Tensor

from util.errors import DamagedError, UserError, WriteError
from util.files import flush, flush_folder, replacing

LONGEST_NAME = 255  # bytes of a file's name, on all usual file systems


def run_path(parent: str | Path, name: str, *, flag: str) -> Path:
    """`parent/name`. Raises UserError for a name that is empty, too long or leaves `parent`."""
    plain = PurePath(name)
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in plain.parts):
        raise UserError(f"{flag} {name[:20]!r}... is longer than {LONGEST_NAME} bytes; shorten it.")
    if not plain.parts or plain.is_absolute() or ".." in plain.parts or "\0" in name:
        raise UserError(
            f"{flag} {name!r} leaves the folder {parent}; give a plain name such as mwir_pix2pix."
        )
    return Path(parent) / plain


@contextmanager
def saving(contents: Mapping[Path, Any]) -> Iterator[None]:
    """Files of one moment: on the disk before the block runs, and after it they take their names.

    They do so in the order of `contents`, with nothing in between; where one cannot be written,
    none does. Raises WriteError.
    """
    with ExitStack() as stack:
        for path, content in reversed(contents.items()):  # the stack unwinds from its end
            _write(path, stack.enter_context(replacing(path)), content)
        yield
    for folder in {path.parent for path in contents}:
        flush_folder(folder)


def _write(path: Path, temporary: Path, content: Any) -> None:
    try:
        with temporary.open("wb") as file:
            torch.save(content, file)
            flush(file)
    except RuntimeError as error:  # torch's words for a disk that is full, the system's behind them
        reason = getattr(error.__context__, "strerror", None) or error
        raise WriteError(f"cannot write {path} ({reason}); make room.") from None


def load(path: Path, *, hint: str) -> Any:
    """Read tensors and plain values, on the CPU; code in the file is never run.

    hint: what the user can do where the file is missing. Raises UserError for a missing file,
    DamagedError for a broken or unsafe one.
    """
    try:
        if zipfile.is_zipfile(path):  # as torch writes since 1.6: every record has its CRC-32
            with zipfile.ZipFile(path) as archive:
                # torch never compresses: a small file that grows in memory is not its own.
                packed = any(record.compress_type for record in archive.infolist())
                if packed or archive.testzip():
                    raise zipfile.BadZipFile
        content = torch.load(path, map_location="cpu", weights_only=True)
        if all(map(_is_plain, _tensors(content))):
            return content
    except FileNotFoundError:
        raise UserError(f"there is no checkpoint {path}; {hint}.") from None
    except OSError as error:
        if error.errno != errno.EINVAL:  # a record would lie outside of the file
            raise UserError(f"cannot read {path} ({error.strerror or error}).") from None
    except Exception:  # a damaged file can end in an error of any type
        pass
    raise DamagedError(
        f"{path} is no readable checkpoint: it is damaged, or holds more than tensors and plain "
        "values, and code in a file is never run; use another file."
    )


def _tensors(content: Any) -> Iterator[Tensor]:
    if isinstance(content, Tensor):
        yield content
    elif isinstance(content, Mapping | list | tuple | set):
        for part in content.values() if isinstance(content, Mapping) else content:
            yield from _tensors(part)


def _is_plain(tensor: Tensor) -> bool:
    """Whether all its numbers are there. Indices of sparse ones, which torch does not test, could
    point anywhere; quantised ones and those without memory are none of ours.
    """
    plain = tensor.layout == torch.strided and tensor.device.type == "cpu"
    return plain and not tensor.is_quantized


def digest(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of a state dict: names, types, shapes and values, whatever file they came in."""
    found = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return found.hexdigest()
