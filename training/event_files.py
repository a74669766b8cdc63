"""Losses, validation and samples of a run as event files: `tensorboard --logdir checkpoints`."""

import io
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training.display import Display
from training.position import Position
from util.errors import WriteError
from util.files import GrowingFile

if TYPE_CHECKING:
    from tensorboard.compat.proto.summary_pb2 import Summary

PREFIX = "events.out.tfevents."  # TensorBoard reads files of such names, in their order


class EventLog:
    """Events of one kind, in a folder of their own: a file for each start of the run.

    Written at once and in the training's own thread: torch's SummaryWriter has a thread that ends
    with the first write that fails, and what it has begun to write hides all that follows.
    """

    def __init__(self, folder: Path, *, resume_step: int | None):
        """Start a log, or go on with one.

        resume_step: the last step that a resumed run has behind it. TensorBoard drops the events
            after it (the run takes those steps again). None starts a new log and removes the one
            of an earlier run.

        Raises WriteError where that cannot be done.
        """
        earlier = sorted(folder.glob(f"{PREFIX}{'[0-9]' * 6}"))
        number = int(earlier[-1].suffix[1:]) + 1 if earlier else 0
        self._file = GrowingFile(folder / f"{PREFIX}{number:06d}", make_folder=True)
        # Of a new run too: TensorBoard takes the first start that it sees for no restart.
        first_step = 0 if resume_step is None else resume_step + 1
        self._head = _record(file_version="brain.Event:2")
        self._head += _record(step=first_step, session_log={"status": "START"})
        try:
            for file in earlier if resume_step is None else ():
                file.unlink()
        except OSError as error:
            raise WriteError(f"cannot write into {folder} ({error.strerror}); free it.") from None

    def append(self, step: int, summaries: Iterable["Summary"], *, keep: bool) -> None:
        """Write an event of each.

        keep: what cannot be written now, to write it with the next ones. Raises WriteError.
        """
        events = b"".join(_record(step=step, summary=found) for found in summaries)
        self._file.append(events, head=self._head, keep=keep)


class EventFiles(Display):
    """`losses`, `validation` and `samples` below `folder`, each an `EventLog`.

    They are logs of their own as a run that goes on does so from other steps with each: of the
    three, only what it does again is to be dropped.
    """

    name = "TensorBoard"

    def __init__(self, folder: Path, *, resume_steps: Mapping[str, int | None]):
        """resume_steps: of each kind, as of `EventLog`. Raises WriteError."""
        # Now, as it takes memory: in the midst of training that would look like a leak.
        import torch.utils.tensorboard  # noqa: F401

        self.logs = {
            kind: EventLog(folder / kind, resume_step=s) for kind, s in resume_steps.items()
        }

    def losses(self, position: Position, values: Mapping[str, float]) -> None:
        """As of Display."""
        self._scalars("losses", position, values)

    def validation(self, position: Position, values: Mapping[str, float]) -> None:
        """As of Display."""
        self._scalars("validation", position, values)

    def samples(self, position: Position, samples: Sequence[Mapping[str, np.ndarray]]) -> None:
        """As of Display. What cannot be written is lost: a full disk must not fill the memory."""
        from torch.utils.tensorboard.summary import image

        summaries = [
            image(f"sample {number}/{name}", shown, dataformats="HWC" if shown.ndim == 3 else "HW")
            for number, images in enumerate(samples, start=1)
            for name, shown in images.items()
        ]
        self.logs["samples"].append(position.step, summaries, keep=False)

    def _scalars(self, kind: str, position: Position, values: Mapping[str, float]) -> None:
        from torch.utils.tensorboard.summary import scalar

        summaries = [scalar(name, value) for name, value in values.items()]
        self.logs[kind].append(position.step, summaries, keep=True)


def _record(**event: Any) -> bytes:
    """A protocol buffer Event of this moment as it stands in a file, with length and checksums."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    record = io.BytesIO()
    RecordWriter(record).write(Event(wall_time=time.time(), **event).SerializeToString())
    return record.getvalue()
