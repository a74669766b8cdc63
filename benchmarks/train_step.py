"""How long a training step takes, and how much memory.

    python benchmarks/train_step.py --models cut pix2pix --precisions fp32 bf16 --out steps.json
    python benchmarks/train_step.py --models cut --reference DIR --precisions bf16 --out ratio.json
    python benchmarks/train_step.py --models cut --flags="--blind_target --box_patches 0.25"

The first form times every combination of models, sizes, batches and precisions with the options
that train.py has by default; the images are made up and on the device already, with a target each.
The second one times one combination beside a checkout of other code:
taesungp/contrastive-unpaired-translation for cut, dicerobotics/deep-synthetic for pix2pix_gradcam
(which needs the packages captum and matplotlib); the third one beside itself with further flags.
Each runs in a process of its own, and they take turns; medians are shown.

FLOPs are those of convolutions and matrix products, counted in one step. Their share of the peak
is that of the rate at which the device multiplies two large matrices of the same precision. Memory
is what the process holds at most beyond what it held with torch imported, or what torch allocated
on the GPU.

Measure on a machine that is otherwise idle: two programs that share cores slow each other down
several times over.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.machine import describe_machine
from benchmarks.workers.protocol import Settings, Worker, WorkerFailed
from models import MODELS
from util.cli import Parser
from util.compute import Compute
from util.errors import UserError, run_main
from util.files import write_text

Code = tuple[str, Settings]  # script of a worker, settings that it has beyond those of all

# What makes our networks those of the reference: it normalises by the batch, and on a GPU its call
# of the discriminator's constructor turns antialiasing off by the way.
SAME_NETWORKS = {
    ("pix2pix_gradcam", "cpu"): ["--norm", "batch", "--no_antialias", "False"],
    ("pix2pix_gradcam", "cuda"): ["--norm", "batch"],
}


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Arguments, checked. Raises UserError."""
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--models", "--model", nargs="+", default=["cut"], choices=MODELS, help="what is trained")
    add("--sizes", "--size", type=int, nargs="+", default=[256], help="image sides in pixels")
    add(
        "--batch_sizes",
        "--batch_size",
        type=int,
        nargs="+",
        default=[1],
        help="images of a domain in a step",
    )
    precisions = ("auto", *Compute.precisions)
    add(
        "--precisions",
        "--precision",
        nargs="+",
        default=["auto"],
        choices=precisions,
        help="as in train.py",
    )
    add("--bands", type=int, default=1, choices=(1, 3), help="bands of the images")
    add("--compile", action="store_true", help="as in train.py")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=("cpu", "cuda"))
    add("--threads", type=int, default=0, help="of torch on the CPU; 0 leaves it to torch")
    add("--steps", type=int, default=7, help="timed steps")
    add("--warm_up", type=int, default=2, help="steps before these")
    beside = parser.add_mutually_exclusive_group()
    beside.add_argument("--reference", type=Path, help="checkout of other code to time beside ours")
    beside.add_argument("--flags", help='of train.py, to time ours with: --flags="--lambda_box 20"')
    add("--out", type=Path, help="JSON file to write")
    args = parser.parse_args(argv)
    for name, least in (("sizes", 64), ("batch_sizes", 1), ("steps", 1), ("warm_up", 1)):
        given = getattr(args, name)
        smallest = min(given) if isinstance(given, list) else given
        if smallest < least:
            raise UserError(f"--{name} is {smallest}; it must be {least} or more.")
    several = [
        n for n in ("models", "sizes", "batch_sizes", "precisions") if len(vars(args)[n]) > 1
    ]
    if (args.reference or args.flags) and several:
        flag = "reference" if args.reference else "flags"
        raise UserError(f"--{flag} goes with one combination; give one of --{several[0]}.")
    if args.reference and not (args.reference / "models").is_dir():
        raise UserError(f"--reference {args.reference} is no checkout: it has no folder models.")
    return args


