"""What the reader of an evaluation must know beside its numbers, in sentences."""

import math
from collections.abc import Callable, Iterator, Sequence

from metrics.designs import DesignDifferences, Designs
from metrics.differences import BASELINE, Differences, distance_differences, judged
from metrics.instruments import Instruments
from metrics.measured_sets import MeasuredSet
from metrics.metric_properties import COMPARISONS, IMAGE_METRICS, SET_METRICS
from metrics.summary import caveats, type_notes
from models.networks.classifiers import Classifier
from options import EvaluateOptions

# Below this number of images a percentile bootstrap is too narrow to be called 95 %.
FEW_FOR_INTERVALS = 20
MOST_FLIPS = 3  # that a sentence names
TITLES = {"classifier": "judge", "chip_classifier": "judge of chips"}  # by their flags


def warnings_on(
    rows: Sequence[MeasuredSet],
    instruments: Instruments,
    options: EvaluateOptions,
    differences: Sequence[Differences],
    designs: Designs,
) -> Iterator[str]:
    """Sentences without which the numbers are misread, most important first."""
    yield from _named(rows, lambda row: _row_warnings(row, instruments, options))
    yield from _reference_warnings(rows)
    yield from _skill_notes(instruments, options, guessing=True)
    yield from _aim_notes(rows)
    yield from _baseline_warnings(rows, differences, designs)
    yield from _bias_notes(rows)


def notes_on(
    rows: Sequence[MeasuredSet],
    instruments: Instruments,
    options: EvaluateOptions,
    differences: Sequence[Differences],
    designs: Designs,
) -> Iterator[str]:
    """All other sentences, most important first."""
    alone = len(rows) == 1
    yield from _named(rows, lambda row: _row_notes(row, instruments, alone=alone))
    yield from _baseline_notes(rows, differences, designs)
    yield from _difference_notes(rows, differences, designs, options.against)
    yield from _size_notes(rows)
    yield from _judge_notes(rows, instruments, options)
    yield from _validation_notes(instruments, options)
    if instruments.labels is None:
        yield (
            "what is measured in the box, target contrast, the pointing game, classes kept and "
            "ghosts need boxes: --boxes labels.csv."
        )
    yield from instruments.missing


def _named(
    rows: Sequence[MeasuredSet], notes_of: Callable[[MeasuredSet], Iterator[str]]
) -> Iterator[str]:
    """The sentences on each row; rows that share one are named before it."""
    shared: dict[str, list[str]] = {}
    for row in rows:
        for note in notes_of(row):
            shared.setdefault(note, []).append(row.images.name)
    for note, names in shared.items():
        yield f"{', '.join(names)}: {note}" if len(rows) > 1 else note


def judged_by_teacher(row: MeasuredSet, instruments: Instruments) -> bool | None:
    """Whether a judge took part in the training of the set; None where nothing is recorded."""
    judges = {instruments.weights.get(name) for name in ("classifier", "chip_classifier")} - {None}
    if not judges or row.images.teachers is None:
        return None
    return not judges.isdisjoint(row.images.teachers)


def _row_warnings(
    row: MeasuredSet, instruments: Instruments, options: EvaluateOptions
) -> Iterator[str]:
    judges = {"classifier": options.classifier, "chip_classifier": options.chip_classifier}
    for name, file in judges.items():
        if instruments.weights.get(name) in (row.images.teachers or ()):
            yield (
                f"the judge {file} is the TEACHER, which took part in the training: its metrics "
                "are no independent evidence; train another classifier with another --seed."
            )
    if row.images.unmatched:
        yield row.images.unmatched
    elif row.pairing.unpaired:
        yield row.pairing.note
    yield from type_notes(row.types)
    if not _same_type(row):
        real_type = row.reference.profile.value_map.type
        yield (
            f"the sets are not compared: the real images have {real_type} and fake_B "
            f"{row.types['fake_B']}."
        )


