"""Which rows of a table are trainings of one design, as their names tell."""

import re
from collections.abc import Iterable

NAMED = re.compile(r"(.+), seed (0|[1-9][0-9]*)")


def trainings(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Design -> seed -> name of its row, of rows called "DESIGN, seed N"; two or more of each."""
    found: dict[str, dict[str, str]] = {}
    for name in names:
        if match := NAMED.fullmatch(name):
            found.setdefault(match[1], {})[match[2]] = name
    return {design: rows for design, rows in found.items() if len(rows) > 1}
