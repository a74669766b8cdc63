"""How a run begins: new, from the networks of another run, or where its checkpoint left it."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from data.build import build_training_datasets, build_validation_datasets
from data.datasets import ImageDataset
from data.fingerprint import digests, image_fingerprint
from data.loader import Loader
from data.value_map import ValueMap, recorded_maps
from data.views import view_of
from models import FITTED, MODEL_OPTIONS, flag_of_boxes, model_class, reads_boxes
from models.base import Model
from models.feedback import AttentionFeedback
from options import (
    DataOptions,
    RunOptions,
    TrainConfig,
    TrainingOptions,
    continue_options,
    option_table,
)
from options.groups import ClassifierOptions, FeedbackOptions, GanOptions
from options.recorded import differences, input_files, recorded_options
from training import messages
from training.classifier_validation import ClassifierValidation
from training.displays import require_packages
from training.fit import IDLE, fit
from training.lock import RunLock
from training.loop import Training
from training.loss_log import read_log
from training.monitor import Monitor, NoMonitor
from training.position import Position
from training.record import TRAINING_IMAGES, range_uses, run_record, this_start
from training.repeat import compared, repeated
from training.restored import Progress
from training.run_folder import RunFolder
from training.samples import fixed_samples
from training.schedule import Schedule
from training.sensor import load_sensor
from training.validation import HeldOut, Validation, build_validation
from util.checkpoint import digest
from util.compute import Compute, select_compute
from util.device import hardware, require_a_process_a_gpu, set_repeatability
from util.distributed import joined, of_first
from util.errors import UserError
from util.files import write_text
from util.ranks import is_first, processes, rank
from util.resume import ANOTHER_RUN, refuse_changed, refuse_other_inputs
from util.seeding import seed_step


def train(config: TrainConfig) -> None:
    """Begin a run or go on with it, to its end; its folder is locked meanwhile.

    Of several processes each calls this. Raises UserError for what the user can mend, SystemExit
    where a signal asks the run to stop.
    """
    on_cuda = config.run.gpu_ids != "-1" and torch.cuda.is_available()
    with joined(on_cuda=on_cuda, way_on=messages.WAY_ON_ALONE):
        require_a_process_a_gpu(config.run.gpu_ids)
        if config.training.like:
            config = repeated(config)
        folder = RunFolder.of(config.run.checkpoints_dir, config.run.name)
        with RunLock(folder.path) if is_first() else nullcontext() as lock:
            _train(config, folder, lock)


def _train(config: TrainConfig, folder: RunFolder, lock: RunLock | None) -> None:
    going_on = config.training.continue_train
    if config.run.resume:
        if going_on:
            raise UserError("--resume goes on where there is a run; leave --continue_train out.")
        going_on = of_first(partial(is_begun, config, folder))
        if of_first(folder.finished_file.exists):
            messages.say(messages.left_as_it_is(folder))
            return
    if config.run.model in FITTED:
        _require_one_process(config.run.model)
        fit(config, folder, lock)
    elif training := begin(config, folder, lock, going_on=going_on):
        training.run()


def _require_one_process(model: str) -> None:
    if processes() > 1:
        raise UserError(f"--model {model} is fitted at once, by one process; start it with python.")


def begin(
    config: TrainConfig, folder: RunFolder, lock: RunLock | None, *, going_on: bool
) -> Training | None:
    """A run ready to go or to go on; None where nothing was left but its mark.

    lock: of the first process, which alone writes into the folder.
    """
    start = of_first(partial(_continued, config, folder)) if going_on else Start(config)
    run, options = start.config.run, start.config.training
    start.require_fitting_mode()
    require_packages(start.config.display)
    set_repeatability(deterministic=options.deterministic)
    compute = select_compute(run.gpu_ids, run.precision, compiled=run.compile)
    schedule, progress = start.schedule(), start.progress()
    if progress.position.epoch > schedule.last_epoch:
        of_first(partial(_leave_finished, folder, start.config, schedule.last_epoch))
        return None
    images = start.images()
    model = start.model(compute, images.training, folder)
    validation = start.validation(model, images)
    if validation:
        progress.best = progress.best.go_on(phase=options.val_phase, judge=validation.judge)
    again = progress.position.regroup(start.images_a_batch, images_a_batch(start.config.data))
    record = of_first(partial(_take_folder, folder, lock, start, compute, images, model))
    if is_first():
        messages.say(
            lock.note,
            compared(start.config, record),
            messages.left_out(images.left_out),
            messages.networks_and_images(run, model, images.training),
            messages.images_a_batch(start.config.data, start.images_a_batch, again=again),
            messages.value_ranges(images.training, range_uses(images.training)),
            messages.held_out(images.held_out),
            messages.new_order(start.digests, record["images"]),
            messages.new_device(record["starts"]),
            messages.validated(options, validation, progress.best, teacher=model.teacher),
        )
    return Training(
        options=options,
        seed=run.seed,
        folder=folder,
        farewell=partial(_farewell, folder, start.config),  # not `start`: it holds the checkpoint
        lock=lock,
        record=record,
        schedule=schedule,
        model=model,
        loader=start.loader(images.training, model),
        shown=fixed_samples(images.training, model.device),
        validation=validation,
        progress=progress,
        monitor=start.monitor(folder, progress, last_epoch=schedule.last_epoch)
        if is_first()
        else NoMonitor(),
        saved_step=progress.position.step if start.state else None,
    )


def _take_folder(
    folder: RunFolder,
    lock: RunLock,
    start: "Start",
    compute: Compute,
    images: "RunImages",
    model: Model,
) -> dict[str, Any]:
    """What run.json says of the run from now on."""
    record = start.record(compute, images, teacher=model.teacher)
    record["processes"] = processes()
    lock.take()
    folder.begin(record, continued=start.state is not None)
    write_text(folder.path / "train_opt.txt", option_table(start.config))
    return record


def images_a_batch(data: DataOptions) -> int:
    """Those of all processes."""
    return data.batch_size * processes()


def is_begun(config: TrainConfig, folder: RunFolder, *, way: str = ANOTHER_RUN) -> bool:
    """Whether there is a run of these data, flags and inputs, finished or to go on with.

    way: what to do about one of others, which is a UserError. Nothing is decoded for that.
    """
    if not folder.has_state and not folder.finished_file.exists():
        return False
    record = folder.record()
    try:
        recorded = recorded_options(record["options"], MODEL_OPTIONS)
    except ValueError as error:
        raise UserError(f"{folder.path}: {error}; {way}.") from None
    changed = differences(recorded, config)
    if config.run.model in FITTED:
        changed = [change for change in changed if change.name not in IDLE]
        config = replace(config, training=TrainingOptions())
    refuse_changed(folder.path, changed, way=way)
    data = replace(config.data, cache="none", on_bad_image="error")
    now = Start.of_record(replace(config, data=data), record)
    inputs = now.inputs(now.images())
    refuse_other_inputs(folder.path, record.get("inputs"), inputs, way=way)
    return True


@dataclass(frozen=True)
class RunImages:
    """The images of a run.

    held_out: those with labels that are kept from training; validation: what --val_freq measures
    on, as `build_validation` takes them, () without.
    """

    training: ImageDataset
    held_out: ImageDataset | None
    validation: tuple[ImageDataset, ...]

    @property
    def left_out(self) -> dict[str, str]:
        """Images that none of them can use, path below the data root -> why."""
        found = dict(self.training.left_out)
        for dataset in self.validation:
            found |= dataset.left_out
        return found


@dataclass(frozen=True)
class Start:
    """What a run begins with, and the parts that are made of it, each of its own options.

    state: of the checkpoint it goes on from, None for a new run. value_maps, left_out, digests:
    what its last start has found in the data: by role, by path, and by role the names' digests;
    made_from: the `inputs` of then; starts: what it records of those before; changed: options that
    its last start had otherwise, as words; images_a_batch: of all its processes, None for a new
    run.
    """

    config: TrainConfig
    state: Mapping[str, Any] | None = None
    value_maps: Mapping[str, ValueMap] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    made_from: Mapping[str, str] = field(default_factory=dict)
    starts: Sequence[Mapping[str, Any]] = ()
    changed: Sequence[str] = ()
    images_a_batch: int | None = None

    @classmethod
    def of_record(
        cls, config: TrainConfig, record: Mapping[str, Any], state: Mapping[str, Any] | None = None
    ) -> "Start":
        """record: what run.json says; those of earlier versions lack some of it.

        Raises ValueError for options that this version does not know.
        """
        recorded = recorded_options(record["options"], MODEL_OPTIONS)
        return cls(
            config,
            state,
            value_maps=recorded_maps(record),
            left_out=record.get("left_out", {}),
            digests=record.get("images", {}),
            made_from=record.get("inputs", {}),
            starts=record.get("starts", ()),
            changed=[str(change) for change in differences(recorded, config)],
            images_a_batch=record["options"]["data"].get("batch_size", 1)
            * record.get("processes", 1),
        )

    @property
    def model_class(self) -> type[Model]:
        """That of --model."""
        return model_class(self.config.run.model)

    def require_fitting_mode(self) -> None:
        """Raises UserError for a model that cannot learn from --dataset_mode."""
        modes, mode = self.model_class.dataset_modes, self.config.data.dataset_mode
        if mode not in modes:
            raise UserError(
                f"--model {self.config.run.model} cannot learn from --dataset_mode {mode}; "
                f"use {' or '.join(modes)}."
            )

    def schedule(self) -> Schedule:
        """As the checkpoint left it."""
        schedule = Schedule(self.config.training)
        if self.state:
            schedule.load_state_dict(self.state["schedule"])
        return schedule

    def progress(self) -> Progress:
        """As the checkpoint left it, or none."""
        if self.state:
            return Progress.from_state(self.state)
        return Progress(Position(self.config.training.epoch_count))

    def images(self) -> RunImages:
        """Raises UserError for folders or labels that do not fit, and flags without effect."""
        config, options = self.config, self.config.training
        training, held_out = build_training_datasets(
            config.data,
            config.model,
            seed=config.run.seed,
            full_size_after=options.n_epochs,
            value_maps=self.value_maps,
            left_out=self.left_out,
            boxes_for=flag_of_boxes(config.run.model, config.model),
            read_boxes=self.sensor is not None or reads_boxes(config.run.model, config.model),
        )
        self._refuse_idle_flags(labelled=held_out is not None)
        if not options.val_freq:
            return RunImages(training, held_out, ())
        if held_out:
            return RunImages(training, held_out, (held_out,))
        validation = build_validation_datasets(
            config.data,
            config.model,
            phase=options.val_phase,
            seed=config.run.seed,
            value_maps=training.value_maps,
            left_out=training.left_out,
            read_boxes=self.sensor is not None,
        )
        return RunImages(training, held_out, validation)

    def _refuse_idle_flags(self, *, labelled: bool) -> None:
        given = self.config.given
        idle = sorted(given & {"val_phase", "val_classifier"})
        if idle and labelled:
            raise UserError(
                f"--{idle[0]} is for translations; --model {self.config.run.model} is validated on "
                "a share of its training images, --val_fraction: leave the flag out."
            )
        if idle and not self.config.training.val_freq and "val_freq" not in given:
            raise UserError(
                f"--{idle[0]} has no effect without --val_freq N, epochs between two validations; "
                "add it."
            )

    def inputs(self, images: RunImages) -> dict[str, str]:
        """Digests of all that the run is made from beside its flags, by their names for people."""
        found = {TRAINING_IMAGES: image_fingerprint(images.training)}
        if kept := images.validation or tuple(filter(None, [images.held_out])):
            found["validation images"] = image_fingerprint(*kept)
        files = input_files(self.config)
        contents = digests([Path(path) for path in files.values()])
        found |= {f"weights ({flag})": d for flag, d in zip(files, contents, strict=True)}
        run, pretrained = self.config.run, self.config.training.pretrained_name
        for flag, name, epoch in (
            ("--pretrained_name", pretrained, run.epoch),
            ("--sensor", self.sensor, "latest"),
        ):
            networks = f"networks ({flag})"
            if self.state is None and name:
                source = RunFolder.of(run.checkpoints_dir, name, flag=flag)
                found[networks] = source.fingerprint(epoch)
            elif networks in self.made_from:  # long since taken, and perhaps trained on
                found[networks] = self.made_from[networks]
        return found

    def record(self, compute: Compute, images: RunImages, *, teacher: str | None) -> dict[str, Any]:
        """What run.json says."""
        device = f"{hardware(compute.device)} in {compute.precision}"
        return run_record(
            self.config,
            images.training,
            starts=[*self.starts, this_start(device, changed=self.changed)],
            inputs=self.inputs(images),
            left_out=images.left_out,
            teacher=teacher,
        )

    @property
    def sensor(self) -> str | None:
        """The run of --sensor; None without, and of models that make no images."""
        return self.config.model.sensor if isinstance(self.config.model, GanOptions) else None

    def model(self, compute: Compute, dataset: ImageDataset, folder: RunFolder) -> Model:
        """As the run or --pretrained_name left it, or drawn from the seed and --sensor."""
        run, options = self.config.run, self.config.training
        seed_step(run.seed, 0)
        model = self.model_class(self.config.model, compute=compute, facts=dataset.facts())
        if self.state:
            model.load_state_dict(self.state["model"], source=str(folder.state_file))
            return model
        if self.sensor:
            load_sensor(model.generator.sensor, self.sensor, self.config, dataset.value_maps)
        before = self.sensor and digest(model.generator.sensor.state_dict())
        if options.pretrained_name:
            _load_pretrained(model, options.pretrained_name, run, dataset.value_maps)
        if self.sensor and digest(model.generator.sensor.state_dict()) != before:
            raise UserError(
                f"--pretrained_name {options.pretrained_name} learnt beside another sensor than "
                f"that of --sensor {self.sensor}; name the one that it was trained with."
            )
        if self.sensor:
            model.generator.targets_only.fill_(dataset.facts().sensed)
        return model

    def loader(self, dataset: ImageDataset, model: Model) -> Loader:
        """Batches on the model's device, of several processes this one's rows."""
        data = self.config.data
        return Loader(
            dataset,
            batch_size=data.batch_size,
            shuffle=not data.serial_batches,
            seed=self.config.run.seed,
            num_threads=data.num_threads,
            device=model.device,
            rank=rank(),
            processes=processes(),
        )

    def validation(self, model: Model, images: RunImages) -> Validation | None:
        """What tells which epoch is best; None without --val_freq."""
        if not images.validation:
            return None
        data, judge = self.config.data, self.config.training.val_classifier
        if images.held_out is None:
            return build_validation(model, images.validation, data, judge_file=judge)
        held_out = HeldOut.of(images.held_out, data, model.device)
        return ClassifierValidation(model, held_out, images.training)

    def monitor(self, folder: RunFolder, progress: Progress, *, last_epoch: int) -> Monitor:
        """What says and writes how the run goes."""
        run = self.config.run
        return Monitor(
            folder,
            self.config.display,
            run=run.name,
            facts={"model": run.model, "images": self.config.data.dataroot or ""},
            details={
                "Command": shlex.join(["python", *sys.argv]),
                "Options": option_table(self.config),
            },
            print_freq=self.config.training.print_freq,
            last_epoch=last_epoch,
            resume=progress.position if self.state else None,
            means=progress.shown,
            batch_size=images_a_batch(self.config.data),
        )


def _continued(config: TrainConfig, folder: RunFolder) -> Start:
    """The run of the folder, from its latest state on; flags that are given change its options."""
    if config.run.epoch != "latest" and not config.run.resume:
        raise UserError("a run goes on from its latest state; leave --epoch out.")
    state, note = folder.recover_state()
    record = folder.record()
    messages.say(note)
    try:
        # Other processes may have other shares of the same batch.
        free = {"batch_size"} if record.get("processes", 1) != processes() else set()
        if config.run.resume:  # which goes by the networks themselves
            free.add("pretrained_name")
        config = continue_options(config, record["options"], MODEL_OPTIONS, may_change=free)
    except ValueError as error:
        raise UserError(f"{folder.path}: {error}.") from None
    if isinstance(config.model, FeedbackOptions):
        _require_like_teacher(folder, config.model)
    return Start.of_record(config, record, state)


def _require_like_teacher(folder: RunFolder, options: FeedbackOptions) -> None:
    """Raises UserError for a teacher whose terms of the loss are not those of the run so far."""
    names, _ = read_log(folder.path / "loss_log.csv")
    if names and AttentionFeedback.reads_boxes(options) != ("G_class" in names):
        kind = "one of --netC attention" if "G_class" in names else "none of --netC attention"
        raise UserError(
            f"the teacher of {folder.path} was {kind}, and {options.classifier} is another kind; "
            "go on with the former, or begin another run with --pretrained_name."
        )


def _leave_finished(folder: RunFolder, config: TrainConfig, last_epoch: int) -> None:
    """Mark a run that was killed between its last save and its mark; otherwise a UserError."""
    if folder.finished_file.exists():
        raise UserError(
            f"the run {folder.path} is finished: all {last_epoch} epochs are done; "
            "raise --n_epochs or --n_epochs_decay (totals) to go on."
        )
    folder.mark_finished(last_epoch)
    messages.say(_farewell(folder, config))


def _farewell(folder: RunFolder, config: TrainConfig) -> str:
    """The words after the last epoch."""
    model = config.model
    chips = isinstance(model, ClassifierOptions) and view_of(model) == "chip"
    return messages.finished(folder, config.run, config.data, chips=chips)


def _load_pretrained(
    model: Model, name: str, run: RunOptions, value_maps: Mapping[str, ValueMap]
) -> None:
    source = RunFolder.of(run.checkpoints_dir, name, flag="--pretrained_name")
    networks = source.load_networks(run.epoch, list(model.networks))
    model.load_networks(networks, source=str(source.path))
    known = {}
    if (source.path / "run.json").exists():  # networks of other tools have none
        known = recorded_maps(source.record())
    fresh = sorted(model.networks.keys() - networks.keys())
    messages.say(
        messages.pretrained(source, taken=list(networks), fresh=fresh),
        messages.other_values(source, known, value_maps),
    )
