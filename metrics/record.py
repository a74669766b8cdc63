"""The record of an evaluation: what tables and pages show, and, as plain values, the JSON file."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from metrics.designs import Design, DesignDifferences, Designs
from metrics.differences import Differences
from metrics.instruments import Instruments, Skill
from metrics.measured_sets import MeasuredSet, Reference
from metrics.metric_properties import COMPARISONS, GROUPS, IMAGE_METRICS, Metric
from metrics.notes import judged_by_teacher, notes_on, warnings_on
from metrics.provenance import versions
from metrics.values import Cell, Means
from options import EvaluateOptions
from util.files import file_hash


@dataclass(frozen=True)
class Flips:
    """What the chip judge takes targets for. counts: class of the label by row, told by column."""

    classes: list[str]
    counts: list[list[int]]


@dataclass(frozen=True)
class ReferenceRecord:
    """Real images. n: without repetitions; means: of the metrics of one image."""

    n: int
    means: Means
    folders: list[str]
    files_sha256: str
    name: str = "real"
    flips: Flips | None = None


@dataclass(frozen=True)
class RowRecord:
    """One set: a row of the tables.

    cells: group, as in GROUPS -> metric -> what was measured; a comparison that could not be made
    is absent, like all that was not measured. real: what the set was compared with as a whole.
    The other fields are those of the JSON file, see docs/METRICS.md.
    """

    name: str
    n: int
    cells: Mapping[str, Mapping[str, Cell]]
    real: ReferenceRecord | None
    unpaired_real_B: bool | None
    pairing: str
    bits: Mapping[str, int]
    folders: list[str]
    files_sha256: str
    targets_sha256: str | None
    teachers: list[str]
    judge_is_teacher: bool | None
    value_range: tuple[float, float]
    cam_value_range: tuple[float, float] | None
    flips: Flips | None = None


@dataclass(frozen=True)
class Protocol:
    """How it was measured, for whoever finds the JSON file alone."""

    luma: bool
    classifier: str | None
    classifier_balanced_accuracy: float | None
    classifier_above_chance: bool | None
    chip_classifier: str | None
    chip_classifier_balanced_accuracy: float | None
    chip_classifier_above_chance: bool | None
    classes: list[str] | None
    cam_layer: str | None
    feature_layer: str | None
    labels_sha256: dict[str, str]
    match_range: float | None
    interval: str
    weights_digest: dict[str, str]
    versions: dict[str, str | None]

    def guesses(self, metric: Metric) -> bool:
        """Whether its judge is known to be no better than chance."""
        own_chips = self.chip_classifier is not None
        above_chance = {
            "judge": self.classifier_above_chance,
            "chip_judge": self.chip_classifier_above_chance
            if own_chips
            else self.classifier_above_chance,
        }
        return any(above_chance.get(need) is False for need in metric.needs)


@dataclass(frozen=True)
class Record:
    """Everything about an evaluation but the values of single images.

    rows: of different names; reference: the real images that stand beside all rows; notes: what a
    reader should know, most important first; differences: between rows, by baseline; warnings:
    what a reader must know, or will misread the numbers; validations: judge -> the report in its
    file, where there is one; designs: what rows are over seeds of training.
    """

    rows: Sequence[RowRecord]
    reference: ReferenceRecord | None
    protocol: Protocol
    notes: Sequence[str]
    differences: Sequence[Differences] = ()
    warnings: Sequence[str] = ()
    validations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    designs: Designs = field(default_factory=Designs)


def record_of(
    rows: Sequence[MeasuredSet],
    reference: Reference | None,
    instruments: Instruments,
    options: EvaluateOptions,
    *,
    differences: Sequence[Differences] = (),
    designs: Designs,
    on_images: Sequence[str] = (),
) -> Record:
    """The record of what was measured; reference: as there; on_images: which were, in sentences."""
    return Record(
        [_row_record(row, instruments) for row in rows],
        _reference_record(reference, instruments),
        _protocol(instruments, options),
        [*on_images, *notes_on(rows, instruments, options, differences, designs)],
        differences,
        warnings=list(warnings_on(rows, instruments, options, differences, designs)),
        validations=instruments.validations,
        designs=designs,
    )


def _row_record(row: MeasuredSet, instruments: Instruments) -> RowRecord:
    judge_map, unit_map = row.instruments.judge_map, row.instruments.unit_map
    return RowRecord(
        row.images.name,
        n=len(row.values),
        cells=row.cells,
        real=_reference_record(row.reference, instruments),
        unpaired_real_B=row.pairing.unpaired,
        pairing=row.pairing.note,
        bits={kind: found.bits for kind, found in row.types.items()},
        folders=[str(folder) for folder in row.images.folders],
        files_sha256=row.profile.names_and_contents,
        targets_sha256=row.targets_sha256,
        teachers=sorted(row.images.teachers or ()),
        judge_is_teacher=judged_by_teacher(row, instruments),
        value_range=(unit_map.low, unit_map.high),
        cam_value_range=(judge_map.low, judge_map.high) if judge_map else None,
        flips=_flips(row.flips, instruments),
    )


def _flips(counts: Tensor | None, instruments: Instruments) -> Flips | None:
    if counts is None:
        return None
    return Flips(list(instruments.chip_judge.classifier.classes), counts.tolist())


def _reference_record(
    reference: Reference | None, instruments: Instruments
) -> ReferenceRecord | None:
    if reference is None:
        return None
    profile = reference.profile
    return ReferenceRecord(
        profile.count,
        reference.means,
        [str(folder) for folder in reference.images.folders],
        profile.names_and_contents,
        flips=_flips(reference.flips, instruments),
    )


def _protocol(instruments: Instruments, options: EvaluateOptions) -> Protocol:
    judge = instruments.judge
    frames, chips = (
        instruments.skills.get(name, Skill()) for name in ("classifier", "chip_classifier")
    )
    return Protocol(
        luma=options.luma,
        classifier=options.classifier,
        classifier_balanced_accuracy=frames.accuracy,
        classifier_above_chance=frames.above_chance,
        chip_classifier=options.chip_classifier,
        chip_classifier_balanced_accuracy=chips.accuracy,
        chip_classifier_above_chance=chips.above_chance,
        classes=list(judge.classifier.classes) if judge else None,
        cam_layer=judge.cam_stage if judge else None,
        feature_layer=judge.feature_stage if judge else None,
        labels_sha256={table: file_hash(Path(table)) for table in options.labels},
        match_range=options.match_range,
        interval="95 % percentile bootstrap of the mean over images, of differences over "
        "recordings, 2,000 resamples, seed 0; over trainings Student's t",
        weights_digest=dict(instruments.weights),
        versions=versions(),
    )


def plain_values(record: Record) -> dict[str, Any]:
    """As the JSON file has it: one row alone stands at the top, several under "rows"."""
    rows = {row.name: _plain_row(row) for row in record.rows}
    reference = record.reference
    shared = {
        "reference": {"name": reference.name, **_plain_reference(reference)} if reference else None,
        "differences": [_plain_differences(found) for found in record.differences],
        "designs": {design.name: _plain_design(design) for design in record.designs.means},
        "design_differences": [_plain_differences(found) for found in record.designs.differences],
        "protocol": asdict(record.protocol),
        "notes": [*record.warnings, *record.notes],
        "validations": dict(record.validations),
    }
    if len(rows) > 1:
        return {"rows": rows, **shared}
    (row,) = rows.values()
    return {**row, **shared}


def _plain_row(row: RowRecord) -> dict[str, Any]:
    facts = asdict(replace(row, cells={}, real=None))
    for name in ("name", "n", "cells", "real"):  # which the file shows in another form
        del facts[name]
    return {
        "n": row.n,
        **_plain_groups(row.cells),
        "real": _plain_reference(row.real) if row.real else None,
        **facts,
    }


def _plain_design(design: Design) -> dict[str, Any]:
    return {"rows": list(design.rows), **_plain_groups(design.cells)}


def _plain_groups(cells: Mapping[str, Mapping[str, Cell]]) -> dict[str, Any]:
    """All groups; None for a comparison that could not be made."""
    return {
        name: _plain_cells(cells.get(name, {}), group.metrics)
        if name in cells or name not in COMPARISONS
        else None
        for name, group in GROUPS.items()
    }


def _plain_differences(differences: Differences | DesignDifferences) -> dict[str, Any]:
    facts = asdict(differences)
    cells = facts.pop("cells")
    return {**facts, **cells}


def _plain_reference(reference: ReferenceRecord) -> dict[str, Any]:
    return {
        "n": reference.n,
        "images": _plain_cells(reference.means, IMAGE_METRICS),
        "folders": reference.folders,
        "files_sha256": reference.files_sha256,
        "flips": asdict(reference.flips) if reference.flips else None,
    }


def _plain_cells(
    cells: Mapping[str, Cell], metrics: Mapping[str, Metric]
) -> dict[str, dict[str, Any] | None]:
    """Every metric; None for what was not measured."""
    return {key: asdict(cells[key]) if key in cells else None for key in metrics}
