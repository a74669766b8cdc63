"""What a training run measures on its way: files for programs, a line for the console."""

import csv
import io
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from util.errors import UserError, WriteError
from util.files import GrowingFile

# The values that are no losses, and what the console line of CUT and pix2pix calls them.
CLOCK_AND_RATE = {"seconds_per_step": "time", "seconds_data": "data", "lr": "lr"}


class LossLog:
    """The values of a run in a CSV file, one row a logged step: `epoch,step,<names of the values>`.

    Steps count from the start of the run and never start again with an epoch, and rows are
    appended in their order. Each row is written at once, so that the file can be read at any time
    and an interrupted run loses none.
    """

    def __init__(self, path: Path, *, resume_step: int | None = None):
        """Start a log, or go on with one.

        resume_step: the last step that a resumed run has behind it. Rows after it are dropped (the
            run takes those steps again), so that the log has every step once. None starts a new
            log and removes the one of an earlier run.

        Raises UserError for a file that is not a log, WriteError for one that cannot be written.
        """
        self.path = path
        self.columns: list[str] | None = None
        self._file = GrowingFile(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if resume_step is None:
                path.unlink(missing_ok=True)
            elif path.exists():
                self._keep_until(resume_step)
        except OSError as error:
            raise WriteError(f"cannot write {path} ({error.strerror}); free it.") from None

    def append(self, epoch: int, step: int, values: Mapping[str, float]) -> None:
        """Write one row.

        values: name -> value: `lr`, `seconds_per_step` and the losses. The first row of a log
            fixes names and order. Nine digits are kept, which is a float32 exactly.

        Raises UserError where the names are not those of the log, and WriteError where the file
        cannot be written: the row is kept, and written with the next one.
        """
        columns = ["epoch", "step", *values]
        if self.columns is None:
            self.columns = columns
        if set(columns) != set(self.columns):
            raise UserError(
                f"the loss log {self.path} has the columns {', '.join(self.columns)}, but this run "
                f"measures {', '.join(columns)}: resume with the options of the interrupted run, "
                "or move the log away."
            )
        numbers = (f"{float(values[name]):.9g}" for name in self.columns[2:])
        row = _line([str(epoch), str(step), *numbers])
        # On the disk, as a checkpoint that follows must not outlive it.
        self._file.append(row.encode(), head=_line(self.columns).encode())

    def _keep_until(self, resume_step: int) -> None:
        """Read the columns, and cut the file off before the first row after `resume_step`."""
        kept = 0  # bytes
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    break  # the run was killed while it wrote this line
                step = self._step(line, number)
                if step is not None and step > resume_step:
                    break
                kept += len(line)
        os.truncate(self.path, kept)

    def _step(self, line: bytes, number: int) -> int | None:
        """The step of a row; None for the header, whose columns are taken over."""
        try:
            fields = next(csv.reader([line.decode("utf-8")]))
            if number == 1 and fields[:2] == ["epoch", "step"]:
                self.columns = fields
                return None
            if self.columns is not None and len(fields) == len(self.columns):
                return int(fields[1])
        except (ValueError, StopIteration, csv.Error):
            pass
        raise UserError(
            f"line {number} of {self.path} is not a row of a loss log: move the file away to start "
            "a new log."
        )


def read_log(path: Path) -> tuple[list[str], np.ndarray]:
    """Names of the values of a `LossLog` but clocks and rate, and its rows: (n, 1 + names) float64.

    The first column is the step. Without a log, or one that can be read, n is 0.
    """
    try:
        head, *lines = path.read_text(encoding="utf-8").splitlines()
        names = head.split(",")
        rows = np.loadtxt(lines, delimiter=",") if lines else np.empty(0)
        rows = rows.reshape(len(lines), len(names))
    except (OSError, ValueError):  # none yet, or altered meanwhile: a display is worth no run
        return [], np.empty((0, 1))
    shown = [i for i, name in enumerate(names) if name not in {"epoch", *CLOCK_AND_RATE}]
    return [names[i] for i in shown[1:]], rows[:, shown]


class PublicLossLog:
    """The losses for tools that read the loss_log.txt of CUT and pix2pix.

    A run that goes on takes some steps again, and their lines follow a headline of its own.
    """

    def __init__(self, path: Path, *, batch_size: int, continued: bool):
        self._file, self.batch_size = GrowingFile(path), batch_size
        if not continued:
            with suppress(OSError):  # said when the first line is written
                path.unlink()
        self._headline = f"{'=' * 16} Training Loss ({time.strftime('%c')}) {'=' * 16}\n"

    def append(self, epoch: int, batches: int, values: Mapping[str, float]) -> None:
        """Write one line. batches: of this epoch, done; values: as for LossLog.append.

        As there, `iters` are images of the epoch and `time` is an image's, less waiting for its
        batch (`data`). Raises WriteError.
        """
        seconds, waited = (values.get(name, 0.0) for name in ("seconds_per_step", "seconds_data"))
        place = f"epoch: {epoch}, iters: {batches * self.batch_size}"
        losses = "".join(f"{name}: {value:.3f} " for name, value in _losses(values).items())
        clock = f"time: {(seconds - waited) / self.batch_size:.3f}, data: {waited:.3f}"
        line, self._headline = f"{self._headline}({place}, {clock}) {losses}\n", ""
        self._file.append(line.encode())


def _losses(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if name not in CLOCK_AND_RATE}


def _line(fields: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(fields)
    return line.getvalue()


def format_losses(epoch: int, n_epochs: int, step: int, values: Mapping[str, float]) -> str:
    """The console line that users of CUT and pix2pix know.

    `(epoch: 3/400, iters: 2400, time: 0.120, data: 0.002, lr: 0.0002) G_GAN: 0.412 NCE: 1.230`

    values: as for LossLog.append. `seconds_per_step`, `seconds_data` (waiting for images) and `lr`
        stand in the parentheses where they are given; everything else is a loss.
    """
    progress = [f"epoch: {epoch}/{n_epochs}", f"iters: {step}"]
    for name, label in CLOCK_AND_RATE.items():
        if name in values:
            digits = ".3g" if name == "lr" else ".3f"
            progress.append(f"{label}: {values[name]:{digits}}")
    losses = [f"{name}: {value:.3f}" for name, value in _losses(values).items()]
    return " ".join([f"({', '.join(progress)})", *losses])
