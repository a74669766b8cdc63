"""Measure what images are worth: train the classifier on each set, test it on real images.

    python downstream.py --set real DATA/real \\
        --set translated results/mwir_pix2pix/train_latest/images/fake_B \\
        --set simulator-like datasets/mwir_pix2pix/train_A \\
        --test DATA/real --out results/downstream -- --n_epochs 5 --load_size 128

Each set is a folder of labelled images as `train.py --model classifier` takes it: with labels.csv
in it or above it, or with class folders. The first set is the reference: the real one. What follows
the lone `--` are flags of train.py for the classifier, the same for every set.

Writes

    OUT/downstream.md               the table
    OUT/downstream.csv              one row a trained classifier
    OUT/downstream.json             everything, with confusion matrices
    OUT/checkpoints/SET_seedN       the runs

A finished run is not trained again and an interrupted one goes on, so sets and seeds can be added.
docs/METRICS.md defines the table.
"""

import argparse
import csv
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data.datasets import LabeledDataset, Selection
from data.images import read_image
from data.loader import Loader
from data.transforms import Preprocessing
from data.value_map import ValueMap, find_value_map, recorded_maps
from metrics.downstream import (
    LabelledSet,
    Row,
    accuracy,
    as_markdown,
    balanced_accuracy,
    common_classes,
    confusion_matrix,
    left_out,
    make_row,
    refuse_overlap,
    shared_recordings,
    table,
)
from metrics.provenance import versions
from metrics.report.format import aligned
from models import MODEL_OPTIONS
from models.networks.classifier import load_classifier
from options import TrainConfig, parse_train, to_dict
from training.position import Position
from training.run_folder import RunFolder
from training.start import is_begun, train
from util.checkpoint import digest, load
from util.cli import Parser
from util.device import select_device
from util.errors import UserError, run_main
from util.files import absolute, write_text

# The last state alone is tested, and a kept one of every fifth epoch would take gigabytes.
DEFAULTS = ("--model", "classifier", "--save_epoch_freq", str(10**9))
# What this program decides for each run.
OWN_FLAGS = frozenset(
    {"name", "checkpoints_dir", "dataroot", "seed", "epoch", "continue_train", "resume"}
    | {"epoch_count", "pretrained_name"}
)
OTHER_OUT = "give the same images and flags, or another --out, or delete it"


def main(argv: Sequence[str] | None = None) -> None:
    """Find the images, train what is not trained yet, test, write table and values."""
    args, flags = parse(argv)
    config = common_config(flags)
    phase = config.data.phase
    sets = [find_set(name, folder, phase=phase, flag="--set") for name, folder in args.set]
    test = find_set("test", args.test, phase=args.phase, flag="--test")
    classes = common_classes(test, sets)
    shown = test.only(classes)
    refuse_overlap(shown, sets)
    trials = [[Trial.of(s, seed, args.out, config) for seed in range(args.seeds)] for s in sets]
    for trial in chain(*trials):
        is_begun(trial.config, trial.folder, way=OTHER_OUT)  # every one, before hours of training
    results = [[trial.run(shown, classes) for trial in group] for group in trials]
    rows: list[Row] = []
    for images, group in zip(sets, results, strict=True):
        rows.append(_row(images, group, reference=rows[0] if rows else None))
    header = f"Tested on {len(shown.items)} images of {len(classes)} classes: {', '.join(classes)}."
    notes = _notes(results, test, classes)
    cells = table(rows, chance=1 / len(classes))
    print("\n".join(["", header, "", aligned(cells), "", *notes]))
    report = _report(rows, results, shown)
    report |= {"left_out": left_out(test, sets, classes), "notes": notes, "flags": flags}
    lines = [header, "", as_markdown(cells), "", *(f"- {note}" for note in notes)]
    write_text(args.out / "downstream.json", json.dumps(report, indent=1, allow_nan=False) + "\n")
    write_text(args.out / "downstream.csv", _csv(results))
    write_text(args.out / "downstream.md", "\n".join(lines) + "\n")
    print(f"table in {args.out / 'downstream.md'}; downstream.csv and downstream.json beside it")


