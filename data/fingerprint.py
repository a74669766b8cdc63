"""What files hold, in a few characters: two sets are the same if their fingerprints are."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from util.errors import UserError
from util.files import file_hash

if TYPE_CHECKING:  # torch takes seconds, and scripts of datasets/ need none of it
    from data.datasets import ImageDataset


def digests(paths: Sequence[Path]) -> list[str]:
    """SHA-256 of each file, several at a time; a process reads a file that stays as it is once.

    Raises UserError for a file that cannot be read.
    """
    with ThreadPoolExecutor() as pool:
        return list(pool.map(_digest, paths))


def fingerprint(rows: Iterable[tuple[str, ...]]) -> str:
    """SHA-256 over the rows, a line each with tabs between the cells."""
    text = "".join("\t".join(row) + "\n" for row in rows)
    return sha256(text.encode(errors="surrogateescape")).hexdigest()


def image_fingerprint(*datasets: "ImageDataset") -> str:
    """Of the images that are asked for, of all domains: role, name, class, content and, where they
    are read, boxes and ranges.
    """
    rows: list[tuple[str, ...]] = []
    for dataset in datasets:
        classes = [dataset.classes[index] if index >= 0 else "" for index in dataset.labels]
        for role, domain in sorted(dataset.domains.items()):
            named = classes if len(classes) == len(domain.files) else [""] * len(domain.files)
            told = [()] * len(named)
            if domain.boxes is not None:
                told = [(str(found.tolist()),) for found in domain.boxes]
            if dataset.ranges is not None:
                told = [(*cells, str(r)) for cells, r in zip(told, dataset.ranges, strict=True)]
            files = zip(domain.files, named, told, strict=True)
            asked = [item for item in files if item[0].path in dataset.sizes]
            contents = digests([file.path for file, *_ in asked])
            for (file, name, cells), content in zip(asked, contents, strict=True):
                rows.append((role, file.name, name, content, *cells))
    return fingerprint(rows)


def _digest(path: Path) -> str:
    try:
        found = path.stat()
        return _digest_of_state(path, found.st_size, found.st_mtime_ns)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); restore it.") from None


@cache
def _digest_of_state(path: Path, size: int, changed_ns: int) -> str:
    return file_hash(path)
