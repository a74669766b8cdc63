"""Measure results: `python evaluate.py --results DIR [DIR ...]`; see --help, docs/METRICS.md."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from data.value_map import ValueMap, find_value_map
from metrics.measure import ImageValues, Judge, measurable, measure
from metrics.pairing import judge_pairing
from metrics.results import ResultImage, find_depths, find_results, pool_results
from metrics.summary import caveats, depth_notes, format_csv, format_table, means_of
from models.networks.classifier import Classifier, load_classifier
from options import EvaluateOptions, parse_evaluate
from util.device import select_device
from util.errors import UserError, run_main
from util.files import write_text


def main(argv: Sequence[str] | None = None) -> None:
    """Find the images, measure each, print the means, write the files."""
    options = parse_evaluate(argv)
    if not options.results:
        raise UserError("no results are given; name their folders with --results DIR [DIR ...].")
    folders = [find_results(Path(folder)) for folder in options.results]
    images = pool_results(folders)
    out, csv = _output_files(options)
    bits = find_depths(images)
    judge = _judge(options, images, bits)
    values = measure(images, bits=bits, luma=options.luma, judge=judge)
    rows = list(tqdm(values, total=len(images), unit="image", leave=False, disable=None))
    means = means_of(rows)
    pairing = judge_pairing([folder.paired for folder in folders], rows)

    compared = "luminance" if options.luma else "all bands"
    print(f"{len(rows)} images in {', '.join(options.results)}: {_depths(bits)}, {compared}\n")
    print(f"{format_table(means, n=len(rows))}\n")
    print("\n".join([pairing.note, *depth_notes(bits), *caveats(means)]))
    if options.classifier is None:
        print("GCSS, CC and CAM cosine need a classifier: --classifier FILE.")
    _write_values(csv, rows, required=options.csv is not None)
    if out is not None:
        verdict = {"unpaired_real_B": pairing.unpaired, "pairing": pairing.note}
        report = {"n": len(rows), **means, **verdict, "bits": bits, **_protocol(options, judge)}
        write_text(out, json.dumps(report, indent=1, allow_nan=False) + "\n")
        print(f"means in {out}")


def _depths(bits: Mapping[str, int]) -> str:
    """For the screen: "16 bits", or the depth of each kind where they differ."""
    if len(set(bits.values())) == 1:
        return f"{bits['fake_B']} bits"
    return ", ".join(f"{kind} {depth} bits" for kind, depth in bits.items())


def _protocol(options: EvaluateOptions, judge: Judge | None) -> dict[str, Any]:
    """How it was measured, for whoever finds the JSON file alone."""
    return {
        "results": list(options.results),
        "luma": options.luma,
        "classifier": options.classifier,
        "cam_layer": options.cam_layer if options.classifier else None,
        "cam_value_range": [judge.value_map.low, judge.value_map.high] if judge else None,
    }


def _judge(
    options: EvaluateOptions, images: Sequence[ResultImage], bits: Mapping[str, int]
) -> Judge | None:
    """The classifier of --classifier; None without one, and where it has nothing to compare."""
    if options.classifier is None:
        return None
    device = select_device(options.gpu_ids)
    classifier = load_classifier(Path(options.classifier))
    classifier = classifier.to(device, memory_format=torch.channels_last)  # faster on the CPU too
    references = list(measurable(bits).values())
    if not references:
        return None
    files = [image.files[references[0]] for image in images]
    value_map = _judged_values(classifier, files, bits=bits["fake_B"])
    return Judge(classifier, value_map, options.cam_layer, device)


def _judged_values(classifier: Classifier, files: Sequence[Path], *, bits: int) -> ValueMap:
    """How file values become what the classifier takes: as in its training, where that fits.

    files: the references, whose values decide where its file tells no range, or one of another
    depth than `bits`. One map for all kinds, or equal counts would look different to it.
    """
    if classifier.value_range is not None:
        low, high = classifier.value_range
        if (high > 255) == (bits == 16):
            return ValueMap(low, high, bits)
    return find_value_map(files)


def _output_files(options: EvaluateOptions) -> tuple[Path | None, Path]:
    """JSON and CSV file. The CSV file stands beside the JSON file, or in the first results folder.

    Raises UserError, before anything is measured, for a place that takes no file.
    """
    out = Path(options.out) if options.out else None
    default = out.with_suffix(".csv") if out else Path(options.results[0], "evaluation.csv")
    csv = Path(options.csv) if options.csv else default
    if csv == out:
        raise UserError(f"JSON and CSV would both be {out}; give --out a name that ends in .json.")
    for file in (out, csv):
        if file is not None and file.is_dir():
            raise UserError(f"{file} is a folder; name files with --out and --csv.")
    return out, csv


def _write_values(path: Path, rows: Iterable[ImageValues], *, required: bool) -> None:
    """The CSV file. Where the user named none, a results folder that takes no file is no error."""
    try:
        write_text(path, format_csv(rows))
        print(f"values of each image in {path}")
    except UserError as error:
        if required:
            raise
        print(f"values of each image are not kept: {error}")


if __name__ == "__main__":
    run_main(main)
