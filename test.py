"""Translate images with a trained generator: `python test.py --dataroot DIR --name NAME`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from data import build_test_dataset
from data.datasets import ImageDataset
from data.images import write_image
from data.loader import Loader
from data.preview import preview
from data.value_map import ValueMap
from models import MODEL_OPTIONS
from models.networks import load_weights
from models.translation import make_generator, translate
from options import TestConfig, TranslationOptions, from_dict, parse_test
from util.batch import Batch
from util.checkpoint import load, run_path
from util.device import select_device
from util.errors import UserError, run_main
from util.files import write_text
from util.html import GalleryRow, write_gallery
from util.run_folder import RunFolder
from util.seeding import seed_step

# What a test run may choose anew, beside where things are; the rest belongs to the checkpoint.
PREPROCESSING = ("preprocess", "load_size", "crop_size")


def main(argv: Sequence[str] | None = None) -> None:
    """Load the generator, translate every image, write files and page."""
    config = parse_test(argv, MODEL_OPTIONS)
    if config.test.epoch != "latest" and not config.test.epoch.isdecimal():
        raise UserError(f"--epoch {config.test.epoch} is neither latest nor an epoch's number.")
    if config.test.weights is None:
        folder = RunFolder.of(config.run.checkpoints_dir, config.run.name)
        record = folder.record()
        config = _with_trained_options(config, record, folder)
        value_maps = {role: ValueMap(**m) for role, m in record["value_maps"].items()}
        weights = folder.load_networks(config.test.epoch, ["G"])["G"]
        source = str(folder.network_file(config.test.epoch, "G"))
    else:
        source, value_maps = config.test.weights, {}
        weights = load(Path(source), hint="check --weights")
    if not isinstance(config.model, TranslationOptions):
        raise UserError(f"--model {config.run.model} translates nothing; name another run.")
    device = select_device(config.run.gpu_ids)
    generator = make_generator(config.model)
    load_weights(generator, weights, source=source)
    generator = generator.to(device).train(not config.test.eval)
    dataset = build_test_dataset(config, value_maps=value_maps)
    Translation(config, generator, dataset, device).run()


def _with_trained_options(
    config: TestConfig, record: Mapping[str, Any], folder: RunFolder
) -> TestConfig:
    """The options of the training run, less what this command line chooses.

    Raises UserError where the command line contradicts the training run.
    """
    trained = from_dict(record["options"], MODEL_OPTIONS)
    if "model" in config.given and config.run.model != trained.run.model:
        raise UserError(
            f"{folder.path} was trained with --model {trained.run.model}, "
            f"not {config.run.model}; leave the flag out."
        )
    for item in fields(trained.model):
        if item.name not in config.given:
            continue
        was, now = getattr(trained.model, item.name), getattr(config.model, item.name)
        if was != now and item.name != "norm":
            raise UserError(
                f"{folder.path} was trained with --{item.name} {was}, not {now}; leave it out."
            )
    kept = {name: getattr(trained.data, name) for name in PREPROCESSING}
    kept |= {name: getattr(trained.data, name) for name in ("dataset_mode", "direction")}
    kept["dataroot"] = trained.data.dataroot
    kept = {name: value for name, value in kept.items() if name not in config.given}
    return replace(
        config,
        run=replace(config.run, model=trained.run.model),
        data=replace(config.data, **kept),
        model=trained.model,
    )


class Translation:
    """The loop over images, and the files it writes."""

    def __init__(
        self, config: TestConfig, generator: nn.Module, dataset: ImageDataset, device: torch.device
    ) -> None:
        self.config, self.generator, self.dataset, self.device = config, generator, dataset, device
        results = run_path(config.test.results_dir, config.run.name, flag="--name")
        phase = f"{config.data.phase}_{config.test.epoch}"
        self.folder = run_path(results, phase, flag="--phase")
        target = dataset.value_maps.get("B", dataset.value_maps["A"])
        self.value_maps = {"real_A": dataset.value_maps["A"], "fake_B": target, "real_B": target}
        self.rows: list[GalleryRow] = []
        self.written: set[Path] = set()

    def run(self) -> None:
        """Translate up to --num_test images and write the page."""
        (self.folder / "result.json").unlink(missing_ok=True)
        total = len(self.dataset)
        count = min(total, self.config.test.num_test or total)
        if count < total:
            more = "; --num_test all takes all" if "num_test" not in self.config.given else ""
            print(f"{count} of {total} images{more}")
        loader = Loader(
            self.dataset,
            length=count,
            batch_size=self.config.data.batch_size,
            shuffle=False,
            seed=self.config.run.seed,
            num_threads=self.config.data.num_threads,
        )
        for step, batch in enumerate(loader.epoch(0)):
            seed_step(self.config.run.seed, step)
            fake = translate(self.generator, batch.a.to(self.device))
            self.write(batch, fake.cpu())
        self.remove_stale()
        facts = {"images": f"{count} of {total}", "data": str(self.config.data.dataroot)}
        title = f"{self.config.run.name}: {self.config.data.phase}, {self.config.test.epoch}"
        write_gallery(self.folder / "index.html", title, facts, self.rows)
        self.write_record(count, total)
        print(f"{count} images in {self.folder / 'images'}, page {self.folder / 'index.html'}")

    def remove_stale(self) -> None:
        """Images of an earlier run that this one did not write."""
        for kind in ("images", "previews"):
            for file in (self.folder / kind).rglob("*.png"):
                if file.relative_to(self.folder) not in self.written:
                    file.unlink()

    def write_record(self, count: int, total: int) -> None:
        """result.json: where the images come from, for evaluate.py and make_pseudo_pairs.py.

        paired: whether real_B is the true partner; null where there is no real_B.
        """
        paired = self.config.data.dataset_mode == "aligned"
        record = {
            "name": self.config.run.name,
            "model": self.config.run.model,
            "epoch": self.config.test.epoch,
            "dataroot": str(self.dataset.selection.root),
            "phase": self.config.data.phase,
            "count": count,
            "total": total,
            "paired": paired if "B" in self.dataset.domains else None,
        }
        text = json.dumps(record, indent=1) + "\n"
        write_text(self.folder / "result.json", text)

    def write(self, batch: Batch, fake: torch.Tensor) -> None:
        """Files of one batch, and their row of the page."""
        sets = {"real_A": batch.a, "fake_B": fake, "real_B": batch.b}
        sets = {name: images for name, images in sets.items() if images is not None}
        for place, name in enumerate(batch.names):
            shown = []
            for kind, images in sets.items():
                value_map, image = self.value_maps[kind], images[place]
                file = Path("images", kind, f"{name}.png")
                write_image(self.folder / file, value_map.decode(image))
                self.written.add(file)
                if value_map.bits > 8:  # browsers show 16-bit counts as near black
                    file = Path("previews", kind, f"{name}.png")
                    write_image(self.folder / file, preview(image))
                    self.written.add(file)
                shown.append((kind, file))
            self.rows.append(GalleryRow(name, shown))


if __name__ == "__main__":
    run_main(main)
