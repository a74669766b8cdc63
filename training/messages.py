"""The sentences that a run prints, and the advice that it ends with where it cannot go on."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from data.datasets import ImageDataset
from data.range_use import RangeUse, range_warnings
from data.value_map import ValueMap
from models.base import Model
from models.networks.sensor import FittedSensor
from options import DataOptions, RunOptions, TrainingOptions
from training.live_line import CLEAR, on_terminal
from training.run_folder import RunFolder
from training.validation import Best, Validation
from util.ranks import processes

SHOWN_LEFT_OUT = 10  # bad images whose reasons are printed
# Of the last process of several.
WAY_ON_ALONE = "the last checkpoint is good: --continue_train goes on"


def say(*sentences: str) -> None:
    """Print those that are not empty, and now: a job's output is read while it runs."""
    clear = CLEAR if on_terminal() else ""  # what a `LiveLine` shows
    for sentence in filter(None, sentences):
        print(f"{clear}{sentence}", flush=True)


def left_out(images: Mapping[str, str]) -> str:
    """images: those that are left out, path -> why; "" for none."""
    if not images:
        return ""
    lines = [f"{len(images)} bad images are left out, with their partners (all in run.json):"]
    lines += [f"  {name}: {why}" for name, why in list(images.items())[:SHOWN_LEFT_OUT]]
    return "\n".join(lines + ["  ..."] * (len(images) > SHOWN_LEFT_OUT))


def networks_and_images(run: RunOptions, model: Model, dataset: ImageDataset) -> str:
    """What is trained, where, and on how many images."""
    sizes = {n: sum(p.numel() for p in net.parameters()) for n, net in model.networks.items()}
    parts = ", ".join(f"{name} {size / 1e6:.2f} M" for name, size in sizes.items())
    images = ", ".join(f"{len(d.files)} images {role}" for role, d in dataset.domains.items())
    summary = f"{run.name}: {run.model} on {model.compute}, {images}; parameters: {parts}"
    return "\n".join([summary, *model.notes, *dataset.notes()])


def images_a_batch(data: DataOptions, before: int | None, *, again: int) -> str:
    """How many images a batch has, where there are several processes or it had another number.

    before: of the last start, None for a new run; again: images of this epoch that are seen again.
    """
    count, lines = processes(), []
    now = count * data.batch_size
    if count > 1:
        lines.append(
            f"{count} processes: {now} images a batch, --batch_size {data.batch_size} of each; "
            "--lr stays as it is, whatever their number"
        )
    if before not in (None, now):
        seen = f", and {again} images of this epoch are seen again" if again else ""
        lines.append(
            f"a batch had {before} images at the start before: the order of images stays, their "
            f"batches are others from here on{seen}"
        )
    return "\n".join(lines)


def fitted_images(run: RunOptions, dataset: ImageDataset, used: Mapping[str, int]) -> str:
    """What is fitted to which images; used: how many of each role."""
    counts = {role: len(domain.files) for role, domain in dataset.domains.items()}
    parts = [
        f"{count} images {role}" + f", {used[role]} of them looked at" * (used[role] < count)
        for role, count in counts.items()
    ]
    return "\n".join([f"{run.name}: {run.model} of {', '.join(parts)}", *dataset.notes()])


def no_effect(flags: Sequence[str]) -> str:
    """flags: those given that mean nothing to a fit; "" for none."""
    if not flags:
        return ""
    names = ", ".join(f"--{flag}" for flag in flags)
    return f"a fit takes no steps: {names} {'has' if len(flags) == 1 else 'have'} no effect"


def fitted_sensor(sensor: FittedSensor, value_map: ValueMap) -> str:
    """What was fitted, in values of the real domain, whose `value_map` is."""
    unit = value_map.type.unit
    scale = (value_map.high - value_map.low) / 2
    white, rows, columns = (sensor.noise * scale).tolist()
    gain, offset = sensor.spread.tolist()
    return (
        f"blur {sensor.blur:.2f} pixels; noise in {unit} of B: {white:.3g} white, {rows:.3g} of "
        f"rows, {columns:.3g} of columns; between images: gain {gain:.1%}, offset "
        f"{offset * scale:.3g} {unit}; backgrounds keep {sensor.keep:.0%} of their distances, and "
        f"targets {sensor.target_keep:.0%}"
    )


def value_ranges(dataset: ImageDataset, uses: Mapping[str, RangeUse]) -> str:
    """What becomes -1 and 1 in each domain, and what of it the images use; uses: by role."""
    lines: list[str] = []
    for role, domain in dataset.domains.items():
        lines.append(f"{role}: {domain.value_map} -> [-1, 1]")
        lines += range_warnings(role, uses[role])
    return "\n".join(lines)


def held_out(dataset: ImageDataset | None) -> str:
    """dataset: the labelled images that are kept for validation; "" without."""
    if dataset is None:
        return ""
    return f"{len(dataset)} images are held out for validation {dataset.note}"


