"""Runs below `checkpoints/` and results below `results/`, as far as their files tell."""

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from data.folders import TRANSLATIONS, find_images
from training.lock import is_locked
from util.errors import UserError
from util.pages import read_island

PAGES = {"run": Path("web", "index.html"), "result": Path("index.html")}


@dataclass(frozen=True)
class Run:
    """A folder of train.py. epoch, best: for people, "" where unknown; size: bytes; when: seconds
    since 1970 of the last change; page: None where there is none.
    """

    folder: Path
    name: str
    state: str
    model: str
    data: str
    epoch: str
    best: str
    size: int
    when: float
    page: Path | None


@dataclass(frozen=True)
class Result:
    """A folder of test.py. names: of the images; shown: kind -> folder of what a browser shows.

    values: title of a metric -> its value of each of the names, None where it has none.
    """

    folder: Path
    name: str
    model: str
    data: str
    count: int
    names: Sequence[str]
    shown: Mapping[str, Path]
    values: Mapping[str, Sequence[float | None]]
    size: int
    when: float
    page: Path | None

    def means(self) -> dict[str, float]:
        """Over the finite values of each metric."""
        finite = {
            title: [v for v in column if v is not None and math.isfinite(v)]
            for title, column in self.values.items()
        }
        return {title: fmean(found) for title, found in finite.items() if found}


def find_runs(checkpoints: Path) -> list[Run]:
    """All runs below a folder, the newest first; what cannot be read is left out."""
    found = [_run(folder, record, checkpoints) for folder, record in _records(checkpoints, "run")]
    return sorted(found, key=lambda run: -run.when)


def find_all_results(results: Path) -> list[Result]:
    """All results below a folder, the newest first; what cannot be read is left out."""
    found = [_result(f, record, results) for f, record in _records(results, "result")]
    return sorted(found, key=lambda result: -result.when)


def _records(root: Path, kind: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Folders with a record, KIND.json, and what it says."""
    for file in sorted(root.rglob(f"{kind}.json")):
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
            options = record["options"]
            options["run"]["model"], options["data"]["dataroot"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
        yield file.parent, record


def _run(folder: Path, record: Mapping[str, Any], root: Path) -> Run:
    options = record["options"]
    row = _last_row(folder / "loss_log.csv")
    training = options.get("training", {})
    last = training.get("n_epochs", 0) + training.get("n_epochs_decay", 0)
    return Run(
        folder,
        folder.relative_to(root).as_posix(),
        _state(folder),
        options["run"]["model"],
        options["data"]["dataroot"] or "",
        f"{row['epoch']}/{last}" if row and last else "",
        _best(folder / "best.json"),
        *_size_and_time(folder),
        page=_page(folder, "run"),
    )


def _state(folder: Path) -> str:
    if is_locked(folder):
        return "running"
    if (folder / "finished").exists():
        return "finished"
    return "died" if (folder / "lock").exists() else "stopped"


def _last_row(log: Path) -> dict[str, str] | None:
    try:
        with log.open(encoding="utf-8", newline="") as file:
            return max(csv.DictReader(file), key=lambda row: int(row["step"]), default=None)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _best(file: Path) -> str:
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        name, value = next(iter(record["values"].items()))
        return f"{name} {value:.3g} at {record['epoch']}"
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StopIteration):
        return ""


def _result(folder: Path, record: Mapping[str, Any], root: Path) -> Result:
    options, page = record["options"], _page(folder, "result")
    try:
        names = [image.name for image in find_images(folder / "images" / TRANSLATIONS)]
    except UserError:
        names = []
    return Result(
        folder,
        folder.relative_to(root).as_posix(),
        options["run"]["model"],
        options["data"]["dataroot"] or "",
        len(names),
        names,
        _shown(folder, record),
        _values(page, names) if page else {},
        *_size_and_time(folder),
        page=page,
    )


def _shown(folder: Path, record: Mapping[str, Any]) -> dict[str, Path]:
    """Folders of the images by kind; an unpaired real_B shows another scene than its row."""
    names = (
        ("real_A", "fake_B") if record.get("paired") is False else ("real_A", "fake_B", "real_B")
    )
    kinds = {name: folder / "images" / name for name in names}
    previews = {kind: folder / "previews" / kind for kind in kinds}
    chosen = {kind: p if (p := previews[kind]).is_dir() else kinds[kind] for kind in kinds}
    return {kind: path for kind, path in chosen.items() if path.is_dir()}


def _values(page: Path, names: Sequence[str]) -> dict[str, list[float | None]]:
    """What evaluate.py has put into the page."""
    try:
        measured = read_island(page, "measured")
        place = {name: number for number, name in enumerate(measured["names"])}
        return {
            column["title"]: [
                None if (at := place.get(name)) is None else _number(column["values"][at])
                for name in names
            ]
            for column in measured["metrics"]
        }
    except (UserError, KeyError, TypeError, ValueError, IndexError):
        return {}


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _page(folder: Path, kind: str) -> Path | None:
    page = folder / PAGES[kind]
    return page if page.is_file() else None


def _size_and_time(folder: Path) -> tuple[int, float]:
    found = []
    for file in folder.rglob("*"):
        with suppress(FileNotFoundError):  # of a run at work, whose files come and go
            if file.is_file():
                found.append(file.stat())
    return sum(stat.st_size for stat in found), max(stat.st_mtime for stat in found)
