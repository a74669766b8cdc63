"""Make a run folder and a results folder, and note what comes of them, for later code to repeat.

    python tests/earlier/make.py     (from the project's root)

writes beside this file, with the code that it is run from:

    data/NAME/{train,test}{A,B}      images: 8 bits for cut, 16 bits for pix2pix
    checkpoints/NAME                 runs of two epochs
    results/NAME                     their translations
    NAME.json                        losses of a third epoch, values of evaluate.py

It is run once, when the format of a file changes by intent; test_earlier.py compares.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SIZE = 40  # pixels of a side

SMALL = (
    "--netG resnet_4blocks --ngf 2 --ndf 2 --load_size 36 --crop_size 32 --num_threads 0 "
    "--gpu_ids -1 --precision fp32 --no_html --print_freq 1 --lr 0.003"
).split()
FLAGS = {
    "cut": ["--model", "cut", "--netF_nc", "4", "--num_patches", "16", *SMALL],
    "pix2pix": ["--model", "pix2pix", "--norm", "batch", *SMALL],
}
TWO_EPOCHS = ["--n_epochs", "1", "--n_epochs_decay", "1"]
COMPARISONS = ("fake_B_vs_real_B", "real_A_vs_fake_B")
ONE_MORE = ["--n_epochs", "1", "--n_epochs_decay", "2", "--continue_train"]


def images(seed: int, *, bits: int) -> np.ndarray:
    """A warm spot on a ramp, with noise: (SIZE, SIZE)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    spot = np.exp(-((y - rng.uniform(0.3, 0.7)) ** 2 + (x - rng.uniform(0.3, 0.7)) ** 2) / 0.02)
    scene = 0.2 + 0.3 * y + 0.4 * spot + rng.normal(0, 0.02, y.shape)
    return (scene.clip(0, 1) * (255 if bits == 8 else 20_000)).astype(f"uint{bits}")


def write_data(folder: Path, name: str) -> None:
    """Three images for training and two for testing, a domain."""
    for place, part in enumerate(("trainA", "trainB", "testA", "testB")):
        target = folder / "data" / name / part
        target.mkdir(parents=True)
        for i in range(3 if "train" in part else 2):
            values = images(10 * place + i, bits=8 if name == "cut" else 16)
            Image.fromarray(values).save(target / f"{i}.png")


def program(script: str, *flags: str, cwd: Path) -> None:
    """Run one of the project's programs in `cwd`."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, ROOT / script, *flags], cwd=cwd, env=environment, check=True)


def losses(folder: Path) -> list[dict[str, float]]:
    """Of the third epoch, by loss; without what a clock has measured."""
    rows = list(csv.DictReader((folder / "loss_log.csv").open()))
    timed = ("seconds_per_step", "seconds_data")
    return [
        {k: float(v) for k, v in row.items() if k not in timed}
        for row in rows
        if row["epoch"] == "3"
    ]


def make(name: str, folder: Path) -> None:
    """The run `name`, its results, and what is to be repeated."""
    write_data(folder, name)
    data = ["--dataroot", f"data/{name}", "--name", name]
    program("train.py", *FLAGS[name], *TWO_EPOCHS, *data, cwd=folder)
    (folder / "checkpoints" / name / "previous.pth").unlink()  # as large as the state after it
    flags = ["--num_threads", "0", "--gpu_ids", "-1", "--precision", "fp32"]
    program("test.py", *flags, *data, "--phase", "test", cwd=folder)
    results = f"results/{name}/test_latest"
    program("evaluate.py", "--results", results, "--out", "evaluated.json", cwd=folder)
    evaluated = json.loads((folder / "evaluated.json").read_text())
    for_people = shutil.ignore_patterns("index.html", "previews")
    for part in ("data", "checkpoints", "results"):
        shutil.copytree(folder / part, HERE / part, ignore=for_people, dirs_exist_ok=True)
    program("train.py", *FLAGS[name], *ONE_MORE, *data, cwd=folder)
    content = {
        "losses": losses(folder / "checkpoints" / name),
        "evaluation": {key: evaluated[key] for key in (*COMPARISONS, "fake_B", "sets")},
    }
    (HERE / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


def main() -> None:
    """Both runs, in place of those that are here."""
    for part in ("data", "checkpoints", "results"):
        shutil.rmtree(HERE / part, ignore_errors=True)
    for name in FLAGS:
        with tempfile.TemporaryDirectory() as folder:
            make(name, Path(folder))


if __name__ == "__main__":
    main()
