"""The loop of a run: over epochs and steps, with what is saved and said on the way."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from torch import Tensor

from data.loader import Loader, naming_lost_readers
from models.base import Model
from options import TrainingOptions
from training.finite import FiniteWatch
from training.lock import RunLock
from training.messages import WAY_ON_ALONE, say, way_on, way_on_from_nan, way_on_with_less_memory
from training.monitor import Monitor
from training.position import Position
from training.restored import Progress
from training.run_folder import RunFolder
from training.samples import Sample
from training.schedule import Schedule
from training.validation import Validation
from util.batch import Batch
from util.distributed import naming_lost_processes, of_first, together
from util.errors import EXIT_STOPPED, UserError, WriteError, naming_want_of_memory
from util.seeding import seed_step
from util.stop import Stopped, StopSignals


@dataclass
class Training:
    """The loop over epochs and steps.

    farewell: the words after the last epoch; record: what run.json says; shown: the samples of the
    page; saved_step: of the last checkpoint.
    """

    options: TrainingOptions
    seed: int
    folder: RunFolder
    farewell: Callable[[], str]
    lock: RunLock
    record: Mapping[str, Any]
    schedule: Schedule
    model: Model
    loader: Loader
    shown: Sequence[Sample]
    validation: Validation | None
    progress: Progress
    monitor: Monitor
    saved_step: int | None
    finite: FiniteWatch = field(default_factory=FiniteWatch)
    stop: StopSignals = field(default_factory=StopSignals)

    @property
    def position(self) -> Position:
        """How far the run has come."""
        return self.progress.position

    def run(self) -> None:
        """All epochs from the current position to the last; the monitor is told how it ends."""
        try:
            self.run_epochs()
        except BaseException as error:
            left = isinstance(error, SystemExit | KeyboardInterrupt)
            with suppress(Exception):  # the page must not hide what is wrong
                self.monitor.close(self.position, "stopped" if left else f"failed: {error}")
            raise
        self.monitor.close(self.position, "finished")
        if self.validation:
            of_first(partial(self.folder.write_documents, self.validation.documents()))
            say(self.validation.closing_words())
        of_first(partial(self.folder.mark_finished, self.schedule.last_epoch))
        say(self.farewell())

    def run_epochs(self) -> None:
        """As `run`, without its end."""
        self.position.epoch_batches = len(self.loader)
        self.monitor.begin(self.position)
        # Closing too: torch tells of a reader that died at the end of any other.
        others = naming_lost_processes(WAY_ON_ALONE)
        with naming_lost_readers(), self.stop, closing(self.loader), others:
            while self.position.epoch <= self.schedule.last_epoch:
                self.run_epoch()
                self.end_epoch()
                self.monitor.epoch(self.position)

    def run_epoch(self) -> None:
        """The rest of the epoch, each step at the schedule's share of --lr."""
        clock = time.perf_counter()
        for batches in self.batches_of_steps():
            waited = time.perf_counter() - clock
            size = sum(batch.total for batch in batches)
            rate = self.schedule.factor(self.position.epoch, self.position.share_done)
            self.model.set_rate(rate)
            with naming_want_of_memory(
                f"a step on {batches[0]}",
                lighter=way_on_with_less_memory(self.saved_step, self.folder),
            ):
                losses = self.take_step(batches)
            self.position.advance(size, batches=len(batches))
            if losses:
                self.progress.watched.add({"loss": losses[self.model.watched_loss]})
                values = {
                    "lr": rate * self.model.options.lr,
                    "seconds_per_step": time.perf_counter() - clock,
                    "seconds_data": waited,
                    **losses,
                }
                if self.position.reached(self.options.print_freq, size):
                    self.check_finite()
                self.monitor.step(self.position, values, self.show_samples, size=size)
            if self.position.reached(self.options.save_latest_freq, size):
                self.save_or_say(self.save)
            clock = time.perf_counter()
        self.check_finite()
        self.monitor.losses(self.position)

    def batches_of_steps(self) -> Iterator[Sequence[Batch]]:
        """Those of the rest of the epoch, --accumulate at a time; the last step may have fewer."""
        batches = self.batches()
        while found := list(islice(batches, self.model.options.accumulate)):
            yield found

    def batches(self) -> Iterator[Batch]:
        """Those of the rest of the epoch. Raises UserError for a bad image.

        A signal saves and leaves: before the next one and, where it comes in a wait, at once.
        """
        found = self.loader.epoch(self.position.epoch, first_batch=self.position.batches)
        try:
            while True:
                with together(), self.stop.at_once():
                    batch = next(found, None)
                if batch is None:
                    return
                yield batch
        except Stopped as signal:
            self.save_and_leave(signal)
        except UserError as error:
            advice = way_on(self.saved_step, "(with --on_bad_image skip, without such images)")
            raise UserError(f"{error} {advice[0].upper()}{advice[1:]}.") from None

    def take_step(self, batches: Sequence[Batch]) -> Mapping[str, Tensor] | None:
        """The losses; None for a step that --on_nan skip has left out."""
        step = self.position.step + 1
        seed_step(self.seed, step)
        skipping = self.options.on_nan == "skip"
        before = deepcopy(self.model.state_dict()) if skipping else None
        losses = self.model.step(*batches)
        names = [name for batch in batches for name in batch.names]
        self.finite.add(step, names, losses, self.model.take_finite())
        if before is None:
            return losses
        found = self.finite.find()
        if found is None:
            self.position.skipped = 0
            return losses
        self.model.load_state_dict(before, source=f"the state before step {step}")
        self.position.skipped += 1
        if self.position.skipped > self.options.max_skips:
            raise UserError(
                f"{found}, the last of {self.position.skipped} such steps in a row; "
                f"{way_on_from_nan(self.saved_step, self.options)}."
            )
        say(f"step {step} is left out: {found}")
        return None

    def show_samples(self) -> list[Mapping[str, np.ndarray]]:
        """What the model makes of the samples now; none of a model that has nothing to show."""
        return [found for sample in self.shown if (found := sample.show(self.model))]

    def end_epoch(self) -> None:
        """What is done once an epoch, and the way to the next."""
        epoch = self.position.epoch
        last = epoch == self.schedule.last_epoch
        if self.validation and (last or epoch % self.options.val_freq == 0):
            self.validate(self.validation)
        if means := self.progress.watched.take():  # none where all steps were left out
            self.schedule.observe(means["loss"])
        self.position.next_epoch()
        if epoch % self.options.save_epoch_freq == 0:
            self.save_or_say(partial(self.save_epoch, epoch))
        if last:
            self.save()
        else:
            self.save_or_say(self.save)

    def validate(self, validation: Validation) -> None:
        """Measure at the end of an epoch, and keep the networks of the best one."""

        def measure() -> dict[str, float]:
            with self.stop.at_once():
                return validation.measure()

        self.monitor.validating(self.position)
        try:
            values = of_first(measure)
        except Stopped as signal:
            self.save_and_leave(signal)
        before = replace(self.progress.best)
        best = self.progress.best.offer(self.position.epoch, values, validation.score(values))
        if best and not self.save_or_say(self.save_best):
            self.progress.best, best = before, False
        self.monitor.validation(self.position, values, best=best)

    def save(self) -> None:
        """Everything that continuing needs, and each network alone.

        Raises what `make_ready` does, and WriteError; the last checkpoint stays.
        """

        def write() -> None:
            state = {
                **self.progress.state_dict(),
                "schedule": self.schedule.state_dict(),
                "model": self.model.state_dict(),
            }
            self.folder.save(state, self.model.exports())

        self.make_ready()
        of_first(write)
        self.saved_step = self.position.step

    def save_epoch(self, epoch: int) -> None:
        """Each network alone, under the number of an epoch that has ended."""

        def write() -> None:
            self.folder.save_networks(str(epoch), self.model.exports())
            if keep := self.options.keep_last:
                self.folder.keep_last(keep)

        self.make_ready()
        of_first(write)

    def save_best(self) -> None:
        """Each network alone, as the best so far."""

        def write() -> None:
            self.folder.save_best(self.model.exports(), asdict(self.progress.best))

        self.make_ready()
        of_first(write)

    def save_or_say(self, save: Callable[[], None]) -> bool:
        """Whether it could be written: if not, that costs a line, and the next save is tried."""
        try:
            save()
            return True
        except WriteError as error:
            step = self.position.step
            say(f"no checkpoint at step {step}: {error} The run goes on.")
            return False

    def make_ready(self) -> None:
        """Before anything is saved.

        Raises UserError once a number is not finite, or where the folder is now another run's.
        """
        self.check_finite()
        if not self.model.is_finite():
            raise UserError(
                f"weights became NaN or infinite up to step {self.position.step}; "
                f"{way_on_from_nan(self.saved_step, self.options)}."
            )
        of_first(self.keep_folder)

    def keep_folder(self) -> None:
        """A folder that somebody has removed or renamed is made anew."""
        if not self.lock.held:
            self.lock.take()
            self.folder.begin(self.record, continued=True)
            say(f"{self.folder.path} had vanished: made anew")

    def save_and_leave(self, signal: Stopped) -> None:
        """What SIGTERM and Ctrl-C ask for."""
        self.save()
        say(
            f"stopped by {signal} after step {self.position.step}, and saved: "
            "--continue_train goes on"
        )
        raise SystemExit(EXIT_STOPPED)

    def check_finite(self) -> None:
        """Raises UserError with a report if a loss or gradient was not finite."""
        if found := self.finite.find():
            raise UserError(f"{found}; {way_on_from_nan(self.saved_step, self.options)}.")
