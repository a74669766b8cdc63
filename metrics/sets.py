"""Which images are measured: sets of translations, with partners by name where there are any."""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from data.folders import ImageFile, find_images, pair_by_name, translations_in, unread_note
from data.images import read_head, read_type
from data.value_map import read_as, require_type
from data.value_type import ValueType
from metrics.paired import SSIM_WINDOW
from util.errors import UserError

RECORD = "result.json"

Arrays = dict[str, np.ndarray]  # "real_A", "fake_B", "real_B" -> (H, W) or (H, W, 3)
Size = tuple[int, int]  # height, width


@dataclass(frozen=True)
class ImageSet:
    """One row of the table.

    names: of the images; files: kind -> one file a name: "fake_B" translation, "real_B" target,
    "real_A" source; a kind that is not there is absent. folders: where the translations lie;
    searched: all that were searched for images. paired: whether real_B shows the scene of real_A,
    None where unknown; teachers: digests of the classifiers that the translations were trained
    with; models: what made them, as in --model; origins: data root and phase of the sources; both
    empty where unknown. unmatched: why there is no "real_B", for people, where one was given whose
    names do not fit; others: these targets, as a set of real images.
    """

    name: str
    names: list[str]
    files: dict[str, list[Path]]
    folders: list[Path]
    searched: tuple[Path, ...] = ()
    paired: bool | None = None
    teachers: frozenset[str] | None = None
    models: frozenset[str] = frozenset()
    origins: frozenset[tuple[str, str]] = frozenset()
    unmatched: str | None = None
    others: "ImageSet | None" = None

    def __len__(self) -> int:
        return len(self.names)

    def images(self, kind: str) -> list[ImageFile]:
        """The files of one kind under the names of the set."""
        pairs = zip(self.files[kind], self.names, strict=True)
        return [ImageFile(file, name) for file, name in pairs]

    def subset(self, indices: Sequence[int]) -> "ImageSet":
        """The images at these places."""
        files = {kind: [paths[i] for i in indices] for kind, paths in self.files.items()}
        return replace(self, names=[self.names[i] for i in indices], files=files)


