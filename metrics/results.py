"""The images that test.py left: matched by name, pooled, and whether real_B is a true partner."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.folders import ImageFile, find_images, pair_by_name
from data.images import read_image
from data.value_map import read_depth
from metrics.paired import SSIM_WINDOW
from util.errors import UserError

RECORD = "result.json"

Arrays = dict[str, np.ndarray]  # "real_A", "fake_B", "real_B" -> (H, W) or (H, W, 3)


@dataclass(frozen=True)
class ResultImage:
    """One image: source, translation, and target where the results have targets."""

    name: str
    real_A: Path
    fake_B: Path
    real_B: Path | None

    @property
    def files(self) -> dict[str, Path]:
        """Kind -> file; without a target there is no "real_B"."""
        files = {"real_A": self.real_A, "fake_B": self.fake_B, "real_B": self.real_B}
        return {kind: file for kind, file in files.items() if file is not None}


@dataclass(frozen=True)
class ResultFolder:
    """One results folder.

    path: as the user gave it; root: what holds real_A, fake_B and real_B; paired: whether real_B
    shows the scene of real_A, None where unknown.
    """

    path: Path
    root: Path
    images: list[ResultImage]
    paired: bool | None


def find_results(folder: Path) -> ResultFolder:
    """Images of `folder`/{real_A,fake_B,real_B} or `folder`/images/{...}; real_B may be absent.

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
    sources = find_images(root / "real_A")
    fakes = _partners(root, sources, "fake_B")
    has_targets = (root / "real_B").is_dir()
    targets = _partners(root, sources, "real_B") if has_targets else [None] * len(sources)
    images = [
        ResultImage(source.name, source.path, fake, target)
        for source, fake, target in zip(sources, fakes, targets, strict=True)
    ]
    return ResultFolder(folder, root, images, _recorded_pairing(folder))


def _partners(root: Path, sources: Sequence[ImageFile], kind: str) -> list[Path]:
    try:
        return [partner.path for _, partner in pair_by_name(sources, find_images(root / kind))]
    except UserError as error:
        raise UserError(f"in {root}, real_A (A) and {kind} (B): {error}") from None


def _recorded_pairing(folder: Path) -> bool | None:
    """What test.py wrote down beside `images/`; None where it wrote nothing."""
    places = [folder, folder.parent] if folder.resolve().name == "images" else [folder]
    file = next((p / RECORD for p in places if (p / RECORD).is_file()), None)
    if file is None:
        return None
    try:
        paired = json.loads(file.read_text(encoding="utf-8")).get("paired")
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"{file} cannot be read ({error}); run test.py again.") from None
    return paired if isinstance(paired, bool) else None


def pool_results(folders: Sequence[ResultFolder]) -> list[ResultImage]:
    """All images as one set. With several folders an image's name begins with its folder.

    Raises UserError for a folder given twice, and where only some of the folders have targets.
    """
    roots = [folder.root.resolve() for folder in folders]
    for place, root in enumerate(roots):
        if root in roots[:place]:
            raise UserError(f"{folders[place].path} is given twice; leave one out of --results.")
    with_targets = [f for f in folders if f.images[0].real_B is not None]
    if with_targets and len(with_targets) < len(folders):
        without = next(f for f in folders if f not in with_targets)
        raise UserError(
            f"{with_targets[0].path} has real_B and {without.path} has none; evaluate them one by "
            "one, or add the targets."
        )
    if len(folders) == 1:
        return folders[0].images
    return [
        ResultImage(f"{folder.path.as_posix()}/{i.name}", i.real_A, i.fake_B, i.real_B)
        for folder in folders
        for i in folder.images
    ]


def find_depths(images: Sequence[ResultImage]) -> dict[str, int]:
    """Kind -> depth of its files, 8 or 16 bits, as told by the first one; `read_result` checks."""
    return {k: read_image(file).dtype.itemsize * 8 for k, file in images[0].files.items()}


def read_result(image: ResultImage, *, bits: Mapping[str, int]) -> Arrays:
    """The three images as arrays; without a target there is no "real_B".

    bits: depth of each kind. Raises UserError for an unreadable file, another depth than that of
    its kind, and sizes that differ or are below the window of SSIM.
    """
    files = image.files
    arrays = {kind: read_depth(file, bits=bits[kind]) for kind, file in files.items()}
    size = arrays["fake_B"].shape[:2]
    if min(size) < SSIM_WINDOW:
        raise UserError(
            f"{image.fake_B} has {_size(arrays['fake_B'])} pixels; SSIM needs {SSIM_WINDOW} or "
            "more a side: leave it out."
        )
    for kind, array in arrays.items():
        if array.shape[:2] != size:
            raise UserError(
                f"{files[kind]} has {_size(array)} pixels and {image.fake_B} "
                f"{_size(arrays['fake_B'])}; bring both to one size."
            )
    return arrays


def _size(array: np.ndarray) -> str:
    return f"{array.shape[1]}×{array.shape[0]}"
