"""How much memory a program may still take."""

import os
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
CONTROL_GROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")


def free_memory() -> int | None:
    """Bytes that are free, or were without the files that the system keeps at hand.

    The least of what the machine has and what its control groups (a container, a job of SLURM)
    leave this process; where the system tells neither, the size of the memory, and None where it
    does not tell that.
    """
    found = [_of_machine(), *map(_of_group, _groups())]
    found = [free for free in found if free is not None]
    if found:
        return min(found)
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _of_machine() -> int | None:
    kilobytes = _numbers(MEMINFO).get("MemAvailable:")
    return None if kilobytes is None else 1024 * kilobytes


def _groups() -> list[Path]:
    """Folders of the control groups that this process is in, and of those around them."""
    found = []
    try:
        lines = OWN_GROUPS.read_text().splitlines()
    except OSError:
        lines = []
    for line in ["0::/", *lines]:  # number:controllers:path, cgroups(7); "/" is a container's own
        _, controllers, path = line.split(":", 2)
        version_1 = "memory" in controllers.split(",")
        if version_1 or not controllers:
            top = CONTROL_GROUPS / "memory" if version_1 else CONTROL_GROUPS
            own = top / path.lstrip("/")
            found += [group for group in (own, *own.parents) if group.is_relative_to(top)]
    return list(dict.fromkeys(found))


def _of_group(folder: Path) -> int | None:
    for limit, usage, files in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            most = (folder / limit).read_text().strip()
            used = int((folder / usage).read_text())
        except (OSError, ValueError):
            continue
        if most.isdecimal():  # not "max"
            kept = _numbers(folder / "memory.stat").get(files, 0)
            return max(0, int(most) - used + kept)
    return None


def _numbers(path: Path) -> dict[str, int]:
    """First word of each line -> its number; empty where there is no such file."""
    try:
        lines = [line.split() for line in path.read_text().splitlines()]
        return {words[0]: int(words[1]) for words in lines if len(words) > 1}
    except (OSError, ValueError):
        return {}
