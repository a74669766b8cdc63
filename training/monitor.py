"""What a training run shows and logs on its way: console, CSV, displays."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
from torch import Tensor

from options import DisplayOptions
from training.display import RUNNING, Display, Standing
from training.displays import open_displays
from training.live_line import LiveLine, on_terminal
from training.loss_log import CLOCK_AND_RATE, LossLog, PublicLossLog, format_losses
from training.means import RunningMeans
from training.messages import say
from training.position import Position
from training.run_folder import RunFolder
from util.errors import WriteError

UPDATE_SECONDS = 60.0  # from one page to the next, where --update_html_freq asks for none
LEAST_SILENCE = 300.0  # seconds without a new page, before which no run is thought dead
VALIDATION = 3600.0  # the same while it validates, which writes nothing and may take long


class Monitor:
    """Takes the losses of every step, and says and writes as often as the options ask for.

    run: its name. facts, details: of the page. print_freq: --print_freq. resume: where a continued
    run goes on; None for a new run. means: of its losses that were not yet said. batch_size:
    of all processes. clock: seconds. A file that cannot be written costs a line on the console,
    never the run.
    """

    def __init__(
        self,
        folder: RunFolder,
        display: DisplayOptions,
        *,
        run: str,
        facts: Mapping[str, str],
        details: Mapping[str, str],
        print_freq: int,
        last_epoch: int,
        resume: Position | None,
        means: RunningMeans,
        batch_size: int,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.clock = clock
        self.display, self.print_freq, self.last_epoch = display, print_freq, last_epoch
        self.means = means
        self.line = LiveLine() if on_terminal() else None
        self.rate: float | None = None  # as last said
        self.failing: set[str] = set()  # what cannot be written at present
        behind = _steps_behind(resume, waiting=bool(means.count))
        self.log = LossLog(folder.path / "loss_log.csv", resume_step=behind["losses"])
        self.public_log = PublicLossLog(
            folder.path / "loss_log.txt", batch_size=batch_size, continued=resume is not None
        )
        self.validation_log = LossLog(
            folder.path / "validation_log.csv", resume_step=behind["validation"]
        )
        self.displays = open_displays(
            display,
            folder.path,
            run=run,
            facts=facts,
            details=details,
            logs={"losses": self.log.path, "validation": self.validation_log.path},
            resume_steps=behind,
            images_behind=resume.images if resume else 0,
        )

    def step(
        self,
        position: Position,
        losses: Mapping[str, Tensor | float],
        samples: Callable[[], Sequence[Mapping[str, np.ndarray]]],
        *,
        size: int,
    ) -> None:
        """After each step. losses: scalars; samples: gives what `samples` takes; size: B."""
        self.means.add(losses)
        if self.line:
            self.line.show(self.progress(position, ended=False))
        if position.reached(self.print_freq, size):
            self.losses(position)
        last = position.epoch == self.last_epoch and position.share_done == 1
        if self.displays and (position.reached(self.display.display_freq, size) or last):
            self.samples(position, samples())
        due = self.clock() - self.updated > UPDATE_SECONDS
        if due or position.reached(self.display.update_html_freq, size):
            self.update(position, RUNNING)

    def losses(self, position: Position) -> None:
        """Means since the last call; nothing if there was no step."""
        values = self.means.take()
        if not values:
            return
        self.rate = values.get("lr")
        if self.line:
            self.line.measured(values)
        else:
            say(format_losses(position.epoch, self.last_epoch, position.step, values))
        with self._or_say("the loss log"):
            self.log.append(position.epoch, position.step, values)
        with self._or_say("loss_log.txt"):
            self.public_log.append(position.epoch, position.batches, values)
        shown = {name: v for name, v in values.items() if name not in CLOCK_AND_RATE}
        self._show("losses", lambda display: display.losses(position, shown))

    def samples(self, position: Position, samples: Sequence[Mapping[str, np.ndarray]]) -> None:
        """As of Display; nothing where there are none."""
        if samples:
            self._show("sample images", lambda display: display.samples(position, samples))

    def update(self, position: Position, state: str, *, silence: float = LEAST_SILENCE) -> None:
        """Show how the run stands. state: RUNNING, or how it has ended; silence: seconds that may
        pass until the next time, at least.
        """
        if not self.displays:
            return
        now = self.clock()
        silence = max(silence, 4 * (now - self.updated))
        self.updated = now
        facts = self.progress(position, ended=state != RUNNING)
        standing = Standing(state, time.time(), silence, facts)
        self._show("how the run stands", lambda display: display.update(standing))

    def progress(self, position: Position, *, ended: bool) -> dict[str, str]:
        """How far the run is and how fast, for people."""
        epoch = min(position.epoch, self.last_epoch)
        facts = {"epoch": f"{epoch}/{self.last_epoch}", "step": f"{position.step:,}"}
        took, done = self.clock() - self.began, position.epochs_done - self.began_at
        if done > 0 and took > 0:
            if not ended:
                facts["to go"] = _duration((self.last_epoch - position.epochs_done) * took / done)
            facts["speed"] = f"{(position.images - self.images_at) / took:.3g} images/s"
        if self.rate is not None:
            facts["learning rate"] = f"{self.rate:.3g}"
        return facts

    def validating(self, position: Position) -> None:
        """A validation begins."""
        self.update(position, RUNNING, silence=VALIDATION)

    def validation(self, position: Position, values: Mapping[str, float], *, best: bool) -> None:
        """Figures of merit on validation images; best: whether no earlier epoch had better ones."""
        shown = ", ".join(f"{name} {value:#.3g}" for name, value in values.items())
        remark = " (best so far)" if best else ""
        say(f"epoch {position.epoch}: validation {shown}{remark}")
        with self._or_say("the validation log"):
            self.validation_log.append(position.epoch, position.step, values)
        self._show("validation", lambda display: display.validation(position, values))

    def begin(self, position: Position) -> None:
        """Training starts or goes on here: the clock of `epoch`, and the first of the displays."""
        self.began = self.epoch_began = self.updated = self.clock()
        self.began_at, self.images_at = position.epochs_done, position.images
        self.update(position, RUNNING)

    def epoch(self, position: Position) -> None:
        """After each epoch, the position being the start of the next: how long it all takes.

        What is left is said by the pace since `begin`, and nothing after the last epoch.
        """
        now, done = self.clock(), position.epochs_done
        left, took = self.last_epoch - done, now - self.epoch_began
        self.epoch_began = now
        if left > 0 and done > self.began_at:
            to_go = left * (now - self.began) / (done - self.began_at)
            say(
                f"end of epoch {position.epoch - 1}/{self.last_epoch}: {_duration(took)}, "
                f"about {_duration(to_go)} to go"
            )

    def close(self, position: Position, state: str) -> None:
        """The run has ended. state: how, for people."""
        self.update(position, state)
        for display in self.displays:
            display.close()

    def _show(self, what: str, show: Callable[[Display], None]) -> None:
        """On each display; what: is shown, for people."""
        for display in self.displays:
            with self._or_say(f"{what} on {display.name}"):
                show(display)

    @contextmanager
    def _or_say(self, what: str) -> Iterator[None]:
        """Say once that this cannot be written, until it can be again."""
        try:
            yield
            self.failing.discard(what)
        except WriteError as error:
            if what not in self.failing:
                say(f"{what}: {error} The run goes on, and tries again.")
            self.failing.add(what)


def _steps_behind(resume: Position | None, *, waiting: bool) -> dict[str, int | None]:
    """By what is logged and shown, the last step that a run has behind it; None in a new run.

    waiting: whether there are losses that were not yet said.
    """
    if resume is None:
        return dict.fromkeys(("losses", "validation", "samples"))
    return {
        # Means that are still to be said have no row yet, and an epoch that is under way is not
        # validated yet, not even after its last step.
        "losses": resume.step - waiting,
        "validation": resume.step - bool(resume.batches),
        "samples": resume.step,
    }


class NoMonitor:
    """Of the processes that neither say nor write anything: takes all that a Monitor is told."""

    def __getattr__(self, _: str) -> Callable[..., None]:
        return lambda *_, **__: None


def _duration(seconds: float) -> str:
    """As one says it: 95 s, 12 min, 31 h 5 min."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
