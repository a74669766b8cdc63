"""What a benchmark ran on, for its JSON file."""

import os
import platform
from pathlib import Path

import torch


def describe_machine() -> dict[str, str | int]:
    """Processor, cores, GPU and versions."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _processor() -> str:
    """Its name and what it has for bf16, where Linux tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    found = dict(line.split(":", 1) for line in lines if ":" in line)
    facts = {key.strip(): value.strip() for key, value in found.items()}
    halves = [name for name in facts.get("flags", "").split() if "bf16" in name]
    name = facts.get("model name", platform.machine())
    return f"{name} ({', '.join(halves)})" if halves else name
