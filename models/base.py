"""What every model offers to train.py."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from models.networks import load_weights
from options.groups import LearningOptions
from util.batch import Batch, DataFacts
from util.compute import Compute
from util.distributed import batch_mean, is_shared, scaled_for_average, sharing
from util.errors import UserError


@dataclass(frozen=True)
class Part:
    """One batch of a step. weight: share of its images in those of the step, in (0, 1]; first,
    last: whether it is the step's first and last one.
    """

    weight: float = 1.0
    first: bool = True
    last: bool = True


class Model(ABC):
    """Networks, their optimisers and one training step.

    dataset_modes: values of --dataset_mode that the model can be trained with.
    watched_loss: the loss whose mean over an epoch tells --lr_policy plateau of progress.
    """

    dataset_modes: ClassVar[tuple[str, ...]]
    watched_loss: ClassVar[str]

    def __init__(self, options: LearningOptions, *, compute: Compute, facts: DataFacts) -> None:
        self.options, self.compute, self.facts = options, compute, facts
        self.device = compute.device
        self.networks: dict[str, nn.Module] = {}
        self.optimisers: dict[str, torch.optim.Optimizer] = {}
        self.scalers: dict[str, torch.amp.GradScaler] = {}  # of the gradients, for fp16 alone
        self.notes: list[str] = []  # what the user should know of how the model was built
        self.teacher: str | None = None  # digest of a frozen network that takes part in the loss
        self._finite: Tensor | None = None  # as `take_finite` says
        self._part = Part()  # of the step, which is at work
        self._averagers: dict[str, DistributedDataParallel] = {}  # of gradients, over processes

    @staticmethod
    def flag_of_boxes(options: LearningOptions) -> str | None:
        """The flag that needs boxes of the targets in the batches; None where none does."""
        return None

    @staticmethod
    def reads_boxes(options: LearningOptions) -> bool:
        """Whether it uses boxes of the targets where there are any, without need of them."""
        return False

    @abstractmethod
    def training_step(self, batch: Batch) -> dict[str, Tensor]:
        """Update all networks once. Returns the losses by name, detached scalars.

        Of several processes each has rows of the batch, and a loss that is a mean over rows is one
        over its own. What is drawn, pooled or divided by is of the whole batch: `util.distributed`.
        """

    def step(self, *batches: Batch) -> dict[str, Tensor]:
        """One step on the batches of --accumulate, of each this process's rows.

        The networks change after the last one, by the mean gradient of all images. Returns the
        losses by name, detached scalars, means over all images, those of other processes too.
        """
        total = sum(batch.total for batch in batches)
        means: dict[str, Tensor] = {}
        for number, batch in enumerate(batches, 1):
            part = Part(batch.total / total, first=number == 1, last=number == len(batches))
            self._part = part
            self.compute.begin_step()
            with sharing(batch.share):
                losses = self._of_all_rows(self.training_step(batch))
            means = {n: means.get(n, 0.0) + part.weight * loss for n, loss in losses.items()}
        self._part = Part()
        if len(batches) > 1:
            for name in self.optimisers:
                self.descend(name)
        return means

    def _of_all_rows(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        if not is_shared():
            return losses
        wrong, *means = batch_mean(torch.stack([~self._finite, *losses.values()]))
        self._finite = wrong == 0
        return dict(zip(losses, means, strict=True))

    def samples(self, batch: Batch) -> dict[str, Tensor]:
        """Images (B, C, H, W) in [-1, 1] that show people what it makes of a batch, by name."""
        return {}

    def exports(self) -> dict[str, Any]:
        """What is saved by itself for other tools, one file a network."""
        return {name: net.state_dict() for name, net in self.networks.items()}

    def add_optimiser(self, name: str, *parts: nn.Module, weight_decay: float = 0.0) -> None:
        """One Adam for the parameters of all `parts`; AdamW where weights decay."""
        parameters = [p for part in parts for p in part.parameters()]
        betas = (self.options.beta1, self.options.beta2)
        self.optimisers[name] = torch.optim.Adam(
            parameters,
            lr=self.options.lr,
            betas=betas,
            weight_decay=weight_decay,
            decoupled_weight_decay=weight_decay > 0,
            fused=self.device.type != "mps",
        )
        self.scalers[name] = torch.amp.GradScaler(enabled=self.compute.precision == "fp16")

    def update(self, name: str, loss: Tensor) -> None:
        """One step of an optimiser down the gradient of `loss` in its own parameters alone.

        Where a step has several batches, each adds its gradient, and `step` takes it once all have:
        they see the same networks.
        """
        optimiser, scaler, part = self.optimisers[name], self.scalers[name], self._part
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        averager = self._averager(name, parameters) if is_shared() else None
        if part.first:
            optimiser.zero_grad(set_to_none=True)
        loss = part.weight * loss
        with averager.no_sync() if averager and not part.last else nullcontext():
            if averager:
                loss = averager(scaled_for_average(loss))
            # `inputs` spares the gradients of the networks that the loss only passes through.
            scaler.scale(loss).backward(inputs=parameters)
        # Infinite gradients are all in a day's work of the scaler, which skips and scales down.
        gradients = [p.grad for p in parameters if p.grad is not None]
        self.note_finite(loss, [] if scaler.is_enabled() else gradients)
        if part.first and part.last:
            self.descend(name)

    def descend(self, name: str) -> None:
        """Take an optimiser's step down the gradient that its parameters have."""
        scaler = self.scalers[name]
        scaler.step(self.optimisers[name])
        scaler.update()
        if scaler.is_enabled():  # a scale that fell so far has met NaN, which no scale mends
            # Not get_scale(), which waits for the device.
            self._finite = self._finite & (scaler._scale >= 1)

    def _averager(self, name: str, parameters: list[nn.Parameter]) -> DistributedDataParallel:
        """What averages the gradients of an optimiser, in the backward pass of what it is given."""
        if name not in self._averagers:
            # Told to look for parameters without a gradient, it keeps its buckets as they are: a
            # run that goes on adds up in the order of the one that was never stopped. All processes
            # have drawn or loaded the same weights, and these are part of a graph already.
            self._averagers[name] = DistributedDataParallel(
                _Loss(parameters),
                broadcast_buffers=False,
                init_sync=False,
                find_unused_parameters=True,
            )
        return self._averagers[name]

    def note_finite(self, loss: Tensor, gradients: list[Tensor]) -> None:
        """Remember, on the device, whether an update's loss and gradients are finite."""
        finite = torch.isfinite(loss.detach()) & torch.isfinite(_norm(gradients))
        self._finite = finite if self._finite is None else self._finite & finite

    def take_finite(self) -> Tensor:
        """Whether all updates since the last call had finite losses and gradients.

        A scalar bool on the device, which nobody has waited for yet.
        """
        finite, self._finite = self._finite, None
        return finite

    def is_finite(self) -> bool:
        """Whether no weight or buffer of a network is NaN or infinite; waits for the device."""
        states = [net.state_dict().values() for net in self.networks.values()]
        tensors = [t for state in states for t in state if t.is_floating_point()]
        return bool(torch.isfinite(_norm(tensors)))

    def set_rate(self, factor: float) -> None:
        """Learning rate of all optimisers: `factor` times --lr."""
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = self.options.lr * factor

    def state_dict(self) -> dict[str, Any]:
        """All that the next training step depends on."""
        return {
            "networks": {name: net.state_dict() for name, net in self.networks.items()},
            "optimisers": {name: opt.state_dict() for name, opt in self.optimisers.items()},
            "scalers": {name: scaler.state_dict() for name, scaler in self.scalers.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any], *, source: str) -> None:
        """Inverse of `state_dict`. Raises UserError for the state of another architecture."""
        self.load_networks(state["networks"], source=source)
        if state["optimisers"].keys() != self.optimisers.keys():
            raise UserError(f"{source} was saved by another model; continue it with its own flags.")
        for name, optimiser in self.optimisers.items():
            _load_moments(
                optimiser, state["optimisers"][name], source=f"{source}, optimiser {name},"
            )
            if scale := state["scalers"][name]:  # nothing where the run was not in fp16
                self.scalers[name].load_state_dict(scale)

    def load_networks(self, networks: Mapping[str, Any], *, source: str) -> None:
        """Take over the weights of all own networks that `networks` has; the rest stays as drawn.

        Raises UserError where none is there, or for another architecture.
        """
        shared = [name for name in self.networks if name in networks]
        if not shared:
            wanted = ", ".join(self.networks)
            raise UserError(f"{source} has none of the networks {wanted}; name another run.")
        for name in shared:
            load_weights(self.networks[name], networks[name], source=f"{source}, network {name},")


