"""How long a training step takes in several processes, and what of it is the exchange of gradients.

    torchrun --standalone --nproc_per_node=2 benchmarks/processes.py --model cut --size 64

Processes on CPUs, which exchange through gloo, train a model with train.py's defaults on made-up
images, as many in each. Printed are the median of the steps' seconds, images a second of all
processes, and the bytes of the gradients. Then steps are profiled: how long gradients were on their
way (from the moment a bucket is full until its mean is there), and how much of that time the
backward pass was still at work, which is time that the exchange costs nobody. One process exchanges
nothing.

Compare numbers of processes in turns, on a machine that is otherwise idle.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from math import prod
from pathlib import Path
from statistics import median

from torch.profiler import ProfilerActivity, profile

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.made_up import make_batch, make_model
from benchmarks.workers.protocol import make_images
from models import MODELS
from models.base import Model
from util.batch import Batch
from util.cli import Parser
from util.compute import select_compute
from util.distributed import Share, joined
from util.errors import UserError, run_main
from util.ranks import processes, rank

Span = tuple[float, float]  # begin and end

EXCHANGE = "gloo:all_reduce"
BACKWARD = "autograd::engine::evaluate_function"
LEAST_VALUES = 1000  # of an exchange of gradients: losses and statistics are fewer


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Arguments, checked. Raises UserError."""
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--model", default="cut", choices=MODELS, help="what is trained")
    add("--size", type=int, default=64, help="side of the images in pixels")
    add("--batch_size", type=int, default=1, help="images of a domain in a step of one process")
    add("--precision", default="fp32", choices=("fp32", "bf16"), help="as in train.py")
    add("--compile", action="store_true", help="as in train.py")
    add("--steps", type=int, default=7, help="timed steps")
    add("--warm_up", type=int, default=2, help="steps before these")
    add("--profiled", type=int, default=3, help="steps after these that are profiled")
    args = parser.parse_args(argv)
    least = {"size": 64, "batch_size": 1, "steps": 1, "warm_up": 1, "profiled": 1}
    for name, smallest in least.items():
        if vars(args)[name] < smallest:
            raise UserError(f"--{name} is {vars(args)[name]}; it must be {smallest} or more.")
    return args


def build(args: argparse.Namespace) -> tuple[Model, Batch]:
    """The model and this process's rows of a batch."""
    compute = select_compute("-1", args.precision, compiled=args.compile)
    a, b = make_images({"batch_size": args.batch_size, "bands": 1, "size": args.size})
    count, share = processes(), None
    if count > 1:
        share = Share.of(args.batch_size * count, rank=rank(), processes=count)
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(args.model, [], bands=1, compute=compute, folder=Path(folder))
    return model, make_batch(a, b, share=share)


def timed(model: Model, batch: Batch) -> float:
    """Seconds of one step."""
    start = time.perf_counter()
    model.step(batch)
    return time.perf_counter() - start


def exchanged(model: Model, batch: Batch, steps: int) -> tuple[list[Span], list[Span]]:
    """When gradients were on their way, and when backward passes computed, in microseconds."""
    recorded = profile(activities=[ProfilerActivity.CPU], record_shapes=True, acc_events=True)
    with recorded as found:
        for _ in range(steps):
            model.step(batch)
    events = [(event, (event.time_range.start, event.time_range.end)) for event in found.events()]
    exchanges = [
        span for event, span in events if event.name == EXCHANGE and _values(event.input_shapes)
    ]
    return exchanges, [span for event, span in events if event.name.startswith(BACKWARD)]


def _values(shapes: Sequence[Sequence[int]]) -> bool:
    """Whether it is an exchange of gradients."""
    return sum(map(prod, shapes)) >= LEAST_VALUES


def union(spans: Iterable[Span]) -> list[Span]:
    """The same time in spans that do not meet, in their order."""
    merged: list[Span] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def shared(a: Sequence[Span], b: Sequence[Span]) -> float:
    """Time that is in both of two `union`."""
    return sum(max(0.0, min(x[1], y[1]) - max(x[0], y[0])) for x in a for y in b)


def gradient_bytes(model: Model) -> int:
    """What a process sends off in a step."""
    groups = [group for o in model.optimisers.values() for group in o.param_groups]
    return sum(p.numel() * p.element_size() for group in groups for p in group["params"])


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point. Raises UserError."""
    args = parse(argv)
    with joined():
        model, batch = build(args)
        for _ in range(args.warm_up):
            model.step(batch)
        step = median(timed(model, batch) for _ in range(args.steps))
        print(
            f"{args.model} {args.size}x{args.size} on {model.compute}, {processes()} processes of "
            f"{args.batch_size} images: {step:.3f} s a step, "
            f"{processes() * args.batch_size / step:.2f} images/s, "
            f"gradients of {gradient_bytes(model) / 1e6:.1f} MB"
        )
        exchanges, backward = map(union, exchanged(model, batch, args.profiled))
        if exchanges:
            way = sum(end - begin for begin, end in exchanges)
            print(
                f"on their way {way / args.profiled / 1e6:.3f} s a step, "
                f"{shared(exchanges, backward) / way:.0%} of it while the backward pass computed"
            )


if __name__ == "__main__":
    run_main(main, alone=False)