def _reference_warnings(rows: Sequence[MeasuredSet]) -> Iterator[str]:
    """What is not ranked, as the rows are compared with other real images."""
    if len({row.reference_sha256 for row in rows if row.distances}) > 1:
        yield (
            "the rows are compared with different real images: no row is best in the distances of "
            "sets, and these are not subtracted; name one folder for all with --real DIR."
        )
    paired = [row for row in rows if not row.pairing.unpaired]
    targets = {row.targets_sha256 for row in paired if "fake_B_vs_real_B" in row.means}
    if len(targets) > 1:
        yield "the rows have different targets: no row is best in what is near the target."


def _row_notes(row: MeasuredSet, instruments: Instruments, *, alone: bool) -> Iterator[str]:
    if alone and not (row.images.unmatched or row.pairing.unpaired):
        yield row.pairing.note
    for comparison in COMPARISONS:
        yield from caveats(comparison, row.means.get(comparison, {}))
    yield from _reference_notes(row)
    yield from _flip_notes(row, instruments)
    if instruments.labels is not None:
        shares = [values.values["fake_B"]["box_share"] for values in row.values]
        boxed = sum(share == share for share in shares)
        if boxed < len(shares):
            why = "" if boxed else f": {instruments.labels.why_no_box}"
            yield f"{boxed} of {len(shares)} images have a box{why}."


def _same_type(row: MeasuredSet) -> bool:
    """Whether the set can be compared with its reference as a whole, where it has one."""
    return row.reference is None or row.reference.profile.value_map.type == row.types["fake_B"]


def _reference_notes(row: MeasuredSet) -> Iterator[str]:
    """On the real images that the set is compared with."""
    if row.reference is None or not _same_type(row):
        return
    listed = row.reference.values
    repeated = len(listed) - row.reference.profile.count
    if repeated:
        yield f"{repeated} of {len(listed)} real images are repetitions, which count once."
    real = {values.contents["real_B"] for values in listed}
    targets = [values.contents.get("real_B") for values in row.values]
    shared = sum(target in real for target in targets)
    if shared and not row.pairing.unpaired:
        yield (
            f"{shared} of {len(targets)} images show the scene of a real image that they are "
            "compared with: distances of sets, KID and MMD² most, come out lower than for other "
            "scenes."
        )


def _flip_notes(row: MeasuredSet, instruments: Instruments) -> Iterator[str]:
    """Which classes are taken for which others most often."""
    if row.flips is None:
        return
    names, wrong = instruments.chip_judge.classifier.classes, row.flips.clone().fill_diagonal_(0)
    places = wrong.flatten().argsort(descending=True, stable=True)[:MOST_FLIPS].tolist()
    pairs = [divmod(place, len(names)) for place in places]
    shown = [
        f"{names[label]} for {names[told]} ({wrong[label, told]} of {row.flips[label].sum()})"
        for label, told in pairs
        if wrong[label, told]
    ]
    if shown:
        yield f"targets are taken, most often, {', '.join(shown)}."


def _baseline_warnings(
    rows: Sequence[MeasuredSet], differences: Sequence[Differences], designs: Designs
) -> Iterator[str]:
    """In how many metrics rows beat the fitted sensor's translations of the same sources."""
    won: dict[str, list[str]] = {}
    for found, compared in _beside_fitted(rows, differences, designs):
        better = [is_better for metrics in compared.values() for _, is_better in metrics]
        if not all(better):
            words = f"by {found.row} in {sum(better)} of {len(better)}"
            won.setdefault(found.baseline, []).append(words)
    for baseline, words in won.items():
        yield f"{baseline}, a sensor fitted in closed form, is beaten {', '.join(words)} metrics."


def _baseline_notes(
    rows: Sequence[MeasuredSet], differences: Sequence[Differences], designs: Designs
) -> Iterator[str]:
    """Which rows do not beat the fitted sensor's translations of the same sources, and in what."""
    for found, compared in _beside_fitted(rows, differences, designs):
        lost = {how: [name for name, better in c if not better] for how, c in compared.items()}
        parts = [f"{', '.join(names)} ({how})" for how, names in lost.items() if names]
        if parts:
            yield (
                f"{found.row} does not beat {found.baseline}, a sensor fitted in closed form, in "
                f"{'; '.join(parts)}."
            )


