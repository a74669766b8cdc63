"""An evaluation as plain values: what the JSON file holds, and what tables and pages show."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from metrics.evaluation import Reference, Row
from metrics.instruments import Instruments
from metrics.notes import judged_by_teacher, notes_on
from metrics.provenance import versions
from metrics.summary import summarise
from options import EvaluateOptions
from util.files import file_hash


def record_of(
    rows: Sequence[Row],
    reference: Reference | None,
    instruments: Instruments,
    options: EvaluateOptions,
    *,
    matching: Sequence[str] = (),
) -> dict[str, Any]:
    """Everything about an evaluation but the values of single images; see docs/METRICS.md.

    reference: the real images that stand beside all rows; matching: what `match_sets` says.
    """
    return {
        "rows": {row.images.name: _row_record(row, instruments) for row in rows},
        "reference": {"name": "real", **_reference_record(reference)} if reference else None,
        "protocol": _protocol(instruments, options),
        "notes": [*matching, *notes_on(rows, instruments, options)],
    }


def file_content(record: dict[str, Any]) -> dict[str, Any]:
    """As the JSON file has it: one row alone stands at the top, several under "rows"."""
    if len(record["rows"]) > 1:
        return record
    (row,) = record["rows"].values()
    return {**row, **{name: part for name, part in record.items() if name != "rows"}}


def _row_record(row: Row, instruments: Instruments) -> dict[str, Any]:
    judge_map, unit_map = row.instruments.judge_map, row.instruments.unit_map
    return {
        "n": len(row.values),
        **row.comparisons,
        "fake_B": summarise(row.values, "fake_B"),
        "sets": row.sets,
        "real": _reference_record(row.reference) if row.reference else None,
        "unpaired_real_B": row.pairing.unpaired,
        "pairing": row.pairing.note,
        "bits": row.bits,
        "folders": [str(folder) for folder in row.images.folders],
        "files_sha256": row.profile.names_and_contents,
        "teachers": sorted(row.images.teachers),
        "judge_is_teacher": judged_by_teacher(row, instruments),
        "value_range": [unit_map.low, unit_map.high],
        "cam_value_range": [judge_map.low, judge_map.high] if judge_map else None,
    }


def _reference_record(reference: Reference) -> dict[str, Any]:
    return {
        "n": reference.profile.count,
        "images": summarise(reference.values, "real_B"),
        "folders": [str(folder) for folder in reference.images.folders],
        "files_sha256": reference.profile.names_and_contents,
    }


def _protocol(instruments: Instruments, options: EvaluateOptions) -> dict[str, Any]:
    """How it was measured, for whoever finds the JSON file alone."""
    judge = instruments.judge
    return {
        "luma": options.luma,
        "classifier": options.classifier,
        "classifier_balanced_accuracy": instruments.judge_accuracy,
        "classes": list(judge.classifier.classes) if judge else None,
        "cam_layer": judge.cam_stage if judge else None,
        "feature_layer": judge.feature_stage if judge else None,
        "labels_sha256": {table: file_hash(Path(table)) for table in options.labels},
        "match_range": options.match_range,
        "interval": "95 % percentile bootstrap of the mean over images, 2,000 resamples, seed 0",
        "weights_digest": dict(instruments.weights),
        "versions": versions(),
    }
