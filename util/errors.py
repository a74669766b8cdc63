"""The one exception that the entry points turn into a sentence and exit code 2."""

import io
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any, TextIO

from util.ranks import is_first, processes
from util.surroundings import settle

# sysexits.h calls it EX_TEMPFAIL, try again later: the run is saved and can go on.
EXIT_STOPPED = 75


class UserError(Exception):
    """Something the user can mend; its message is one sentence: what, where, what to do."""


class WriteError(UserError):
    """A file that could not be written; what had its name before is as it was."""


class DamagedError(UserError):
    """A file whose content is not what was written."""


# Torch says so in a RuntimeError wherever it is no CUDA allocation of its own: the CPU's allocator,
# the C++ library, CUDA's and its libraries' own memory.
NO_MEMORY = re.compile(
    "can't allocate memory|bad_alloc|out of memory|ALLOC_FAILED|Cannot allocate memory"
)
REFUSED = re.compile(r"allocate ([\d.]+ ?\w+)")


@contextmanager
def naming_want_of_memory(what: str, *, lighter: str) -> Iterator[None]:
    """Raises UserError where the block is refused memory, of the CPU or of a GPU.

    what: was at work, with its sizes; lighter: what to do, so that less is needed.
    """
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not isinstance(error, MemoryError) and not NO_MEMORY.search(str(error)):
            raise
        size = REFUSED.search(str(error))
        refused = f" ({size[1]} were refused)" if size else ""
        raise UserError(f"there is not enough memory for {what}{refused}; {lighter}.") from None


@contextmanager
def telling_once() -> Iterator[None]:
    """Around what all processes find the same, such as a wrong flag: the first alone tells."""
    if is_first():
        yield
        return
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        try:
            yield
        except UserError:
            raise SystemExit(2) from None


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


def run_main(
    main: Callable[[], None],
    *,
    patient: bool = False,
    alone: bool = True,
    lighter: str = "give it smaller or fewer images, or more memory",
) -> None:
    """Run an entry point: a UserError becomes one line on stderr and exit code 2, no traceback.

    Ctrl-C leaves with the shell's code for it, 130, a closed pipe with 141. Signs that the terminal
    lacks become "?".
    patient: whether the program is worth more than its words, and goes on where they can no longer
    be written: the disk with the job's output is full, the program behind the pipe is gone.
    alone: whether the program is one process; others may be one of several, as of torchrun.
    lighter: what the user can do where memory does not suffice.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    if patient:
        sys.stdout, sys.stderr = PatientStream(sys.stdout), PatientStream(sys.stderr)
    settle()
    try:
        if alone and processes() > 1:
            raise UserError(
                f"this is one of {processes()} processes (WORLD_SIZE), as torchrun starts them, "
                "and this program runs in one; start it with python."
            )
        with naming_want_of_memory("this", lighter=lighter):
            main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None
    except BrokenPipeError:  # of `| head`, which has read enough
        # Or the interpreter would complain when it flushes what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)  # noqa: T201
        raise SystemExit(130) from None