def new_order(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """A line for each role whose images, by their digests, are not those of the last start."""
    return "\n".join(
        f"{role}: the images are not those of the start before, and their order is another one"
        for role, digest in now.items()
        if before.get(role, digest) != digest
    )


def new_device(starts: Sequence[Mapping[str, Any]]) -> str:
    """A line where a run goes on otherwise than its last start; starts: all of them, this too."""
    *before, now = (start["device"] for start in starts)
    if not before or before[-1] == now:
        return ""
    return f"goes on by {now}; before, it was {before[-1]}: steps differ in their last digits"


def validated(
    options: TrainingOptions, validation: Validation | None, best: Best, *, teacher: str | None
) -> str:
    """How epochs are compared, "" without --val_freq; teacher: digest of the one in the loss."""
    if validation is None:
        return ""
    by = f", judged by {options.val_classifier}" if validation.judge else ""
    lines = [f"--val_freq {options.val_freq}: {validation.note}{by}"]
    if validation.judge and best.measured_by["classifier"] == teacher:
        lines.append(
            "the classifier that validates is the one in the loss: it praises what it taught; "
            "train another for --val_classifier"
        )
    return "\n".join(lines)


def pretrained(source: RunFolder, *, taken: Sequence[str], fresh: Sequence[str]) -> str:
    """taken: networks that come from the run `source`; fresh: those that it does not have."""
    new = f"; new: {list(fresh)}" if fresh else ""
    return f"start from {source.path}: {', '.join(taken)}{new}"


def repeated(
    source: RunFolder, other: Sequence[str], *, changed: Sequence[str], dated: bool
) -> str:
    """Of the run that --like names: what it was made otherwise, as words, and options that were
    changed on its way; dated: whether it tells of its versions and device.
    """
    if other:
        lines = [f"{source.path} is repeated; it was made {' and '.join(other)}"]
    else:
        facts = "data, inputs, versions and device" if dated else "data and inputs"
        lines = [f"{source.path} is repeated: options, {facts} are the same"]
    if changed:
        lines.append(f"its options were changed on its way: {', '.join(changed)}")
    if not dated:
        lines.append("it is of an earlier version, which did not record its versions and device")
    return "\n".join(lines)


def sensor(source: RunFolder, fitted: DataOptions, *, same_pixels: bool) -> str:
    """same_pixels: whether images come to their size as those did that it was fitted to."""
    line = f"G is the sensor of {source.path} and what is learnt beside it"
    if same_pixels:
        return line
    return (
        f"{line}\nthat sensor's blur and noise are those of images with --preprocess "
        f"{fitted.preprocess}: where these are resized otherwise, they have other pixels"
    )


def other_values(
    source: RunFolder, known: Mapping[str, ValueMap], own: Mapping[str, ValueMap]
) -> str:
    """A line for each role whose values were others in the run `source`."""
    return "\n".join(
        f"{source.path} learnt other values of {role}: {value_map}, now {own[role]}"
        for role, value_map in known.items()
        if own.get(role, value_map) != value_map
    )


def finished(folder: RunFolder, run: RunOptions, data: DataOptions, *, chips: bool = False) -> str:
    """After the last epoch, or the fit: where everything is, and what comes next.

    chips: whether it is a classifier that knows chips alone.
    """
    page, events = folder.path / "web" / "index.html", folder.path / "tensorboard"
    lines = [f"finished: {folder.path}"]
    if page.is_file():
        lines.append(f"curves and samples: {page}")
    if events.is_dir():
        lines.append(f"the same: {shlex.join(['tensorboard', '--logdir', str(events)])}")
    if data.dataset_mode == "labeled":
        weights = shlex.quote(str(folder.network_file("latest", "classifier")))
        teach = f"as a teacher: python train.py --model pix2pix_gradcam --classifier {weights} ..."
        judge = f"python evaluate.py --{'chip_' if chips else ''}classifier {weights} ..."
        lines.append(f"next: {judge}" if chips else f"next, {teach}")
        if not chips:
            lines.append(f"or, where it has taught nothing, as a judge: {judge}")
    else:
        words = ["python", "test.py", "--dataroot", data.dataroot, "--name", run.name]
        if run.checkpoints_dir != RunOptions.checkpoints_dir:
            words += ["--checkpoints_dir", run.checkpoints_dir]
        lines.append(f"next: {shlex.join(words)}")
    return "\n".join(lines)


def left_as_it_is(folder: RunFolder) -> str:
    """Where --resume finds nothing to do."""
    return f"{folder.path} is finished, of the same data, flags and inputs: left as it is"


def way_on(saved_step: int | None, advice: str) -> str:
    """What to do after an error; saved_step: of the last checkpoint, None where there is none."""
    if saved_step is None:
        return f"there is no checkpoint yet: start again {advice}"
    return f"the checkpoint of step {saved_step} is good: --continue_train {advice}"


def way_on_from_nan(saved_step: int | None, options: TrainingOptions) -> str:
    """The same after numbers that were not finite."""
    advice = "with a lower --lr"
    if options.on_nan == "stop":
        advice += ", or leave such steps out (--on_nan skip)"
    return way_on(saved_step, advice)


def way_on_with_less_memory(saved_step: int | None, folder: RunFolder) -> str:
    """The same where a step needs more memory than there is; a run keeps its sizes."""
    lighter = "with a smaller --batch_size, --crop_size or --load_size"
    if saved_step is None:
        return way_on(saved_step, lighter)
    other = f"or begin another run from it (--pretrained_name {folder.path.name}) {lighter}"
    return way_on(saved_step, f"where there is more memory, {other}")
