"""An evaluation as plain values: what the JSON file holds, and what tables and pages show."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from metrics import SET_METRICS
from metrics.evaluation import Reference, Row
from metrics.instruments import Instruments
from metrics.profile import UNBIASED_FROM
from metrics.provenance import file_hash, versions
from metrics.summary import caveats, depth_notes, summarise
from options import EvaluateOptions


def record_of(
    rows: Sequence[Row],
    reference: Reference | None,
    instruments: Instruments,
    options: EvaluateOptions,
) -> dict[str, Any]:
    """Everything about an evaluation but the values of single images; see docs/METRICS.md.

    reference: the real images that stand beside all rows.
    """
    return {
        "rows": {row.images.name: _row_record(row, instruments) for row in rows},
        "reference": {"name": "real", **_reference_record(reference)} if reference else None,
        "protocol": _protocol(instruments, options),
        "notes": list(_notes(rows, instruments, options)),
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


def judged_by_teacher(row: Row, instruments: Instruments) -> bool | None:
    """Whether the judge took part in the training of the set; None where nothing is recorded."""
    if instruments.judge is None or not row.images.teachers:
        return None
    return instruments.weights["classifier"] in row.images.teachers


def _protocol(instruments: Instruments, options: EvaluateOptions) -> dict[str, Any]:
    """How it was measured, for whoever finds the JSON file alone."""
    judge = instruments.judge
    return {
        "luma": options.luma,
        "classifier": options.classifier,
        "classes": list(judge.classifier.classes) if judge else None,
        "cam_layer": judge.cam_stage if judge else None,
        "feature_layer": judge.feature_stage if judge else None,
        "labels_sha256": {table: file_hash(Path(table)) for table in options.labels},
        "match_range": options.match_range,
        "interval": "95 % percentile bootstrap of the mean over images, 2,000 resamples, seed 0",
        "weights_sha256": dict(instruments.weights),
        "versions": versions(),
    }


def _notes(
    rows: Sequence[Row], instruments: Instruments, options: EvaluateOptions
) -> Iterator[str]:
    """What the reader of the table must know, most important first."""
    for row in rows:
        prefix = f"{row.images.name}: " if len(rows) > 1 else ""
        if judged_by_teacher(row, instruments):
            yield (
                f"{prefix}the judge {options.classifier} is the TEACHER, which took part in the "
                "training: its metrics are no independent evidence; train another classifier with "
                "another --seed."
            )
        for note in _row_notes(row, comparable=len(rows) == 1):
            yield prefix + note
    yield from _bias_notes(rows)
    yield from _size_notes(rows)
    if instruments.judge is None:
        yield (
            "attention, MWIR features and the modality gap need a classifier that did not take "
            "part in the training: --classifier FILE."
        )
    else:
        yield f"judge: {options.classifier}."
    if instruments.labels is None:
        yield "target contrast and the pointing game need boxes: --boxes labels.csv."
    yield from instruments.missing


def _row_notes(row: Row, *, comparable: bool) -> Iterator[str]:
    if row.matching:
        yield row.matching
    if row.images.unmatched:
        yield row.images.unmatched
    elif comparable or row.pairing.unpaired:
        yield row.pairing.note
    yield from depth_notes(row.bits)
    for comparison, summaries in row.comparisons.items():
        if summaries:
            yield from caveats(comparison, summaries)
    if row.reference and row.reference.profile.bits != row.bits["fake_B"]:
        yield (
            f"the sets are not compared: the real images have {row.reference.profile.bits} bits "
            f"and fake_B {row.bits['fake_B']}."
        )
    if row.instruments.labels is not None:
        described = [v.values["fake_B"].get("contrast") for v in row.values]
        boxed = sum(value == value for value in described)
        if boxed < len(described):
            yield f"{boxed} of {len(described)} images have a box with a target in it."


def _bias_notes(rows: Sequence[Row]) -> Iterator[str]:
    """One sentence a metric: which rows have too few images for it."""
    for key, least in UNBIASED_FROM.items():
        few = [row for row in rows if row.sets[key] and row.sets[key]["biased"]]
        if few:
            sizes = sorted({min(row.sets[key]["n"]) for row in few})
            shown = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
            yield (
                f"{SET_METRICS[key].title} is BIASED: n is {shown}, below {least:,}; compare it "
                "only between rows of equal n, or go by KID."
            )


def _size_notes(rows: Sequence[Row]) -> Iterator[str]:
    """How large KID's subsets are, and which rows are too small for some distances."""
    values = [value for row in rows for value in row.sets.values() if value]
    sizes = sorted({v["subset_size"] for v in values if v["std"] is not None})
    if sizes:
        yield (
            f"KID is mean ± deviation over 100 subsets of {' or '.join(map(str, sizes))} images of "
            "either set."
        )
    if any(value["value"] is None for value in values):
        yield "undefined: FID, MMD² and CORAL need 2 images of either set, KID 4."
