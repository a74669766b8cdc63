"""How much memory a program may still take."""

import os
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
CONTROL_GROUP = Path("/sys/fs/cgroup")  # of a container, version 2


def free_memory() -> int | None:
    """Bytes that are free, or were without the files that the system keeps at hand.

    The least of what the machine and the container have; where the system tells neither, the size
    of the memory, and None where it does not tell that.
    """
    found = [free for free in (_of_machine(), _of_container()) if free is not None]
    if found:
        return min(found)
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _of_machine() -> int | None:
    kilobytes = _numbers(MEMINFO).get("MemAvailable:")
    return None if kilobytes is None else 1024 * kilobytes


def _of_container() -> int | None:
    try:
        limit = (CONTROL_GROUP / "memory.max").read_text().strip()
        used = int((CONTROL_GROUP / "memory.current").read_text())
    except (OSError, ValueError):
        return None
    if not limit.isdecimal():  # "max"
        return None
    files = _numbers(CONTROL_GROUP / "memory.stat").get("inactive_file", 0)
    return max(0, int(limit) - used + files)


def _numbers(path: Path) -> dict[str, int]:
    """First word of each line -> its number; empty where there is no such file."""
    try:
        lines = [line.split() for line in path.read_text().splitlines()]
        return {words[0]: int(words[1]) for words in lines if len(words) > 1}
    except (OSError, ValueError):
        return {}