def combinations(args: argparse.Namespace) -> list[Settings]:
    """What a worker needs to know of each combination."""
    shared = {name: getattr(args, name) for name in ("bands", "compile", "device", "threads")}
    return [
        {
            **shared,
            "model": model,
            "size": size,
            "batch_size": batch_size,
            "precision": precision,
            "warm_up": args.warm_up,
            "flags": SAME_NETWORKS.get((model, args.device), []) if args.reference else [],
        }
        for model, size, batch_size, precision in product(
            args.models, args.sizes, args.batch_sizes, args.precisions
        )
    ]


def measure(settings: Settings, codes: dict[str, Code], steps: int) -> dict[str, Any]:
    """Let a worker of each code take turns. Returns what is known of each, by name.

    codes: by name. Raises UserError for one that fails.
    """
    seconds: dict[str, list[float]] = {name: [] for name in codes}
    name = ""
    try:
        workers = {}
        for name, (script, more) in codes.items():
            workers[name] = Worker(script, {**settings, **more})
        for _ in range(steps):
            for name, worker in workers.items():
                seconds[name].append(worker.turn())
        peaks = {}
        for name, worker in workers.items():
            peaks[name] = worker.close()
    except WorkerFailed as error:
        raise UserError(f"{settings['model']}, {name}: {error}") from None
    return {
        name: summary(settings, worker.facts, seconds[name], peaks[name])
        for name, worker in workers.items()
    }


def summary(
    settings: Settings, facts: dict[str, Any], seconds: list[float], peak: int
) -> dict[str, Any]:
    """One row of the result."""
    names = ("model", "size", "batch_size", "bands", "device")
    row = {name: settings[name] for name in names} | facts
    step = median(seconds)
    row |= {"seconds_per_step": step, "images_per_second": settings["batch_size"] / step}
    row |= {"seconds": seconds, "peak_bytes": peak}
    if "flops" in facts:
        row["share_of_peak"] = facts["flops"] / step / facts["product_flops_per_second"]
    return row


def show(rows: list[tuple[str, dict[str, Any]]]) -> str:
    """The rows as a table, each with the name of its code."""
    heads = ("code", "model", "size", "batch", "precision", "s/step", "images/s", "GB", "of peak")
    widths = (10, 16, 5, 5, 16, 8, 9, 6, 8)
    lines = [" ".join(f"{h:>{w}}" for h, w in zip(heads, widths, strict=True))]
    for name, row in rows:
        share = f"{row['share_of_peak']:.0%}" if "share_of_peak" in row else ""
        compiled = ", compiled" if row.get("compiled") else ""
        values = (
            name,
            row["model"],
            row["size"],
            row["batch_size"],
            f"{row['precision']}{compiled}",
            f"{row['seconds_per_step']:.3f}",
            f"{row['images_per_second']:.2f}",
            f"{row['peak_bytes'] / 1e9:.2f}",
            share,
        )
        lines.append(" ".join(f"{v:>{w}}" for v, w in zip(values, widths, strict=True)))
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point. Raises UserError."""
    args = parse(argv)
    codes: dict[str, Code] = {"ours": ("ours.py", {})}
    if args.reference:
        codes["reference"] = ("reference.py", {"directory": str(args.reference.resolve())})
    if args.flags:
        codes["with flags"] = ("ours.py", {"flags": shlex.split(args.flags)})
    found = [measure(settings, codes, args.steps) for settings in combinations(args)]
    print(show([row for rows in found for row in rows.items()]))
    if len(codes) > 1:
        (result,) = found
        (_, ours), (name, other) = result.items()
        result["ratio"] = other["seconds_per_step"] / ours["seconds_per_step"]
        result["memory_ratio"] = ours["peak_bytes"] / other["peak_bytes"]
        of = "the reference" if args.reference else f"that {name}"
        print(f"ratio {result['ratio']:.2f}, memory {result['memory_ratio']:.2f} of {of}")
    else:
        result = {"steps": [rows["ours"] for rows in found]}
    result["machine"] = describe_machine()
    if args.out:
        write_text(args.out, json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    run_main(main)
