"""Folders of images that grow from run to run by one recipe, which dataset.json keeps."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data.folders import MARKER
from datasets.building import own_marker
from util.errors import UserError
from util.files import write_text


def read_record(folder: Path, *, script: str, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """What dataset.json of `folder` says; {} for a folder that is free or empty.

    recipe: the flags of `script` that decide how images are made, by name; None, False and "" are a
    flag that is not given. Raises UserError for a folder that `script` did not make, or made by
    another recipe: its images would not compare with the new ones.
    """
    record = own_marker(folder, script=script)
    if not record:
        return {}
    known = record.get("recipe")
    before = known if isinstance(known, dict) else {}
    other = [name for name in {**before, **recipe} if before.get(name) != recipe.get(name)]
    if other:
        raise UserError(
            f"{folder} holds images made with {_flags(before, other)}, and this run has "
            f"{_flags(recipe, other)}; they must not be mixed: choose another --out or delete it."
        )
    return record


def _flags(recipe: Mapping[str, Any], names: Sequence[str]) -> str:
    """As on a command line, and "no --chip" for what is not given."""
    words = []
    for name in names:
        value = recipe.get(name)
        words.append(f"--{name}" if value is True else f"--{name} {value}" if value else "")
        words[-1] = words[-1] or f"no --{name}"
    return " ".join(words)


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write dataset.json. Raises UserError where that fails."""
    write_text(folder / MARKER, json.dumps(record, indent=1) + "\n")


def state_of(path: Path) -> list[int]:
    """Size and time of change of a file, by which it is known again, as a record keeps them.

    Raises UserError where it is not there or cannot be looked at.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); check it.") from None
    return [found.st_size, found.st_mtime_ns]
