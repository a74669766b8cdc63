"""The one line at the bottom of a terminal that tells how a run comes on."""

import shutil
import sys
import time
from collections.abc import Mapping

from training.loss_log import CLOCK_AND_RATE

SECONDS = 0.2  # between two changes
CLEAR = "\r\033[K"  # of what other words overwrite


def on_terminal() -> bool:
    """Whether the output is looked at while it is written, and a line of it can change."""
    return sys.stdout.isatty()


class LiveLine:
    """Shows the newest state, as often as an eye can follow; losses are those last measured."""

    def __init__(self) -> None:
        self.losses = ""
        self._shown_at = 0.0

    def measured(self, values: Mapping[str, float]) -> None:
        """values: as for LossLog.append."""
        losses = [f"{name} {value:.3g}" for name, value in values.items()]
        self.losses = "  ".join(
            loss for name, loss in zip(values, losses, strict=True) if name not in CLOCK_AND_RATE
        )

    def show(self, facts: Mapping[str, str]) -> None:
        """facts: by their names for people, the most important first; what is too long is cut."""
        now = time.monotonic()
        if now - self._shown_at < SECONDS:
            return
        self._shown_at = now
        text = ", ".join([*(f"{name} {value}" for name, value in facts.items()), self.losses])
        width = shutil.get_terminal_size().columns - 1
        print(f"{CLEAR}{text[:width]}", end="", flush=True)
