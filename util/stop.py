"""SIGTERM, SIGHUP and Ctrl-C, answered where a run can be saved."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from util.ranks import is_first

# SIGHUP: the terminal was closed, the ssh session ended; Windows has none.
HANG_UP = [signal.SIGHUP] if hasattr(signal, "SIGHUP") else []
SIGNALS = (signal.SIGTERM, signal.SIGINT, *HANG_UP)
ECHO_S = 1.0


class Stopped(BaseException):
    """A signal, whose name this is told with, arrived during work that will be done again.

    No Exception: readers of files take any of these for the file's fault.
    """


class StopSignals:
    """Within the `with` statement, the first signal is kept in `received` and nothing else happens.

    A second one takes its usual course: the process ends at once; but one that comes within
    `ECHO_S` is the same again, as `timeout` and SLURM send it to a process and to its group. A
    signal that is ignored (as Ctrl-C is by what a shell starts in the background, and SIGHUP by
    what nohup starts) stays ignored.
    """

    def __init__(self) -> None:
        self.received: str | None = None  # the signal's name
        self._since = 0.0
        self._at_once = False
        self._usual: dict[int, object] = {}

    def __enter__(self) -> "StopSignals":
        heard = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
        self._usual = {number: signal.signal(number, self._receive) for number in heard}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._usual.items():
            if signal.getsignal(number) == self._receive:  # else somebody has it ignored meanwhile
                signal.signal(number, handler)
        self._usual = {}

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within the block a signal, even an earlier one, raises Stopped."""
        self._at_once = True
        try:
            if self.received:
                raise Stopped(self.received)
            yield
        finally:
            self._at_once = False

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            if time.monotonic() - self._since >= ECHO_S:
                self.__exit__()
                os.kill(os.getpid(), number)
            return
        self.received, self._since = signal.Signals(number).name, time.monotonic()
        if is_first():
            with suppress(OSError):  # words alone, and the disk that takes them may be full
                # Not print: the signal may have interrupted one.
                os.write(2, f"{self.received}: saving; the same again leaves at once\n".encode())
        if self._at_once:
            raise Stopped(self.received)


@contextmanager
def holding_signals() -> Iterator[None]:
    """A process that is started in the block begins with the signals held.

    So none reaches a reader before `leave_stopping_to_the_parent`.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_stopping_to_the_parent() -> None:
    """For the processes that read images: terminals and SLURM signal these too.

    They ignore SIGINT and SIGHUP, and SIGTERM unless it is their parent who sends it. What they
    cannot hand over, as a parent that was stopped no longer listens, they do not complain of.
    """
    sys.excepthook = lambda *_: None  # multiprocessing's threads call it; readers return errors
    for number in (signal.SIGINT, *HANG_UP):
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # which tells the sender; macOS lacks it
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_wait_for_parent, daemon=True).start()
    elif hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _wait_for_parent() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)
