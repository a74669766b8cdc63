"""Datasets made of links to images that exist: their table, their links, the swap at the end.

A dataset is built in a hidden folder beside its place and takes that place in one go: whatever
stands under its name is whole. dataset.json marks it as made by a script, so that a second run may
replace it; a folder that a script did not make, or that somebody changed since, is left alone.
"""

import csv
import errno
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.annotations.find import find_annotations
from data.folders import LABELS_FILE, MARKER, ImageFile, walk_files
from data.images import EXTENSIONS
from data.labels import class_of_folder, has_box, read_labels, tells_classes
from data.tables import Row
from util.errors import UserError
from util.files import absolute, file_hash, leftovers_beside, temporary_beside

LEADING_COLUMNS = ("file", "split", "class")
# A file system or a system's policy that forbids this kind of link; anything else is a failure.
REFUSALS = frozenset(
    {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV, errno.EMLINK}
)

Way = Callable[[Path, Path], None]


@dataclass(frozen=True)
class Item:
    """One image of a dataset to be built.

    source: the existing file; file: its path in the dataset, with "/"; split: train or test;
    rows: the other columns of its line in labels.csv, "class" among them; one an object where
    there are several.
    """

    source: Path
    file: str
    split: str
    rows: tuple[Row, ...]


def items_in(
    split: str, domain: str, files: Sequence[ImageFile], rows: Sequence[tuple[Row, ...]]
) -> list[Item]:
    """The images as they come to stand in the folder `split_domain`, such as train_A."""
    return [
        Item(file.path, f"{split}_{domain}/{file.name}{file.path.suffix}", split, of)
        for file, of in zip(files, rows, strict=True)
    ]


def label_rows(root: Path, folder: Path, files: Sequence[ImageFile]) -> list[tuple[Row, ...]]:
    """The lines of each image in the table of `root` (absolute), by its name below `folder`.

    An image that the table does not list has an empty line, and so no class. Where the table lists
    nothing of `root`, or has no classes, or there is none, the class is the image's class folder.
    """
    return [rows for _, rows in labelled_files(root, folder, files)]


def labelled_files(
    root: Path, folder: Path, files: Sequence[ImageFile]
) -> list[tuple[Path | None, tuple[Row, ...]]]:
    """As label_rows, each with the image that the table lists by it, None for none."""
    table = read_labels(root)
    lines = {
        path.relative_to(folder).with_suffix("").as_posix(): (path, (label.row, *label.others))
        for path, label in table.items()
        if path.is_relative_to(folder) and path.suffix.lower() in EXTENSIONS
    }
    found = [lines.get(file.name, (None, ({},))) for file in files]
    if tells_classes(table):
        return found
    return [
        (path, tuple(row | {"class": class_of_folder(file)} for row in rows))
        for file, (path, rows) in zip(files, found, strict=True)
    ]


def check_table(root: Path, files: Sequence[ImageFile]) -> str | None:
    """What to tell of lines of the table of `root` (absolute) that are of none of its images.

    files: all of them. Raises UserError where it lists images of `root`, and none is there.
    """
    table = find_annotations(root)
    lines = [] if table is None else [x for x in table.lines if root in x.file.parents]
    known = {absolute(file.path).with_suffix("") for file in files}
    strange = [line for line in lines if line.file.with_suffix("") not in known]
    if not strange:
        return None
    where = f"of the {len(lines)} lines of {table.path} on {root}, {len(strange)} are of no image"
    if len(strange) == len(lines):
        raise UserError(
            f"{where} that is there, such as {strange[0].place}: {strange[0].file}; paths are "
            "relative to the table: correct them."
        )
    return f"{where} of these, such as {strange[0].file}"


def symbolic_link(source: Path, target: Path) -> None:
    """A relative link: it holds when dataset and images are moved together."""
    # Dots climb from where the link really is, so linked folders on the way to it are resolved.
    target.symlink_to(os.path.relpath(source, target.parent.resolve()))


def hard_link(source: Path, target: Path) -> None:
    """A second name of the file: it holds when the first name is deleted or given to a new file."""
    target.hardlink_to(source.resolve())


def copy(source: Path, target: Path) -> None:
    """The same bytes once more."""
    shutil.copyfile(source, target)


NAMES: dict[Way, str] = {symbolic_link: "symbolic links", hard_link: "hard links", copy: "copies"}


def build(folder: Path, items: Sequence[Item], *, ways: Sequence[Way], record: Mapping) -> str:
    """Make the dataset `folder` of these items, in place of an earlier one.

    ways: how a file comes into the dataset, by preference; the next is for a file system that
    refuses the one before. record: what dataset.json says beside the script's name.
    Returns one line for people. Raises UserError where an image is missing or nothing can be
    written; an earlier dataset then stays as it was.
    """
    counts: Counter[Way] = Counter()
    try:
        with _replacing(folder.resolve()) as part:
            for item in items:
                counts[_place(item.source, part / item.file, ways)] += 1
            _write_table(part / LABELS_FILE, items)
            digest = file_hash(part / LABELS_FILE)
            text = json.dumps({**record, "labels_sha256": digest}, indent=1) + "\n"
            (part / MARKER).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"cannot build {folder} ({error.strerror or error}); make room or choose another --out."
        ) from None
    return _summary(folder, items, counts, ways[0])


