"""Which of the processes of a run this is, as torchrun's variables tell.

No torch is needed for that: programs ask before they load it.
"""

import os


def processes() -> int:
    """How many share the run, on all hosts."""
    return max(1, _number("WORLD_SIZE", 1))


def rank() -> int:
    """This one's number among all, from 0."""
    return _number("RANK", 0) if processes() > 1 else 0


def is_first() -> bool:
    """Whether this is the one that writes and prints."""
    return rank() == 0


def local_processes() -> int:
    """How many of them are on this host."""
    return _number("LOCAL_WORLD_SIZE", processes()) if processes() > 1 else 1


def local_rank() -> int:
    """This one's number among these, from 0."""
    return _number("LOCAL_RANK", rank()) if processes() > 1 else 0


def _number(name: str, otherwise: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else otherwise
