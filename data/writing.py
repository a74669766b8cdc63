"""Images on their way from the device into files, while the program goes on to the next ones."""

import os
from collections import deque
from collections.abc import Hashable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from data.images import write_image
from data.value_type import Unit
from util.ranks import local_processes

MOST_THREADS = 8
AHEAD = 32  # images that may wait, so that memory stays flat however slow the disk is

Key = TypeVar("Key", bound=Hashable)


class HostCopies(Generic[Key]):
    """Tensors of one device, copied to the host from now on; nothing waits for that but `get`."""

    def __init__(self, tensors: Mapping[Key, Tensor]) -> None:
        self.done: torch.cuda.Event | None = None
        cuda = next((x.device for x in tensors.values() if x.device.type == "cuda"), None)
        # Copies that no one waits for go to page-locked memory; other devices have no such events.
        self.tensors = {k: x.to("cpu", non_blocking=cuda is not None) for k, x in tensors.items()}
        if cuda is not None:
            # blocking: the thread sleeps until then and leaves its core to those that encode.
            self.done = torch.cuda.Event(blocking=True)
            self.done.record(torch.cuda.current_stream(cuda))

    def get(self) -> dict[Key, Tensor]:
        """The tensors on the CPU, complete."""
        if self.done is not None:
            self.done.synchronize()
        return self.tensors


class ImageWriter:
    """Encodes and writes images in threads: `with ImageWriter() as writer: writer.write(...)`.

    Encoding leaves Python's lock to others. At most `ahead` images wait. At the end of the block
    all files are there; after an error in it those that wait are given up.
    """

    def __init__(self, *, threads: int | None = None, ahead: int = AHEAD) -> None:
        cores = max(1, (os.cpu_count() or 1) // local_processes())
        self.pool = ThreadPoolExecutor(threads or min(cores, MOST_THREADS))
        self.waiting: deque[Future[None]] = deque()
        self.ahead = ahead

    def write(self, path: Path, image: np.ndarray, *, unit: Unit = "counts") -> None:
        """As data.images.write_image, some time later; `image` must not change until then.

        Raises UserError where an earlier image could not be written.
        """
        while self.waiting and (self.waiting[0].done() or len(self.waiting) >= self.ahead):
            self.waiting.popleft().result()
        self.waiting.append(self.pool.submit(write_image, path, image, unit=unit))

    def __enter__(self) -> "ImageWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Raises UserError where an image could not be written."""
        try:
            while self.waiting and kind is None:
                self.waiting.popleft().result()
        finally:
            self.pool.shutdown(cancel_futures=True)
