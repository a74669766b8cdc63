"""An evaluation from its options to tables on the screen and files: what evaluate.py does."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from data.folders import EVALUATION
from data.label_index import LabelIndex
from metrics.designs import designs_of
from metrics.differences import differences_to
from metrics.instruments import load_instruments
from metrics.measured_sets import (
    Evaluation,
    MeasuredSet,
    Reference,
    find_sets,
    find_training,
    match_sets,
)
from metrics.metric_properties import METRICS
from metrics.record import Record, plain_values, record_of
from metrics.report import PACKAGES, write_report
from metrics.report.results_pages import update_results_pages
from metrics.report.scenes import find_scenes
from metrics.report.set_views import reference_view, set_views
from metrics.report.text_tables import (
    images_csv,
    markdown_tables,
    table_csv,
    terminal_notes,
    terminal_tables,
)
from metrics.sets import ImageSet, unread_notes
from options import EvaluateOptions
from util.compute import select_compute
from util.device import require_a_process_a_gpu
from util.distributed import joined
from util.errors import UserError
from util.files import check_writable, write_text
from util.packages import require
from util.ranks import is_first


def evaluate(options: EvaluateOptions) -> Iterator[str]:
    """Find the images, measure each set, write the files; yields what is to be read on the screen.

    Several processes share the images of each set; all else is the first one's. Raises UserError.
    """
    with joined():
        require_a_process_a_gpu(options.gpu_ids)
        sets, real = find_sets(options)
        files = Files.of(options)
        instruments = load_instruments(options, _device(options))
        _check_requirable(options, sets, instruments.labels)
        matching: list[str] = []
        if options.match_range is not None:
            sets, real, matching = match_sets(
                sets, real, instruments.labels, width=options.match_range
            )
        training = find_training(options)
        evaluation = Evaluation(instruments, real, training)
        evaluation.check(sets)
        rows = [evaluation.measure(images) for images in sets]
        reference = evaluation.reference(rows)
        if not is_first():
            return
        record = record_of(
            rows,
            reference,
            instruments,
            options,
            differences=differences_to(rows, options.against),
            designs=designs_of(rows, options.against),
            on_images=[*matching, *unread_notes([*sets, *filter(None, [real, training])])],
        )
        yield f"{terminal_tables(record)}\n\n{terminal_notes(record)}\n"
        yield from files.write(record, rows, reference)
        for row in rows:
            yield from update_results_pages(row)
        _check_required(options, record)


def _device(options: EvaluateOptions) -> torch.device:
    device = select_compute(options.gpu_ids, "fp32").device
    # Metrics need double precision, which MPS lacks.
    return torch.device("cpu") if device.type == "mps" else device


def _title(rows: Sequence[MeasuredSet]) -> str:
    """Of the report: the folders of a sole set, the number of several."""
    if len(rows) > 1:
        return f"Evaluation of {len(rows)} sets"
    return f"Evaluation of {', '.join(str(folder) for folder in rows[0].images.folders)}"


def _check_requirable(
    options: EvaluateOptions, sets: Sequence[ImageSet], labels: LabelIndex | None
) -> None:
    """Raises UserError, before anything is measured, where --require cannot be met."""
    for key in options.require or ():
        needs = METRICS[key].needs
        if "judge" in needs and options.classifier is None:
            raise UserError(f"--require {key} needs a classifier; name it with --classifier FILE.")
        if "chip_judge" in needs and not (options.chip_classifier or options.classifier):
            raise UserError(
                f"--require {key} needs a classifier of chips; name it with --chip_classifier FILE."
            )
        if "training_images" in needs and options.training is None:
            raise UserError(
                f"--require {key} needs the images of the training; name them with --training DIR."
            )
        if "boxes" in needs and labels is None:
            raise UserError(f"--require {key} needs boxes; name their table with --boxes FILE.")
        for images in sets:
            if "boxes" in needs and not any(
                (label := labels.find(image)) and label.box for image in images.images("fake_B")
            ):
                raise UserError(
                    f"--require {key}: no image of {images.name} has a box; {labels.why_no_box}."
                )
            if "pairs" in needs and "real_B" not in images.files:
                raise UserError(f"--require {key}: {images.name} has no targets of equal names.")
            if "sources" in needs and "real_A" not in images.files:
                raise UserError(f"--require {key}: {images.name} has no sources of equal names.")


def _check_required(options: EvaluateOptions, record: Record) -> None:
    """Raises UserError where a metric that --require names was not measured on some row.

    Metrics of pairs are asked for between translation and target.
    """
    for key in options.require or ():
        for row in record.rows:
            groups = [row.cells.get(group, {}) for group in ("sets", "fake_B", "fake_B_vs_real_B")]
            if not any(key in cells and math.isfinite(cells[key].number) for cells in groups):
                raise UserError(
                    f"--require {key}: it could not be measured on {row.name}; the notes above say "
                    "why."
                )


REPORT_FILES = ("report.html", "report.json", "table.md", "table.csv", "images.csv")


@dataclass(frozen=True)
class Files:
    """Where the results go. `images` (CSV) is tried only where the user did not name it."""

    means: Path | None
    images: Path | None
    images_required: bool
    report: Path | None

    @classmethod
    def of(cls, options: EvaluateOptions) -> "Files":
        """Raises UserError, before anything is measured, for a place that takes no file, and for a
        package that the report needs and that is missing.
        """
        means = Path(options.out) if options.out else None
        images = Path(options.csv) if options.csv else None
        if images is None and means is not None:
            images = means.with_suffix(".csv")
        if images is None and options.results and not options.report:
            images = Path(options.results[0], EVALUATION)
        if images is not None and images == means:
            raise UserError(
                f"JSON and CSV would both be {means}; give --out a name that ends in .json."
            )
        for file in (means, images):
            if file is not None and file.is_dir():
                raise UserError(f"{file} is a folder; name files with --out and --csv.")
        for file in (means, Path(options.csv) if options.csv else None):
            if file is not None:
                check_writable(file)
        report = Path(options.report) if options.report else None
        if report is not None:
            require("the report (--report)", *PACKAGES)
        if report is not None and report.exists() and not report.is_dir():
            raise UserError(f"{report} is a file; name a folder with --report.")
        for name in REPORT_FILES if report is not None else ():
            check_writable(report / name)
        return cls(means, images, options.csv is not None, report)

    def write(
        self, record: Record, rows: Sequence[MeasuredSet], reference: Reference | None
    ) -> Iterator[str]:
        """All files; yields where each of them is."""
        content = json.dumps(plain_values(record), indent=1, allow_nan=False) + "\n"
        values = {row.images.name: row.values for row in rows}
        if reference and all(reference.values is not row.values for row in rows):
            values["real"] = reference.values
        if self.images is not None:
            try:
                write_text(self.images, images_csv(values))
                yield f"values of each image in {self.images}"
            except UserError as error:
                if self.images_required:
                    raise
                yield f"values of each image are not kept: {error}"
        if self.means is not None:
            write_text(self.means, content)
            yield f"means in {self.means}"
        if self.report is not None:
            write_text(self.report / "report.json", content)
            write_text(self.report / "table.md", markdown_tables(record))
            write_text(self.report / "table.csv", table_csv(record))
            write_text(self.report / "images.csv", images_csv(values))
            write_report(
                self.report / "report.html",
                title=_title(rows),
                record=record,
                rows=set_views(rows),
                reference=reference_view(reference, rows) if reference else None,
                scenes=find_scenes(rows),
            )
            yield f"report in {self.report / 'report.html'}"