def find_results(folder: Path, *, name: str = "fake_B") -> ImageSet:
    """The set in `folder`/{real_A,fake_B,real_B} or `folder`/images/{...}; real_B may be absent.

    Raises UserError for a folder that is missing, holds something else, has an empty part or names
    without partners.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; check --results.")
    root = folder / "images" if (folder / "images").is_dir() else folder
    missing = [kind for kind in ("real_A", "fake_B") if not (root / kind).is_dir()]
    if missing:
        raise UserError(
            f"there is no folder {' and no '.join(missing)} in {root}; give --results a folder "
            "that holds real_A and fake_B, or images/ with them, as test.py writes it."
        )
    kinds = [kind for kind in ("real_A", "fake_B", "real_B") if (root / kind).is_dir()]
    sources = find_images(root / "real_A")
    files = {"real_A": [source.path for source in sources]}
    for kind in kinds[1:]:
        try:
            pairs = pair_by_name(sources, find_images(root / kind))
        except UserError as error:
            raise UserError(f"in {root}, real_A (A) and {kind} (B): {error}") from None
        files[kind] = [partner.path for _, partner in pairs]
    names = [source.name for source in sources]
    searched = tuple(root / kind for kind in kinds)
    return ImageSet(name, names, files, [folder], searched, **_recorded(root / "fake_B"))


def find_folders(name: str, fake: Path, target: Path | None, source: Path | None) -> ImageSet:
    """The set of the images in `fake`, with those of equal names in `target` and `source`.

    fake: translations, or a results folder of test.py, whose own targets and sources do not count.
    Targets of other names leave the set without "real_B": it is compared with them as a whole.
    Raises UserError for a folder without images, and for sources of other names.
    """
    fake = translations_in(fake)
    found = find_images(fake)
    files = {"fake_B": [image.path for image in found]}
    unmatched = others = None
    if source is not None:
        try:
            pairs = pair_by_name(found, find_images(source))
        except UserError as error:
            raise UserError(f"{fake} (A) and {source} (B): {error}") from None
        files["real_A"] = [partner.path for _, partner in pairs]
    if target is not None:
        targets = real_images("real", target)
        try:
            pairs = pair_by_name(found, targets.images("real_B"))
            files["real_B"] = [partner.path for _, partner in pairs]
        except UserError:
            others = targets
            unmatched = (
                f"the {len(found)} images of {fake} and the {len(targets)} of {target} are no "
                "pairs by name: only the sets are compared, nothing pixel by pixel."
            )
    names = [image.name for image in found]
    record = _recorded(fake)
    if target is not None:
        # The record speaks of test.py's own real_B.
        record["paired"] = None
    searched = tuple(folder for folder in (fake, target, source) if folder is not None)
    return ImageSet(
        name, names, files, [fake], searched, unmatched=unmatched, others=others, **record
    )


def real_images(name: str, folder: Path) -> ImageSet:
    """The images in a folder as targets without translations. Raises UserError for none there."""
    found = find_images(folder)
    files = {"real_B": [image.path for image in found]}
    return ImageSet(name, [image.name for image in found], files, [folder], searched=(folder,))


def find_set(words: Sequence[str]) -> ImageSet:
    """What one `--set NAME FAKE [TARGET [SOURCE]]` names; FAKE alone may be a results folder.

    Raises UserError.
    """
    if not 2 <= len(words) <= 4:
        raise UserError(
            f"--set takes NAME FAKE [TARGET [SOURCE]], a name and one to three folders, and was "
            f"given {len(words)} values: {' '.join(words)}."
        )
    name, folders = words[0], [Path(word) for word in words[1:]]
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"there is no folder {folder}; check --set {name}.")
    fake = folders[0]
    if len(folders) == 1 and translations_in(fake) != fake:
        return find_results(fake, name=name)
    target, source = (*folders[1:], None, None)[:2]
    return find_folders(name, fake, target, source)


def pool(sets: Sequence[ImageSet]) -> ImageSet:
    """All images as one set. With several sets an image's name begins with its folder.

    Raises UserError for a folder given twice, and where only some of the sets have targets.
    """
    if len(sets) == 1:
        return sets[0]
    roots = [found.files["fake_B"][0].parent.resolve() for found in sets]
    for place, root in enumerate(roots):
        if root in roots[:place]:
            raise UserError(f"{sets[place].folders[0]} is given twice; leave one out of --results.")
    with_targets = [found for found in sets if "real_B" in found.files]
    if with_targets and len(with_targets) < len(sets):
        without = next(found for found in sets if "real_B" not in found.files)
        raise UserError(
            f"{with_targets[0].folders[0]} has real_B and {without.folders[0]} has none; evaluate "
            "them one by one, or add the targets."
        )
    recorded = [found.paired for found in sets]
    return ImageSet(
        sets[0].name,
        [f"{found.folders[0].as_posix()}/{name}" for found in sets for name in found.names],
        {kind: [f for found in sets for f in found.files[kind]] for kind in sets[0].files},
        [folder for found in sets for folder in found.folders],
        tuple(folder for found in sets for folder in found.searched),
        paired=False if False in recorded else (True if all(recorded) else None),
        teachers=_united([found.teachers for found in sets]),
        models=frozenset[str]().union(*(found.models for found in sets)),
        origins=frozenset[tuple[str, str]]().union(*(found.origins for found in sets)),
    )


def _united(teachers: Sequence[frozenset[str] | None]) -> frozenset[str] | None:
    """Of several sets; unknown where those of one are."""
    return None if None in teachers else frozenset().union(*teachers)


def unread_notes(sets: Sequence[ImageSet]) -> list[str]:
    """A sentence on each of their folders that holds files of other kinds than images."""
    folders = dict.fromkeys(folder for found in sets for folder in found.searched)
    return [f"{folder}: {note}." for folder in folders if (note := unread_note(folder))]


def _recorded(fakes: Path) -> dict[str, Any]:
    """What test.py wrote down of the translations in `fakes`: in one of the folders above."""
    if fakes.resolve().name != "fake_B":  # its sources and targets lie beside
        return {}
    places = fakes.resolve().parents[:2]
    file = next((p / RECORD for p in places if (p / RECORD).is_file()), None)
    if file is None:
        return {}
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        paired, model = map(record.get, ("paired", "model"))
        teachers = frozenset(filter(None, [record["teacher"]])) if "teacher" in record else None
        origin = record.get("dataroot"), record.get("phase")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise UserError(f"{file} cannot be read ({error}); run test.py again.") from None
    return {
        "paired": paired if isinstance(paired, bool) else None,
        "teachers": teachers,
        "models": frozenset([model] if isinstance(model, str) else []),
        "origins": frozenset([origin] if all(isinstance(part, str) for part in origin) else []),
    }


def find_types(files: Mapping[str, Sequence[Path]]) -> dict[str, ValueType]:
    """Kind -> type of its files' values, as told by the first one; `check_heads` looks at all."""
    return {kind: read_type(paths[0]) for kind, paths in files.items()}


def check_heads(images: ImageSet, *, types: Mapping[str, ValueType]) -> dict[str, list[Size]]:
    """Kind -> size of each file. Raises UserError as `read_images` does, for what heads tell."""
    with ThreadPoolExecutor() as pool:
        heads = {kind: list(pool.map(read_head, paths)) for kind, paths in images.files.items()}
    sizes = {kind: [size for size, _ in found] for kind, found in heads.items()}
    for place in range(len(images)):
        files = {kind: paths[place] for kind, paths in images.files.items()}
        for kind, file in files.items():
            require_type(file, heads[kind][place][1], types[kind])
        _check_sizes(files, {kind: found[place] for kind, found in sizes.items()})
    return sizes


def read_images(files: Mapping[str, Path], *, types: Mapping[str, ValueType]) -> Arrays:
    """The images of one name, kind by kind.

    types: of each kind. Raises UserError for an unreadable file, another type than that of its
    kind, and sizes that differ or are below the window of SSIM.
    """
    arrays = {kind: read_as(file, types[kind]) for kind, file in files.items()}
    _check_sizes(files, {kind: array.shape[:2] for kind, array in arrays.items()})
    return arrays


def _check_sizes(files: Mapping[str, Path], sizes: Mapping[str, Size]) -> None:
    first = "fake_B" if "fake_B" in sizes else next(iter(sizes))
    height, width = sizes[first]
    if min(height, width) < SSIM_WINDOW:
        raise UserError(
            f"{files[first]} has {width}×{height} pixels; SSIM needs {SSIM_WINDOW} or more "
            "a side: leave it out."
        )
    for kind, (own_height, own_width) in sizes.items():
        if (own_height, own_width) != (height, width):
            raise UserError(
                f"{files[kind]} has {own_width}×{own_height} pixels and {files[first]} "
                f"{width}×{height}; bring both to one size."
            )