class _Loss(nn.Module):
    """A loss as the only output of what owns its parameters, whatever way it was computed."""

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        super().__init__()
        self.owned = nn.ParameterList(parameters)

    def forward(self, loss: Tensor) -> Tensor:
        return loss


def _load_moments(optimiser: torch.optim.Adam, saved: Any, *, source: str) -> None:
    """What Adam has learnt of the gradients; rates and decays are the options' of this run.

    Raises UserError for moments of other weights: fused Adam would go beyond them in memory.
    """
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    moments = saved.get("state") if isinstance(saved, Mapping) else None
    if not isinstance(moments, Mapping) or not all(
        place in range(len(parameters)) and _fit(parameters[place], known)
        for place, known in moments.items()
    ):
        raise UserError(
            f"{source} holds the moments of other weights; continue another checkpoint."
        )
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": dict(moments), "param_groups": groups})
    # In the memory layout of the weights here, which fused Adam goes by.
    for parameter, known in optimiser.state.items():
        for key in ("exp_avg", "exp_avg_sq"):
            known[key] = torch.empty_like(parameter.detach()).copy_(known[key])


def _fit(parameter: Tensor, moments: Any) -> bool:
    shapes = {"step": (), "exp_avg": parameter.shape, "exp_avg_sq": parameter.shape}
    return (
        isinstance(moments, Mapping)
        and moments.keys() == shapes.keys()
        and all(isinstance(x, Tensor) and x.is_floating_point() for x in moments.values())
        and all(moments[key].shape == shape for key, shape in shapes.items())
    )


def _norm(tensors: list[Tensor]) -> Tensor:
    """The Euclidean norm of all together; NaN or infinite where an element or its square is.

    Adam keeps the squares of gradients: infinite ones would end its work without a word.
    """
    return torch.nn.utils.get_total_norm(tensors)
