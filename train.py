"""Train one stage: `python train.py --dataroot DIR --name NAME --model cut`; see --help."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from hashlib import sha256
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor

from data.build import build_training_datasets, build_validation_datasets
from data.datasets import ImageDataset
from data.images import write_image
from data.loader import Loader, naming_lost_readers
from data.preview import preview
from data.range_use import RangeUse, measure_range_use, range_warnings
from data.value_map import ValueMap, recorded_maps
from metrics.validation import (
    Best,
    ClassifierValidation,
    PairedValidation,
    UnpairedValidation,
    Validation,
    build_validation,
)
from models import MODEL_OPTIONS, MODELS
from models.base import Model
from options import TrainConfig, continue_options, parse_train, to_dict
from util.batch import Batch
from util.compute import Compute, select_compute
from util.device import set_repeatability
from util.errors import EXIT_STOPPED, UserError, WriteError, run_main
from util.finite import FiniteWatch
from util.lock import RunLock
from util.monitor import Monitor, RunningMeans
from util.position import Position
from util.run_folder import RunFolder
from util.schedule import Schedule
from util.seeding import seed_step
from util.stop import Stopped, StopSignals

SHOWN_LEFT_OUT = 10  # bad images whose reasons are printed


def main(argv: Sequence[str] | None = None) -> None:
    """Parse, build, resume, train."""
    config = parse_train(argv, MODEL_OPTIONS)
    folder = RunFolder.of(config.run.checkpoints_dir, config.run.name)
    with RunLock(folder.path) as lock:
        training = prepare(config, folder, lock)
        if training:
            training.run()


@dataclass(frozen=True)
class Start:
    """What a run begins with.

    state: of the checkpoint it goes on from, None for a new run. value_maps, left_out, images: what
    its last start has found in the data: by role, by name, and as `_digests`.
    """

    config: TrainConfig
    state: Mapping[str, Any] | None = None
    value_maps: Mapping[str, ValueMap] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)


def prepare(config: TrainConfig, folder: RunFolder, lock: RunLock) -> "Training | None":
    """A run ready to go or to go on; None where nothing was left but its mark."""
    start = _continued(config, folder) if config.training.continue_train else Start(config)
    config, state = start.config, start.state
    _check_mode(config)
    set_repeatability(deterministic=config.training.deterministic)
    compute = select_compute(config.run.gpu_ids, config.run.precision, compiled=config.run.compile)
    schedule = Schedule(config.training)
    position = Position(**state["position"]) if state else Position(config.training.epoch_count)
    if position.epoch > schedule.last_epoch:
        _leave_finished(folder, schedule)
        return None
    dataset, held_out = build_training_datasets(
        config, value_maps=start.value_maps, left_out=start.left_out
    )
    model = _model(config, dataset, compute, folder, state)
    if state:
        schedule.load_state_dict(state["schedule"])
    validation = _validation(config, model, dataset, held_out, start.left_out)
    best = _best(config, validation, state)
    record = _record(config, dataset, model, start.left_out)
    uses = {role: measure_range_use(domain) for role, domain in dataset.domains.items()}
    lock.take()
    folder.begin(record, continued=state is not None)
    words = [
        lock.note,
        _left_out_summary(start.left_out),
        _summary(config, dataset, held_out, model, uses),
        _new_order(start.images, record["images"]),
        _validation_summary(config, validation, model, best),
    ]
    print(*filter(None, words), sep="\n", flush=True)
    return Training(
        config=config,
        folder=folder,
        lock=lock,
        record=record,
        schedule=schedule,
        model=model,
        loader=_loader(config, dataset, model.device),
        validation=validation,
        best=best,
        position=position,
        monitor=_monitor(config, folder, schedule, state),
        watched=_means(state, "watched"),
        saved_step=position.step if state else None,
    )


def _check_mode(config: TrainConfig) -> None:
    """Raises UserError for a model that cannot learn from --dataset_mode."""
    modes = MODELS[config.run.model][0].dataset_modes
    if config.data.dataset_mode not in modes:
        raise UserError(
            f"--model {config.run.model} cannot learn from --dataset_mode "
            f"{config.data.dataset_mode}; use {' or '.join(modes)}."
        )


def _continued(config: TrainConfig, folder: RunFolder) -> Start:
    """The run of the folder, from its latest state on; flags that are given change its options."""
    if config.run.epoch != "latest":
        raise UserError("a run goes on from its latest state; leave --epoch out.")
    state, note = folder.recover_state()
    record = folder.record()
    if note:
        print(note, flush=True)
    try:
        config = continue_options(config, record["options"], MODEL_OPTIONS)
    except ValueError as error:
        raise UserError(f"{folder.path}: {error}.") from None
    return Start(
        config,
        state,
        recorded_maps(record),
        # The records of earlier versions have neither.
        dict(record.get("left_out", {})),
        dict(record.get("images", {})),
    )


def _model(
    config: TrainConfig,
    dataset: ImageDataset,
    compute: Compute,
    folder: RunFolder,
    state: Mapping[str, Any] | None,
) -> Model:
    """As the run or --pretrained_name left it, or drawn from the seed."""
    model_class, _ = MODELS[config.run.model]
    seed_step(config.run.seed, 0)
    model = model_class(config.model, compute=compute, facts=dataset.facts())
    if state:
        model.load_state_dict(state["model"], source=str(folder.state_file))
    elif config.training.pretrained_name:
        _load_pretrained(model, config, dataset.value_maps)
    return model


def _loader(config: TrainConfig, dataset: ImageDataset, device: torch.device) -> Loader:
    return Loader(
        dataset,
        batch_size=config.data.batch_size,
        shuffle=not config.data.serial_batches,
        seed=config.run.seed,
        num_threads=config.data.num_threads,
        device=device,
    )


def _monitor(
    config: TrainConfig,
    folder: RunFolder,
    schedule: Schedule,
    state: Mapping[str, Any] | None,
) -> Monitor:
    return Monitor(
        config,
        folder,
        last_epoch=schedule.last_epoch,
        resume=Position(**state["position"]) if state else None,
        means=_means(state, "shown"),
        preview=preview,
        write_image=write_image,
    )


# How --val_freq measures a model, by --dataset_mode, and the method of the model that it calls.
VALIDATIONS: dict[str, tuple[type[Validation], Callable[[Any], Callable[..., Any]]]] = {
    "aligned": (PairedValidation, attrgetter("translate")),
    "unaligned": (UnpairedValidation, attrgetter("translate")),
    "labeled": (ClassifierValidation, attrgetter("validate")),
}


def _validation(
    config: TrainConfig,
    model: Model,
    dataset: ImageDataset,
    held_out: ImageDataset | None,
    left_out: dict[str, str],
) -> Validation | None:
    """What tells which epoch is best; None without --val_freq."""
    idle = sorted(config.given & {"val_phase", "val_classifier"})
    if idle and held_out:
        raise UserError(
            f"--{idle[0]} is for translations; --model {config.run.model} is validated on a share "
            "of its training images, --val_fraction: leave the flag out."
        )
    if not config.training.val_freq:
        if idle and "val_freq" not in config.given:
            raise UserError(
                f"--{idle[0]} has no effect without --val_freq N, epochs between two validations; "
                "add it."
            )
        return None
    kind, method = VALIDATIONS[config.data.dataset_mode]
    datasets = (held_out,)
    if not held_out:
        datasets = build_validation_datasets(
            config, value_maps=dataset.value_maps, left_out=left_out
        )
    return build_validation(
        kind,
        method(model),
        datasets,
        config,
        value_range=model.facts.value_range,
        device=model.device,
    )


def _best(
    config: TrainConfig, validation: Validation | None, state: Mapping[str, Any] | None
) -> Best:
    """The best epoch of the run until now. Raises UserError where it was measured otherwise."""
    best = Best(**state["best"]) if state and "best" in state else Best()
    if validation is None:
        return best
    return best.go_on(phase=config.training.val_phase, judge=validation.judge)


def _means(state: Mapping[str, Any] | None, name: str) -> RunningMeans:
    return RunningMeans.from_state(state[name]) if state and name in state else RunningMeans()


def _leave_finished(folder: RunFolder, schedule: Schedule) -> None:
    """Mark a run that was killed between its last save and its mark; otherwise a UserError."""
    if folder.finished_file.exists():
        raise UserError(
            f"the run {folder.path} is finished: all {schedule.last_epoch} epochs are done; "
            "raise --n_epochs or --n_epochs_decay (totals) to go on."
        )
    folder.mark_finished(schedule.last_epoch)
    print(f"finished: {folder.path}")


def _load_pretrained(model: Model, config: TrainConfig, value_maps: Mapping[str, ValueMap]) -> None:
    name = config.training.pretrained_name
    source = RunFolder.of(config.run.checkpoints_dir, name, flag="--pretrained_name")
    networks = source.load_networks(config.run.epoch, list(model.networks))
    model.load_networks(networks, source=str(source.path))
    fresh = sorted(model.networks.keys() - networks.keys())
    print(f"start from {source.path}: {', '.join(networks)}" + f"; new: {fresh}" * bool(fresh))
    if not (source.path / "run.json").exists():  # networks of other tools
        return
    for role, known in recorded_maps(source.record()).items():
        if (own := value_maps.get(role)) and own != known:
            print(f"{source.path} learnt other values of {role}: {known}, now {own}")


def _record(
    config: TrainConfig, dataset: ImageDataset, model: Model, left_out: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "options": to_dict(config),
        "value_maps": {role: m.record() for role, m in dataset.value_maps.items()},
        "classes": list(dataset.classes),
        "images": _digests(dataset),
        "teacher": model.teacher,
        "left_out": left_out,
    }


def _digests(dataset: ImageDataset) -> dict[str, str]:
    """Of the names of the images, by role: what the order of a run follows from."""
    names = {role: "\n".join(f.name for f in d.files) for role, d in dataset.domains.items()}
    return {role: sha256(os.fsencode(text)).hexdigest() for role, text in names.items()}


def _left_out_summary(left_out: Mapping[str, str]) -> str:
    if not left_out:
        return ""
    lines = [f"{len(left_out)} bad images are left out, with their partners (all in run.json):"]
    lines += [f"  {name}: {why}" for name, why in list(left_out.items())[:SHOWN_LEFT_OUT]]
    return "\n".join(lines + ["  ..."] * (len(left_out) > SHOWN_LEFT_OUT))


def _new_order(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """A line for each role whose images, by their digests, are not those of the last start."""
    return "\n".join(
        f"{role}: the images are not those of the start before, and their order is another one"
        for role, digest in now.items()
        if before.get(role, digest) != digest
    )


def _validation_summary(
    config: TrainConfig, validation: Validation | None, model: Model, best: Best
) -> str:
    if validation is None:
        return ""
    options = config.training
    by = f", judged by {options.val_classifier}" if validation.judge else ""
    lines = [f"--val_freq {options.val_freq}: {validation.note}{by}"]
    if validation.judge and best.measured_by["classifier"] == model.teacher:
        lines.append(
            "the classifier that validates is the one in the loss: it praises what it taught; "
            "train another for --val_classifier"
        )
    return "\n".join(lines)


def _summary(
    config: TrainConfig,
    dataset: ImageDataset,
    held_out: ImageDataset | None,
    model: Model,
    uses: Mapping[str, RangeUse],
) -> str:
    sizes = {n: sum(p.numel() for p in net.parameters()) for n, net in model.networks.items()}
    parts = ", ".join(f"{name} {size / 1e6:.2f} M" for name, size in sizes.items())
    images = ", ".join(f"{len(d.files)} images {role}" for role, d in dataset.domains.items())
    lines = [
        f"{config.run.name}: {config.run.model} on {model.compute}, {images}; parameters: {parts}"
    ]
    lines += model.notes + dataset.notes()
    for role, domain in dataset.domains.items():
        lines.append(f"{role}: {domain.value_map} -> [-1, 1]")
        lines += range_warnings(role, uses[role])
    if held_out:
        lines.append(f"{len(held_out)} images are held out for validation {held_out.note}")
    return "\n".join(lines)


@dataclass
class Training:
    """The loop over epochs and steps.

    record: what run.json says; watched: the watched loss in this epoch; saved_step: of the last
    checkpoint.
    """

    config: TrainConfig
    folder: RunFolder
    lock: RunLock
    record: Mapping[str, Any]
    schedule: Schedule
    model: Model
    loader: Loader
    validation: Validation | None
    best: Best
    position: Position
    monitor: Monitor
    watched: RunningMeans
    saved_step: int | None
    finite: FiniteWatch = field(default_factory=FiniteWatch)
    stop: StopSignals = field(default_factory=StopSignals)

    def run(self) -> None:
        """All epochs from the current position to the last."""
        self.position.epoch_batches = len(self.loader)
        self.monitor.begin(self.position)
        # Closing too: torch tells of a reader that died at the end of any other.
        with naming_lost_readers(), closing(self.loader), self.stop:
            while self.position.epoch <= self.schedule.last_epoch:
                self.run_epoch(self.schedule.factor(self.position.epoch))
                self.end_epoch()
                self.monitor.epoch(self.position)
        self.monitor.close()
        self.folder.mark_finished(self.schedule.last_epoch)
        print(f"finished: {self.folder.path}")

    def run_epoch(self, rate: float) -> None:
        """The rest of the epoch at `rate` times --lr."""
        self.model.set_rate(rate)
        clock = time.perf_counter()
        for batch in self.batches():
            waited, size = time.perf_counter() - clock, len(batch.names)
            losses = self.take_step(batch)
            self.position.advance(size)
            if losses:
                self.watched.add({"loss": losses[self.model.watched_loss]})
                values = {
                    "lr": rate * self.config.model.lr,
                    "seconds_per_step": time.perf_counter() - clock,
                    "seconds_data": waited,
                    **losses,
                }
                if self.position.reached(self.config.training.print_freq, size):
                    self.check_finite()
                self.monitor.step(self.position, values, self.model.visuals, size=size)
            if self.stop.received:
                self.save_and_leave()
            if self.position.reached(self.config.training.save_latest_freq, size):
                self.save_or_say(self.save)
            clock = time.perf_counter()
        self.check_finite()
        self.monitor.losses(self.position)

    def batches(self) -> Iterator[Batch]:
        """Those of the rest of the epoch. Raises UserError for a bad image."""
        try:
            yield from self.loader.epoch(self.position.epoch, first_batch=self.position.batches)
        except UserError as error:
            way_on = self._way_on("(with --on_bad_image skip, without such images)")
            raise UserError(f"{error} {way_on[0].upper()}{way_on[1:]}.") from None

    def take_step(self, batch: Batch) -> Mapping[str, Tensor] | None:
        """The losses; None for a step that --on_nan skip has left out."""
        step = self.position.step + 1
        seed_step(self.config.run.seed, step)
        skipping = self.config.training.on_nan == "skip"
        before = deepcopy(self.model.state_dict()) if skipping else None
        self.model.compute.begin_step()
        losses = self.model.training_step(batch)
        self.finite.add(step, batch.names, losses, self.model.take_sound())
        if before is None:
            return losses
        found = self.finite.find()
        if found is None:
            self.position.skipped = 0
            return losses
        self.model.load_state_dict(before, source=f"the state before step {step}")
        self.position.skipped += 1
        if self.position.skipped > self.config.training.max_skips:
            raise UserError(
                f"{found}, the last of {self.position.skipped} such steps in a row; "
                f"{self._lower_rate()}."
            )
        print(f"step {step} is left out: {found}", flush=True)
        return None

    def end_epoch(self) -> None:
        """What is done once an epoch, and the way to the next."""
        epoch, options = self.position.epoch, self.config.training
        if self.validation and epoch % options.val_freq == 0:
            self.validate(self.validation)
        if means := self.watched.take():  # none where --on_nan skip has left out every step
            self.schedule.observe(means["loss"])
        self.position.next_epoch()
        if epoch % options.save_epoch_freq == 0:
            self.save_or_say(partial(self.save_epoch, epoch))
        if epoch == self.schedule.last_epoch:
            self.save()
        else:
            self.save_or_say(self.save)

    def validate(self, validation: Validation) -> None:
        """Measure at the end of an epoch, and keep the networks of the best one."""
        try:
            with self.stop.at_once():
                values = validation.measure()
        except Stopped:
            self.save_and_leave()
        before = replace(self.best)
        best = self.best.offer(self.position.epoch, values, validation.score(values))
        if best and not self.save_or_say(self.save_best):
            self.best, best = before, False
        self.monitor.validation(self.position, values, best=best)

    def save(self) -> None:
        """Everything that continuing needs, and each network alone.

        Raises what `make_ready` does, and WriteError; the last checkpoint stays.
        """
        self.make_ready()
        state = {
            "position": asdict(self.position),
            "schedule": self.schedule.state_dict(),
            "watched": self.watched.state_dict(),
            "shown": self.monitor.means.state_dict(),
            "best": asdict(self.best),
            "model": self.model.state_dict(),
        }
        self.folder.save(state, self.model.exports())
        self.saved_step = self.position.step

    def save_epoch(self, epoch: int) -> None:
        """Each network alone, under the number of an epoch that has ended."""
        self.make_ready()
        self.folder.save_networks(str(epoch), self.model.exports())
        if keep := self.config.training.keep_last:
            self.folder.keep_last(keep)

    def save_best(self) -> None:
        """Each network alone, as the best so far."""
        self.make_ready()
        self.folder.save_best(self.model.exports(), asdict(self.best))

    def save_or_say(self, save: Callable[[], None]) -> bool:
        """Whether it could be written: if not, that costs a line, and the next save is tried."""
        try:
            save()
            return True
        except WriteError as error:
            step = self.position.step
            print(f"no checkpoint at step {step}: {error} The run goes on.", flush=True)
            return False

    def make_ready(self) -> None:
        """Before anything is saved. A folder that somebody has removed or renamed is made anew.

        Raises UserError once a number is not finite, or where the folder is now another run's.
        """
        self.check_finite()
        if not self.model.is_finite():
            raise UserError(
                f"weights became NaN or infinite up to step {self.position.step}; "
                f"{self._lower_rate()}."
            )
        if not self.lock.held:
            self.lock.take()
            self.folder.begin(self.record, continued=True)
            print(f"{self.folder.path} had vanished: made anew", flush=True)

    def save_and_leave(self) -> None:
        """What SIGTERM and Ctrl-C ask for."""
        self.save()
        print(
            f"stopped by {self.stop.received} after step {self.position.step}, and saved: "
            "--continue_train goes on",
            flush=True,
        )
        raise SystemExit(EXIT_STOPPED)

    def check_finite(self) -> None:
        """Raises UserError with a report if a loss or gradient was not finite."""
        if found := self.finite.find():
            raise UserError(f"{found}; {self._lower_rate()}.")

    def _lower_rate(self) -> str:
        advice = "with a lower --lr"
        if self.config.training.on_nan == "stop":
            advice += ", or leave such steps out (--on_nan skip)"
        return self._way_on(advice)

    def _way_on(self, advice: str) -> str:
        if self.saved_step is None:
            return f"there is no checkpoint yet: start again {advice}"
        return f"the checkpoint of step {self.saved_step} is good: --continue_train {advice}"


if __name__ == "__main__":
    run_main(main, patient=True)