def parse(argv: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """Own arguments, and the flags of train.py after `--`. Raises UserError."""
    words = sys.argv[1:] if argv is None else list(argv)
    place = words.index("--") if "--" in words else len(words)
    flags = words[place + 1 :]
    parser = Parser(__doc__)
    add = parser.add_argument
    pair = {"nargs": 2, "action": "append", "metavar": ("NAME", "DIR")}
    add("--set", **pair, required=True, help="images to train on; again for each further set")
    add("--test", type=Path, required=True, metavar="DIR", help="labelled real images")
    add("--phase", default="test", help="which of them: split or sub-folder (default: test)")
    add("--seeds", type=int, default=3, help="runs a set, seeds 0, 1, ... (default: 3)")
    add("--out", type=Path, required=True, metavar="DIR", help="folder of all that is written")
    args, unknown = parser.parse_known_args(words[:place])
    if unknown:
        raise UserError(
            f"{unknown[0]} is not a flag of downstream.py; flags for the classifier's training "
            "stand behind all others, after a lone --."
        )
    if args.seeds < 1:
        raise UserError(f"--seeds is {args.seeds}; it must be 1 or more.")
    names = [name for name, _ in args.set]
    strange = next((n for n in names if not n.strip() or "/" in n or not n.isprintable()), None)
    if strange is not None:
        raise UserError(f"--set {strange!r}: give the set a plain name, without '/'.")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"two sets are called {twice}; give each --set its own name.")
    return args, flags


def common_config(flags: Sequence[str]) -> TrainConfig:
    """What all runs share. Raises UserError for a flag that is not the user's to give."""
    config = parse_train([*DEFAULTS, *flags], MODEL_OPTIONS)
    if config.run.model != "classifier":
        raise UserError(f"--model {config.run.model} is no classifier; leave the flag out.")
    taken = sorted(config.given & OWN_FLAGS)
    if taken:
        raise UserError(f"downstream.py decides on --{taken[0]} for each run; leave it out.")
    return config


def find_set(name: str, folder: str | Path, *, phase: str, flag: str) -> LabelledSet:
    """The labelled images of one phase. Raises UserError where there are none."""
    path = absolute(Path(folder))
    if not path.is_dir():
        raise UserError(f"there is no folder {path}; check {flag} {name}.")
    return LabelledSet.find(name, path, phase=phase)


@dataclass(frozen=True)
class Trial:
    """One set and one seed: a classifier to train and to test.

    config: the options of its training.
    """

    images: LabelledSet
    seed: int
    config: TrainConfig

    @classmethod
    def of(cls, images: LabelledSet, seed: int, out: Path, common: TrainConfig) -> "Trial":
        """common: the options that all trials share."""
        places = {"name": f"{images.name}_seed{seed}", "checkpoints_dir": str(out / "checkpoints")}
        config = replace(
            common,
            run=replace(common.run, seed=seed, resume=True, **places),
            data=replace(common.data, dataroot=str(images.folder)),
            given=common.given | {*places, "dataroot", "seed"},
        )
        return cls(images, seed, config)

    @property
    def folder(self) -> RunFolder:
        """Where the run is, or will be."""
        run = self.config.run
        return RunFolder.of(run.checkpoints_dir, run.name, flag="--set")

    def run(self, test: LabelledSet, classes: tuple[str, ...]) -> "Result":
        """Train, or what is left of it, and test on `test`, whose classes are `classes`."""
        train(self.config)
        file = self.folder.network_file("latest", "classifier")
        content = load(file, hint="delete the folder of the run to train it anew")
        position = Position(**self.folder.load_state()["position"])
        value_map, bits = self._value_map(test)
        return Result(
            trial=self,
            confusion=self._confusion(file, value_map, test, classes),
            images=position.images_an_epoch,
            steps=position.step,
            value_map=value_map,
            bits=bits,
            validation=content.get("balanced_accuracy"),
            weights=digest(content["weights"]),
        )

    def _value_map(self, test: LabelledSet) -> tuple[ValueMap, int]:
        """How the test images are shown: as in training, where the depth is the same."""
        trained = recorded_maps(self.folder.record())["A"]
        files = [file.path for file, _, _ in test.items]
        same = read_image(files[0]).dtype.itemsize * 8 == trained.bits
        return (trained if same else find_value_map(files)), trained.bits

    def _confusion(
        self, file: Path, value_map: ValueMap, test: LabelledSet, classes: tuple[str, ...]
    ) -> np.ndarray:
        """(K, K): of the scores of all its classes, the highest among `classes` counts."""
        data, bands = self.config.data, self.config.model.input_nc
        selection = Selection(
            root=test.folder,
            phase="test",
            direction="AtoB",
            limit=None,
            bands_a=bands,
            bands_b=bands,
            preprocessing=Preprocessing.from_options(data, training=False),
            serial=True,
            seed=self.seed,
            value_maps={"A": value_map},
        )
        items = [(image, name) for image, name, _ in test.items]
        dataset = LabeledDataset(selection, items, classes=classes, augment=False)
        device = select_device(self.config.run.gpu_ids)
        loader = Loader(
            dataset,
            batch_size=data.batch_size,
            shuffle=False,
            seed=self.seed,
            num_threads=data.num_threads,
            device=device,
        )
        classifier = load_classifier(file).to(device)
        columns = [classifier.classes.index(name) for name in classes]
        found = []
        with torch.inference_mode():
            for batch in loader.epoch(0):
                scores = classifier(batch.a)[:, columns]
                found.append(scores.argmax(dim=1).cpu().numpy())
        return confusion_matrix(np.array(dataset.labels), np.concatenate(found), len(classes))