def _place(source: Path, target: Path, ways: Sequence[Way]) -> Way:
    """Bring `source` to `target` in the first way that the file system allows; returns the way."""
    if not source.is_file():
        raise UserError(f"{source} leads to no file; restore the image or remove its link.")
    target.parent.mkdir(parents=True, exist_ok=True)
    for way in ways[:-1]:
        try:
            way(source, target)
            return way
        except NotImplementedError:
            continue
        except OSError as error:
            # Windows forbids symbolic links with a code of its own (privilege not held).
            if error.errno not in REFUSALS and getattr(error, "winerror", None) != 1314:
                raise
    ways[-1](source, target)
    return ways[-1]


def _write_table(path: Path, items: Sequence[Item]) -> None:
    """labels.csv with the columns of all items."""
    others = (column for item in items for row in item.rows for column in row)
    columns = tuple(dict.fromkeys((*LEADING_COLUMNS, *others)))
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            for item in items:
                for row in item.rows:
                    writer.writerow({**row, "file": item.file, "split": item.split})
    except UnicodeEncodeError as error:
        name = error.object[max(0, error.start - 60) : error.end + 20]
        raise UserError(
            f"a name in the table is not valid Unicode ({name!r}); rename the file."
        ) from None


def _summary(folder: Path, items: Sequence[Item], counts: Counter[Way], preferred: Way) -> str:
    folders = Counter(item.file.split("/")[0] for item in items)
    classes = {row.get("class") for item in items for row in item.rows} - {None, ""}
    labelled = sum(any(row.get("class") for row in item.rows) for item in items)
    boxed = sum(any(map(has_box, item.rows)) for item in items)
    parts = [
        f"{folder}: " + ", ".join(f"{count} images in {name}" for name, count in folders.items()),
        f"{labelled} of {len(items)} with a class ({len(classes)} classes), {boxed} with boxes",
    ]
    parts += [
        f"{count} are {NAMES[way]}, as the file system refused {NAMES[preferred]}"
        for way, count in counts.items()
        if way != preferred
    ]
    return "; ".join(parts)


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """A new folder beside `folder`, which takes its place at the end, or vanishes on an error.

    `old` has one name for all processes: killed between the two renames, one leaves it, and the
    next puts it back.
    """
    part, old = temporary_beside(folder), folder.with_name(f".{folder.name}.old")
    if old.exists() and not folder.exists():
        old.rename(folder)
    for leftover in (old, *leftovers_beside(folder)):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        yield part
        if folder.exists():
            folder.rename(old)
        part.rename(folder)
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
        for leftover in (part, old):
            shutil.rmtree(leftover, ignore_errors=True)


def refuse_foreign(folder: Path, *, script: str, sources: Sequence[Path]) -> None:
    """Raises UserError where building `folder` would spoil what `script` did not make.

    folder: free, empty, or a dataset of the script, with nothing changed in it since.
    sources: folders whose images are linked; the dataset must not lie among them.
    """
    place = folder.resolve()
    for source in sources:
        if place.is_relative_to(source.resolve()):
            raise UserError(f"--out {folder} lies in {source}, among the images; choose another.")
    marker = own_marker(folder, script=script)
    if not marker:
        return
    root = absolute(folder)
    table = root / LABELS_FILE
    if not table.is_file() or file_hash(table) != marker.get("labels_sha256"):
        raise UserError(
            f"{table} was changed since {script} wrote it; change the table of the source images "
            f"and delete {folder} to build it anew."
        )
    known = {*read_labels(root), root / MARKER, table}
    strange = sorted(str(file.relative_to(root)) for file in walk_files(root) if file not in known)
    if strange:
        raise UserError(
            f"{folder} holds files that {script} did not put there ({', '.join(strange[:5])}"
            f"{', ...' * (len(strange) > 5)}); move them away or choose another --out."
        )


def is_free(folder: Path) -> bool:
    """Whether it is a folder that is empty or not there yet."""
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))


def own_marker(folder: Path, *, script: str) -> dict[str, Any]:
    """What dataset.json of `folder` says; {} for a folder that is free or empty.

    Raises UserError for a folder that `script` did not make.
    """
    if is_free(folder):
        return {}
    marker = read_marker(folder)
    if marker.get("made_by") != script:
        raise UserError(
            f"{folder} exists and was not made by {script} (its {MARKER} is missing or says "
            "otherwise); delete it or choose another --out."
        )
    return marker


def read_marker(folder: Path) -> dict[str, Any]:
    """What dataset.json of `folder` says; {} where it cannot be read."""
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return marker if isinstance(marker, dict) else {}
