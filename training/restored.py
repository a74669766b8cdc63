"""What --continue_train restores of a run, beside its options, its model and its schedule."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from training.means import RunningMeans
from training.position import Position
from training.validation import Best


@dataclass
class Progress:
    """How far a run has come.

    best: the best epoch until now; watched: the model's watched loss in this epoch; shown: losses
    that are still to be said.
    """

    position: Position
    best: Best = field(default_factory=Best)
    watched: RunningMeans = field(default_factory=RunningMeans)
    shown: RunningMeans = field(default_factory=RunningMeans)

    def state_dict(self) -> dict[str, Any]:
        """As the checkpoint keeps it."""
        return {
            "position": asdict(self.position),
            "best": asdict(self.best),
            "watched": self.watched.state_dict(),
            "shown": self.shown.state_dict(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "Progress":
        """Inverse of `state_dict`. The checkpoints of earlier versions have the position alone."""
        means = {
            name: RunningMeans.from_state(state[name])
            for name in ("watched", "shown")
            if name in state
        }
        return cls(Position(**state["position"]), Best(**state.get("best", {})), **means)
