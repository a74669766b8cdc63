"""Train one stage: `python train.py --dataroot DIR --name NAME --model cut`; see --help."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
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
from options import TrainConfig, continue_options, parse_train, to_dict
from util.device import select_device
from util.errors import UserError, run_main
from util.monitor import Monitor, RunningMeans
from util.position import Position
from util.run_folder import RunFolder
from util.schedule import Schedule
from util.seeding import seed_step


def main(argv: Sequence[str] | None = None) -> None:
    """Parse, build, resume, train."""
    config = parse_train(argv, MODEL_OPTIONS)
    folder = RunFolder.of(config.run.checkpoints_dir, config.run.name)
    state, maps = None, {}
    if config.training.continue_train:
        if config.run.epoch != "latest":
            raise UserError("a run goes on from its latest state; leave --epoch out.")
        state, record = folder.load_state(), folder.record()
        config = _continued(config, folder, record)
        maps = {role: ValueMap(**m) for role, m in record["value_maps"].items()}
    model_class, _ = MODELS[config.run.model]
    if config.data.dataset_mode not in model_class.dataset_modes:
        raise UserError(
            f"--model {config.run.model} cannot learn from --dataset_mode "
            f"{config.data.dataset_mode}; use {' or '.join(model_class.dataset_modes)}."
        )
    device = select_device(config.run.gpu_ids)
    schedule = Schedule(config.training)
    position = Position(**state["position"]) if state else Position(config.training.epoch_count)
    if position.epoch > schedule.last_epoch:
        _leave_finished(folder, schedule)
        return
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
    monitor = Monitor(
        config,
        folder,
        last_epoch=schedule.last_epoch,
        resume_step=position.step if state else None,
        preview=preview,
        write_image=write_image,
    )
    watched = RunningMeans.from_state(state["watched"]) if state else RunningMeans()
    loader, held_out = _loaders(config, dataset, validation)
    Training(config, folder, schedule, model, loader, held_out, position, monitor, watched).run()


def _loaders(
    config: TrainConfig, dataset: ImageDataset, validation: ImageDataset | None
) -> tuple[Loader, Loader | None]:
    data = config.data
    shared = {
        "batch_size": data.batch_size,
        "seed": config.run.seed,
        "num_threads": data.num_threads,
    }
    loader = Loader(dataset, shuffle=not data.serial_batches, **shared)
    return loader, Loader(validation, shuffle=False, **shared) if validation else None


def _continued(config: TrainConfig, folder: RunFolder, record: Mapping[str, Any]) -> TrainConfig:
    try:
        return continue_options(config, record["options"], MODEL_OPTIONS)
    except ValueError as error:
        raise UserError(f"{folder.path}: {error}.") from None


def _leave_finished(folder: RunFolder, schedule: Schedule) -> None:
    """Mark a run that was killed between its last save and its mark; otherwise a UserError."""
    if folder.finished_file.exists():
        raise UserError(
            f"the run {folder.path} is finished: all {schedule.last_epoch} epochs are done; "
            "raise --n_epochs or --n_epochs_decay (totals) to go on."
        )
    folder.mark_finished(schedule.last_epoch)
    print(f"finished: {folder.path}")


def _load_pretrained(model: Model, config: TrainConfig) -> None:
    name = config.training.pretrained_name
    source = RunFolder.of(config.run.checkpoints_dir, name, flag="--pretrained_name")
    networks = source.load_networks(config.run.epoch, list(model.networks))
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
    """The loop over epochs and steps."""

    config: TrainConfig
    folder: RunFolder
    schedule: Schedule
    model: Model
    loader: Loader
    held_out: Loader | None
    position: Position
    monitor: Monitor
    watched: RunningMeans  # the watched loss in this epoch

    def run(self) -> None:
        """All epochs from the current position to the last."""
        self.position.epoch_batches = len(self.loader)
        while self.position.epoch <= self.schedule.last_epoch:
            epoch = self.position.epoch
            self.run_epoch(self.schedule.factor(epoch))
            self.schedule.observe(self.watched.take()["loss"])
            if self.held_out:
                batches = (batch.to(self.model.device) for batch in self.held_out.epoch(0))
                self.monitor.validation(self.position, self.model.validate(batches))
            self.position.next_epoch()
            if epoch % self.config.training.save_epoch_freq == 0:
                self.folder.save_networks(str(epoch), self.model.exports())
            self.save()
        self.folder.mark_finished(self.schedule.last_epoch)
        self.monitor.close()
        print(f"finished: {self.folder.path}")

    def run_epoch(self, rate: float) -> None:
        """The rest of the epoch at `rate` times --lr."""
        self.model.set_rate(rate)
        clock = time.perf_counter()
        for batch in self.loader.epoch(self.position.epoch, first_batch=self.position.batches):
            waited = time.perf_counter() - clock
            seed_step(self.config.run.seed, self.position.step + 1)
            losses = self.model.training_step(batch.to(self.model.device))
            self.position.advance(len(batch.names))
            self.watched.add({"loss": losses[self.model.watched_loss]})
            values = {
                "lr": rate * self.config.model.lr,
                "seconds_per_step": time.perf_counter() - clock,
                "seconds_data": waited,
                **losses,
            }
            size = len(batch.names)
            self.monitor.step(self.position, values, self.model.visuals, size=size)
            if self.position.reached(self.config.training.save_latest_freq, size):
                self.save()
            clock = time.perf_counter()
        self.monitor.losses(self.position)

    def save(self) -> None:
        """Everything that continuing needs, and each network alone.

        Raises UserError, and keeps the last checkpoint, once the losses are not finite.
        """
        self.watched.check_finite(self.position.step)
        state = {
            "position": asdict(self.position),
            "schedule": self.schedule.state_dict(),
            "watched": self.watched.state_dict(),
            "model": self.model.state_dict(),
        }
        self.folder.save_state(state)
        self.folder.save_networks("latest", self.model.exports())


if __name__ == "__main__":
    run_main(main)
