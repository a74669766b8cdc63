"""The one line at the bottom of a terminal that tells how a run comes on."""

import shutil
import sys
import time
from collections.abc import Mapping

from training.loss_log import CLOCK_AND_RATE

SECONDS = 0.2  # between two changes
CLEAR = "\r\033[K"  # of what other words overwrite
# How a fact is said where it is not "name value"; the rate stands among the losses.
FORMS = {"to go": "{} to go", "speed": "{}", "learning rate": ""}


def on_terminal() -> bool:
    """Whether the output is looked at while it is written, and a line of it can change."""
    return sys.stdout.isatty()


class LiveLine:
    """Shows the newest state, as often as an eye can follow; losses are those last measured."""

    def __init__(self) -> None:
        self.losses: list[str] = []
        self._shown_at = 0.0

    def measured(self, values: Mapping[str, float]) -> None:
        """values: as for LossLog.append."""
        clocks = CLOCK_AND_RATE.keys() - {"lr"}
        self.losses = [
            f"{name} {value:.3g}" for name, value in values.items() if name not in clocks
        ]

    def show(self, facts: Mapping[str, str]) -> None:
        """facts: how far the run is, by their names for people; what is too long is cut."""
        now = time.monotonic()
        if now - self._shown_at < SECONDS:
            return
        self._shown_at = now
        parts = [FORMS.get(name, f"{name} {{}}").format(value) for name, value in facts.items()]
        text = "  ".join([", ".join(filter(None, parts)), *self.losses])
        width = shutil.get_terminal_size().columns - 1
        print(f"{CLEAR}{text[:width]}", end="", flush=True)
