"""Options of an earlier run, taken over by whoever continues or uses it."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from options.groups import (
    DataOptions,
    DisplayOptions,
    ModelOptions,
    RunOptions,
    TrainingOptions,
)
from options.parser import GROUPS, TestConfig, TrainConfig, from_dict, groups_of
from options.presets import VARIANTS
from options.table import spell

Config = TypeVar("Config", bound=TrainConfig)


def _names(*groups: type, mark: str | None = None) -> frozenset[str]:
    """Of the options of these groups, all or those that carry the mark."""
    items = [item for group in groups for item in fields(group)]
    return frozenset(item.name for item in items if mark is None or item.metadata[mark])


def _fixed(*groups: type) -> frozenset[str]:
    """Of these groups, what a run shares with its beginning."""
    return _names(*groups) - _names(*groups, mark="may_change")


# What comes from the command line alone, never from the record.
OWN_WHEN_CONTINUED = _names(RunOptions, DataOptions, TrainingOptions, mark="each_start")
# How a run began, which is over when it goes on.
BEGINNING = frozenset({"epoch_count", "pretrained_name"})
# The same of a run that repeats another: as that was, on its device, too.
OWN_WHEN_REPEATED = frozenset({"name", "checkpoints_dir", "resume", "continue_train", "like"})
# What a test takes from the run, beside its model's options: all else is for training alone.
VALUE_RANGES = frozenset({"value_range_A", "value_range_B"})
RESIZING = frozenset({"preprocess", "load_size", "crop_size"})
OWN_WHEN_TESTED = (
    _names(RunOptions, DataOptions, TrainingOptions, DisplayOptions)
    - {"model", "direction", "dataset_mode", "dataroot"}
    - VALUE_RANGES
    - RESIZING
)


@dataclass(frozen=True)
class Change:
    """An option that a run of the past had otherwise; as words: "--lr 0.1, not 0.2"."""

    name: str
    was: Any
    now: Any

    def __str__(self) -> str:
        return f"--{self.name} {spell(self.was)}, not {spell(self.now)}"


def changes(recorded: TrainConfig, config: TrainConfig) -> Iterator[Change]:
    """The options of `recorded` that are others in `config`, in their order."""
    for group in groups_of(recorded):
        earlier, now = getattr(recorded, group), getattr(config, group)
        for name in (item.name for item in fields(earlier)):
            change = Change(name, getattr(earlier, name), getattr(now, name, None))
            if change.was != change.now:
                yield change


def differences(recorded: TrainConfig, config: TrainConfig) -> list[Change]:
    """The changes that make it another run or, of two `TestConfig`, other results."""
    groups = [type(getattr(recorded, name)) for name in groups_of(recorded)]
    free = _names(*groups, mark="free") | _names(DisplayOptions)
    if isinstance(recorded, TestConfig):
        free |= _names(TrainingOptions)
    return [change for change in changes(recorded, config) if change.name not in free]


def input_files(config: TrainConfig) -> dict[str, str]:
    """Flag -> path of each file that a run takes in by its options."""
    found = {}
    for group in (getattr(config, name) for name in groups_of(config)):
        for name in sorted(_names(type(group), mark="file")):
            if path := getattr(group, name):
                found[f"--{name}"] = path
    return found


def recorded_options(
    stored: Mapping[str, Any], models: Mapping[str, type[ModelOptions]]
) -> TrainConfig:
    """stored: as `to_dict` wrote it. Raises ValueError for what this version does not know."""
    try:
        return from_dict(stored, models)
    except (KeyError, TypeError) as error:
        raise ValueError(f"its record names an unknown model or option ({error})") from None


def continue_options(
    config: Config,
    stored: Mapping[str, Any],
    models: Mapping[str, type[ModelOptions]],
    *,
    may_change: Collection[str] = (),
) -> Config:
    """Options of a run that goes on: what is not on the command line stays as it was.

    stored: as `to_dict` wrote it; may_change: options that may, beside those that are marked so.
    Raises ValueError for a flag that would make it another run, and for one of another model.
    """
    recorded = recorded_options(stored, models)
    fixed = _fixed(RunOptions, DataOptions, type(recorded.model)) | BEGINNING
    merged = _merge(config, recorded, own=OWN_WHEN_CONTINUED, fixed=fixed - set(may_change))
    _refuse_stray(config, recorded)
    return merged


def repeat_options(
    config: Config, stored: Mapping[str, Any], models: Mapping[str, type[ModelOptions]]
) -> Config:
    """Options of a run like another: what is not on the command line is as it was there.

    stored: as `to_dict` wrote it. Raises ValueError for a flag that chooses or asks for another
    model.
    """
    recorded = recorded_options(stored, models)
    fixed = frozenset({"model", *VARIANTS.values()})  # other defaults follow from these
    merged = _merge(config, recorded, own=OWN_WHEN_REPEATED, fixed=fixed)
    _refuse_stray(config, recorded)
    return merged


def tested_options(
    config: Config, stored: Mapping[str, Any], models: Mapping[str, type[ModelOptions]]
) -> Config:
    """Options of a test: model and resizing of the run, everything else of the command line.

    stored: as `to_dict` wrote it. Raises ValueError for a flag that contradicts the run.
    """
    recorded = recorded_options(stored, models)
    fixed = VALUE_RANGES | {"direction", "model"} | _fixed(type(recorded.model))
    return _merge(config, recorded, own=OWN_WHEN_TESTED, fixed=fixed)


def _refuse_stray(config: TrainConfig, recorded: TrainConfig) -> None:
    if stray := config.given & (_names(type(config.model)) - _names(type(recorded.model))):
        raise ValueError(f"--model {recorded.run.model} has no --{min(stray)}; leave the flag out")


def _merge(
    config: Config, recorded: TrainConfig, *, own: frozenset[str], fixed: frozenset[str]
) -> Config:
    for change in changes(recorded, config):
        if change.name in config.given & fixed:
            raise ValueError(f"it was trained with {change}; leave the flag out")
    groups = {}
    for name in GROUPS:
        earlier, now = getattr(recorded, name), getattr(config, name)
        values = {}
        for item in fields(earlier):
            was, wanted = getattr(earlier, item.name), getattr(now, item.name, None)
            given = item.name in config.given and hasattr(now, item.name)
            values[item.name] = wanted if given or item.name in own else was
        groups[name] = type(earlier)(**values)
    return replace(config, **groups)
