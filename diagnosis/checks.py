"""Checks of a machine, each in a line or a few: what is well, and what to do about the rest."""

import multiprocessing
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from diagnosis.finding import Finding, Setting
from diagnosis.packages import check_packages, check_visdom
from training.lock import RunLock
from util.errors import UserError
from util.files import absolute, file_hash

GB = 1e9
LEAST_DISK, LEAST_SHARED = 2 * GB, 1 * GB  # bytes
SHARED_MEMORY = Path("/dev/shm")
NVIDIA = Path("/proc/driver/nvidia/version")


def diagnose(setting: Setting) -> Iterator[Finding]:
    """All checks. A check that fails, in whatever way, is a finding."""
    for what, check in CHECKS.items():
        try:
            yield from check(setting)
        except ImportError as error:
            yield Finding("to do", f"{what}: cannot be looked at ({_line(error)}); see packages.")
        except Exception as error:
            yield Finding("to do", f"{what}: {type(error).__name__}: {_line(error)}")


def _line(error: Exception) -> str:
    """The first of its message, which libraries make long."""
    return next(filter(None, map(str.strip, str(error).splitlines())), "without a word")


def check_python(setting: Setting) -> Iterator[Finding]:
    """Older versions do not come this far."""
    yield Finding("ok", f"Python {platform.python_version()}: {sys.executable}")


def check_device(setting: Setting) -> Iterator[Finding]:
    """The device and precision of a training run, tried out."""
    import torch

    from util.compute import select_compute

    try:
        compute = select_compute(setting.gpu_ids, "auto")
    except UserError as error:
        yield Finding("to do", f"device: {error}")
        return
    images = torch.zeros(1, 1, 8, 8, device=compute.device)
    with compute.autocast():
        torch.nn.functional.conv2d(images, torch.zeros_like(images)).sum().item()
    what = f"{_cores()} cores"
    if compute.device.type == "cuda":
        known = torch.cuda.get_device_properties(compute.device)
        what = f"{known.name}, {known.total_memory / GB:.0f} GB"
    yield Finding("ok", f"device: training on {compute} ({what}), torch {torch.__version__}")
    if compute.device.type != "cuda" and setting.gpu_ids == "auto" and NVIDIA.exists():
        built = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "for CPUs alone"
        yield Finding(
            "optional",
            f"device: there is an NVIDIA driver, and torch, built {built}, sees no GPU: compare "
            "with what `nvidia-smi` tells, and install the torch that fits the driver.",
        )


def _cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def check_weights(setting: Setting) -> Iterator[Finding]:
    """The published networks that some metrics stand on."""
    from metrics.metric_properties import metrics_that_need
    from metrics.pretrained import (
        WEIGHTS,
        find_weights,
        missing_note,
        missing_packages_note,
    )
    from models.networks.classifiers.lite0 import LITE0_PACKAGES
    from util.packages import missing

    for key in WEIGHTS:
        path = find_weights(key, setting.weights_dir)
        if path is None:
            yield Finding("optional", f"weights: {missing_note(key, setting.weights_dir)}")
        elif not file_hash(path).startswith(start := path.stem.rpartition("-")[2]):
            yield Finding("to do", f"weights: {path} is damaged: its SHA-256 is not {start}...")
        else:
            titles = ", ".join(metric.title for metric in metrics_that_need(key).values())
            yield Finding("ok", f"weights: {titles} ({path})")
    lacking = missing(*LITE0_PACKAGES)
    if lacking:
        yield Finding("optional", f"weights: {missing_packages_note(lacking)}")
    else:
        yield Finding("ok", "weights: FD, KD, C2ST and coverage of Lite0, from a package")


def check_places(setting: Setting) -> Iterator[Finding]:
    """Room, the right to write, and locks, where the programs write."""
    for place in setting.places:
        folder = next(p for p in (absolute(place), *absolute(place).parents) if p.exists())
        try:
            with TemporaryDirectory(dir=folder) as trial, RunLock(Path(trial)) as lock:
                free = shutil.disk_usage(folder).free
        except (OSError, UserError) as error:
            reason = getattr(error, "strerror", None) or error
            text = f"{place}: cannot be written ({reason}); give yourself the right, or name "
            yield Finding("to do", f"{text}another folder.")
            continue
        if free < LEAST_DISK:
            text = f"{place}: {free / GB:.1f} GB are free; make room, or name another folder."
            yield Finding("to do", text)
        elif lock.note:
            text = f"{place}: files cannot be locked there, and nothing stops a second run in the "
            yield Finding("optional", f"{text}folder of the first.")
        else:
            yield Finding("ok", f"{place}: can be written, {free / GB:,.0f} GB are free")


def check_shared_memory(setting: Setting) -> Iterator[Finding]:
    """Through which the processes that read images hand them over."""
    try:
        multiprocessing.Lock()
    except OSError as error:
        yield Finding(
            "to do",
            f"shared memory: no room for a lock in {SHARED_MEMORY} ({error.strerror}); make room, "
            "or read images without processes, --num_threads 0.",
        )
        return
    if not SHARED_MEMORY.is_dir():
        yield Finding("ok", "shared memory: locks can be made")
        return
    free = shutil.disk_usage(SHARED_MEMORY).free
    if free < LEAST_SHARED:
        yield Finding(
            "optional",
            f"shared memory: {free / 1e6:,.0f} MB are free in {SHARED_MEMORY}: images go through "
            "a pipe where that is full; Docker gives more with --shm-size 2g.",
        )
    else:
        yield Finding("ok", f"shared memory: {free / GB:,.0f} GB are free in {SHARED_MEMORY}")


CHECKS: dict[str, Callable[[Setting], Iterator[Finding]]] = {
    "Python": check_python,
    "packages": check_packages,
    "device": check_device,
    "weights": check_weights,
    "places": check_places,
    "shared memory": check_shared_memory,
    "visdom": check_visdom,
}
