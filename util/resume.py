"""What --resume refuses: to leave, or go on with, what is of other data, flags or inputs."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from options.recorded import Change
from util.errors import UserError

REMOVE = "or delete it, with all that was made from it"
ANOTHER_RUN = f"choose another --name (NAME_PREFIX of the scripts), {REMOVE}"


def refuse_changed(place: Path, changes: Sequence[Change], *, way: str) -> None:
    """Raises UserError where there are changes of flags. way: what to do."""
    _refuse(place, [f"with {change}" for change in changes], way)


def refuse_other_inputs(
    place: Path, recorded: Mapping[str, str] | None, now: Mapping[str, str], *, way: str
) -> None:
    """Raises UserError, naming what differs.

    recorded, now: digests of what `place` was made from and would be now, by their names for
    people; recorded is None where an earlier version did not keep them. way: what to do.
    """
    if recorded is None:
        raise UserError(
            f"{place} is of an earlier version, which did not record the data and inputs that it "
            f"was made from; {way}."
        )
    _refuse(place, other_inputs(recorded, now), way)


def other_inputs(recorded: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What differs, as words: "from other training images". recorded, now: as above."""
    names = [name for name in {**recorded, **now} if recorded.get(name) != now.get(name)]
    return [f"from other {name}" for name in names]


def count_missing(files: Iterable[Path]) -> int:
    """How many of the files that were made are gone; what they hold is not looked at."""
    # Not Path.is_file, which raises OSError for a name that no file can have.
    return sum(not os.path.isfile(file) for file in files)  # noqa: PTH113


def _refuse(place: Path, differing: Sequence[str], way: str) -> None:
    if differing:
        raise UserError(f"{place} was made {' and '.join(differing)}; {way}.")