@dataclass(frozen=True)
class Result:
    """A trained classifier on the test images.

    confusion: (K, K) counts over the classes of the table; images, steps: of its training;
    value_map: what became -1 and 1 in the test; bits: depth of its training images;
    validation: balanced accuracy on held-out images of its own set, None where it was not measured;
    weights: digest of its state dict.
    """

    trial: Trial
    confusion: np.ndarray
    images: int
    steps: int
    value_map: ValueMap
    bits: int
    validation: float | None
    weights: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as the files keep them."""
        return {
            "set": self.trial.images.name,
            "seed": self.trial.seed,
            "training_images": self.images,
            "steps": self.steps,
            "balanced_accuracy": balanced_accuracy(self.confusion),
            "accuracy": accuracy(self.confusion),
            "validation_balanced_accuracy": self.validation,
            "confusion": self.confusion.tolist(),
            "value_map": asdict(self.value_map),
            "folder": str(self.trial.folder.path),
            "weights_sha256": self.weights,
        }


def _row(images: LabelledSet, group: Sequence[Result], *, reference: Row | None) -> Row:
    return make_row(
        images.name,
        [result.confusion for result in group],
        training_images=[result.images for result in group],
        steps=[result.steps for result in group],
        reference=reference,
    )


def _notes(
    results: Sequence[Sequence[Result]], test: LabelledSet, classes: Sequence[str]
) -> list[str]:
    """What a reader of the table must know, a sentence each."""
    sets, seeds = [group[0].trial.images for group in results], len(results[0])
    split_by = results[0][0].trial.config.model.split_by
    notes = [
        "Each classifier chooses among these classes alone, also where its set teaches more.",
        f"± is the deviation over {seeds} seeds, the interval Student's t of their mean: they hold "
        "the chance of training, not that of the choice of test images.",
    ]
    if seeds == 1:
        notes[1] = "One seed tells nothing of the chance of training; --seeds 3 or more does."
    missing = left_out(test, sets, classes)
    if missing:
        notes.append(f"Left out in all rows: {'; '.join(missing)}.")
    for images, group in zip(sets, results, strict=True):
        shared = shared_recordings(images, test.only(classes), split_by=split_by)
        if shared:
            notes.append(
                f"{images.name} has images of {len(shared)} recordings that, by their names, are "
                f"tested too ({', '.join(shared[:5])}{', ...' * (len(shared) > 5)}): neighbouring "
                "frames are near-duplicates, and its scores too high."
            )
        bits, shown = group[0].bits, group[0].value_map
        if bits != shown.bits:
            notes.append(
                f"{images.name} has {bits} bits and the test images have {shown.bits}: their "
                f"counts from {shown.low:g} to {shown.high:g} were shown in place of its own."
            )
    return notes


def _report(
    rows: Sequence[Row], results: Sequence[Sequence[Result]], test: LabelledSet
) -> dict[str, Any]:
    """What downstream.json holds of the images, the runs and how they were made."""
    config = to_dict(results[0][0].trial.config)
    config["data"].pop("dataroot")
    sets = []
    for row, group in zip(rows, results, strict=True):
        runs = [result.as_dict() for result in group]
        sets.append({**_describe(group[0].trial.images), **asdict(row), "runs": runs})
    return {
        "test": _describe(test),
        "classes": list(test.counts),
        "chance": 1 / len(test.counts),
        "reference": rows[0].name,
        "sets": sets,
        "options": {group: config[group] for group in ("data", "model", "training")},
        "versions": versions(),
    }


def _describe(images: LabelledSet) -> dict[str, Any]:
    return {
        "folder": str(images.folder),
        "images": len(images.items),
        "images_of_class": images.counts,
        "sha256": images.fingerprint,
    }


def _csv(results: Sequence[Sequence[Result]]) -> str:
    """A row each trained classifier."""
    columns = ("set", "seed", "training_images", "steps", "balanced_accuracy", "accuracy")
    columns += ("validation_balanced_accuracy",)
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(result.as_dict() for result in chain(*results))
    return text.getvalue()


if __name__ == "__main__":
    run_main(main, lighter="give a smaller --batch_size or --load_size behind the lone --")
