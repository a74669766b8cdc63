"""How a benchmark talks to the processes that it times: one JSON object a line.

A worker reads its settings, builds what is timed, answers with facts about it, and then takes one
turn for each line it is sent. Nothing of this project is imported here, so that a worker can import
other code whose packages have the same names.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

HERE = Path(__file__).resolve().parent
Settings = dict[str, Any]
Built = tuple[Callable[[], Any], dict[str, Any]]  # one turn, and facts about what takes it


class WorkerFailed(Exception):
    """A worker ended; the message is its last words."""


class Worker:
    """A process that runs one of the scripts in this folder. Raises WorkerFailed in any call."""

    def __init__(self, script: str, settings: Settings) -> None:
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open until close()
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        self.facts = self._ask(settings)

    def turn(self) -> float:
        """Seconds of one turn."""
        return self._ask("turn")["seconds"]

    def close(self) -> int:
        """End it. Returns the most bytes that it held, on the device that it computed on."""
        peak = self._ask("end")["peak_bytes"]
        self.process.wait()
        self.log.close()
        return peak

    def _ask(self, message: Settings | str) -> dict[str, Any]:
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError):
            self.process.wait()
            self.log.seek(0)
            words = [line for line in self.log.read().splitlines() if line.strip()]
            raise WorkerFailed(words[-1] if words else "it ended without a word") from None


def serve(build: Callable[[Settings], Built]) -> None:
    """The worker's side: build what the settings say, then take turns until told to end."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what timed code prints is no answer
    settings = json.loads(sys.stdin.readline())
    device = torch.device(settings["device"])
    before = _resident("VmRSS")
    turn, facts = build(settings)
    for _ in range(settings["warm_up"]):
        turn()
    _synchronise(device)
    _reset_peak(device)
    print(json.dumps(facts), file=answers, flush=True)
    for line in sys.stdin:
        if json.loads(line) == "end":
            break
        start = time.perf_counter()
        turn()
        _synchronise(device)
        print(json.dumps({"seconds": time.perf_counter() - start}), file=answers, flush=True)
    on_gpu = device.type == "cuda"
    peak = torch.cuda.max_memory_allocated(device) if on_gpu else _resident("VmHWM") - before
    print(json.dumps({"peak_bytes": peak}), file=answers, flush=True)


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _reset_peak(device: torch.device) -> None:
    if device.type == "cpu":  # on CUDA, graphs take their memory while they are recorded
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets VmHWM


def _resident(field: str) -> int:
    """VmRSS (now) or VmHWM (at most so far) of this process, in bytes."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def make_images(settings: Settings) -> tuple[Tensor, Tensor]:
    """Two batches of smooth scenes with noise, (B, bands, size, size) in [-1, 1]."""
    rng = np.random.default_rng(0)
    shape = (2, settings["batch_size"], settings["bands"])
    coarse = torch.from_numpy(rng.standard_normal((2 * shape[1] * shape[2], 1, 16, 16)))
    size = settings["size"]
    scenes = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic")
    scenes = (0.3 * scenes + 0.05 * torch.from_numpy(rng.standard_normal(scenes.shape))).clamp(
        -1, 1
    )
    a, b = scenes.float().reshape(*shape, size, size)
    return a, b
