"""The datasets that a configuration asks for: of training, of validation, of testing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from data.boxes import BoxTable
from data.datasets import (
    AlignedDataset,
    ImageDataset,
    Selection,
    SingleDataset,
    UnalignedDataset,
)
from data.folders import phase_folder
from data.labeled import LabeledDataset
from data.labeled_images import LabeledImage, find_labeled
from data.randomized import RandomizedDataset
from data.splits import hold_out_ranges, split_recordings, spread
from data.transforms import Preprocessing
from data.value_map import ValueMap
from data.views import VIEWS, view_of
from options import DataOptions, ModelOptions, TranslationOptions
from options.groups import ClassifierOptions, GanOptions
from util.errors import UserError
from util.files import absolute


def build_training_datasets(
    data: DataOptions,
    model: ModelOptions,
    *,
    seed: int,
    full_size_after: int,
    value_maps: Mapping[str, ValueMap],
    left_out: Mapping[str, str],
    boxes_for: str | None = None,
    read_boxes: bool = False,
) -> tuple[ImageDataset, ImageDataset | None]:
    """The training dataset, and a validation dataset for --dataset_mode labeled.

    full_size_after: last epoch whose unpaired images are resized beyond the crop. value_maps: of
    the run that is continued; {} finds them in the files. left_out: images that it does without,
    path below the data root -> why; with --on_bad_image skip the datasets leave out more.
    boxes_for: the flag that needs boxes of the targets; read_boxes: whether to read them where
    there are any, without such a flag; those of labelled images to validate on always are. Raises
    UserError for folders, labels or boxes that do not fit, and for images that cannot share a
    batch.
    """
    if data.dataset_mode == "randomized":
        _require_sensor(model)
        boxes_for = boxes_for or "--dataset_mode randomized"
    selection = _selection(
        data,
        model,
        seed=seed,
        training=True,
        value_maps=value_maps,
        left_out=left_out,
        read_boxes=read_boxes or boxes_for is not None,
    )
    if data.dataset_mode == "single":
        raise UserError(
            "--dataset_mode single has no target domain to learn from; train with unaligned or "
            "aligned."
        )
    held_out = None
    if data.dataset_mode == "labeled":
        training, held_out = _labeled_datasets(model, selection)
    elif data.dataset_mode == "aligned":
        training = AlignedDataset(selection)
    elif data.dataset_mode == "randomized":
        training = RandomizedDataset(selection)
    else:
        training = UnalignedDataset(selection, full_size_after=full_size_after)
    training.check_batches(data.batch_size)
    if boxes_for:
        training.require_boxes(boxes_for)
    return training, held_out


def _require_sensor(model: ModelOptions) -> None:
    if not (isinstance(model, GanOptions) and model.sensor):
        raise UserError(
            "--dataset_mode randomized learns from images as a sensor shows them; name the run "
            "that fitted one with --sensor (scripts/run_target_fit.sh makes mwir_target_fit)."
        )


def build_validation_datasets(
    data: DataOptions,
    model: ModelOptions,
    *,
    phase: str,
    seed: int,
    value_maps: Mapping[str, ValueMap],
    left_out: Mapping[str, str],
    read_boxes: bool = False,
) -> tuple[ImageDataset, ...]:
    """What --val_freq measures a translation on, in a fixed order, nothing random in it.

    All pairs for --dataset_mode aligned; for unaligned two sets, all images of A and all of B, each
    as the `a` of its batches. phase: --val_phase. value_maps: of the training images, A and B;
    left_out: as for these; read_boxes: of targets, too. Raises UserError where there are no such
    folders.
    """
    selection = replace(
        _selection(
            data,
            model,
            seed=seed,
            training=False,
            value_maps=value_maps,
            left_out=left_out,
            read_boxes=read_boxes,
        ),
        phase=phase,
        limit=None,
    )
    paired = data.dataset_mode == "aligned"
    _require_validation_images(selection, paired=paired)
    if paired:
        return (AlignedDataset(selection),)
    return SingleDataset(selection), SingleDataset(selection.reversed())


def _require_validation_images(selection: Selection, *, paired: bool) -> None:
    root, phase = selection.root, selection.phase
    missing = [x for x in "AB" if phase_folder(root, phase, x) is None]
    side_by_side = paired and len(missing) == 2 and (root / phase).is_dir()
    if missing and not side_by_side:
        folders = " and no ".join(f"{phase}_{letter}" for letter in missing)
        raise UserError(
            f"--val_freq needs validation images, and {root} has no {folders}; put images there, "
            "or name others with --val_phase (--val_phase test lets the test images choose the "
            "best epoch, which is then no longer tested on unseen ones)."
        )


def build_test_dataset(
    data: DataOptions,
    model: ModelOptions,
    *,
    seed: int,
    value_maps: Mapping[str, ValueMap],
    asked: int | None = None,
    read_boxes: bool = False,
) -> ImageDataset:
    """The images to translate, with partners where there are any; nothing random in size.

    asked: how many of them will be translated, None for all; read_boxes: whether to read the boxes
    of their targets, where there are any. Raises UserError for folders that do not fit, and for one
    of these images by its head.
    """
    selection = _selection(
        data,
        model,
        seed=seed,
        training=False,
        value_maps=value_maps,
        left_out={},
        read_boxes=read_boxes,
    )
    # Each image is read once at most: nothing is gained by keeping it. None is left out.
    selection = replace(selection, cache="none", skip_bad=False, asked=asked)
    modes = {
        "aligned": AlignedDataset,
        "unaligned": UnalignedDataset,
        "randomized": UnalignedDataset,  # it learns from B alone, and translates A
        "single": SingleDataset,
    }
    if data.dataset_mode not in modes:
        raise UserError(
            "--dataset_mode labeled has nothing to translate; use single, unaligned or aligned."
        )
    return modes[data.dataset_mode](selection)


def _selection(
    data: DataOptions,
    model: ModelOptions,
    *,
    seed: int,
    training: bool,
    value_maps: Mapping[str, ValueMap],
    left_out: Mapping[str, str],
    read_boxes: bool,
) -> Selection:
    if not data.dataroot:
        raise UserError("no images are given; name their folder with --dataroot.")
    root = absolute(data.dataroot)
    if not root.is_dir():
        raise UserError(f"there is no folder {root}; check --dataroot.")
    bands_b = model.output_nc if isinstance(model, TranslationOptions) else model.input_nc
    for flag, bands in (("input_nc", model.input_nc), ("output_nc", bands_b)):
        if bands not in (1, 3):
            raise UserError(f"--{flag} {bands} is not supported; images have 1 or 3 bands.")
    return Selection(
        root=root,
        phase=data.phase,
        direction=data.direction,
        limit=data.max_dataset_size,
        bands_a=model.input_nc,
        bands_b=bands_b,
        preprocessing=Preprocessing.from_options(data, training=training),
        serial=data.serial_batches,
        seed=seed,
        value_maps=value_maps,
        value_ranges={"A": data.value_range_A, "B": data.value_range_B},
        cache=data.cache,
        left_out=left_out,
        skip_bad=data.on_bad_image == "skip",
        boxes=BoxTable(root) if read_boxes else None,
    )


def _labeled_datasets(
    model: ModelOptions, selection: Selection
) -> tuple[LabeledDataset, LabeledDataset]:
    """selection: with boxes, where training needs those of whole images.

    Validation has them always: they tell whether a classifier looks at the targets.
    """
    if not isinstance(model, ClassifierOptions):
        raise UserError("--dataset_mode labeled is for --model classifier; use aligned.")
    found = find_labeled(selection.root, selection.phase)
    usable = selection.usable([(item[0],) for item in found], "A")
    selection = replace(selection, left_out=usable.left_out, sizes=usable.sizes)
    kept = set(usable.files())
    found = [item for item in found if item[0] in kept]
    boxed = replace(selection, boxes=selection.boxes or BoxTable(selection.root))
    items = [LabeledImage.of(*item, boxed.boxes.index) for item in found]
    if model.hold_out_range:
        train, held, note = hold_out_ranges(items, model.hold_out_range)
    else:
        train, held, note = split_recordings(found, model, seed=selection.seed)
    train = [items[i] for i in spread(train, selection.limit)]
    classes = tuple(sorted({item.class_name for item in items}))
    _require_every_class(classes, {item.class_name for item in train})
    view = view_of(model)
    if view == "chip":
        _require_all_ranges_or_none(items)
    training_set = VIEWS[view](
        selection if view == "frame" else boxed,
        train,
        classes=classes,
        augment=not model.no_augment,
    )
    preprocessing = selection.preprocessing
    validation = replace(
        boxed,
        preprocessing=replace(preprocessing, flip=False, training=False).without_margin(),
        value_maps=training_set.value_maps,
    )
    return training_set, training_set.held_out(validation, [items[i] for i in held], note=note)


def _require_every_class(classes: tuple[str, ...], trained: set[str]) -> None:
    missing = [name for name in classes if name not in trained]
    if missing:
        raise UserError(
            f"no training image is left of {', '.join(missing)}; raise --max_dataset_size or lower "
            "--val_fraction."
        )


def _require_all_ranges_or_none(items: Sequence[LabeledImage]) -> None:
    unknown = [item.file.path for item in items if item.range_m is None]
    if 0 < len(unknown) < len(items):
        raise UserError(
            f"{len(unknown)} of {len(items)} images have no range ({unknown[0]}), and --view chip "
            "shows each target by its range; give range_m in labels.csv for all of them, or for "
            "none: then all chips have one side."
        )
