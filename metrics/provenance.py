"""What a number was made with, so that somebody else can make it again."""

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = (
    "torch torchvision numpy scipy pillow scikit-image scikit-learn lpips pytorch-fid timm".split()
)


def versions() -> dict[str, str | None]:
    """Python and the packages that compute metrics; None for one that is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found
