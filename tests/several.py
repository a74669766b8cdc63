"""Steps of every model on rows of a batch, in as many processes as there are.

All is in float64, so that several processes can be compared with one beyond any doubt.
"""

import multiprocessing
import os
import random
import socket
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models import model_class
from models.networks.classifiers import ResNet18Classifier
from options.groups import (
    ClassifierOptions,
    CutGradcamOptions,
    CutOptions,
    ModelOptions,
    Pix2PixGradcamOptions,
    Pix2PixOptions,
)
from util.batch import Batch, DataFacts
from util.compute import Compute
from util.distributed import Share, joined
from util.ranks import processes, rank
from util.seeding import seed_step

SIDE = 16
# Images of the whole batch of each step: all have as many, some have fewer, some have none.
TOTALS = (4, 3, 1, 4)
NETS = {"ngf": 2, "ndf": 2, "netG": "resnet_4blocks", "netD": "n_layers", "n_layers_D": 1}
BATCH = {"normG": "batch", "normD": "batch", "no_dropout": False}
CUT = {**NETS, "netF_nc": 4, "num_patches": 4}


def cases(classifier: str) -> dict[str, tuple[str, ModelOptions]]:
    """Model and options of each, by its name; together they reach all that knows of processes."""
    return {
        "cut": ("cut", CutOptions(**CUT)),
        "cut, pool, boxes and negatives of the batch": (
            "cut",
            CutOptions(
                **CUT,
                pool_size=3,
                blind_target=True,
                box_patches=0.5,
                nce_includes_all_negatives_from_minibatch=True,
            ),
        ),
        "cut, batch norm and dropout": ("cut", CutOptions(**CUT, **BATCH)),
        "fastcut": ("cut", CutOptions(**CUT, nce_idt=False, flip_equivariance=True)),
        "cut_gradcam": (
            "cut_gradcam",
            CutGradcamOptions(**CUT, classifier=classifier, cam_layer="layer2"),
        ),
        "pix2pix": ("pix2pix", Pix2PixOptions(**NETS, **BATCH, pool_size=3, lambda_box=3)),
        "pix2pix, sensor, average, two batches a step": (
            "pix2pix",
            Pix2PixOptions(**NETS, sensor="fit", ema=0.9, accumulate=2),
        ),
        "pix2pix_gradcam": (
            "pix2pix_gradcam",
            Pix2PixGradcamOptions(**NETS, classifier=classifier, cam_layer="layer2"),
        ),
        # Batch norm over a few single positions is steep: steps of the usual length would magnify
        # rounding tenfold each.
        "classifier": ("classifier", ClassifierOptions(lr=1e-6)),
        "attention": ("classifier", ClassifierOptions(netC="attention", lr=1e-6)),
    }


