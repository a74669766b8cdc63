"""Features of many images, on the disk: memory stays flat in the number of images."""

import tempfile
from contextlib import suppress

import numpy as np
from torch import Tensor

from util.errors import UserError


class FeatureStore:
    """Rows of float32, appended to a file without a name that is gone after `close`.

    It lies in the folder for temporary files (environment variable TMPDIR), which should be a disk.
    All methods but `close` raise UserError where that folder cannot be written.
    """

    def __init__(self) -> None:
        self.width = 0  # of a row, known after the first block
        self._rows = 0
        try:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 `close` closes it
        except OSError as error:
            raise _no_room(error) from None

    def append(self, features: Tensor | np.ndarray) -> None:
        """Add rows (B, d), of any device; d is that of the first block."""
        if isinstance(features, Tensor):
            features = features.detach().float().cpu().numpy()
        block = np.ascontiguousarray(features, np.float32)
        self.width = self.width or block.shape[1]
        if block.shape[1] != self.width:
            raise ValueError(f"rows of {block.shape[1]} features cannot join rows of {self.width}.")
        try:
            self._file.write(block.data)
            self._file.flush()
        except OSError as error:
            raise _no_room(error) from None
        self._rows += len(block)

    def array(self) -> np.ndarray:
        """What was appended so far: (n, d) float32, mapped from the file, read-only.

        (0, 0) for an empty store. It stays readable after `close`.
        """
        if not self._rows:
            return np.empty((0, self.width), np.float32)
        return np.memmap(self._file, np.float32, mode="r", shape=(self._rows, self.width))

    def close(self) -> None:
        """Give the room on the disk back, once no `array` is in use any more."""
        with suppress(OSError):  # what could not be written is not wanted any more
            self._file.close()


def _no_room(error: OSError) -> UserError:
    folder = tempfile.tempdir or "for temporary files"
    return UserError(
        f"cannot keep features in the folder {folder} ({error.strerror or error}); make room there "
        "or name another one in the environment variable TMPDIR."
    )
