"""Finding image files: phase folders, recursion, partners by name."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data.images import EXTENSIONS
from util.errors import UserError


@dataclass(frozen=True)
class ImageFile:
    """One image: where it is, and its path below the searched folder without extension."""

    path: Path
    name: str


def find_images(folder: Path, *, limit: int | None = None) -> list[ImageFile]:
    """All images below `folder`, sorted by name; linked folders are followed once.

    Raises UserError for a folder that is missing or has no image, for a loop of links, and for two
    images of one name.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; check its name.")
    found: dict[str, Path] = {}
    seen: set[str] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        _refuse_loop(Path(parent), top=folder)
        folders[:] = [] if real in seen else sorted(f for f in folders if not f.startswith("."))
        if real in seen:
            continue
        seen.add(real)
        for file in files:
            path = Path(parent, file)
            if path.suffix.lower() in EXTENSIONS and not file.startswith("."):
                name = path.relative_to(folder).with_suffix("").as_posix()
                if name in found:
                    raise UserError(
                        f"{found[name]} and {path} would have results of one name; rename one."
                    )
                found[name] = path
    if not found:
        kinds = " ".join(sorted(EXTENSIONS))
        raise UserError(f"there is no image in {folder} or below ({kinds}); put images there.")
    return [ImageFile(found[name], name) for name in sorted(found)[:limit]]


def _refuse_loop(folder: Path, *, top: Path) -> None:
    """A link to a folder above itself brings in what is beside it: another domain, the test set."""
    if not folder.is_symlink():
        return
    above, target = (f for f in folder.parents if f.is_relative_to(top)), folder.resolve()
    if any(holder.resolve().is_relative_to(target) for holder in above):
        raise UserError(f"{folder} is a link to a folder that it lies in (a loop); remove it.")


def _candidates(root: Path, phase: str, domain: str) -> list[Path]:
    return [root / f"{phase}{domain}", root / f"{phase}_{domain}", root / phase / domain]


def phase_folder(root: Path, phase: str, domain: str) -> Path | None:
    """The first of `trainA`, `train_A`, `train/A` in `root` (phase "train", domain "A")."""
    return next((f for f in _candidates(root, phase, domain) if f.is_dir()), None)


def require_phase_folder(root: Path, phase: str, domain: str) -> Path:
    """As `phase_folder`; raises UserError where there is none."""
    folder = phase_folder(root, phase, domain)
    if folder is None:
        tried = ", ".join(str(f) for f in _candidates(root, phase, domain))
        raise UserError(f"there is none of the folders {tried}; {_way_to(root)}.")
    return folder


def _way_to(root: Path) -> str:
    """From a root without the folders to one that has them."""
    if (root / "real").is_dir() and (root / "sim").is_dir():
        return "make them of its real/ and sim/ with datasets/make_unpaired.py, and name its result"
    return "check --dataroot and --phase (test.py takes any folder as A with --dataset_mode single)"


def pair_by_name(
    a: Sequence[ImageFile], b: Sequence[ImageFile]
) -> list[tuple[ImageFile, ImageFile]]:
    """Pairs of equal names. Raises UserError listing the names that have no partner."""
    in_b = {file.name: file for file in b}
    lonely_a = sorted({file.name for file in a} - in_b.keys())
    lonely_b = sorted(in_b.keys() - {file.name for file in a})
    if lonely_a or lonely_b:
        parts = [
            f"{len(names)} in {domain} ({', '.join(names[:10])}{', ...' * (len(names) > 10)})"
            for domain, names in (("A", lonely_a), ("B", lonely_b))
            if names
        ]
        raise UserError(
            f"images without a partner of the same name: {' and '.join(parts)}; "
            "add the partners or remove these."
        )
    return [(file, in_b[file.name]) for file in a]