def batches(totals: tuple[int, ...]) -> Iterator[Batch]:
    """Whole ones, the same in each process."""
    draw = torch.Generator().manual_seed(3)
    for total in totals:
        a, b = torch.rand(2, total, 1, SIDE, SIDE, generator=draw) * 2 - 1
        corner = torch.randint(0, SIDE // 2, (2, total, 2, 2), generator=draw).double()
        boxes = torch.cat([corner, corner + SIDE // 4], dim=-1)
        label = torch.randint(0, 3, (total,), generator=draw)
        names = tuple(map(str, range(total)))
        yield Batch(a, b, label, names, *boxes)


def rows_of(batch: Batch) -> Batch:
    """This process's of a whole batch."""
    if processes() == 1:
        return batch
    share = Share.of(batch.total, rank=rank(), processes=processes())
    rows = batch.each(share.take)
    return Batch(rows.a, rows.b, rows.label, share.take(batch.names), rows.box_a, rows.box_b, share)


def run_case(name: str, options: ModelOptions, totals: tuple[int, ...]) -> dict[str, Any]:
    """What is to be compared of one model."""
    facts = DataFacts(classes=("BMP2", "BTR70", "T72"), class_counts=(5, 2, 1))
    seed_step(0, 0)
    model = model_class(name)(options, compute=Compute(torch.device("cpu")), facts=facts)
    if name == "classifier":
        model.class_weights = model.class_weights.double()
    elif options.sensor:
        sensor = model.generator.sensor
        sensor.curve.mul_(0.5)
        sensor.blur.fill_(0.8)
        sensor.noise.fill_(0.1)
        sensor.spread.fill_(0.1)
    # Adam divides gradients by their size: those that are zero but for rounding, as of a bias
    # before a norm, would be steps in any direction.
    for optimiser in model.optimisers.values():
        optimiser.param_groups[0]["eps"] = 1e-3
    losses, gradients = [], {}
    left = batches(totals)
    for step in range(1, len(totals) // options.accumulate + 1):
        seed_step(0, step)
        losses.append(model.step(*map(rows_of, islice(left, options.accumulate))))
        assert model.take_finite()
        if step == 1:
            gradients = {
                f"{network}.{key}": p.grad.clone()
                for network, net in model.networks.items()
                for key, p in net.named_parameters()
                if p.requires_grad  # not of averages
            }
    return {
        "losses": losses,
        "gradients": gradients,
        "networks": {name: net.state_dict() for name, net in model.networks.items()},
        "pool": model.pool.images if name != "classifier" else [],
        "drawn next": [torch.rand(1), random.random()],
    }


def run_cases(folder: Path, totals: tuple[int, ...] = TOTALS) -> None:
    """All of them, in a process of its own; process r of p leaves `folder/p_r.pth`.

    Of each case: the losses of every step, the gradients of the first, networks and image pool
    after the last. The folder holds what `save_classifier` leaves there.
    """
    in_float64()
    with joined(on_cuda=False):
        found = {
            case: run_case(name, options, totals)
            for case, (name, options) in cases(str(folder / "classifier.pth")).items()
        }
    torch.save(found, folder / f"{processes()}_{rank()}.pth")


def save_classifier(folder: Path) -> None:
    """What the cases find there."""
    torch.manual_seed(1)
    classifier = ResNet18Classifier(classes=("BMP2", "BTR70", "T72"))
    torch.save(classifier.export(), folder / "classifier.pth")


class Started:
    """`do(*arguments)` in the processes of one run, forks of this one, as torchrun starts them."""

    def __init__(self, count: int, folder: Path, do: Callable[..., None], *arguments: Any) -> None:
        self.folder, self.names = folder, [f"{count}_{rank}" for rank in range(count)]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        variables = {"WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}

        def begin(rank: int) -> None:
            for name, value in (variables | {"RANK": rank}).items():
                os.environ[name] = str(value)
            for number, stream in ((1, "stdout"), (2, "stderr")):
                file = (folder / f"{self.names[rank]}.{stream}").open("w", buffering=1)
                os.dup2(file.fileno(), number)  # what torch itself says
                setattr(sys, stream, file)
            do(*arguments)

        fork = multiprocessing.get_context("fork")
        self.processes = [fork.Process(target=begin, args=(rank,)) for rank in range(count)]
        for process in self.processes:
            process.start()

    def finish(self) -> list[tuple[int, str]]:
        """Exit code and error messages of each, once all have ended."""
        for process in self.processes:
            process.join()
        errors = [(self.folder / f"{name}.stderr").read_text() for name in self.names]
        return [(p.exitcode, text) for p, text in zip(self.processes, errors, strict=True)]


def in_float64() -> None:
    """From now on, in this process; losses too, which the models take to fp32."""
    torch.set_default_dtype(torch.float64)
    torch.Tensor.float = torch.Tensor.double


def largest_difference(a: Any, b: Any) -> float:
    """Of all numbers in two equal structures, relative to the greatest of each tensor above 1."""
    if isinstance(a, Tensor):
        assert a.shape == b.shape and a.isfinite().all() and b.isfinite().all()
        scale = a.double().abs().max().clamp(min=1.0)
        return float((a.double() - b.double()).abs().max() / scale)
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        return max((largest_difference(a[key], b[key]) for key in a), default=0.0)
    if isinstance(a, list | tuple):
        assert len(a) == len(b)
        return max(map(largest_difference, a, b), default=0.0)
    assert a == b
    return 0.0
