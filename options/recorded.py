"""Options of an earlier run, taken over by whoever continues or uses it."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from options.groups import (
    DataOptions,
    DisplayOptions,
    ModelOptions,
    RunOptions,
    TrainingOptions,
)
from options.parser import GROUPS, TrainConfig, from_dict

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
# What a test takes from the run, beside its model's options: all else is for training alone.
VALUE_RANGES = frozenset({"value_range_A", "value_range_B"})
RESIZING = frozenset({"preprocess", "load_size", "crop_size"})
OWN_WHEN_TESTED = (
    _names(RunOptions, DataOptions, TrainingOptions, DisplayOptions)
    - {"model", "direction", "dataset_mode", "dataroot"}
    - VALUE_RANGES
    - RESIZING
)


def continue_options(
    config: Config, stored: Mapping[str, Any], models: Mapping[str, type[ModelOptions]]
) -> Config:
    """Options of a run that goes on: what is not on the command line stays as it was.

    stored: as `to_dict` wrote it. Raises ValueError for a flag that would make it another run.
    """
    fixed = _fixed(RunOptions, DataOptions)
    return _merge(config, stored, models, own=OWN_WHEN_CONTINUED, fixed=fixed)


def tested_options(
    config: Config, stored: Mapping[str, Any], models: Mapping[str, type[ModelOptions]]
) -> Config:
    """Options of a test: model and resizing of the run, everything else of the command line.

    stored: as `to_dict` wrote it. Raises ValueError for a flag that contradicts the run.
    """
    return _merge(config, stored, models, own=OWN_WHEN_TESTED, fixed=VALUE_RANGES | {"direction"})


def _merge(
    config: Config,
    stored: Mapping[str, Any],
    models: Mapping[str, type[ModelOptions]],
    *,
    own: frozenset[str],
    fixed: frozenset[str],
) -> Config:
    try:
        recorded = from_dict(stored, models)
    except (KeyError, TypeError) as error:
        raise ValueError(f"its record names an unknown model or option ({error})") from None
    fixed = fixed | {"model"} | _fixed(type(recorded.model))
    groups = {}
    for name in GROUPS:
        earlier, now = getattr(recorded, name), getattr(config, name)
        values = {}
        for item in fields(earlier):
            was, wanted = getattr(earlier, item.name), getattr(now, item.name, None)
            given = item.name in config.given and hasattr(now, item.name)
            if given and item.name in fixed and was != wanted:
                raise ValueError(
                    f"it was trained with --{item.name} {_spell(was)}, not {_spell(wanted)}; "
                    "leave the flag out"
                )
            values[item.name] = wanted if given or item.name in own else was
        groups[name] = type(earlier)(**values)
    return replace(config, **groups)


def _spell(value: Any) -> str:
    """As it is typed on the command line."""
    if not isinstance(value, tuple):
        return str(value)
    whole_numbers = all(isinstance(part, int) for part in value)
    return (",".join if whole_numbers else " ".join)(f"{part:.10g}" for part in value)
