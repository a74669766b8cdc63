"""Whether training in another precision ends where fp32 ends, measured against the seeds' spread.

    python benchmarks/precision.py --folder /tmp/precision --seeds 0 1 2 --out precision.json

Makes two demo sets in --folder, trains small CUT and Pix2Pix models on the one with every precision
and seed, and compares their translations of the other's simulator images with the sensor's images
of the same scenes: PSNR and SSIM. Translations are made in fp32, so that training alone differs.
Finished parts are kept: run it again after an interruption.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from util.cli import Parser
from util.errors import UserError, run_main
from util.files import write_text

ROOT = Path(__file__).resolve().parents[1]
TRAIN_SEED, TEST_SEED = 0, 1  # of the demo sets
SMALL = ["--ngf", "16", "--ndf", "16", "--lr", "0.0004", "--num_threads", "1"]
# Flags of each model, and where its training images are in the demo set's folder.
MODELS = {
    "cut": (["--netG", "resnet_4blocks", "--netF_nc", "64", "--num_patches", "128"], "unpaired"),
    "pix2pix": (["--netG", "unet_128", "--phase", "truth"], "train"),
}
METRICS = ("psnr", "ssim")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Arguments, checked. Raises UserError."""
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--folder", type=Path, required=True, help="for datasets, checkpoints and results")
    add("--models", nargs="+", default=list(MODELS), choices=MODELS, help="what is trained")
    add("--precisions", nargs="+", default=["fp32", "bf16"], help="as in train.py")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the training")
    add("--images", type=int, default=240, help="training images of a domain")
    add("--tests", type=int, default=48, help="scenes to translate")
    add("--size", type=int, default=128, help="image side in pixels")
    add("--epochs", type=int, default=8, help="half of them with falling learning rate")
    add("--out", type=Path, help="JSON file to write")
    args = parser.parse_args(argv)
    for name, least in (("images", 1), ("tests", 1), ("size", 128), ("epochs", 2)):
        if getattr(args, name) < least:
            raise UserError(f"--{name} is {getattr(args, name)}; it must be {least} or more.")
    return args


def run(script: str, *flags: str | Path | int) -> None:
    """One of the project's programs. Raises UserError with its last words where it fails."""
    command = [sys.executable, str(ROOT / script), *map(str, flags)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise UserError(f"{script} failed: {words[-1] if words else 'without a word'}")


def make_datasets(args: argparse.Namespace) -> None:
    """Images of both domains, and scenes seen both ways, to train on and to test on."""
    size = ("--size", args.size, "--num_threads", 1)
    train, test = args.folder / "train", args.folder / "test"
    counts = ("--num_train", args.images, "--num_test", args.images)
    run("datasets/make_demo.py", "--out", train, "--seed", TRAIN_SEED, *counts, *size)
    counts = ("--num_train", 1, "--num_test", args.tests)
    run("datasets/make_demo.py", "--out", test, "--seed", TEST_SEED, *counts, *size)
    domains = ("--real", train / "real", "--sim", train / "sim")
    run("datasets/make_unpaired.py", *domains, "--out", args.folder / "unpaired")


def train_and_compare(
    args: argparse.Namespace, model: str, precision: str, seed: int
) -> dict[str, Any]:
    """What evaluate.py says of one training's translations."""
    flags, data = MODELS[model]
    name = f"{model}_{precision}_{seed}"
    root = args.folder / data
    root = root / "mwir_sim2cut" if data == "unpaired" else root
    folders = ("--name", name, "--checkpoints_dir", args.folder / "checkpoints")
    half = args.epochs // 2
    epochs = ("--n_epochs", args.epochs - half, "--n_epochs_decay", half)
    sizes = ("--load_size", args.size * 9 // 8, "--crop_size", args.size)
    how = ("--precision", precision, "--seed", seed, "--no_html", "--dataroot", root, "--resume")
    run("train.py", "--model", model, *flags, *SMALL, *folders, *sizes, *epochs, *how)
    results = args.folder / "results"
    images = ("--dataroot", args.folder / "test", "--dataset_mode", "aligned", "--phase", "truth")
    how = ("--num_test", "all", "--precision", "fp32")
    run("test.py", *folders, "--results_dir", results, *images, *how)
    out = results / f"{name}.json"
    run("evaluate.py", "--results", results / name / "truth_latest", "--out", out)
    return json.loads(out.read_text())


def compare(values: dict[str, list[float]], reference: str) -> dict[str, Any]:
    """Means and ranges over the seeds, and whether each mean lies in the reference's range.

    A mean of several seeds that lies there is no further off than one seed can be.
    """
    low, high = min(values[reference]), max(values[reference])
    return {
        precision: {
            "values": found,
            "mean": mean(found),
            "within_spread": low <= mean(found) <= high,
        }
        for precision, found in values.items()
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point. Raises UserError."""
    args = parse(argv)
    make_datasets(args)
    result: dict[str, Any] = {"settings": {k: str(v) for k, v in vars(args).items()}, "models": {}}
    for model in args.models:
        values: dict[str, dict[str, list[float]]] = {
            metric: {precision: [] for precision in args.precisions} for metric in METRICS
        }
        for seed, precision in product(args.seeds, args.precisions):
            found = train_and_compare(args, model, precision, seed)
            for metric in METRICS:
                values[metric][precision].append(found["fake_B_vs_real_B"][metric]["mean"])
        result["models"][model] = {
            metric: compare(values[metric], args.precisions[0]) for metric in METRICS
        }
        for metric, rows in result["models"][model].items():
            for precision, row in rows.items():
                seeds = " ".join(f"{value:8.4f}" for value in row["values"])
                note = "within" if row["within_spread"] else "OUTSIDE"
                print(
                    f"{model:8} {metric} {precision:5} {seeds}  mean {row['mean']:.4f}, {note} the "
                    f"range of {args.precisions[0]}",
                    flush=True,
                )
    if args.out:
        write_text(args.out, json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    run_main(main)
