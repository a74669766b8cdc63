"""What shows how a run comes on: the training page, a visdom server, TensorBoard's event files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from training.position import Position

RUNNING = "running"


@dataclass(frozen=True)
class Standing:
    """How a run stands. state: RUNNING, or how it has ended; written: seconds since 1970.

    facts: by their names for people; silence: seconds without an update of the page after which a
    run that has not said that it ended must have died.
    """

    state: str
    written: float
    silence: float
    facts: Mapping[str, str]


class Display:
    """Takes all that there is to show; each kind overrides what it has a place for.

    A run is worth more than its displays: none changes it, holds it up or ends it. Each method
    raises WriteError where a file cannot be written, and can be called again.
    """

    name: ClassVar[str]  # for people

    def losses(self, position: Position, values: Mapping[str, float]) -> None:
        """Means since the last call, by name."""

    def validation(self, position: Position, values: Mapping[str, float]) -> None:
        """Figures of merit on validation images, by name."""

    def samples(self, position: Position, samples: Sequence[Mapping[str, np.ndarray]]) -> None:
        """Of each image that is shown all that is made of it: (H, W) or (H, W, 3) uint8 by name.

        The arrays may be read later: they must not be written to again.
        """

    def update(self, standing: Standing) -> None:
        """How the run stands, now and then and at its end."""

    def close(self) -> None:
        """Nothing follows."""
