"""What a training run shows and logs on its way: console, CSV, sample page, live view."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
from torch import Tensor

from options import DisplayOptions
from training.display import LiveView
from training.live_line import LiveLine, on_terminal
from training.loss_log import CLOCK_AND_RATE, LossLog, format_losses
from training.means import RunningMeans
from training.messages import say
from training.page import RUNNING, Standing, TrainingPage
from training.position import Position
from training.run_folder import RunFolder
from util.errors import WriteError

PAGE_SECONDS = 60.0  # from one page to the next, where --update_html_freq asks for none
LEAST_SILENCE = 300.0  # seconds without a new page, before which no run is thought dead


class Monitor:
    """Takes the losses of every step, and says and writes as often as the options ask for.

    title, facts, details: of the page. print_freq: --print_freq. resume: where a continued run goes
    on; None for a new run. means: of its losses that were not yet said. clock: seconds. A file that
    cannot be written costs a line on the console, never the run.
    """

    def __init__(
        self,
        folder: RunFolder,
        display: DisplayOptions,
        *,
        title: str,
        facts: Mapping[str, str],
        details: Mapping[str, str],
        print_freq: int,
        last_epoch: int,
        resume: Position | None,
        means: RunningMeans,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.clock = clock
        self.display, self.print_freq, self.last_epoch = display, print_freq, last_epoch
        self.means = means
        self.line = LiveLine() if on_terminal() else None
        self.rate: float | None = None  # as last said
        self.failing: set[str] = set()  # what cannot be written at present
        step = validated = None
        if resume:
            # Means that are still to be said have no row yet, and an epoch that is under way is not
            # validated yet, not even after its last step.
            step = resume.step - bool(self.means.count)
            validated = resume.step - bool(resume.batches)
        self.log = LossLog(folder.path / "loss_log.csv", resume_step=step)
        self.validation_log = LossLog(folder.path / "validation_log.csv", resume_step=validated)
        self.page: TrainingPage | None = None
        if not display.no_html:
            self.page = TrainingPage(
                folder.path / "web",
                title=title,
                facts=facts,
                details=details,
                logs={
                    "Losses, by step": self.log.path,
                    "Validation, by step": self.validation_log.path,
                },
            )
        self.live: LiveView | None = None
        if display.display_id > 0:
            self.live = LiveView(display.display_server, display.display_port, display.display_env)

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
        if (self.page or self.live) and position.reached(self.display.display_freq, size):
            self.samples(position, samples())
        if self.page and (
            position.reached(self.display.update_html_freq, size)
            or self.clock() - self.page_written > PAGE_SECONDS
        ):
            self.update_page(position, RUNNING)

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
        if self.live:
            shown = {name: v for name, v in values.items() if name not in CLOCK_AND_RATE}
            self.live.losses(position.epochs_done, shown)

    def samples(self, position: Position, samples: Sequence[Mapping[str, np.ndarray]]) -> None:
        """Images (H, W) or (H, W, 3) uint8 of one moment, by name, of each image that is shown."""
        if samples and self.page:
            with self._or_say("sample images"):
                self.page.add(position.epoch, position.images, samples)
        if samples and self.live:
            self.live.images(samples[0])

    def update_page(self, position: Position, state: str) -> None:
        """Write it anew. state: RUNNING, or how the run has ended."""
        if self.page is None:
            return
        now = self.clock()
        silence = max(LEAST_SILENCE, 4 * (now - self.page_written))
        self.page_written = now
        facts = self.progress(position, ended=state != RUNNING)
        with self._or_say("the training page"):
            self.page.update(Standing(state, time.time(), silence, facts))

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

    def validation(self, position: Position, values: Mapping[str, float], *, best: bool) -> None:
        """Figures of merit on validation images; best: whether no earlier epoch had better ones."""
        shown = ", ".join(f"{name} {value:#.3g}" for name, value in values.items())
        remark = " (best so far)" if best else ""
        say(f"epoch {position.epoch}: validation {shown}{remark}")
        with self._or_say("the validation log"):
            self.validation_log.append(position.epoch, position.step, values)

    def begin(self, position: Position) -> None:
        """Training starts or goes on here: the clock of `epoch`, and the first page."""
        self.began = self.epoch_began = self.page_written = self.clock()
        self.began_at, self.images_at = position.epochs_done, position.images
        self.update_page(position, RUNNING)

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
        self.update_page(position, state)
        if self.live:
            self.live.close(timeout=5)

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