Judged = list[tuple[str, bool]]  # name of a metric, and whether a row is better in it


def _beside_fitted(
    rows: Sequence[MeasuredSet], differences: Sequence[Differences], designs: Designs
) -> Iterator[tuple[Differences | DesignDifferences, dict[str, Judged]]]:
    """Each comparison with a fitted sensor, of a design in place of its rows: by how it was made,
    what the row is better in.
    """
    named = {row.images.name: row for row in rows}
    for found in differences:
        row, fitted = named[found.row], named[found.baseline]
        if fitted.images.models == BASELINE and found.row not in designs.trained:
            of_images, of_sets = list(judged(found.cells)), list(_nearer(row, fitted))
            yield (
                found,
                {"paired differences, 95 % intervals": of_images, "values alone": of_sets},
            )
    for found in designs.differences:
        fitted = [named[baseline] for _, baseline in found.pairs]
        if all(row.images.models == BASELINE for row in fitted):
            how = f"differences over {found.n} trainings, 95 % intervals"
            yield found, {how: list(judged(found.cells))}


def _nearer(row: MeasuredSet, other: MeasuredSet) -> Iterator[tuple[str, bool]]:
    """Names of the metrics of sets, and whether `row` is better in them than `other`."""
    for key, less in distance_differences(row, other).items():
        metric = SET_METRICS[key]
        yield metric.name, less > 0 if metric.better == "higher" else less < 0


def _difference_notes(
    rows: Sequence[MeasuredSet],
    differences: Sequence[Differences],
    designs: Designs,
    against: Sequence[str],
) -> Iterator[str]:
    """Between which rows there are none, and what the intervals of the others are over."""
    pairs = [{found.row, found.baseline} for found in (*differences, *designs.differences)]
    names = [row.images.name for row in rows]
    for name in against:
        others = names if name in names else [design.name for design in designs.means]
        alone = [other for other in others if other != name and {other, name} not in pairs]
        if alone:
            seeds = "" if name in names else "no seed, or "
            yield (
                f"no differences between {name} and {', '.join(alone)}: they have {seeds}no images "
                "of equal names, type and source or target in common."
            )
    shown = [found for found in differences if found.row not in designs.trained]
    counts = sorted({found.recordings for found in shown})
    if counts:
        few = ": too narrow" if counts[0] < FEW_FOR_INTERVALS else ""
        yield f"95 % intervals of differences are over {_span(counts)} recordings{few}."
    counts = sorted({len(design.rows) for design in designs.means} - {1})
    if counts:
        yield (
            f"95 % intervals of designs are over {_span(counts)} trainings (Student's t): of other "
            "seeds on the same images."
        )
    if len(shown) < len(differences):
        yield "the differences of single trainings, image by image, are in the JSON and CSV files."


def _span(counts: Sequence[int]) -> str:
    """Of sorted numbers: "3", "3 to 5"."""
    return " to ".join(str(n) for n in sorted({counts[0], counts[-1]}))


def _bias_notes(rows: Sequence[MeasuredSet]) -> Iterator[str]:
    """One sentence a metric: which rows have too few images for it."""
    for key, metric in SET_METRICS.items():
        found = [row.distances[key] for row in rows if key in row.distances]
        sizes = sorted({min(distance.n) for distance in found if distance.biased})
        if sizes:
            shown = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
            yield (
                f"{metric.title} is BIASED: n is {shown}, below {metric.biased_below:,}; compare "
                "it only between rows of equal n, or go by KID."
            )


def _size_notes(rows: Sequence[MeasuredSet]) -> Iterator[str]:
    """How large KID's subsets are, and why what has no value has none."""
    distances = [distance for row in rows for distance in row.distances.values()]
    sizes = sorted({d.subset_size for d in distances if d.std is not None})
    if sizes:
        yield (
            f"KID is mean ± deviation over 100 subsets of {' or '.join(map(str, sizes))} images of "
            "either set; the deviation is no interval of the mean."
        )
    undefined: dict[str, list[str]] = {}  # names of metrics, by the reason
    for key, metric in SET_METRICS.items():
        if any(key in row.distances and row.distances[key].value is None for row in rows):
            undefined.setdefault(metric.undefined, []).append(metric.name)
    for reason, names in undefined.items():
        yield f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} undefined: {reason}."
    if min(len(row.values) for row in rows) < FEW_FOR_INTERVALS:
        yield f"95 % intervals of fewer than {FEW_FOR_INTERVALS} images are too narrow."


