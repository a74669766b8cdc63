"""Which program this is, and the packages that it computes with."""

import platform
import subprocess
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

VERSION = "0.1.0"  # pyproject.toml takes it from here
ROOT = Path(__file__).resolve().parents[1]
# What a run, a fit or a result is computed with.
PACKAGES = ("torch", "torchvision", "numpy", "pillow", "scipy", "scikit-image", "scikit-learn")


def installed() -> dict[str, str]:
    """The version of Python and of each package that is here."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def commit(root: Path = ROOT) -> str | None:
    """Of the program's checkout, with a digest of what was changed since; None without git."""
    if not (root / ".git").exists():  # installed, perhaps below another project's checkout
        return None
    try:
        head = _git(root, "rev-parse", "--short=12", "HEAD").decode().strip()
        changes = _git(root, "diff", "--no-ext-diff", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{head} and changes {sha256(changes).hexdigest()[:12]}" if changes else head


def _git(root: Path, *words: str) -> bytes:
    command = ["git", "--no-optional-locks", "-C", str(root), *words]
    return subprocess.run(command, capture_output=True, check=True).stdout
