"""Translates a folder of images once, for `benchmarks/inference.py`: settings in, figures out.

Reads the settings as JSON, translates a few images untimed and then all of them, and answers with
the seconds and the most memory that it held.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision import transforms
from torchvision.datasets.folder import pil_loader
from torchvision.transforms.functional import to_pil_image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import test as test_program
from data.folders import find_images
from models.networks import build_generator
from util.compute import select_compute
from util.device import select_device
from util.errors import run_main
from util.html import GalleryRow, write_gallery

WARM_UP = {"cuda": 64}  # images; of other devices one

Settings = dict[str, Any]
Facts = dict[str, Any]
Translate = Callable[[str, int | None], None]  # name of the results, images (None for all)


def with_test_program(settings: Settings) -> tuple[Translate, Facts]:
    """test.py as users call it."""
    flags = ["--model", "cut", "--dataset_mode", "single", "--preprocess", "none"]
    for name in ("dataroot", "weights", "results_dir", "precision", "gpu_ids", "ngf"):
        flags += [f"--{name}", str(settings[name])]
    if settings["bits"] == 16:
        flags += ["--value_range", "0", "65535"]
    if settings["batch_size"] != "auto":
        flags += ["--batch_size", settings["batch_size"]]
    if settings["workers"] is not None:
        flags += ["--num_threads", str(settings["workers"])]

    def translate(name: str, count: int | None) -> None:
        test_program.main([*flags, "--name", name, "--num_test", str(count or "all")])

    gpu_ids, precision, bits = (settings[key] for key in ("gpu_ids", "precision", "bits"))
    compute = select_compute(gpu_ids, precision, result_bits=bits)
    return translate, {"precision": compute.precision}


def with_plain_loop(settings: Settings) -> tuple[Translate, Facts]:
    """One image after another, as in the public code: Pillow, torchvision, fp32, Pillow's PNG.

    The generator is ours, in torch's plain memory layout; results are saved in grey, where the
    public code saves three bands.
    """
    device = select_device(settings["gpu_ids"])
    files = [file.path for file in find_images(Path(settings["dataroot"]))]
    prepare = transforms.Compose(
        [transforms.Grayscale(1), transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))]
    )

    def translate(name: str, count: int | None) -> None:
        generator = load_generator(settings).to(device).eval()
        folder, rows = Path(settings["results_dir"], name, "test_latest"), []
        for kind in ("real_A", "fake_B"):
            (folder / "images" / kind).mkdir(parents=True, exist_ok=True)
        for path in files[:count]:
            image = prepare(pil_loader(path))[None].to(device)
            with torch.no_grad():
                fake = generator(image)
            shown = [(kind, Path("images", kind, path.name)) for kind in ("real_A", "fake_B")]
            for (_, file), result in zip(shown, (image, fake), strict=True):
                to_pil_image(to_counts(result)).save(folder / file)
            rows.append(GalleryRow(path.stem, shown))
        write_gallery(folder / "index.html", name, {}, rows)

    return translate, {"precision": "fp32"}


def load_generator(settings: Settings) -> torch.nn.Module:
    """What --netG resnet_9blocks of CUT builds, with the weights of the file."""
    generator = build_generator(
        "resnet_9blocks",
        **{"input_nc": 1, "output_nc": 1, "ngf": settings["ngf"], "norm": "instance"},
        **{"dropout": False, "antialias_down": True, "antialias_up": True},
    )
    generator.load_state_dict(torch.load(settings["weights"], weights_only=True))
    return generator


def to_counts(images: Tensor) -> np.ndarray:
    """The first of (B, 1, H, W) in [-1, 1] -> (H, W, 1) uint8, cut off as in the public code."""
    values = images.data[0].clamp(-1.0, 1.0).cpu().float().numpy()
    return ((np.transpose(values, (1, 2, 0)) + 1) / 2.0 * 255.0).astype(np.uint8)


WAYS = {"ours": with_test_program, "loop": with_plain_loop}


def peak_bytes(device: torch.device) -> int:
    """On a GPU what tensors took at most; else the most that this process had resident, in all."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def main() -> None:
    """Entry point. Raises UserError."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what test.py prints is no answer
    settings = json.load(sys.stdin)
    if settings["threads"]:
        torch.set_num_threads(settings["threads"])
    device = select_device(settings["gpu_ids"])
    translate, facts = WAYS[settings["way"]](settings)
    translate(f"{settings['name']}_warm_up", WARM_UP.get(device.type, 1))
    start = time.perf_counter()
    translate(settings["name"], None)
    seconds = time.perf_counter() - start
    facts |= {"seconds": seconds, "peak_bytes": peak_bytes(device)}
    print(json.dumps({**facts, "threads": torch.get_num_threads()}), file=answers, flush=True)


if __name__ == "__main__":
    run_main(main)
