"""Whether the packages that requirements ask for are there, in versions that will do."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from diagnosis.finding import Finding, Setting
from util.packages import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
COMMAND = "pip install -r requirements.txt -c requirements-floors.txt"

Release = tuple[int, ...]


@dataclass(frozen=True)
class Requirement:
    """A line of requirements. limits: operator and release; installed: None for a missing one."""

    package: str
    limits: tuple[tuple[str, str], ...]
    installed: str | None

    @property
    def wanted(self) -> str:
        """As in the file."""
        return ",".join(operator + release for operator, release in self.limits)

    @property
    def is_old(self) -> bool:
        """Whether a later release is asked for."""
        return any(
            operator in ("==", ">=") and self._release < release_of(limit)
            for operator, limit in self.limits
        )

    @property
    def is_new(self) -> bool:
        """Whether it is beyond what was tested."""
        return any(
            (operator == "==" and self._release > release_of(limit))
            or (operator == "<" and self._release >= release_of(limit))
            for operator, limit in self.limits
        )

    @property
    def _release(self) -> Release:
        return release_of(self.installed or "")


def release_of(text: str) -> Release:
    """Numbers of a version without its build, less zeros at the end: 2.11.0+cu130 -> (2, 11)."""
    numbers = re.match(r"\d+(\.\d+)*", text)
    release = [int(number) for number in numbers[0].split(".")] if numbers else []
    while release and not release[-1]:
        release.pop()
    return tuple(release)


def read_requirements(file: Path) -> list[Requirement]:
    """Of the packages in a file as pip reads it."""
    found = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if words := re.match(r"([\w.-]+)((?:\s*,?(?:==|>=|<)[\d.]+)+)", line):
            limits = tuple(re.findall(r"(==|>=|<)([\d.]+)", words[2]))
            found.append(Requirement(words[1], limits, _installed(words[1])))
    return found


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def check_packages(setting: Setting) -> Iterator[Finding]:
    """Of requirements.txt, and of the floors those that are there."""
    asked = read_requirements(ROOT / "requirements.txt")
    floors = read_requirements(ROOT / "requirements-floors.txt")
    missing = [r.package for r in asked if r.installed is None]
    old = {
        r.package: f"{r.package} {r.installed} is not {r.wanted}"
        for r in (*asked, *floors)
        if r.installed is not None and r.is_old
    }
    new = [f"{r.package} {r.installed} beside {r.wanted}" for r in asked if r.is_new]
    if missing:
        yield Finding("to do", f"packages: there is no {', no '.join(missing)}; run `{COMMAND}`.")
    if old:
        yield Finding("to do", f"packages: {', '.join(old.values())}; run `{COMMAND}`.")
    if new:
        yield Finding("optional", f"packages: newer than tested: {', '.join(new)}; `{COMMAND}`.")
    if not (missing or old or new):
        yield Finding("ok", f"packages: all {len(asked)} of requirements.txt")


def check_visdom(setting: Setting) -> Iterator[Finding]:
    """The package, and a server that answers."""
    import urllib.error
    import urllib.request

    lacking = [
        r.package
        for r in read_requirements(ROOT / "requirements-visdom.txt")
        if r.installed is None or r.is_old or r.is_new
    ]
    if lacking:
        what = f"{', '.join(lacking)} not as in requirements-visdom.txt"
        yield Finding("optional", f"visdom (--display_id 1): {what}: `{COMMANDS['visdom']}`.")
        return
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        direct.open(setting.server, timeout=3).close()
        yield Finding("ok", f"visdom: a server answers at {setting.server}")
    except urllib.error.HTTPError as error:
        yield Finding("optional", f"visdom: {setting.server} answers {error.code}: no such server.")
    except (OSError, ValueError):
        yield Finding(
            "optional",
            f"visdom (--display_id 1): no server at {setting.server}; start it with "
            "`bash scripts/visdom.sh`.",
        )
