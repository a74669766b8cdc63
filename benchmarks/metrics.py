"""How fast PSNR and SSIM of 8-bit pairs are, beside scikit-image.

    python benchmarks/metrics.py --pairs 1000 --size 256 --repeats 5 --out speed.json

Times four ways from the same uint8 arrays to the same values: scikit-image called pair by pair, the
same calls from a thread on each core, and metrics.paired on batches, with torch's threads and with
one; its times include making the tensors. The ways take turns, and the medians over the repeats are
shown. Ends with an error where the values disagree.

Measure on a machine that is otherwise idle: torch's threads wait for each other after each
operation, and where other programs hold the cores they can become slower than one thread.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import numpy as np
import skimage
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.machine import describe_machine
from benchmarks.scenes import make_pairs
from metrics.paired import SSIM_WINDOW, psnr, ssim
from util.cli import Parser
from util.errors import UserError, run_main
from util.files import write_text

BATCH_SIZE = 16
DATA_RANGE = 255
TOLERANCE = 1e-6  # in dB and in SSIM

Values = np.ndarray  # (pairs, 2): PSNR and SSIM


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Arguments, checked. Raises UserError."""
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--pairs", type=int, default=1000, help="how many pairs of images")
    add("--size", type=int, default=256, help="image side in pixels")
    add("--repeats", type=int, default=5, help="turns of each way")
    add("--out", type=Path, help="JSON file to write")
    args = parser.parse_args(argv)
    for name, least in (("pairs", 1), ("size", SSIM_WINDOW), ("repeats", 1)):
        if getattr(args, name) < least:
            raise UserError(f"--{name} is {getattr(args, name)}; it must be {least} or more.")
    return args


def scikit_image(a: np.ndarray, b: np.ndarray) -> Values:
    return np.array([_one_pair(x, y) for x, y in zip(a, b, strict=True)])


def scikit_image_in_threads(a: np.ndarray, b: np.ndarray) -> Values:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.array(list(pool.map(_one_pair, a, b)))


def _one_pair(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    return (
        peak_signal_noise_ratio(a, b, data_range=DATA_RANGE),
        structural_similarity(a, b, data_range=DATA_RANGE),
    )


def batches(a: np.ndarray, b: np.ndarray) -> Values:
    values = []
    for start in range(0, len(a), BATCH_SIZE):
        x, y = (torch.from_numpy(i[start : start + BATCH_SIZE])[:, None].float() for i in (a, b))
        pair = psnr(x, y, data_range=DATA_RANGE), ssim(x, y, data_range=DATA_RANGE)
        values.append(torch.stack(pair, dim=1))
    return torch.cat(values).numpy()


def batches_in_one_thread(a: np.ndarray, b: np.ndarray) -> Values:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    values = batches(a, b)
    torch.set_num_threads(threads)
    return values


# Name of each way -> from (pairs, H, W) uint8 twice to its values. The first is the reference.
WAYS: dict[str, Callable[[np.ndarray, np.ndarray], Values]] = {
    "scikit-image": scikit_image,
    "scikit-image, threads": scikit_image_in_threads,
    "metrics.paired": batches,
    "metrics.paired, 1 thread": batches_in_one_thread,
}


def measure(a: np.ndarray, b: np.ndarray, repeats: int) -> tuple[dict[str, float], list[float]]:
    """Median seconds of each way, and the largest differences of PSNR and SSIM between them."""
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    differences = np.zeros(2)
    for _ in range(repeats):
        values = []
        for name, way in WAYS.items():
            start = time.perf_counter()
            values.append(way(a, b))
            seconds[name].append(time.perf_counter() - start)
        differences = np.maximum(differences, np.abs(np.ptp(values, axis=0)).max(axis=0))
    return {name: median(times) for name, times in seconds.items()}, differences.tolist()


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point. Raises UserError."""
    args = parse(argv)
    a, b = make_pairs(args.pairs, args.size)
    for way in WAYS.values():
        way(a[:1], b[:1])  # what only the first call costs
    seconds, (psnr_difference, ssim_difference) = measure(a, b, args.repeats)
    reference = next(iter(seconds.values()))
    result = {
        "pairs": args.pairs,
        "size": args.size,
        "repeats": args.repeats,
        "seconds": seconds,
        "ratio": {name: reference / took for name, took in seconds.items()},
        "largest_difference": {"psnr": psnr_difference, "ssim": ssim_difference},
        "machine": {**describe_machine(), "scikit_image": skimage.__version__},
    }
    print(f"{'PSNR and SSIM':<24}  {'seconds':>8}  {'pairs/s':>8}  {'ratio':>6}")
    for name, took in seconds.items():
        print(f"{name:<24}  {took:8.3f}  {args.pairs / took:8.0f}  {reference / took:6.2f}")
    print(f"largest differences: {psnr_difference:.1e} dB, {ssim_difference:.1e} SSIM")
    if args.out:
        write_text(args.out, json.dumps(result, indent=2) + "\n")
    if not max(psnr_difference, ssim_difference) <= TOLERANCE:
        raise UserError(f"the values differ by more than {TOLERANCE}; do not use these timings.")


if __name__ == "__main__":
    run_main(main)
