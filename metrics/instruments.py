"""The networks that an evaluation measures with, and what is known of their files."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from data.label_index import LabelIndex
from data.value_map import ValueMap
from metrics.confusion import is_above_chance
from metrics.judge import Judge, RememberingJudge
from metrics.metric_properties import METRICS, metrics_that_need
from metrics.pretrained import (
    WEIGHTS,
    Inception,
    Lite0,
    Lpips,
    find_weights,
    missing_note,
    missing_packages_note,
)
from models.networks.classifiers import Classifier, load_classifier
from models.networks.classifiers.lite0 import LITE0_PACKAGES
from options import EvaluateOptions
from util.checkpoint import digest, load
from util.errors import UserError
from util.packages import missing as missing_packages


@dataclass(frozen=True)
class Skill:
    """What a judge's file tells of it: balanced accuracy on the images that were held out of its
    own training, and whether that is more than guessing has; None where unknown.
    """

    accuracy: float | None = None
    above_chance: bool | None = None


@dataclass(frozen=True)
class Instruments:
    """What images are measured with.

    chip_judge: of the classes of chips; skills: judge, as its flag is called -> of its own file;
    validations: likewise -> `plain` of the report in its file, where there is one;
    judge_map: file values that the judge sees as -1 and 1; chip_map, unit_map: likewise for the
    chip judge, and for LPIPS and extractors; lpips: metric -> distance (B,) of two batches in
    [-1, 1]; extractors: network -> features (B, D) of images in [0, 1]; labels: for boxes and
    classes; luma: PSNR, SSIM and MAE compare luminance where an image has three bands. weights:
    network -> digest; missing: sentences on networks whose weights are not here.
    """

    device: torch.device
    judge: Judge | None = None
    chip_judge: Judge | None = None
    chip_map: ValueMap | None = None
    skills: Mapping[str, Skill] = field(default_factory=dict)
    validations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    judge_map: ValueMap | None = None
    unit_map: ValueMap | None = None
    lpips: Mapping[str, Lpips] = field(default_factory=dict)
    extractors: Mapping[str, Callable[[Tensor], Tensor]] = field(default_factory=dict)
    labels: LabelIndex | None = None
    luma: bool = False
    weights: Mapping[str, str] = field(default_factory=dict)
    missing: Sequence[str] = ()


def load_instruments(options: EvaluateOptions, device: torch.device) -> Instruments:
    """All that the options ask for and whose files are here.

    Raises UserError for files that hold something else, and for missing ones that --require needs.
    """
    unknown = next((key for key in options.require or () if key not in METRICS), None)
    if unknown is not None:
        raise UserError(f"--require knows no metric '{unknown}'; these are: {', '.join(METRICS)}.")
    folder = Path(options.weights_dir) if options.weights_dir else None
    if folder is not None and not folder.is_dir():
        raise UserError(f"there is no folder {folder}; check --weights_dir.")
    networks, missing = _load_networks(options, folder, device)
    judge = _load_judge(options.classifier, options, device) if options.classifier else None
    files = {"classifier": options.classifier, "chip_classifier": options.chip_classifier}
    contents = {
        name: load(Path(file), hint=f"check --{name}") for name, file in files.items() if file
    }
    weights = {key: digest(network.state_dict()) for key, network in networks.items()}
    chip_judge = judge.of_chips() if judge else None
    if options.chip_classifier is not None:
        chip_judge = _load_judge(options.chip_classifier, options, device)
        weights["chip_classifier"] = digest(chip_judge.classifier.net.state_dict())
    if judge is not None:
        judge.classifier.require_frames(f"--classifier {options.classifier}")
        weights["classifier"] = digest(judge.classifier.net.state_dict())
    return Instruments(
        device,
        judge=judge,
        chip_judge=chip_judge,
        skills={name: _skill(content) for name, content in contents.items()},
        validations={
            name: found for name, content in contents.items() if (found := _report_in(content))
        },
        lpips={f"lpips_{key}": n for key, n in networks.items() if isinstance(n, Lpips)},
        extractors={key: n for key, n in networks.items() if not isinstance(n, Lpips)},
        labels=LabelIndex([Path(table) for table in options.labels]) if options.labels else None,
        luma=options.luma,
        weights=weights,
        missing=missing,
    )


def _load_networks(
    options: EvaluateOptions, folder: Path | None, device: torch.device
) -> tuple[dict[str, nn.Module], list[str]]:
    """Those with published weights, and a sentence on each that is not here."""
    networks: dict[str, nn.Module] = {}
    missing: list[str] = []
    for key in WEIGHTS:
        path = find_weights(key, folder)
        if path is not None:
            network = Inception(path) if key == "inception" else Lpips(key, path)
            networks[key] = network.to(device)
        elif _is_required(options, metrics_that_need(key)):
            raise UserError(f"--require: {missing_note(key, folder)}")
        else:
            missing.append(missing_note(key, folder))
    lacking = missing_packages(*LITE0_PACKAGES)
    if not lacking:
        networks["lite0"] = Lite0().to(device, memory_format=torch.channels_last)
    elif _is_required(options, metrics_that_need("lite0")):
        raise UserError(f"--require: {missing_packages_note(lacking)}")
    else:
        missing.append(missing_packages_note(lacking))
    return networks, missing


def _is_required(options: EvaluateOptions, metrics: Collection[str]) -> bool:
    """A bare --require means all metrics that need published weights."""
    required = options.require
    return required is not None and (not required or not set(required).isdisjoint(metrics))


def _load_judge(file: str, options: EvaluateOptions, device: torch.device) -> Judge:
    classifier = load_classifier(Path(file))
    # Channels last is faster on the CPU too.
    classifier = classifier.to(device, memory_format=torch.channels_last)
    return RememberingJudge(classifier, options.cam_layer, options.feature_layer)


def _skill(content: Mapping[str, Any]) -> Skill:
    accuracy, confusion = content.get("balanced_accuracy"), content.get("confusion")
    known = isinstance(confusion, Tensor) and confusion.ndim == 2 and bool(confusion.sum() > 0)
    return Skill(
        float(accuracy) if isinstance(accuracy, float | int) else None,
        is_above_chance(confusion) if known else None,
    )


def _report_in(content: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What training says of the judge in its file; None where that is nothing, or of no use."""
    found = content.get("validation")
    if not isinstance(found, Mapping) or not isinstance(found.get("sentences"), list):
        return None
    try:
        json.dumps(found, allow_nan=False)
    except (TypeError, ValueError):
        return None
    texts = found.get("in_short"), *found["sentences"]
    return found if all(isinstance(text, str) for text in texts) else None


def judged_values(classifier: Classifier, own: ValueMap) -> ValueMap:
    """How file values become what the classifier takes: as in its training, where that fits.

    own: the map of the references' own values, which is taken where its file tells no range, or one
    of another type. One map for all kinds, or equal counts would look different to it. Raises
    UserError where the two ranges have nothing in common.
    """
    if classifier.value_range is not None:
        low, high = classifier.value_range
        if classifier.value_type == own.type.name:
            if own.high <= low or own.low >= high:
                raise UserError(
                    f"the classifier knows file values from {low:g} to {high:g}, and those of the "
                    f"real images run from {own.low:g} to {own.high:g}; train one on such images."
                )
            return ValueMap(low, high, own.type)
    return own
