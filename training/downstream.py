"""What sets of images are worth to a classifier: one training a set and seed, one table.

docs/METRICS.md defines the table; `metrics.downstream` makes it of confusion matrices.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from data.datasets import Selection
from data.images import read_type
from data.labeled import LabeledDataset
from data.labeled_images import LabeledImage
from data.loader import Loader
from data.tables import write_table
from data.transforms import Preprocessing
from data.value_map import ValueMap, find_value_map, recorded_maps
from data.value_type import ValueType
from data.views import view_of
from metrics.confusion import accuracy, balanced_accuracy, confusion_matrix
from metrics.downstream import (
    LabelledSet,
    SetWorth,
    as_markdown,
    common_classes,
    left_out,
    refuse_overlap,
    set_worth,
    shared_recordings,
    table,
)
from metrics.provenance import versions
from models.networks.classifiers import load_classifier
from options import TrainConfig, to_dict
from training.messages import say
from training.position import Position
from training.run_folder import RunFolder
from training.start import Start, is_begun, train
from util.checkpoint import digest, load
from util.columns import aligned
from util.compute import select_compute
from util.errors import UserError
from util.files import absolute, write_text

# Of the table with a row a trained classifier.
COLUMNS = ("set", "seed", "training_images", "steps", "balanced_accuracy", "accuracy")
COLUMNS += ("validation_balanced_accuracy",)
OTHER_OUT = "give the same images and flags, or another --out, or delete it"


def compare(
    folders: Sequence[tuple[str, str]],
    test_folder: Path,
    config: TrainConfig,
    *,
    test_phase: str,
    seeds: int,
    out: Path,
    flags: Sequence[str],
) -> None:
    """Find the images, train what is not trained yet, test, write table and values.

    folders: name and folder of each set, the reference first; test_folder, test_phase: of the real
    images; config: what all trainings share, as `flags` have it. Raises UserError.
    """
    if view_of(config.model) == "chip":
        raise UserError(
            "downstream.py tests classifiers on whole images, and these would learn from chips; "
            "give --view frame, or another classifier."
        )
    phase = config.data.phase
    sets = [find_set(name, folder, phase=phase, flag="--set") for name, folder in folders]
    test = find_set("test", test_folder, phase=test_phase, flag="--test")
    classes = common_classes(test, sets)
    shown = test.only(classes)
    refuse_overlap(shown, sets)
    trials = [[Trial.of(s, seed, out, config) for seed in range(seeds)] for s in sets]
    for trial in chain(*trials):
        is_begun(trial.config, trial.folder, way=OTHER_OUT)  # every one, before hours of training
    for first, *_ in trials:  # so with their images
        first.check_images()
    trials[0][0].test_images(shown, classes, {})
    results = [[trial.run(shown, classes) for trial in group] for group in trials]
    rows: list[SetWorth] = []
    for images, group in zip(sets, results, strict=True):
        rows.append(_row(images, group, reference=rows[0] if rows else None))
    header = f"Tested on {len(shown.items)} images of {len(classes)} classes: {', '.join(classes)}."
    notes = _notes(results, test, classes)
    cells = table(rows, chance=1 / len(classes))
    say("\n".join(["", header, "", aligned(cells), "", *notes]))
    report = _report(rows, results, shown)
    report |= {"left_out": left_out(test, sets, classes), "notes": notes, "flags": list(flags)}
    write_text(out / "downstream.json", json.dumps(report, indent=1, allow_nan=False) + "\n")
    runs = [result.as_dict() for result in chain(*results)]
    rows_of_runs = [{name: run[name] for name in COLUMNS} for run in runs]
    write_table(out / "downstream.csv", COLUMNS, rows_of_runs)
    lines = [header, "", as_markdown(cells), "", *(f"- {note}" for note in notes)]
    write_text(out / "downstream.md", "\n".join(lines) + "\n")
    say(f"table in {out / 'downstream.md'}; downstream.csv and downstream.json beside it")


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
        value_map, trained_type = self._value_map(test)
        return Result(
            trial=self,
            confusion=self._confusion(file, value_map, test, classes),
            images=position.images_an_epoch,
            steps=position.step,
            value_map=value_map,
            trained_type=trained_type,
            validation=content.get("balanced_accuracy"),
            weights=digest(content["weights"]),
        )

    def _value_map(self, test: LabelledSet) -> tuple[ValueMap, ValueType]:
        """How the test images are shown: as in training, where the type is the same; the latter."""
        trained = recorded_maps(self.folder.record())["A"]
        files = [file.path for file, _, _ in test.items]
        same = read_type(files[0]) == trained.type
        return (trained if same else find_value_map(files)), trained.type

    def check_images(self) -> None:
        """Raises UserError where training would stop at an image, by what their heads tell."""
        data = replace(self.config.data, cache="none")
        Start(replace(self.config, data=data)).images()

    def test_images(
        self, test: LabelledSet, classes: tuple[str, ...], value_maps: Mapping[str, ValueMap]
    ) -> LabeledDataset:
        """How `test` is shown to the classifier. Raises UserError for images that do not fit.

        value_maps: that of the domain as "A"; {} finds it in the files.
        """
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
            value_maps=value_maps,
        )
        usable = selection.usable([(image,) for image, _, _ in test.items], "A")
        items = [LabeledImage(image, name) for image, name, _ in test.items]
        selection = replace(selection, sizes=usable.sizes)
        dataset = LabeledDataset(selection, items, classes=classes, augment=False)
        dataset.check_batches(data.batch_size)
        return dataset

    def _confusion(
        self, file: Path, value_map: ValueMap, test: LabelledSet, classes: tuple[str, ...]
    ) -> Tensor:
        """(K, K): of the scores of all its classes, the highest among `classes` counts."""
        data = self.config.data
        dataset = self.test_images(test, classes, {"A": value_map})
        device = select_compute(self.config.run.gpu_ids, "fp32").device
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
                found.append(scores.argmax(dim=1).cpu())
        return confusion_matrix(
            torch.tensor(dataset.labels), torch.cat(found), classes=len(classes)
        )


@dataclass(frozen=True)
class Result:
    """A trained classifier on the test images.

    confusion: (K, K) counts over the classes of the table; images, steps: of its training;
    value_map: what became -1 and 1 in the test; trained_type: of the values of its training images;
    validation: balanced accuracy on held-out images of its own set, None where it was not measured;
    weights: digest of its state dict.
    """

    trial: Trial
    confusion: Tensor
    images: int
    steps: int
    value_map: ValueMap
    trained_type: ValueType
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
            "value_map": self.value_map.record(),
            "folder": str(self.trial.folder.path),
            "weights_sha256": self.weights,
        }


def _row(images: LabelledSet, group: Sequence[Result], *, reference: SetWorth | None) -> SetWorth:
    return set_worth(
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
        trained, shown = group[0].trained_type, group[0].value_map
        if trained != shown.type:
            notes.append(
                f"{images.name} has {trained} and the test images have {shown.type}: their "
                f"values from {shown.low:g} to {shown.high:g} were shown in place of its own."
            )
    return notes


def _report(
    rows: Sequence[SetWorth], results: Sequence[Sequence[Result]], test: LabelledSet
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
