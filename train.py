"""Train one stage: `python train.py --dataroot DIR --name NAME --model cut`; see --help."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from data import build_training_datasets
from data.datasets import ImageDataset
from data.images import write_image
from data.loader import Loader
from data.preview import preview
from data.value_map import ValueMap
from models import MODEL_OPTIONS, MODELS
from models.base import Model
from options import TrainConfig, parse_train, to_dict
from util.batch import Batch
from util.device import select_device
from util.display import LiveView
from util.errors import UserError, run_main
from util.loss_log import LossLog, format_losses
from util.run_folder import RunFolder
from util.schedule import Schedule
from util.seeding import seed_step
from util.training_page import TrainingPage


@dataclass
class Position:
    """How far a run has come: everything random follows from it and the seed."""

    epoch: int
    batches: int = 0  # of this epoch
    step: int = 0  # of the whole run
    images: int = 0  # of the whole run


def main(argv: Sequence[str] | None = None) -> None:
    """Parse, build, resume, train."""
    config = parse_train(argv, MODEL_OPTIONS)
    model_class, _ = MODELS[config.run.model]
    if config.data.dataset_mode not in model_class.dataset_modes:
        raise UserError(
            f"--model {config.run.model} cannot learn from --dataset_mode "
            f"{config.data.dataset_mode}; use {' or '.join(model_class.dataset_modes)}."
        )
    device = select_device(config.run.gpu_ids)
    folder = RunFolder.of(config.run.checkpoints_dir, config.run.name)
    schedule = Schedule(config.training)
    state = folder.load_state() if config.training.continue_train else None
    position = _position(config, schedule, state)
    maps = {r: ValueMap(**m) for r, m in folder.record()["value_maps"].items()} if state else {}
    dataset, validation = build_training_datasets(config, value_maps=maps)
    seed_step(config.run.seed, 0)
    model = model_class(config.model, device=device, facts=dataset.facts())
    if state:
        model.load_state_dict(state["model"], source=str(folder.state_file))
        schedule.load_state_dict(state["schedule"])
    elif config.training.pretrained_name:
        _load_pretrained(model, config)
    folder.begin(_record(config, dataset), continued=state is not None)
    print(_summary(config, dataset, validation, model, device), flush=True)
    Training(config, folder, schedule, model, dataset, validation, position).run()


def _position(config: TrainConfig, schedule: Schedule, state: dict[str, Any] | None) -> Position:
    if state is None:
        return Position(epoch=config.training.epoch_count)
    position = Position(**state["position"])
    if position.epoch > schedule.last_epoch:
        raise UserError(
            f"the run {config.run.name} is finished: all {schedule.last_epoch} epochs are done; "
            "raise --n_epochs or --n_epochs_decay (totals) to go on."
        )
    return position


def _load_pretrained(model: Model, config: TrainConfig) -> None:
    name = config.training.pretrained_name
    source = RunFolder.of(config.run.checkpoints_dir, name, flag="--pretrained_name")
    networks = source.load_networks("latest", list(model.networks))
    model.load_networks(networks, source=str(source.path))
    fresh = sorted(model.networks.keys() - networks.keys())
    print(f"start from {source.path}: {', '.join(networks)}" + f"; new: {fresh}" * bool(fresh))


def _record(config: TrainConfig, dataset: ImageDataset) -> dict[str, Any]:
    maps = {role: asdict(value_map) for role, value_map in dataset.value_maps.items()}
    return {"options": to_dict(config), "value_maps": maps, "classes": list(dataset.classes)}


def _summary(
    config: TrainConfig,
    dataset: ImageDataset,
    validation: ImageDataset | None,
    model: Model,
    device: torch.device,
) -> str:
    sizes = {n: sum(p.numel() for p in net.parameters()) for n, net in model.networks.items()}
    parts = ", ".join(f"{name} {size / 1e6:.2f} M" for name, size in sizes.items())
    images = ", ".join(f"{len(d.files)} images {role}" for role, d in dataset.domains.items())
    lines = [f"{config.run.name}: {config.run.model} on {device}, {images}; parameters: {parts}"]
    lines += model.notes
    if validation:
        lines.append(f"{len(validation)} images are held out for validation {validation.note}")
    return "\n".join(lines)


@dataclass
class Training:
    """The loop over epochs and steps, and what it leaves on its way."""

    config: TrainConfig
    folder: RunFolder
    schedule: Schedule
    model: Model
    dataset: ImageDataset
    validation: ImageDataset | None
    position: Position
    means: "RunningMeans" = field(default_factory=lambda: RunningMeans())

    def __post_init__(self) -> None:
        run, data, display = self.config.run, self.config.data, self.config.display
        shared = {"batch_size": data.batch_size, "seed": run.seed, "num_threads": data.num_threads}
        self.loader = Loader(self.dataset, shuffle=not data.serial_batches, **shared)
        self.held_out = self.validation and Loader(self.validation, shuffle=False, **shared)
        resumed = self.position.step if self.config.training.continue_train else None
        self.log = LossLog(self.folder.path / "loss_log.csv", resume_step=resumed)
        self.validation_log = self.held_out and LossLog(
            self.folder.path / "validation_log.csv", resume_step=resumed
        )
        self.page = (
            None
            if display.no_html
            else TrainingPage(
                self.folder.path / "web",
                title=f"{run.name}: training",
                facts={"model": run.model, "images": data.dataroot or ""},
                write_image=write_image,
            )
        )
        self.live = None
        if display.display_id > 0:
            self.live = LiveView(display.display_server, display.display_port, display.display_env)

    def run(self) -> None:
        """All epochs from the current position to the last."""
        for epoch in range(self.position.epoch, self.schedule.last_epoch + 1):
            self.model.set_rate(self.schedule.factor(epoch))
            epoch_loss = self.run_epoch(epoch)
            self.schedule.observe(epoch_loss)
            self.validate(epoch)
            self.position.epoch, self.position.batches = epoch + 1, 0
            self.save("latest")
            if epoch % self.config.training.save_epoch_freq == 0:
                self.folder.save_networks(str(epoch), self.model.exports())
        if self.page:
            self.page.update(finished=True)
        if self.live:
            self.live.close(timeout=5)
        self.folder.finished_file.write_text(f"{self.schedule.last_epoch} epochs\n")
        print(f"finished: {self.folder.path}")

    def run_epoch(self, epoch: int) -> float:
        """The rest of one epoch. Returns the mean of the watched loss."""
        training, display = self.config.training, self.config.display
        watched = RunningMeans()
        clock = time.perf_counter()
        for batch in self.loader.epoch(epoch, first_batch=self.position.batches):
            waited = time.perf_counter() - clock
            seed_step(self.config.run.seed, self.position.step + 1)
            losses = self.model.training_step(batch.to(self.model.device))
            watched.add({self.model.watched_loss: losses[self.model.watched_loss]})
            self.advance(batch)
            timing = {"seconds_per_step": time.perf_counter() - clock, "seconds_data": waited}
            self.means.add({**timing, **losses})
            size = len(batch.names)
            if self.due(training.print_freq, size):
                self.log_losses(epoch)
            if self.due(display.display_freq, size):
                self.show_samples(epoch)
            if self.page and self.due(display.update_html_freq, size):
                self.page.update()
            if self.due(training.save_latest_freq, size):
                self.save("latest")
            clock = time.perf_counter()
        self.log_losses(epoch)
        return watched.take().get(self.model.watched_loss, 0.0)

    def advance(self, batch: Batch) -> None:
        """One batch further."""
        self.position.step += 1
        self.position.batches += 1
        self.position.images += len(batch.names)

    def due(self, every: int, size: int) -> bool:
        """Whether the last batch of `size` images reached a multiple of `every` images."""
        return self.position.images // every > (self.position.images - size) // every

    def log_losses(self, epoch: int) -> None:
        """Means since the last call: to the console, the log and the live view."""
        values = self.means.take()
        if not values:
            return
        values = {"lr": self.config.model.lr * self.schedule.factor(epoch), **values}
        print(
            format_losses(epoch, self.schedule.last_epoch, self.position.step, values), flush=True
        )
        self.log.append(epoch, self.position.step, values)
        if self.live:
            self.live.losses(epoch - 1 + self.position.batches / len(self.loader), values)

    def show_samples(self, epoch: int) -> None:
        """The first image of the last batch: to the page and the live view."""
        images = {name: preview(batch[0]) for name, batch in self.model.visuals().items()}
        if images and self.page:
            self.page.add(epoch, self.position.images, images)
        if images and self.live:
            self.live.images(images)

    def validate(self, epoch: int) -> None:
        """Held-out images through the model, where there are any."""
        if not self.held_out:
            return
        batches = (batch.to(self.model.device) for batch in self.held_out.epoch(0))
        values = self.model.validate(batches)
        self.validation_log.append(epoch, self.position.step, values)
        shown = ", ".join(f"{name} {value:.3f}" for name, value in values.items())
        print(f"epoch {epoch}: validation {shown}", flush=True)

    def save(self, label: str) -> None:
        """Everything, under `label`."""
        state = {
            "position": asdict(self.position),
            "schedule": self.schedule.state_dict(),
            "model": self.model.state_dict(),
        }
        self.folder.save_state(state)
        self.folder.save_networks(label, self.model.exports())


class RunningMeans:
    """Means of named values since they were last taken; tensors stay on their device until then."""

    def __init__(self) -> None:
        self.sums: dict[str, torch.Tensor | float] = {}
        self.count = 0

    def add(self, values: dict[str, torch.Tensor | float]) -> None:
        """One more of each."""
        self.sums = {name: self.sums.get(name, 0.0) + value for name, value in values.items()}
        self.count += 1

    def take(self) -> dict[str, float]:
        """The means, and start anew; {} if nothing was added."""
        means = {name: float(total) / self.count for name, total in self.sums.items()}
        self.sums, self.count = {}, 0
        return means


if __name__ == "__main__":
    run_main(main)