def _judge_notes(
    rows: Sequence[MeasuredSet], instruments: Instruments, options: EvaluateOptions
) -> Iterator[str]:
    if instruments.judge is None:
        yield (
            "attention, MWIR features and the modality gap need a classifier that did not take "
            "part in the training: --classifier FILE."
        )
    yield from _skill_notes(instruments, options, guessing=False)
    if instruments.skills and any(row.images.teachers is None for row in rows):
        yield "where nothing is recorded of a set's training, the judge may be its teacher."
    for name in instruments.skills:
        known = _classifier(instruments, name).value_range
        strange = [r.images.name for r in rows if known and _ends(r, name) != tuple(known)]
        if strange:
            yield (
                f"the {TITLES[name]} learnt file values from {known[0]:g} to {known[1]:g}, of "
                f"another type than {', '.join(strange)}: it is shown the range of the real images "
                "in their place."
            )


def _validation_notes(instruments: Instruments, options: EvaluateOptions) -> Iterator[str]:
    """What training has found of the judges beside baselines, on images held out from it."""
    files = {"classifier": options.classifier, "chip_classifier": options.chip_classifier}
    for judge, found in instruments.validations.items():
        # How accurate the judge is was said with its name.
        sentences = found["sentences"][1:]
        told = "; ".join([found["in_short"], *sentences])
        yield f"{files[judge]}, on its own held-out images: {told}."


def _aim_notes(rows: Sequence[MeasuredSet]) -> Iterator[str]:
    """Where the judge looks no nearer at the real targets than a filter does."""
    references = {id(row.reference): row.reference for row in rows if row.reference}
    for means in (reference.means for reference in references.values()):
        lost = []
        for key, baseline in (("pointing", "dog_pointing"), ("cam_energy", "dog_energy")):
            numbers = [means[k].number for k in (key, baseline) if k in means]
            # A judge whose maps are all empty has no number, and beats nothing.
            if len(numbers) == 2 and math.isfinite(numbers[1]) and not numbers[0] > numbers[1]:
                own = f"{numbers[0]:.3f}" if math.isfinite(numbers[0]) else "undefined"
                lost.append(f"{IMAGE_METRICS[key].name} {own} (DoG {numbers[1]:.3f})")
        if lost:
            yield (
                "on the real images the judge's attention does not beat a difference of "
                f"Gaussians, which learns nothing: {', '.join(lost)}."
            )


def _skill_notes(
    instruments: Instruments, options: EvaluateOptions, *, guessing: bool
) -> Iterator[str]:
    """How good the judges are: those that are no better than chance, or all others."""
    files = {"classifier": options.classifier, "chip_classifier": options.chip_classifier}
    sure = ": no better than chance, and what it measures ranks nothing" if guessing else ""
    for name, skill in instruments.skills.items():
        if (skill.above_chance is False) == guessing:
            accuracy = skill.accuracy
            known = accuracy is not None
            told = f"of balanced accuracy {accuracy:.3f}" if known else "of unknown accuracy"
            chance = 1 / len(_classifier(instruments, name).classes)
            yield (
                f"{TITLES[name]}: {files[name]}, {told} on its own held-out images (chance "
                f"{chance:.3f}){sure}."
            )


def _classifier(instruments: Instruments, name: str) -> Classifier:
    """The judge that the flag `name` gives."""
    judge = instruments.judge if name == "classifier" else instruments.chip_judge
    return judge.classifier


def _ends(row: MeasuredSet, name: str) -> tuple[float, float]:
    """Of the file values that this judge was shown."""
    shown = row.instruments.judge_map if name == "classifier" else row.instruments.chip_map
    return shown.low, shown.high
