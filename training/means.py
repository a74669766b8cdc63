"""Means of losses over steps."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor


class RunningMeans:
    """Means of named values since they were last taken; tensors stay on their device until then."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor | float] = {}
        self.count = 0

    def add(self, values: Mapping[str, Tensor | float]) -> None:
        """One more of each."""
        self.sums = {name: self.sums.get(name, 0.0) + value for name, value in values.items()}
        self.count += 1

    def state_dict(self) -> dict[str, Any]:
        """What was added since the last `take`."""
        sums = {name: float(total) for name, total in self.sums.items()}
        return {"sums": sums, "count": self.count}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "RunningMeans":
        """Inverse of `state_dict`."""
        means = cls()
        means.sums, means.count = dict(state["sums"]), state["count"]
        return means

    def take(self) -> dict[str, float]:
        """The means, and start anew; {} if nothing was added."""
        means = {name: float(total) / self.count for name, total in self.sums.items()}
        self.sums, self.count = {}, 0
        return means
