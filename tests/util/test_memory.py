"""Free memory: of the machine, of a container, of a system that tells little."""

import os

import pytest

import util.memory
from util.memory import free_memory


@pytest.fixture
def system(tmp_path, monkeypatch):
    """system(name, text): a file by which the system tells; at first it tells nothing."""
    monkeypatch.setattr(util.memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(util.memory, "CONTROL_GROUPS", tmp_path)
    monkeypatch.setattr(util.memory, "OWN_GROUPS", tmp_path / "own")

    def tell(name, text):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    return tell


def test_the_least_of_machine_and_container(system):
    system("meminfo", "MemTotal:  9 kB\nMemFree:  1 kB\nMemAvailable:     5 kB\n")
    assert free_memory() == 5 * 1024
    system("memory.current", "4000\n")
    system("memory.max", "max\n")
    assert free_memory() == 5 * 1024
    system("memory.max", "6000\n")
    assert free_memory() == 2000
    system("memory.stat", "anon 7\ninactive_file 500\nactive_file 9\n")
    assert free_memory() == 2500
    system("memory.max", "90000\n")
    assert free_memory() == 5 * 1024
    system("memory.max", "3000\n")
    assert free_memory() == 0


@pytest.mark.parametrize(
    ("own", "group", "limit", "usage"),
    [
        ("0::/slurm/job_7/step_0\n", "slurm/job_7", "memory.max", "memory.current"),
        (
            "3:cpu:/\n2:memory:/slurm/job_7\n",
            "memory/slurm/job_7",
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
        ),
    ],
)
def test_the_limit_of_a_job_counts_in_its_steps(system, own, group, limit, usage):
    system("meminfo", "MemAvailable:     5 kB\n")
    system("own", own)
    system(f"{group}/{limit}", "3000\n")
    system(f"{group}/{usage}", "1000\n")
    assert free_memory() == 2000


def test_a_system_that_tells_nothing(system, monkeypatch):
    sizes = {"SC_PHYS_PAGES": 10, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)
    assert free_memory() == 40960
    monkeypatch.delattr(os, "sysconf")
    assert free_memory() is None


def test_this_machine_has_some():
    free = free_memory()
    assert free is None or free > 0
