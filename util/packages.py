"""Packages that a part of the program needs, asked for before that part begins its work."""

from importlib.util import find_spec

from util.errors import UserError

MODULES = {"scikit-learn": "sklearn"}  # where pip's name is not the module's


def require(part: str, *packages: str) -> None:
    """Raises UserError where one of the packages is missing. part: what needs them, for people."""
    for package in packages:
        if find_spec(MODULES.get(package, package)) is None:
            raise UserError(
                f"{part} needs the package {package}, which is not installed: "
                f"run `pip install {package}`."
            )
