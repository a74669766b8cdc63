"""One process at a time writes into the folder of a run."""

import errno
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from util.errors import UserError, WriteError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


def is_locked(folder: Path) -> bool:
    """Whether a process trains the run in `folder` now, as far as this host can tell."""
    try:
        with (folder / "lock").open("rb") as handle:
            if fcntl is not None:
                fcntl.lockf(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in (errno.EACCES, errno.EAGAIN)
    return False


class RunLock:
    """The right to write into `folder`: a lock on the file `lock` in it, while the process lives.

    The kernel keeps it and ends it with the process, however that ends. It is a POSIX lock, which
    is the process's own: one of flock would pass to the processes that read images, and these
    outlive a killed run by seconds.

    Used in a `with` statement, which takes the lock where there is a folder already and gives it
    back at the end. note: what the user should know, "" for nothing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "lock"
        self.note = ""
        self._handle: TextIO | None = None

    def __enter__(self) -> "RunLock":
        if self.folder.exists():
            self.take()
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle:
            if self.held and not self.note:  # without a lock the file may be another run's, too
                with suppress(OSError):
                    self.file.unlink()
            self._handle.close()
            self._handle = None

    @property
    def held(self) -> bool:
        """Whether this process has the lock, and its file is still the one in the folder."""
        if self._handle is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._handle.fileno()), self.file.stat())
        except (FileNotFoundError, NotADirectoryError):
            return False

    def take(self) -> None:
        """Lock the folder, which is made as needed.

        Raises UserError where another process has the lock, WriteError where no file can be made.
        """
        while not self.held:  # another run's end may remove the file between the next two lines
            handle = self._open()
            self._lock(handle)
            self._handle = handle
        with suppress(OSError):  # only words for the next one
            self._handle.truncate(0)
            self._handle.write(f"process {os.getpid()} on {socket.gethostname()}")
            self._handle.flush()

    def _open(self) -> TextIO:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return self.file.open("a+", encoding="utf-8")
        except OSError as error:
            raise WriteError(
                f"cannot write into {self.folder} ({error.strerror}); make room or choose another "
                "--checkpoints_dir."
            ) from None

    def _lock(self, handle: TextIO) -> None:
        try:
            if fcntl is None:
                raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                handle.seek(0)
                owner = handle.read() or "another process"
                handle.close()
                raise UserError(
                    f"{self.folder} is in use by {owner}; wait for it or stop it, or choose "
                    "another --name."
                ) from None
            self.note = (
                f"{self.folder} lies where files cannot be locked ({error.strerror}): nothing "
                "stops a second run in it"
            )
