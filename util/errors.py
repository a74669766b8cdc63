"""The one exception that the entry points turn into a sentence and exit code 2."""

import io
import sys
from collections.abc import Callable

# sysexits.h calls it EX_TEMPFAIL, try again later: the run is saved and can go on.
EXIT_STOPPED = 75


class UserError(Exception):
    """Something the user can mend; its message is one sentence: what, where, what to do."""


class WriteError(UserError):
    """A file that could not be written; what had its name before is as it was."""


class DamagedError(UserError):
    """A file whose content is not what was written."""


def run_main(main: Callable[[], None]) -> None:
    """Run an entry point: a UserError becomes one line on stderr and exit code 2, no traceback.

    Ctrl-C leaves with the shell's code for it, 130. Signs that the terminal lacks become "?".
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)  # noqa: T201
        raise SystemExit(130) from None
