"""How many images a second test.py translates, from files to files, beside a plain loop.

    python benchmarks/inference.py --sizes 256 --precisions auto fp32 --out inference.json
    python benchmarks/inference.py --images 4000 --batch_sizes auto 1 --threads 0   # on a GPU

Makes PNG files and a ResNet-9 with random weights, and translates them in fresh processes: with
test.py, for each precision and batch size, and (for 8 bits) with a loop as in the public code,
which reads, translates in fp32 and writes one image after another. All leave real_A, fake_B and a
page. The ways take turns, and medians over the turns are shown. Loading the network and starting
reader processes count; importing torch and a few images before the first do not. Peak memory is
that of tensors on a GPU; on the CPU, all that the process has resident, less its reader processes.
Ends with an error where the results are not those of the loop.

Measure on a machine that is otherwise idle.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.machine import describe_machine
from benchmarks.scenes import at_depth, make_pairs
from data.images import read_image, write_image
from models.networks import build_generator
from models.networks.layers import init_weights
from util.cli import Parser
from util.compute import Compute
from util.device import select_device
from util.errors import UserError, run_main
from util.files import write_text

WORKER = Path(__file__).resolve().parent / "workers" / "inference.py"
LOOP = "loop"
TOLERANCE = 2.0  # counts of 255, mean over the pixels: the loop cuts off where test.py rounds


@dataclass(frozen=True)
class Way:
    """What translates: `loop`, or test.py with these flags; precision and batch_size as typed."""

    precision: str
    batch_size: str

    @property
    def name(self) -> str:
        return f"{self.precision}_{self.batch_size}"

    @property
    def kind(self) -> str:
        return LOOP if self == PLAIN else "ours"


PLAIN = Way(LOOP, "1")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Arguments, checked. Raises UserError."""
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--images", type=int, default=64, help="images to translate")
    add("--sizes", type=int, nargs="+", default=[256], help="image sides in pixels")
    add("--bits", type=int, nargs="+", default=[8], choices=(8, 16), help="depths of the files")
    add("--batch_sizes", nargs="+", default=["auto"], help="--batch_size of test.py; auto: none")
    precisions = ("auto", *Compute.precisions)
    add("--precisions", nargs="+", default=["auto"], choices=precisions, help="of test.py")
    add("--ngf", type=int, default=64, help="width of the generator's first layer")
    add("--repeats", type=int, default=3, help="turns of each way")
    add("--threads", type=int, default=0, help="threads of torch; 0 leaves them to torch")
    add("--workers", type=int, help="--num_threads of test.py")
    add("--gpu_ids", default="auto", help="GPU number; -1 for the CPU; auto takes CUDA or the CPU")
    add("--out", type=Path, help="JSON file to write")
    args = parser.parse_args(argv)
    for name, least in {"images": 1, "sizes": 16, "ngf": 1, "repeats": 1, "threads": 0}.items():
        given = getattr(args, name)
        if np.min(given) < least:
            raise UserError(f"--{name} is {np.min(given)}; it must be {least} or more.")
    for given in args.batch_sizes:
        if given != "auto" and not (given.isdecimal() and int(given)):
            raise UserError(f"--batch_sizes has {given}; numbers from 1 and auto are understood.")
    return args


def make_images(folder: Path, count: int, size: int, bits: int) -> None:
    """Smooth scenes with noise."""
    for number, image in enumerate(make_pairs(count, size)[0]):
        write_image(folder / f"{number:05d}.png", at_depth(image, bits))


def save_generator(path: Path, ngf: int) -> None:
    """A ResNet-9 whose random weights give images of some contrast."""
    torch.manual_seed(0)
    generator = build_generator(
        "resnet_9blocks",
        **{"input_nc": 1, "output_nc": 1, "ngf": ngf, "norm": "instance"},
        **{"dropout": False, "antialias_down": True, "antialias_up": True},
    )
    torch.save(init_weights(generator, init_type="xavier", init_gain=1.0).state_dict(), path)


