"""The one exception that the entry points turn into a sentence and exit code 2."""

import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO

from util.surroundings import settle

# sysexits.h calls it EX_TEMPFAIL, try again later: the run is saved and can go on.
EXIT_STOPPED = 75


class UserError(Exception):
    """Something the user can mend; its message is one sentence: what, where, what to do."""


class WriteError(UserError):
    """A file that could not be written; what had its name before is as it was."""


class DamagedError(UserError):
    """A file whose content is not what was written."""


class PatientStream:
    """A stream to which nothing is written where nothing can be, without a word."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """As of the stream."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """As of the stream."""
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def run_main(main: Callable[[], None], *, patient: bool = False) -> None:
    """Run an entry point: a UserError becomes one line on stderr and exit code 2, no traceback.

    Ctrl-C leaves with the shell's code for it, 130. Signs that the terminal lacks become "?".
    patient: whether the program is worth more than its words, and goes on where they can no longer
    be written: the disk with the job's output is full, the program behind the pipe is gone.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    if patient:
        sys.stdout, sys.stderr = PatientStream(sys.stdout), PatientStream(sys.stderr)
    settle()
    try:
        _refuse_many_processes()
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)  # noqa: T201
        raise SystemExit(130) from None


def _refuse_many_processes() -> None:
    """Raises UserError in each of several processes that are to share one run."""
    processes = os.environ.get("WORLD_SIZE", "1")
    if processes.isdecimal() and int(processes) > 1:
        raise UserError(
            f"this is one of {processes} processes (WORLD_SIZE), as torchrun starts them, and a "
            "run has one process and one GPU; start it with python."
        )
