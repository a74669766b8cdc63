"""What `pip install .` takes along is all that `load_generator` needs."""

import re
import tomllib
from pathlib import Path

from setuptools import find_packages

from tests.test_layers import MODULES, OWN, ROOT, imported, parse
from util.version import VERSION

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = SETTINGS["tool"]["setuptools"]
PACKAGES = set(find_packages(str(ROOT), include=SETUPTOOLS["packages"]["find"]["include"]))


def test_every_module_that_a_packaged_one_imports_is_packaged():
    packaged = {name for name, file in MODULES.items() if dotted(file.parent) in PACKAGES}
    assert {"translating", "translating.loop", "util.pages", "models.networks.unet"} <= packaged
    for module in packaged:
        own = {name for name in imported(parse(module)) if name.split(".")[0] in OWN}
        assert own <= packaged, module


def dotted(folder: Path) -> str:
    return ".".join(folder.relative_to(ROOT).parts)


def test_scripts_and_tests_stay_behind():
    assert not {name.split(".")[0] for name in PACKAGES} & {"datasets", "benchmarks", "tests"}


def test_files_that_are_no_modules_come_along():
    taken = {
        file
        for package, patterns in SETUPTOOLS["package-data"].items()
        for pattern in patterns
        for file in ROOT.joinpath(*package.split(".")).glob(pattern)
    }
    folders = [ROOT.joinpath(*package.split(".")) for package in PACKAGES]
    files = {file for folder in folders for file in folder.iterdir() if file.is_file()}
    assert {file for file in files if file.suffix != ".py"} == taken != set()


def test_the_version_is_one():
    assert SETUPTOOLS["dynamic"]["version"]["attr"] == "util.version.VERSION"
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)