def take_turn(way: Way, settings: dict[str, Any]) -> dict[str, Any]:
    """What the worker's process answers. Raises UserError where it fails."""
    own = {"way": way.kind, "name": way.name}
    own |= {"precision": way.precision, "batch_size": way.batch_size}
    done = subprocess.run(
        [sys.executable, str(WORKER)],
        input=json.dumps({**settings, **own}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        words = done.stderr.strip().splitlines() or ["it ended without a word"]
        raise UserError(f"{way.name} failed: {words[-1].removeprefix('error: ')}")
    return json.loads(done.stdout)


def measure(
    ways: Sequence[Way], settings: dict[str, Any], args: argparse.Namespace
) -> dict[Way, dict[str, Any]]:
    """Medians over the turns: images/s, the most memory, and what the worker says of itself."""
    turns: dict[Way, list[dict[str, Any]]] = {way: [] for way in ways}
    for _ in range(args.repeats):
        for way in ways:
            turns[way].append(take_turn(way, settings))
    return {
        way: {
            "images_per_second": args.images / median(turn["seconds"] for turn in taken),
            "seconds": [turn["seconds"] for turn in taken],
            "peak_bytes": max(turn["peak_bytes"] for turn in taken),
            "precision": taken[0]["precision"],
            "threads": taken[0]["threads"],
        }
        for way, taken in turns.items()
    }


def difference(results: Path, way: Way) -> float:
    """Mean over the pixels of fake_B, in counts, between this way and the loop."""

    def images(of: Way) -> list[Path]:
        return sorted((results / of.name / "test_latest" / "images" / "fake_B").glob("*.png"))

    pairs = zip(images(way), images(PLAIN), strict=True)
    found = [np.abs(read_image(a).astype(int) - read_image(b)).mean() for a, b in pairs]
    return float(np.mean(found))


def compare(folder: Path, size: int, bits: int, args: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each precision and batch size. Raises UserError where the results differ."""
    make_images(folder / "images", args.images, size, bits)
    save_generator(folder / "generator.pth", args.ngf)
    settings = {
        "dataroot": str(folder / "images"),
        "weights": str(folder / "generator.pth"),
        "results_dir": str(folder / "results"),
        **{name: getattr(args, name) for name in ("ngf", "threads", "workers", "gpu_ids")},
        "bits": bits,
    }
    own = [Way(*choice) for choice in product(args.precisions, args.batch_sizes)]
    found = measure([PLAIN, *own] if bits == 8 else own, settings, args)
    loop, rows = found.get(PLAIN), []
    for way in own:
        row = {"size": size, "bits": bits, "batch_size": way.batch_size, "ours": found[way]}
        row |= {"loop": loop, "ratio": None, "difference": None}
        if loop is not None:
            row["ratio"] = found[way]["images_per_second"] / loop["images_per_second"]
            row["difference"] = difference(folder / "results", way)
            if not row["difference"] <= TOLERANCE:
                raise UserError(
                    f"the results of {way.name} differ from the loop's by {row['difference']:.1f} "
                    "counts; do not use these timings."
                )
        rows.append(row)
    return rows


HEADS = ("size", "bits", "batch", "precision", "images/s", "loop", "ratio", "MiB", "loop MiB")


def line(row: dict[str, Any]) -> str:
    ours, loop = row["ours"], row["loop"]
    cells = [row["size"], row["bits"], row["batch_size"], ours["precision"]]
    cells.append(f"{ours['images_per_second']:.2f}")
    cells += [f"{loop['images_per_second']:.2f}", f"{row['ratio']:.2f}"] if loop else ["-", "-"]
    cells += [f"{way['peak_bytes'] / 2**20:,.0f}" if way else "-" for way in (ours, loop)]
    return "  ".join(f"{cell:>9}" for cell in cells)


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point. Raises UserError."""
    args = parse(argv)
    select_device(args.gpu_ids)  # before anything is made, whether it is there
    print("  ".join(f"{head:>9}" for head in HEADS))
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for size, bits in product(args.sizes, args.bits):
            for row in compare(Path(temporary, f"{size}_{bits}"), size, bits, args):
                rows.append(row)
                print(line(row), flush=True)
    settings = {name: getattr(args, name) for name in ("images", "repeats", "ngf", "workers")}
    result = {**settings, "rows": rows, "machine": describe_machine()}
    if args.out:
        write_text(args.out, json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    run_main(main)
