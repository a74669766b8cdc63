"""How many images a second the data loader hands out, by cache, processes, size, depth and batch.

    python benchmarks/loader.py --reference --out loader.json

Makes 8- and 16-bit PNG files of two domains in a temporary folder, and reads them as CUT's training
does: resized to 286/256 of their size, cropped to it, mirrored, as tensors on the device. No model
runs. An epoch goes by untimed (processes start, the system has the files at hand), the median of
the following ones is shown; images of both domains count. --reference adds the plain way of the
public code for 8 bits: Pillow and torchvision's transforms, one image at a time, in torch's
DataLoader. Ends with an error where the caches give different batches.

Measure on a machine that is otherwise idle.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.datasets.folder import pil_loader

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.machine import describe_machine
from benchmarks.scenes import at_depth, make_pairs
from data.build import build_training_datasets
from data.datasets import ImageDataset
from data.folders import find_images
from data.images import write_image
from data.loader import Loader
from models import MODEL_OPTIONS
from options import parse_train
from util.batch import Batch
from util.cli import Parser
from util.device import select_device
from util.errors import UserError, run_main
from util.files import write_text

CACHES = ("none", "ram", "disk")
REFERENCE = "reference"

Epoch = Callable[[int], Iterator[Any]]  # number of the epoch -> its batches, on the device


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Arguments, checked. Raises UserError."""
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--images", type=int, default=512, help="images of a domain")
    add("--sizes", type=int, nargs="+", default=[256, 512], help="image sides in pixels")
    add("--bits", type=int, nargs="+", default=[8, 16], choices=(8, 16), help="depths of the files")
    add("--batch_sizes", type=int, nargs="+", default=[1, 8, 32], help="images of A in a batch")
    add("--workers", type=int, nargs="+", default=[0, 2, 4], help="reader processes; cores at most")
    add("--caches", nargs="+", default=CACHES, choices=CACHES, help="values of --cache")
    add("--repeats", type=int, default=3, help="timed epochs")
    add("--gpu_ids", default="auto", help="GPU number; -1 for the CPU; auto takes CUDA or the CPU")
    add("--reference", action="store_true", help="time Pillow and torchvision, too")
    add("--out", type=Path, help="JSON file to write")
    args = parser.parse_args(argv)
    least = {"images": 1, "sizes": 16, "batch_sizes": 1, "workers": 0, "repeats": 1}
    for name, bound in least.items():
        given = getattr(args, name)
        if np.min(given) < bound:
            raise UserError(f"--{name} is {np.min(given)}; it must be {bound} or more.")
    args.workers = sorted({min(number, os.cpu_count() or 1) for number in args.workers})
    return args


def make_folder(folder: Path, count: int, size: int, bits: int) -> None:
    """Files of domains A and B."""
    for letter, images in zip("AB", make_pairs(count, size), strict=True):
        for number, image in enumerate(images):
            write_image(folder / f"train{letter}" / f"{number:05d}.png", at_depth(image, bits))


def build(folder: Path, size: int, cache: str) -> ImageDataset:
    flags = ["--dataroot", str(folder), "--model", "cut", "--cache", cache]
    flags += ["--crop_size", str(size), "--load_size", str(round(size * 286 / 256))]
    config = parse_train(flags, MODEL_OPTIONS)
    dataset, _ = build_training_datasets(
        config.data,
        config.model,
        seed=config.run.seed,
        full_size_after=config.training.n_epochs,
        value_maps={},
        left_out={},
    )
    return dataset


class PlainImages(Dataset):
    """Unpaired images as the public code of CUT reads them: (A, B), each (1, size, size)."""

    def __init__(self, folder: Path, size: int) -> None:
        self.files = [
            [str(file.path) for file in find_images(folder / f"train{letter}")] for letter in "AB"
        ]
        load_size = round(size * 286 / 256)
        self.prepare = transforms.Compose(
            [
                transforms.Grayscale(1),
                transforms.Resize([load_size, load_size], transforms.InterpolationMode.BICUBIC),
                transforms.RandomCrop(size),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize((0.5,), (0.5,)),
            ]
        )

    def __len__(self) -> int:
        return len(self.files[0])

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        other = int(torch.randint(len(self.files[1]), ()))
        paths = self.files[0][index], self.files[1][other]
        return tuple(self.prepare(pil_loader(path)) for path in paths)


