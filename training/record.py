"""What a run tells of its images when it begins: to run.json, and to people."""

import os
import socket
import sys
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from data.datasets import ImageDataset
from data.range_use import RangeUse, measure_range_use
from options import TrainConfig, to_dict
from util.version import VERSION, commit, installed

TRAINING_IMAGES = "training images"  # among the inputs of a run


def run_record(
    config: TrainConfig,
    dataset: ImageDataset,
    *,
    starts: Sequence[Mapping[str, Any]],
    inputs: Mapping[str, str],
    left_out: Mapping[str, str],
    teacher: str | None = None,
) -> dict[str, Any]:
    """What run.json says.

    starts: what `this_start` has said of each, the last one of this; inputs: digests of all that
    the run is made from, by their names for people; left_out: images that it does without, path ->
    why; teacher: digest of the classifier in its loss.
    """
    return {
        "options": to_dict(config),
        "starts": list(starts),
        "inputs": dict(inputs),
        "value_maps": {role: m.record() for role, m in dataset.value_maps.items()},
        "classes": list(dataset.classes),
        "images": _digests(dataset),
        "teacher": teacher,
        "left_out": left_out,
    }


def this_start(device: str, *, changed: Sequence[str] = ()) -> dict[str, Any]:
    """By what and on what a run starts or goes on.

    device: with its precision; changed: options that its last start had otherwise, as words.
    """
    return {
        "argv": sys.argv,
        "version": VERSION,
        "commit": commit(),
        "packages": installed(),
        "host": socket.gethostname(),
        "device": device,
        "changed": list(changed),
    }


def range_uses(dataset: ImageDataset) -> dict[str, RangeUse]:
    """Of each domain, by role."""
    return {role: measure_range_use(domain) for role, domain in dataset.domains.items()}


def _digests(dataset: ImageDataset) -> dict[str, str]:
    """Of the names of the images, by role: what the order of a run follows from."""
    names = {role: "\n".join(f.name for f in d.files) for role, d in dataset.domains.items()}
    return {role: sha256(os.fsencode(text)).hexdigest() for role, text in names.items()}
