"""The evaluation of sets of translations against real images: their rows, and the references."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from torch import Tensor

from data.folders import ImageFile
from data.label_index import LabelIndex
from data.value_map import ValueMap, find_value_map
from data.value_type import ValueType
from metrics.instruments import Instruments, judged_values
from metrics.judge import LAST_STAGE
from metrics.matching import match_ranges
from metrics.measure import ImageValues, Measurement, measurable, measure
from metrics.pairing import Pairing, judge_pairing
from metrics.profile import Profile, compare_profiles, line_of
from metrics.seeds import trainings
from metrics.sets import (
    ImageSet,
    check_heads,
    find_folders,
    find_results,
    find_set,
    find_types,
    pool,
    real_images,
)
from metrics.summary import summarise
from metrics.values import Cell, Distances, Means
from options import EvaluateOptions
from util.distributed import of_first
from util.errors import UserError

FEWEST_MATCHED = 8  # images; sets thinned to fewer say less than sets of other ranges


@dataclass(frozen=True)
class Reference:
    """Real images that sets are compared with.

    values: of each image; profile: of the whole; means: of the metrics of one image; flips: as for
    a `MeasuredSet`.
    """

    images: ImageSet
    values: list[ImageValues]
    profile: Profile
    means: Means
    flips: Tensor | None

    @classmethod
    def of(cls, images: ImageSet, measured: Measurement) -> "Reference":
        """The "real_B" among what was measured of a set."""
        profile, means = measured.profiles["real_B"], summarise(measured.values, "real_B")
        return cls(images, measured.values, profile, means, measured.flips.get("real_B"))


@dataclass(frozen=True)
class MeasuredSet:
    """One set of translations: a row of the table.

    instruments: with the value maps that its images were measured through; means: group, as in
    GROUPS -> means over the images, a comparison that cannot be made is absent; distances: to the
    reference, empty without one; flips: (K, K) counts of what the chip judge takes the targets for,
    class of the label by row, None where nothing was judged.
    """

    images: ImageSet
    types: dict[str, ValueType]
    instruments: Instruments
    values: list[ImageValues]
    profile: Profile
    reference: Reference | None
    pairing: Pairing
    means: dict[str, Means]
    distances: Distances
    flips: Tensor | None = None

    @property
    def cells(self) -> Mapping[str, Mapping[str, Cell]]:
        """All that was measured of it: group, as in GROUPS -> metric -> value."""
        return {**self.means, "sets": self.distances}

    @property
    def reference_sha256(self) -> str | None:
        """Over the real images that it is compared with as a whole, None without any."""
        return self.reference.profile.names_and_contents if self.reference else None

    @property
    def targets_sha256(self) -> str | None:
        """Likewise over its own targets, under the names of its images."""
        contents = [(image.name, image.contents.get("real_B")) for image in self.values]
        if contents[0][1] is None:
            return None
        return hashlib.sha256(b"".join(line_of(*found) for found in contents)).hexdigest()


def find_sets(options: EvaluateOptions) -> tuple[list[ImageSet], ImageSet | None]:
    """The rows that the options name, and the real images that all are compared with, if any.

    Raises UserError for options that contradict each other and for folders that do not fit.
    """
    ways = [bool(options.results), options.fake is not None, bool(options.set)]
    if sum(ways) != 1:
        found = "no images are given" if not any(ways) else "several kinds of input are given"
        raise UserError(
            f"{found}; name results folders with --results DIR, or folders with --fake DIR --real "
            "DIR, or rows with --set NAME DIR: one of the three."
        )
    if options.source is not None and options.fake is None:
        raise UserError("--source belongs to --fake; name the translations with --fake DIR.")
    real = None
    if options.real is not None:
        real = _real_images(options.real, flag="--real")
    if options.results:
        sets = [pool([find_results(Path(folder)) for folder in options.results])]
    elif options.fake is not None:
        if options.real is None:
            raise UserError("--fake has nothing to be compared with; add --real DIR.")
        source = _folder(options.source, "--source") if options.source else None
        fake = _folder(options.fake, "--fake")
        sets = [find_folders("fake_B", fake, Path(options.real), source)]
    else:
        sets = [find_set(words) for words in options.set]
    _check_sets(options, sets, real)
    return sets, real


def find_training(options: EvaluateOptions) -> ImageSet | None:
    """The real images of the training, where they are named. Raises UserError for none there."""
    return _real_images(options.training, flag="--training") if options.training else None


def _real_images(name: str, *, flag: str) -> ImageSet:
    return real_images(flag.strip("-"), _folder(name, flag))


def _folder(name: str, flag: str) -> Path:
    if not Path(name).is_dir():
        raise UserError(f"there is no folder {name}; check {flag}.")
    return Path(name)


def _check_sets(options: EvaluateOptions, sets: Sequence[ImageSet], real: ImageSet | None) -> None:
    names = [found.name for found in sets]
    strange = next((n for n in names if not n.strip() or not n.isprintable()), None)
    if strange is not None:
        raise UserError(f"--set {strange!r}: give the set a name of one line.")
    if real is not None and real.name in names:
        raise UserError(f"--set {real.name} would be taken for --real; give the set another name.")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"--set {twice} is given twice; every row needs its own name.")
    designs = trainings(names)
    taken = next((d for d in designs if d in names or (real is not None and d == real.name)), None)
    if taken is not None:
        mean = f"the mean over {', '.join(designs[taken].values())}"
        raise UserError(f"{taken} would be taken for {mean}; give the sets another name.")
    listed = [*names, *designs]
    unknown = next((name for name in options.against if name not in listed), None)
    if unknown is not None or (options.against and len(names) < 2):
        rows = ", ".join(listed) if len(names) > 1 else "one row alone; name several with --set"
        raise UserError(f"--against {unknown or names[0]}: there is no such row beside: {rows}.")
    alone = next((s for s in sets if s.files.keys() == {"fake_B"} and s.others is None), None)
    if real is None and alone is not None:
        raise UserError(f"--set {alone.name} has nothing to be compared with; add --real DIR.")
    if options.match_range is not None and (real is None or not options.labels):
        raise UserError("--match_range needs --real DIR, and ranges from --labels FILE.")


def match_sets(
    sets: Sequence[ImageSet], real: ImageSet, labels: LabelIndex, *, width: float
) -> tuple[list[ImageSet], ImageSet, list[str]]:
    """All sets and the real images thinned to one distribution of ranges; and what was done.

    Sets of which no range is known stay whole, and all do where no range of the real images is
    known, or too few images would be left.
    """
    named = [found.images("fake_B") for found in sets] + [real.images("real_B")]
    ranges = [[(label := labels.find(i)) and label.range_m for i in images] for images in named]
    known = [place for place, found in enumerate(ranges) if any(metres for metres in found)]
    notes = [
        f"{found.name}: no range is known, compared as it is."
        for place, found in enumerate(sets)
        if place not in known
    ]
    if len(sets) not in known:
        why = "no range of the real images is known."
        return list(sets), real, [f"not matched in range: {why}", *notes]
    try:
        matched = match_ranges([ranges[place] for place in known], width=width)
    except UserError as error:
        return list(sets), real, [f"not matched in range: {error}", *notes]
    if min(map(len, matched)) < FEWEST_MATCHED:
        sizes = ", ".join(str(len(kept)) for kept in matched)
        why = f"the images left in each set would be {sizes}, and {FEWEST_MATCHED} are needed."
        return list(sets), real, [f"not matched in range: {why}", *notes]
    kept = dict(zip(known, matched, strict=True))
    thinned = [s.subset(kept[i]) if i in kept else s for i, s in enumerate(sets)]
    for before, after in zip([*sets, real], [*thinned, real.subset(kept[len(sets)])], strict=True):
        if len(after) < len(before):
            notes.append(
                f"{before.name}: {len(after)} of {len(before)} images, to match ranges in steps of "
                f"{width:g} m."
            )
    return thinned, real.subset(kept[len(sets)]), notes or ["matched in range: all images fit."]


class Evaluation:
    """Measures one set after the other; a reference that several share is measured once."""

    def __init__(
        self, instruments: Instruments, real: ImageSet | None, training: ImageSet | None = None
    ) -> None:
        self.instruments, self.real, self.training = instruments, real, training
        self.references: dict[tuple[tuple[Path, ...], ...], Reference] = {}
        self.value_maps: dict[tuple[Path, ...], ValueMap] = {}

    def check(self, sets: Sequence[ImageSet]) -> None:
        """Raises UserError for what `measure` would stop at, as far as it is known beforehand.

        That is sizes, types, boxes and value ranges; what only pixels tell is not.
        """
        others = [] if self.real is not None else [images.others for images in sets]
        for images in filter(None, [*sets, self.real, self.training, *others]):
            types = find_types(images.files)
            sizes = of_first(partial(check_heads, images, types=types))
            if "fake_B" in types:
                real = self._real_beside(images)
                self._tuned(_references(images, types, real))
                self._check_training(types, real)
            for kind in self._described(types):
                for image, size in zip(images.images(kind), sizes[kind], strict=True):
                    self._check_box(image, size)

    def _described(self, types: Mapping[str, ValueType]) -> tuple[str, ...]:
        """The kinds that get metrics of one image."""
        if "fake_B" not in types:
            return ("real_B",)
        own_reference = self.real is None and "real_B" in measurable(types).values()
        return ("fake_B", "real_B") if own_reference else ("fake_B",)

    def _real_beside(self, images: ImageSet) -> ImageSet | None:
        """What a set is compared with as a whole, None where that can be its "real_B" alone."""
        return self.real if self.real is not None else images.others

    def _check_training(self, types: Mapping[str, ValueType], real: ImageSet | None) -> None:
        """Of a set that has distances to real images. types: of the set; real: `_real_beside`."""
        if self.training is None:
            return
        own = find_types(self.training.files)["real_B"]
        real_type = (find_types(real.files) if real is not None else types).get("real_B")
        if real_type == types["fake_B"] != own:
            raise UserError(
                f"the images of --training {self.training.folders[0]} have {own}, and those that "
                f"they are compared with have {types['fake_B']}; name images of that type, or "
                "leave the flag out."
            )

    def _check_box(self, image: ImageFile, size: tuple[int, int]) -> None:
        labels = self.instruments.labels
        if labels and (label := labels.find(image)):
            label.corners(*size)

    def measure(self, images: ImageSet) -> MeasuredSet:
        """Everything that can be measured of a set. Raises UserError for files that do not fit."""
        real = self._real_beside(images)
        types = find_types(images.files)
        comparisons = measurable(types)
        references = _references(images, types, real)
        instruments = self._tuned(references)
        described = self._described(types)
        measured = measure(
            images,
            instruments,
            types=types,
            comparisons=comparisons,
            described=described,
            # Unpaired targets are drawn at random, some of them several times.
            distinct=frozenset() if images.paired else frozenset(["real_B"]),
        )
        values, profile = measured.values, measured.profiles["fake_B"]
        reference = self._reference(real) if real is not None else None
        if "real_B" in described:
            reference = Reference.of(images, measured)
        return MeasuredSet(
            images=images,
            types=types,
            instruments=instruments,
            values=values,
            profile=profile,
            reference=reference,
            pairing=judge_pairing(images.paired, values),
            means={group: summarise(values, group) for group in (*comparisons, "fake_B")},
            distances=self._distances(profile, reference, references),
            flips=measured.flips.get("fake_B"),
        )

    def reference(self, rows: Sequence[MeasuredSet]) -> Reference | None:
        """The real images that stand beside all rows: --real, or the targets of a sole row."""
        if self.real is not None:
            return self._reference(self.real)
        return rows[0].reference if len(rows) == 1 else None

    def _tuned(self, files: Sequence[Path]) -> Instruments:
        """The instruments with value maps that follow from the references `files`."""
        key = tuple(files)
        if key not in self.value_maps:
            self.value_maps[key] = of_first(partial(find_value_map, files))
        own = self.value_maps[key]
        judges = self.instruments.judge, self.instruments.chip_judge
        maps = [judged_values(judge.classifier, own) if judge else None for judge in judges]
        return replace(self.instruments, judge_map=maps[0], chip_map=maps[1], unit_map=own)

    def _distances(
        self, profile: Profile, reference: Reference | None, files: Sequence[Path]
    ) -> Distances:
        """Every metric of sets that can be measured, so none between two types.

        files: whose values have decided what both profiles were measured through.
        """
        if reference is None or reference.profile.value_map.type != profile.value_map.type:
            return {}
        judge = self.instruments.judge
        compare = partial(
            compare_profiles,
            profile,
            reference.profile,
            training=self._reference(self.training, files).profile if self.training else None,
            feature_stage=judge.feature_stage if judge else LAST_STAGE,
        )
        return of_first(compare)

    def _reference(self, real: ImageSet, values: Sequence[Path] | None = None) -> Reference:
        """values: files that decide what real images are measured through, None for themselves."""
        files = real.files["real_B"]
        values = files if values is None else values
        key = tuple(files), tuple(values)
        if key not in self.references:
            measured = measure(
                real,
                self._tuned(values),
                types=find_types(real.files),
                comparisons={},
                described=("real_B",),
            )
            self.references[key] = Reference.of(real, measured)
        return self.references[key]


def _references(
    images: ImageSet, types: Mapping[str, ValueType], real: ImageSet | None
) -> Sequence[Path]:
    """The files whose values stand for the domain: real ones of the type of the translations."""
    if real is not None and find_types(real.files)["real_B"] == types["fake_B"]:
        return real.files["real_B"]
    kinds = ("real_B", "real_A", "fake_B")
    return images.files[next(k for k in kinds if types.get(k) == types["fake_B"])]