def plain_epoch(images: PlainImages, batch_size: int, workers: int, device: torch.device) -> Epoch:
    loader = DataLoader(
        images,
        batch_size,
        shuffle=True,
        num_workers=workers,
        pin_memory=device.type == "cuda",
        persistent_workers=workers > 0,
    )
    return lambda _: ([x.to(device, non_blocking=True) for x in batch] for batch in loader)


def own_epoch(dataset: ImageDataset, batch_size: int, workers: int, device: torch.device) -> Epoch:
    return Loader(
        dataset,
        batch_size=batch_size,
        shuffle=True,
        seed=0,
        num_threads=workers,
        device=device,
    ).epoch


def images_per_second(epoch: Epoch, images: int, repeats: int, device: torch.device) -> float:
    """Median over the epochs after the first; images: of both domains in an epoch."""
    seconds = []
    for number in range(1, repeats + 2):
        start = time.perf_counter()
        for _ in epoch(number):
            pass
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    return images / median(seconds[1:])


def measure(
    folder: Path, size: int, bits: int, args: argparse.Namespace, device: torch.device
) -> Iterator[dict[str, Any]]:
    """A row for each batch size and number of processes: images/s by way of reading."""
    datasets, seconds = {}, {}
    for cache in args.caches:
        start = time.perf_counter()
        datasets[cache] = build(folder, size, cache)
        seconds[cache] = time.perf_counter() - start
    require_equal([found.prepare(found.collect([(1, 0)])) for found in datasets.values()])
    ways = {cache: (own_epoch, dataset) for cache, dataset in datasets.items()}
    if args.reference and bits == 8:
        ways[REFERENCE] = plain_epoch, PlainImages(folder, size)
    for batch_size, workers in product(args.batch_sizes, args.workers):
        speeds = {}
        for way, (make, images) in ways.items():
            epoch = make(images, batch_size, workers, device)
            speeds[way] = images_per_second(epoch, 2 * args.images, args.repeats, device)
        yield {
            "size": size,
            "bits": bits,
            "batch_size": batch_size,
            "workers": workers,
            "images_per_second": speeds,
            "seconds_before_training": seconds,
        }


def require_equal(batches: Sequence[Batch]) -> None:
    """Raises UserError where batches that were kept in different places differ."""
    first = batches[0]
    for other in batches[1:]:
        if not (torch.equal(first.a, other.a) and torch.equal(first.b, other.b)):
            raise UserError("the caches give different batches; do not use these timings.")


def line(row: Mapping[str, Any], ways: Sequence[str]) -> str:
    speeds = row["images_per_second"]
    cells = [f"{speeds[way]:9,.0f}" if way in speeds else f"{'-':>9}" for way in ways]
    numbers = (row[name] for name in ("size", "bits", "batch_size", "workers"))
    return "  ".join([*(f"{number:>7}" for number in numbers), *cells])


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point. Raises UserError."""
    args = parse(argv)
    device = select_device(args.gpu_ids)
    ways = [*args.caches, *([REFERENCE] if args.reference else [])]
    print("images/s, of both domains")
    heads = [f"{name:>7}" for name in ("size", "bits", "batch", "workers")]
    heads += [f"{way:>9}" for way in ways]
    print("  ".join(heads))
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["XDG_CACHE_HOME"] = str(Path(temporary, "cache"))
        for size, bits in product(args.sizes, args.bits):
            folder = Path(temporary, f"{size}_{bits}")
            make_folder(folder, args.images, size, bits)
            for row in measure(folder, size, bits, args, device):
                rows.append(row)
                print(line(row, ways), flush=True)
    result = {
        "images": args.images,
        "repeats": args.repeats,
        "rows": rows,
        "machine": describe_machine(),
    }
    if args.out:
        write_text(args.out, json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    run_main(main)
