"""Files that appear whole or not at all."""

import glob
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import IO

from util.errors import UserError, WriteError

KEPT_OF_NAME = 60  # characters, which are up to 240 of 255 bytes


def absolute(path: Path | str) -> Path:
    """The path from the root on, without `..`; links keep their names, as tables have them."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def temporary_beside(path: Path) -> Path:
    """A path that no other process has, on any of the hosts that share the folder.

    A long name is cut, as that of `path` may be as long as names can be.
    """
    return path.with_name(f".{path.name[:KEPT_OF_NAME]}.{token_hex(4)}.part")


def leftovers_beside(path: Path) -> list[Path]:
    """What has such a name: of processes at work, and of those that were killed."""
    name = glob.escape(path.name[:KEPT_OF_NAME])
    return list(path.parent.glob(f".{name}.{'[0-9a-f]' * 8}.part"))


def remove_leftovers(folder: Path, *, idle_s: float = 0.0) -> None:
    """Remove, from `folder` and below, what `replacing` left there in a process that was killed.

    idle_s: seconds for which nothing was written, where other processes may be at work.
    """
    for leftover in folder.rglob(".*.part"):
        with suppress(OSError):  # another process was faster, or the place is read-only
            if time.time() - leftover.stat().st_mtime >= idle_s:
                leftover.unlink()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path`, which takes its name when the block has succeeded.

    Folders are made as needed; after an error nothing is left and an earlier `path` is untouched.
    Raises WriteError where the file cannot be written.
    """
    temporary = temporary_beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or error
        raise WriteError(
            f"cannot write {path} ({reason}); make room or name another place."
        ) from None
    finally:
        with suppress(OSError):
            temporary.unlink()


def flush(file: IO) -> None:
    """Return when what was written is on the disk. A name must not be there before its content."""
    file.flush()
    os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Return when the names in `folder` are on the disk, where the system knows how."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file through `replacing`."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(content)
        flush(file)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text through `replacing`; what is not valid Unicode becomes "?"."""
    write_bytes(path, text.encode("utf-8", errors="replace"))


class GrowingFile:
    """A file that is written at its end; what cannot be written now is so with what follows.

    make_folder: whether its folder is made as needed.
    """

    def __init__(self, path: Path, *, make_folder: bool = False) -> None:
        self.path, self.make_folder = path, make_folder
        self._waiting = b""

    def append(self, content: bytes, *, head: bytes = b"", keep: bool = True) -> None:
        """Write all that waits and `content`, or nothing of it; then it is on the disk.

        head: what an empty file begins with; keep: whether `content` waits where it cannot be
        written. Raises WriteError.
        """
        left = self._waiting + content
        if keep:
            self._waiting = left
        try:
            if self.make_folder:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab", buffering=0) as file:
                end = file.tell()
                left = left if end else head + left
                try:
                    while left:
                        left = left[file.write(left) :]
                    os.fsync(file.fileno())
                except OSError:
                    os.truncate(self.path, end)
                    raise
        except OSError as error:
            raise WriteError(f"cannot write {self.path} ({error.strerror}); make room.") from None
        self._waiting = b""


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_writable(path: Path) -> None:
    """Raises UserError where it is plain beforehand that `write_text(path, ...)` will fail.

    For long computations, whose result would be lost.
    """
    if path.is_dir():
        raise UserError(f"cannot write {path}, which is a folder; choose another place.")
    folder = next(parent for parent in absolute(path).parents if parent.exists())
    if not folder.is_dir():
        raise UserError(f"cannot write {path} ({folder} is no folder); choose another place.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"cannot write {path} (no permission in {folder}); choose another place.")
