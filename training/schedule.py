"""Learning-rate schedules of CUT and pix2pix, as a factor of the initial rate."""

import math
from dataclasses import dataclass, field
from typing import Any

import torch

from options import TrainingOptions
from util.errors import UserError

RISE, FIRST, LAST = 0.3, 1 / 25, 1 / 25e4  # of one_cycle: share of its steps, and its ends


@dataclass
class Schedule:
    """Factor of the learning rate in each epoch, counted from 1, or in each step.

    linear: 1 up to epoch n_epochs, then falling by 1/(n_epochs_decay+1) an epoch. step: times 0.1
    every lr_decay_iters epochs. cosine: half a cosine over all epochs. plateau: times 0.2 when the
    observed loss has not fallen by 1 % for 5 epochs; the only policy with a state. one_cycle, from
    step to step: half a cosine from 1/25 up to 1 over 30 % of all epochs, and one down to 4e-6
    (Smith and Topin 2019, with torch's numbers).
    """

    options: TrainingOptions
    _plateau: torch.optim.lr_scheduler.ReduceLROnPlateau = field(init=False)

    def __post_init__(self) -> None:
        if self.options.epoch_count > self.last_epoch:
            raise UserError(
                f"--epoch_count {self.options.epoch_count} lies behind the last epoch "
                f"{self.last_epoch} (--n_epochs + --n_epochs_decay); these two are totals: "
                "raise one of them."
            )
        carrier = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        self._plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            carrier, factor=0.2, threshold=0.01, patience=5
        )

    @property
    def last_epoch(self) -> int:
        """The epoch at whose end training is finished."""
        return self.options.n_epochs + self.options.n_epochs_decay

    def factor(self, epoch: int, done: float = 0.0) -> float:
        """Share of the initial rate in this epoch, after `done` of it, 0 ... 1."""
        policy = self.options.lr_policy
        if policy == "linear":
            decayed = max(0, epoch - self.options.n_epochs)
            return 1.0 - decayed / (self.options.n_epochs_decay + 1)
        if policy == "step":
            return 0.1 ** ((epoch - 1) // self.options.lr_decay_iters)
        if policy == "cosine":
            return _half_cosine(1, 0, (epoch - 1) / self.last_epoch)
        if policy == "one_cycle":
            passed = (epoch - 1 + done) / self.last_epoch
            if passed < RISE:
                return _half_cosine(FIRST, 1, passed / RISE)
            return _half_cosine(1, LAST, (passed - RISE) / (1 - RISE))
        return self._plateau.optimizer.param_groups[0]["lr"]

    def observe(self, loss: float) -> None:
        """The mean loss of the epoch that has just ended; only plateau listens."""
        self._plateau.step(loss)

    def state_dict(self) -> dict[str, Any]:
        """What `observe` has learnt."""
        scheduler = self._plateau
        return {
            "best": scheduler.best,
            "bad_epochs": scheduler.num_bad_epochs,
            "factor": scheduler.optimizer.param_groups[0]["lr"],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        self._plateau.best = state["best"]
        self._plateau.num_bad_epochs = state["bad_epochs"]
        self._plateau.optimizer.param_groups[0]["lr"] = state["factor"]


def _half_cosine(start: float, end: float, share: float) -> float:
    """From `start` to `end`, level at both."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
