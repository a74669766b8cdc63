"""Options as people read them: as they are typed, and all of a run in a table."""

from dataclasses import asdict, fields
from typing import Any

from options.parser import TrainConfig, groups_of
from options.presets import preset


def option_table(config: TrainConfig) -> str:
    """What CUT and pix2pix write into train_opt.txt: each option, and its default if another."""
    presets = preset(config.run.model, asdict(config.model))
    lines = {}
    for group in (getattr(config, name) for name in groups_of(config)):
        for item in fields(group):
            value, default = getattr(group, item.name), presets.get(item.name, item.default)
            note = "" if value == default else f"\t[default: {spell(default)}]"
            lines[item.name] = f"{item.name:>25}: {spell(value):<30}{note}"
    body = [line for _, line in sorted(lines.items())]
    ends = (f"{'-' * 17} Options {'-' * 15}", f"{'-' * 17} End {'-' * 19}")
    return "\n".join([ends[0], *body, ends[1], ""])


def spell(value: Any) -> str:
    """As it is typed on the command line."""
    if not isinstance(value, tuple):
        return str(value)
    whole_numbers = all(isinstance(part, int) for part in value)
    return (",".join if whole_numbers else " ".join)(f"{part:.10g}" for part in value)
