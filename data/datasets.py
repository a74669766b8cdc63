"""Datasets: how images are found, paired and brought into shape, one class a --dataset_mode.

That of labelled images is in data/labeled.py, and their parts in data/views.py.

A sample is asked for by (epoch, index), and all that is random in it follows from
(seed, epoch, index): any process can make any sample at any time. Where an epoch has an image
several times, from the second on it is (epoch, index, times before). `collect` reads the files of a
batch and draws what is random, `prepare` makes float tensors of it, on whatever device it lies.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data.augment import ThermalChange, augment_thermal
from data.boxes import BoxTable, Half
from data.cache import Cache, Images, keep_images
from data.faults import Size, check_heads, find_bad
from data.folders import (
    ImageFile,
    find_images,
    pair_by_name,
    phase_folder,
    require_phase_folder,
    unread_note,
)
from data.images import has_counts_inside, read_type
from data.labels import class_of_folder, read_labels, tells_classes
from data.order import Key
from data.raw import RawBatch, RawImage, RawImages, RawSample, divide, no_batch_of
from data.tables import BOX_COLUMNS
from data.transforms import Placement, Preprocessing, resize_and_cut, to_bands
from data.value_map import ValueMap, find_value_map, given_value_map, read_as
from data.value_type import UINT8
from options import ValueRange
from util.batch import Batch, DataFacts, Sizes
from util.errors import UserError
from util.files import absolute
from util.seeding import generator_for


@dataclass(frozen=True)
class Domain:
    """The images of one domain, their value map and the number of bands they are handed out in.

    images: what decodes the files; clipped: whether values beyond the map's range are cut off at
    -1 and 1; half: which part of each file it is, None for the whole; boxes: (N, 4) of the targets
    of each image, in its pixels, None where nobody asked for them.
    """

    files: Sequence[ImageFile]
    images: Images
    value_map: ValueMap
    bands: int
    clipped: bool
    half: Half | None = None
    boxes: Sequence[np.ndarray] | None = None

    def read(self, index: int) -> np.ndarray:
        """File values of image `index`: (H, W) or (H, W, 3). Raises UserError for a bad one."""
        return self.part(index, self.read_file(index))

    def read_file(self, index: int) -> np.ndarray:
        """As `read`, but all of a side-by-side image, for the domains of both halves."""
        return read_as(self.files[index].path, self.value_map.type, read=self.images.read)

    def part(self, index: int, values: np.ndarray) -> np.ndarray:
        """What is of this domain in the values of file `index`. Raises UserError for odd widths."""
        if self.half is None:
            return values
        width = values.shape[1]
        _require_even(self.files[index].path, width)
        return values[:, : width // 2] if self.half == "left" else values[:, width // 2 :]

    def sample(
        self,
        index: int,
        preprocessing: Preprocessing,
        rng: np.random.Generator,
        *,
        augment: bool = False,
    ) -> RawImage:
        """Image `index`, and at random how it comes to its size and what else changes in it."""
        values = self.read(index)
        path = str(self.files[index].path)
        placement = preprocessing.draw(*values.shape[:2], rng, name=path)
        shape = (self.bands, placement.height, placement.width)
        change = ThermalChange.draw(shape, rng) if augment else None
        return self.raw(index, values, placement, change)

    def raw(
        self,
        index: int,
        values: np.ndarray,
        placement: Placement,
        change: ThermalChange | None = None,
    ) -> RawImage:
        """Image `index`, whose values were read, with its boxes where they come to lie."""
        if self.boxes is None:
            return RawImage(values, placement, change)
        boxes = placement.place(self.boxes[index], *values.shape[:2])
        return RawImage(values, placement, change, change.place(boxes) if change else boxes)

    def encode(self, values: Tensor) -> Tensor:
        """File values (N, H, W) or (N, H, W, 3) -> (N, bands, H, W), their range as [-1, 1]."""
        colours = values[:, None] if values.ndim == 3 else values.permute(0, 3, 1, 2).contiguous()
        bands = to_bands(self.value_map.scale(colours), self.bands)
        return bands.clamp(-1, 1) if self.clipped else bands

    def prepare(self, raw: RawImages) -> Tensor:
        """(B, bands, H, W) on the device of `raw`; images of one shape are worked on together."""
        ready: dict[int, Tensor] = {}
        for stack, members in zip(raw.stacks, raw.members, strict=True):
            images = resize_and_cut(
                self.encode(stack), [raw.placements[member] for member in members]
            )
            ready.update(zip(members, images, strict=True))
        batch = torch.stack([ready[member] for member in range(len(ready))])
        return batch if raw.change is None else augment_thermal(batch, raw.change)


@dataclass(frozen=True)
class Usable:
    """Samples that can be trained on, a file a domain each.

    left_out: all images to do without, path below the data root -> why; sizes: of the files of all
    samples that are asked for.
    """

    samples: Sequence[tuple[ImageFile, ...]]
    left_out: Mapping[str, str]
    sizes: Mapping[Path, Size]

    def files(self, place: int = 0) -> list[ImageFile]:
        """The file that stands at `place` in each sample."""
        return [sample[place] for sample in self.samples]


@dataclass(frozen=True)
class Selection:
    """What every dataset is built from.

    value_maps: of a checkpoint, by role; value_ranges: where there is none, the ends of the maps,
    by role; what neither has is found in the files; cache: where decoded images are kept.
    left_out: images to do without, path below `root` -> why; sizes: of images that are known to
    fit; skip_bad: whether to look for others that do not; asked: how many samples will be asked
    for, the first ones, whose heads must all fit; None for all. boxes: of the targets, None where
    nobody asked for them.
    """

    root: Path
    phase: str
    direction: str
    limit: int | None
    bands_a: int
    bands_b: int
    preprocessing: Preprocessing
    serial: bool
    seed: int
    value_maps: Mapping[str, ValueMap]
    value_ranges: Mapping[str, ValueRange] = field(default_factory=dict)
    cache: Cache = "none"
    left_out: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[Path, Size] = field(default_factory=dict)
    skip_bad: bool = False
    asked: int | None = None
    boxes: BoxTable | None = None

    def domain(
        self,
        role: str,
        files: Sequence[ImageFile],
        *,
        images: Images | None = None,
        half: Half | None = None,
    ) -> Domain:
        """role: "A" (source) or "B" (target), after --direction; images: where `files` are kept.

        Raises UserError for values that the bands asked for cannot have.
        """
        images = images or keep_images([file.path for file in files], self.cache)
        value_map = self.value_map(role, files, images)
        bands, flag = (self.bands_a, "input_nc") if role == "A" else (self.bands_b, "output_nc")
        if bands == 3 and value_map.type != UINT8:
            raise UserError(
                f"{files[0].path} has {value_map.type}, which one band alone can have; "
                f"use --{flag} 1."
            )
        # G ends in tanh: a target beyond the range would tell D by that alone what is real.
        clipped = role == "B" and self.preprocessing.training
        boxes = self.boxes and self.boxes.of([file.path for file in files], half=half)
        return Domain(files, images, value_map, bands, clipped, half, boxes)

    def value_map(self, role: str, files: Sequence[ImageFile], images: Images) -> ValueMap:
        """That of a checkpoint, or as flags give it, or found in the files."""
        if role in self.value_maps:
            return self.value_maps[role]
        ends = self.value_ranges.get(role, "auto")
        if ends == "auto":
            return find_value_map([file.path for file in files], read=images.read)
        first = files[0].path
        flag = f"value_range_{role}"
        return given_value_map(*ends, read_type(first), flag=flag, source=str(first))

    def folder_letters(self) -> tuple[str, str]:
        """Letters of the folders that play the roles A and B."""
        return ("A", "B") if self.direction == "AtoB" else ("B", "A")

    def reversed(self) -> "Selection":
        """The same with the roles of A and B exchanged; `value_maps` holds both or none."""
        other = {"A": "B", "B": "A"}
        return replace(
            self,
            direction="BtoA" if self.direction == "AtoB" else "AtoB",
            bands_a=self.bands_b,
            bands_b=self.bands_a,
            value_maps={other[role]: value_map for role, value_map in self.value_maps.items()},
            value_ranges={other[role]: ends for role, ends in self.value_ranges.items()},
        )

    def find(self, letter: str) -> Usable:
        """Images of the phase folder with this letter, which must be there."""
        return self.find_in(require_phase_folder(self.root, self.phase, letter), letter)

    def find_in(self, folder: Path, letter: str) -> Usable:
        """Images of any folder that plays the role of this letter."""
        files = [(file,) for file in find_images(folder, limit=self.limit)]
        return self.usable(files, "A" if letter == self.folder_letters()[0] else "B")

    def usable(
        self,
        samples: Sequence[tuple[ImageFile, ...]],
        roles: str,
        check_sizes: Callable[[Sequence[Path], Sequence[Size]], None] | None = None,
    ) -> Usable:
        """`samples`, a file for each of `roles`, less those with a file to do without.

        check_sizes: as in `find_bad`; None for that of the crop alone. Raises UserError where
        nothing is left, and for one that is asked for and, by its head, does not fit.
        """
        left_out = dict(self.left_out)
        kept = self._without(left_out, samples)
        types = [m.type if (m := self.value_maps.get(role)) else None for role in roles]
        check_sizes = check_sizes or self.check_crop
        if kept and self.skip_bad:
            bad = find_bad(_paths(kept), types=types, check_sizes=check_sizes)
            left_out |= {self._below_root(path): why for path, why in bad.items()}
            kept = self._without(left_out, kept)
        if not kept:
            names = (self._below_root(file.path) for file in samples[0])
            why = next(left_out[name] for name in names if name in left_out)
            raise UserError(
                f"none of {len(samples)} images is left to train on; of the first one: {why}"
            )
        # Images of B without partners are drawn from all.
        asked = kept if roles == "B" else kept[: self.asked]
        sizes = check_heads(_paths(asked), types=types, check_sizes=check_sizes)
        return Usable(kept, left_out, sizes)

    def _without(
        self, left_out: Mapping[str, str], samples: Sequence[tuple[ImageFile, ...]]
    ) -> list[tuple[ImageFile, ...]]:
        names = left_out.keys()
        return [s for s in samples if names.isdisjoint(self._below_root(f.path) for f in s)]

    def _below_root(self, path: Path) -> str:
        return Path(os.path.relpath(path, self.root)).as_posix()

    def check_crop(self, paths: Sequence[Path], sizes: Sequence[Size]) -> None:
        """Raises UserError for an image that is smaller than the crop."""
        self.preprocessing.network_size(*sizes[0], name=str(paths[0]))

    def find_optional(self, letter: str) -> Usable | None:
        """As `find`, for a test phase, where the target domain may be absent."""
        if self.preprocessing.training or phase_folder(self.root, self.phase, letter):
            return self.find(letter)
        return None


def _paths(samples: Sequence[tuple[ImageFile, ...]]) -> list[list[Path]]:
    return [[file.path for file in sample] for sample in samples]


class ImageDataset:
    """What all datasets share.

    domains: "A" and, where there are target images, "B"; left_out: the images that the dataset does
    without, path below the data root -> why; sizes: (height, width) of the files that are asked
    for. paired: whether the two images of a sample are of one scene, and so of one size;
    boxed_roles: those of the domains that must have boxes where something needs them. Of each
    sample, or None: strata, what batches are balanced by (data/order.py), where each does not come
    once; ranges, in metres, where what it shows depends on them.
    """

    paired = False
    boxed_roles = ("A", "B")

    def __init__(self, selection: Selection) -> None:
        self.selection = selection
        self.preprocessing = selection.preprocessing
        self.left_out, self.sizes = dict(selection.left_out), dict(selection.sizes)
        self.domains: dict[str, Domain] = {}
        self.classes: tuple[str, ...] = ()
        self.labels: list[int] = []
        self.strata: Sequence[tuple[int, int]] | None = None
        self.ranges: Sequence[float | None] | None = None

    def add_domain(self, role: str, found: Usable, *, half: Half | None = None) -> None:
        """role: "A" or "B"; found: samples of one file each, or of a half of it."""
        self.domains[role] = self.selection.domain(role, found.files(), half=half)
        self.note_usable(found)

    def note_usable(self, found: Usable) -> None:
        """Which images are left out, and the sizes of the others."""
        self.left_out |= found.left_out
        self.sizes |= found.sizes

    @property
    def files(self) -> Sequence[ImageFile]:
        """The image of domain A of each sample."""
        return self.domains["A"].files

    @property
    def value_maps(self) -> dict[str, ValueMap]:
        """Value map of each domain, of those too that a checkpoint knows and that are not here."""
        found = {role: domain.value_map for role, domain in self.domains.items()}
        return {**self.selection.value_maps, **found}

    def facts(self) -> DataFacts:
        """What a model may need to know of these images."""
        counts = tuple(self.labels.count(index) for index in range(len(self.classes)))
        source_map = self.value_maps["A"]
        value_map = self.value_maps.get("B", source_map)
        return DataFacts(
            self.classes,
            counts,
            unlabelled=len(self) - sum(counts),
            value_range=(value_map.low, value_map.high),
            source_range=(source_map.low, source_map.high),
            value_type=value_map.type.name,
            source_type=source_map.type.name,
            sizes=self.network_sizes(),
            paired=self.paired,
        )

    def network_sizes(self) -> dict[str, Sizes]:
        """By role, the sizes to which the images that are asked for come, each with a file."""
        found: dict[str, dict[Size, str]] = {role: {} for role in self.domains}
        for role, domain in self.domains.items():
            for path in (file.path for file in domain.files if file.path in self.sizes):
                height, width = self.sizes[path]
                part = width // 2 if domain.half else width
                size = self.preprocessing.network_size(height, part, name=str(path))
                found[role].setdefault(size, str(path))
        return found

    def check_batches(self, batch_size: int) -> None:
        """Raises UserError where images of several sizes would come into one batch."""
        for sizes in self.network_sizes().values():
            if batch_size > 1 and len(sizes) > 1:
                examples = [f"{w}x{h} ({name})" for (h, w), name in sizes.items()]
                raise no_batch_of(examples[:2])

    def __len__(self) -> int:
        return len(self.files)

    def collect(self, keys: Sequence[Key]) -> RawBatch | UserError:
        """Read samples by their keys. A UserError is handed back: so it survives a worker."""
        try:
            return RawBatch.of(self._samples(keys))
        except UserError as error:
            return error

    def collect_alike(self, keys: Sequence[Key], *, most_pixels: int) -> list[RawBatch | UserError]:
        """As `collect`, in batches of one size and up to `most_pixels` pixels of A each."""
        try:
            return [RawBatch.of(part) for part in divide(self._samples(keys), most_pixels)]
        except UserError as error:
            return [error]

    def _samples(self, keys: Sequence[Key]) -> list[RawSample]:
        seed = self.selection.seed
        return [self.sample(*key[:2], generator_for(seed, *key)) for key in keys]

    def prepare(self, raw: RawBatch) -> Batch:
        """What `collect` gave -> images in [-1, 1], made on the device where `raw` lies."""
        images = {role: self.domains[role].prepare(found) for role, found in raw.images.items()}
        boxes = raw.boxes.get("A"), raw.boxes.get("B")
        return Batch(images["A"], images.get("B"), raw.label, raw.names, *boxes)

    def sample(self, epoch: int, index: int, rng: np.random.Generator) -> RawSample:
        """Read one sample, drawing from `rng` alone."""
        raise NotImplementedError

    def require_boxes(self, flag: str) -> None:
        """Raises UserError where a domain has no box. flag: what needs them."""
        roles = [role for role in self.boxed_roles if role in self.domains]
        for role in roles:
            if not any(map(len, self.domains[role].boxes)):
                raise UserError(
                    f"{flag} needs boxes of the targets in {' and in '.join(roles)}, and none of "
                    f"the images {role} has one: {self.selection.boxes.why_none}; give them in "
                    f"labels.csv (file, {', '.join(BOX_COLUMNS)}) or leave the flag out."
                )

    def notes(self) -> list[str]:
        """How the decoded images are kept, how many have boxes where these are asked for, and what
        of their folders is not read, for people.
        """
        roles: dict[Images | Path, list[str]] = {}
        for role, domain in self.domains.items():
            for subject in (domain.images, domain.files[0].searched):
                roles.setdefault(subject, []).append(role)
        notes = {s: unread_note(s) if isinstance(s, Path) else s.note for s in roles}
        pictures = [
            f"{role}: {domain.files[0].path} is the picture of a FLIR camera's counts, which are "
            "in the file, too, and not read"
            for role, domain in self.domains.items()
            if has_counts_inside(domain.files[0].path)
        ]
        kept = [f"{', '.join(of)}: {notes[s]}" for s, of in roles.items() if notes[s]]
        return kept + self.box_notes() + pictures

    def box_notes(self) -> list[str]:
        """How many images of each domain have boxes, where these are asked for; why none has."""
        counts = {
            role: sum(len(boxes) > 0 for boxes in domain.boxes)
            for role, domain in self.domains.items()
            if domain.boxes is not None
        }
        return [
            f"{role}: {count} of {len(self.domains[role].files)} images have boxes"
            + (f" ({self.selection.boxes.why_none})" if not count else "")
            for role, count in counts.items()
        ]


class UnalignedDataset(ImageDataset):
    """Two folders without partners: A in its order, B drawn at random (or in order: `serial`).

    full_size_after: last epoch whose images are resized beyond the crop; None for all. CUT stops
    the resize-and-crop augmentation when the learning rate begins to fall.
    """

    def __init__(self, selection: Selection, *, full_size_after: int | None = None) -> None:
        super().__init__(selection)
        letter_a, letter_b = selection.folder_letters()
        self.add_domain("A", selection.find(letter_a))
        found_b = selection.find_optional(letter_b)
        if found_b is not None:
            self.add_domain("B", found_b)
        self.full_size_after = full_size_after

    def __len__(self) -> int:
        if not self.preprocessing.training:
            return len(self.files)
        return max(len(domain.files) for domain in self.domains.values())

    def sample(self, epoch: int, index: int, rng: np.random.Generator) -> RawSample:
        preprocessing = self.preprocessing
        if self.full_size_after is not None and epoch > self.full_size_after:
            preprocessing = preprocessing.without_margin()
        images = {}
        for role, domain in self.domains.items():
            number = index % len(domain.files)
            if role == "B" and not self.selection.serial:
                number = int(rng.integers(len(domain.files)))
            images[role] = domain.sample(number, preprocessing, rng)
        return RawSample(images, -1, self.files[index % len(self.files)].name)


class AlignedDataset(ImageDataset):
    """Pairs: two folders of equal relative names, or images with A left and B right.

    The two of a pair show one scene: each has the boxes of both.
    """

    paired = True

    def __init__(self, selection: Selection) -> None:
        super().__init__(selection)
        letter_a, letter_b = selection.folder_letters()
        root, phase = selection.root, selection.phase
        joined = root / phase
        two_folders = any(phase_folder(root, phase, letter) for letter in (letter_a, letter_b))
        self.side_by_side = joined.is_dir() and not two_folders
        if self.side_by_side:
            found = [(file,) for file in find_images(joined, limit=selection.limit)]
            half_a, half_b = ("left", "right") if letter_a == "A" else ("right", "left")
            self.add_domain("A", selection.usable(found, "A", self._check_halves), half=half_a)
            if selection.value_ranges.get("A") == selection.value_ranges.get("B"):
                # The halves of one file have one value map.
                shared = {"B": self.domains["A"].value_map, **selection.value_maps}
                selection = replace(selection, value_maps=shared)
            images = self.domains["A"].images
            self.domains["B"] = selection.domain("B", self.files, images=images, half=half_b)
        else:
            self._find_folders(letter_a, letter_b)
        self._share_boxes()
        self._label_pairs()

    def _find_folders(self, letter_a: str, letter_b: str) -> None:
        root, phase, limit = self.selection.root, self.selection.phase, self.selection.limit
        files_a = find_images(require_phase_folder(root, phase, letter_a))
        if not self.preprocessing.training and phase_folder(root, phase, letter_b) is None:
            self.add_domain("A", self.selection.usable([(file,) for file in files_a[:limit]], "A"))
            return
        files_b = find_images(require_phase_folder(root, phase, letter_b))
        if not {file.name for file in files_a} & {file.name for file in files_b}:
            raise UserError(
                f"{root} holds no pairs: A and B have no name in common; "
                "give partners equal names, or learn from unpaired images, --model cut with "
                "--dataset_mode unaligned."
            )
        pairs = pair_by_name(files_a, files_b)[:limit]
        found = self.selection.usable(pairs, "AB", self._check_pair)
        self.note_usable(found)
        self.domains["A"] = self.selection.domain("A", found.files(0))
        self.domains["B"] = self.selection.domain("B", found.files(1))

    def _share_boxes(self) -> None:
        if self.selection.boxes:
            pairs = zip(*(domain.boxes for domain in self.domains.values()), strict=True)
            shared = [np.unique(np.concatenate(pair), axis=0) for pair in pairs]
            self.domains = {r: replace(d, boxes=shared) for r, d in self.domains.items()}

    def _label_pairs(self) -> None:
        """The class of each pair: of A's file, else of its partner's; class folders otherwise."""
        table = read_labels(self.selection.root)
        names = [class_of_folder(file) for file in self.files]
        if tells_classes(table):
            class_names = {path: label.class_name for path, label in table.items()}
            pairs = zip(*(domain.files for domain in self.domains.values()), strict=True)
            names = [
                next((n for f in pair if (n := class_names.get(absolute(f.path)))), "")
                for pair in pairs
            ]
        self.classes, self.labels = index_classes(names)

    def sample(self, epoch: int, index: int, rng: np.random.Generator) -> RawSample:
        file = self.files[index]
        if self.side_by_side:
            joined = self.domains["A"].read_file(index)
            images = {role: domain.part(index, joined) for role, domain in self.domains.items()}
        else:
            images = {role: domain.read(index) for role, domain in self.domains.items()}
        sizes = [image.shape[:2] for image in images.values()]
        _require_one_size(file.path, sizes)
        placement = self.preprocessing.draw(*sizes[0], rng, name=str(file.path))
        raw = {r: self.domains[r].raw(index, image, placement) for r, image in images.items()}
        return RawSample(raw, self.labels[index], file.name)

    def _check_pair(self, paths: Sequence[Path], sizes: Sequence[Size]) -> None:
        _require_one_size(paths[0], sizes)
        self.selection.check_crop(paths, sizes)

    def _check_halves(self, paths: Sequence[Path], sizes: Sequence[Size]) -> None:
        ((height, width),) = sizes
        _require_even(paths[0], width)
        self.selection.check_crop(paths, [(height, width // 2)])


def _require_one_size(path: Path, sizes: Sequence[Size]) -> None:
    if len(set(sizes)) > 1:
        found = " and ".join(f"{width}x{height}" for height, width in sizes)
        raise UserError(
            f"the pair of {path} has images of {found} pixels; the two must have one size."
        )


def _require_even(path: Path, width: int) -> None:
    if width % 2:
        raise UserError(f"{path} is {width} pixels wide; a side-by-side image has an even width.")


class SingleDataset(ImageDataset):
    """One folder to translate: `testA` or `test_A` in the data root, or else the root itself."""

    def __init__(self, selection: Selection) -> None:
        super().__init__(selection)
        letter, _ = selection.folder_letters()
        folder = phase_folder(selection.root, selection.phase, letter) or selection.root
        self.add_domain("A", selection.find_in(folder, letter))

    def sample(self, epoch: int, index: int, rng: np.random.Generator) -> RawSample:
        image = self.domains["A"].sample(index, self.preprocessing, rng)
        return RawSample({"A": image}, -1, self.files[index].name)


def index_classes(names: Sequence[str]) -> tuple[tuple[str, ...], list[int]]:
    """Sorted class names, and the index of each name among them; -1 for ""."""
    classes = tuple(sorted({name for name in names if name}))
    return classes, [classes.index(name) if name else -1 for name in names]
