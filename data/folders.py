"""Finding image files: phase folders, recursion, partners by name."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from data.images import EXTENSIONS
from util.errors import UserError

LABELS_FILE = "labels.csv"
MARKER = "dataset.json"  # of datasets that scripts made
SOURCES, TRANSLATIONS = "real_A", "fake_B"  # folders that test.py writes side by side
EVALUATION = "evaluation.csv"  # what evaluate.py writes into the folder of results


@dataclass(frozen=True)
class ImageFile:
    """One image: where it is, and its path below the searched folder without extension."""

    path: Path
    name: str

    @property
    def searched(self) -> Path:
        """The folder that was searched."""
        return self.path.parents[self.name.count("/")]


# Folders and files that systems and NAS boxes put beside people's own, in lower case; so do names
# with a dot before, which are hidden.
SYSTEM_NAMES = frozenset(
    "@eadir @tmp @recycle @recently-snapshot @snapshot #recycle #snapshot ~snapshot __macosx "
    "$recycle.bin recycler recycled lost+found found.000 thumbs.db ehthumbs.db desktop.ini".split()
) | {"system volume information", "network trash folder", "temporary items"}
# How the files end that this project itself puts beside images, or reads there.
# Tables of boxes too, in any format: a .json is COCO's, or a record of this project.
SIDE_FILES = (LABELS_FILE, ".json", "data.yaml", "classes.txt", "obj.names")
BOX_FILES = (".txt", ".xml")  # of the images of the same names
SHOWN_KINDS = 5


def find_images(folder: Path, *, limit: int | None = None) -> list[ImageFile]:
    """All images below `folder`, sorted by name, as `walk_files` finds them.

    Raises UserError for a folder that is missing or has no image, for a loop of links, for two
    images of one name, and for results of test.py, whose translations lie beside their sources.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; check its name.")
    found: dict[str, Path] = {}
    for path in walk_files(folder):
        if path.suffix.lower() in EXTENSIONS:
            name = path.relative_to(folder).with_suffix("").as_posix()
            if name in found:
                raise UserError(
                    f"{found[name]} and {path} would have results of one name; rename one."
                )
            found[name] = path
    if not found:
        kinds = " ".join(sorted(EXTENSIONS))
        note = f" ({unread})" if (unread := unread_note(folder)) else ""
        raise UserError(
            f"there is no image in {folder} or below ({kinds}){note}; put images there."
        )
    _refuse_results(folder, found)
    return [ImageFile(found[name], name) for name in sorted(found)[:limit]]


def _refuse_results(folder: Path, names: Iterable[str]) -> None:
    """One set would be made of the kinds of images that test.py puts side by side."""
    folders = {parent for name in names for parent in PurePosixPath(name).parents}
    for found in sorted(folders):
        if found.name == TRANSLATIONS and found.with_name(SOURCES) in folders:
            raise UserError(
                f"{folder / found.parent} holds results of test.py, translations beside their "
                f"sources; name one kind of images, such as {folder / found}."
            )


def translations_in(folder: Path) -> Path:
    """The translations of a results folder of test.py, or of its images; else the folder itself."""
    places = (folder / TRANSLATIONS, folder / "images" / TRANSLATIONS)
    return next((place for place in places if place.is_dir()), folder)


def walk_files(folder: Path) -> Iterator[Path]:
    """All files below `folder` but those of systems and hidden ones; linked folders once.

    Raises UserError for a loop of links, and for a folder that may not be read.
    """
    seen: set[str] = set()
    for parent, folders, files in os.walk(folder, followlinks=True, onerror=_refuse_unreadable):
        real = os.path.realpath(parent)
        _refuse_loop(Path(parent), top=folder)
        folders[:] = [] if real in seen else sorted(filter(_is_data, folders))
        if real not in seen:
            yield from (Path(parent, file) for file in sorted(filter(_is_data, files)))
        seen.add(real)


def _refuse_unreadable(error: OSError) -> None:
    """Else what is in it would be left out without a word; what is not there holds nothing."""
    if not isinstance(error, FileNotFoundError):
        raise UserError(
            f"{error.filename} cannot be read ({error.strerror}); make it readable or move it away."
        )


def _is_data(name: str) -> bool:
    return not name.startswith(".") and name.lower() not in SYSTEM_NAMES


def unread_note(folder: Path) -> str:
    """How many files below `folder` are no images by their names, and of which kinds; "" for none.

    Not counted is what this project itself puts beside images, and what may hold their boxes.
    """
    files = list(walk_files(folder))
    images = {file.stem for file in files if file.suffix.lower() in EXTENSIONS}
    others = (file for file in files if file.suffix.lower() not in EXTENSIONS)
    kinds = Counter(
        file.suffix.lower() if file.suffix.isprintable() else "?"
        for file in others
        if not file.name.endswith(SIDE_FILES)
        and not (file.suffix in BOX_FILES and file.stem in images)
    )
    if not kinds:
        return ""
    shown = [
        (f"{count} " if len(kinds) > 1 else "") + (kind or "without extension")
        for kind, count in kinds.most_common(SHOWN_KINDS)
    ]
    shown += ["..."] if len(kinds) > SHOWN_KINDS else []
    what, are = ("files", "are") if kinds.total() > 1 else ("file", "is")
    return f"{kinds.total():,} {what} of other kinds {are} not read ({', '.join(shown)})"


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
