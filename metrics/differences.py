"""How rows differ on the images that they share, with intervals over recordings."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from metrics.measure import ImageValues
from metrics.measured_sets import MeasuredSet
from metrics.metric_properties import COMPARISONS, GROUPS, SET_METRICS
from metrics.summary import means_of
from metrics.values import Difference, Mean

BASELINE = frozenset({"sensor_fit"})  # --model of the translations that others have to beat

Pairs = Sequence[tuple[ImageValues, ImageValues]]  # of one name, of a row and of its baseline


@dataclass(frozen=True)
class Differences:
    """Values of a row less those of a baseline, image by image; the fields are those of JSON.

    row, baseline: their names; images, recordings: how many they share; cells: group, as in GROUPS
    -> metric -> mean difference, with its interval over recordings.
    """

    row: str
    baseline: str
    images: int
    recordings: int
    cells: Mapping[str, Mapping[str, Difference]]

    @property
    def n(self) -> int:
        """What the means are over."""
        return self.images


def differences_to(rows: Sequence[MeasuredSet], against: Sequence[str]) -> list[Differences]:
    """Of all rows to fitted sensors and to the rows among `against`, where they share images."""
    named = {row.images.name: row for row in rows}
    fitted = [name for name, row in named.items() if row.images.models == BASELINE]
    baselines = [*fitted, *(name for name in against if name in named)]
    pairs = pairs_with(baselines, named)
    found = [difference(named[name], named[baseline]) for name, baseline in pairs]
    return [differences for differences in found if differences]


def pairs_with(baselines: Iterable[str], names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each of `names` beside each other one of `baselines`; two that are both are there once."""
    found: set[frozenset[str]] = set()
    for baseline in dict.fromkeys(baselines):
        for name in names:
            pair = frozenset([name, baseline])
            if len(pair) == 2 and pair not in found:
                found.add(pair)
                yield name, baseline


def difference(row: MeasuredSet, baseline: MeasuredSet) -> Differences | None:
    """None for rows without images of equal names, of one scene and of one type of values."""
    theirs = {image.name: image for image in baseline.values}
    pairs = [(image, theirs[image.name]) for image in row.values if image.name in theirs]
    if not pairs or row.types["fake_B"] != baseline.types["fake_B"]:
        return None
    shared = [name for name, kind in COMPARISONS.items() if _shared(pairs, kind)]
    same_origin = row.images.origins == baseline.images.origins != frozenset()
    if not (shared or same_origin or _one_of_the_other(pairs)):
        return None
    if row.pairing.unpaired or baseline.pairing.unpaired:
        shared = [name for name in shared if COMPARISONS[name] != "real_B"]
    recordings = [own.recording for own, _ in pairs]
    # Where nothing is better, as in what is kept of the source, a difference says nothing.
    groups = [name for name in (*shared, "fake_B") if GROUPS[name].ranked]
    cells = {group: _differences(pairs, group, recordings) for group in groups}
    return Differences(
        row.images.name,
        baseline.images.name,
        images=len(pairs),
        recordings=len(set(recordings)),
        cells={group: found for group, found in cells.items() if found},
    )


def _shared(pairs: Pairs, kind: str) -> bool:
    """Whether both images of each pair have one and the same image of this kind beside them."""
    contents = [(own.contents.get(kind), other.contents.get(kind)) for own, other in pairs]
    return all(own is not None and own == other for own, other in contents)


def _one_of_the_other(pairs: Pairs) -> bool:
    """Whether the images of one row are the sources of the other's, as of a simulator's set."""
    ways = (pairs, [(other, own) for own, other in pairs])
    return any(
        all(made.contents.get("real_A") == source.contents["fake_B"] for made, source in way)
        for way in ways
    )


def _differences(pairs: Pairs, group: str, recordings: Sequence[str]) -> dict[str, Difference]:
    """Of all metrics of a group that both rows have."""
    own, other = (image.values.get(group, {}) for image in pairs[0])
    metrics = GROUPS[group].metrics
    names = [k for k, metric in metrics.items() if k in own and k in other and metric.ranked]
    if not names:
        return {}
    values = np.array([[[i.values[group][k] for k in names] for i in pair] for pair in pairs])
    with np.errstate(invalid="ignore"):  # of two that are infinite
        means = means_of(names, values[:, 0] - values[:, 1], groups=recordings)
    return {
        name: Difference(**asdict(mean), verdict=verdict(group, name, mean))
        for name, mean in means.items()
    }


def verdict(group: str, name: str, mean: Mean) -> str:
    """Of a mean difference of a metric of `group`: better, worse, "" where neither is sure."""
    better = GROUPS[group].metrics[name].better
    if mean.ci95 is None or better == "real":
        return ""
    low, high = mean.ci95
    if low <= 0 <= high:
        return ""
    return "better" if (low > 0) == (better == "higher") else "worse"


def distance_differences(row: MeasuredSet, baseline: MeasuredSet) -> dict[str, float]:
    """Metric of sets -> its value of a row less that of a baseline.

    What is beyond the best value that there is counts as this. Left out are metrics that rank
    nothing, biased values of different numbers of images, and distances to other real images.
    """
    if row.reference_sha256 != baseline.reference_sha256:
        return {}
    found = {}
    for key, metric in SET_METRICS.items():
        cells = [of.distances[key] for of in (row, baseline) if key in of.distances]
        if len(cells) == 2 and metric.ranked:
            own, other = cells
            if own.n == other.n or not (own.biased or other.biased):
                found[key] = max(own.number, metric.chance) - max(other.number, metric.chance)
    return found


def judged(cells: Mapping[str, Mapping[str, Difference]]) -> Iterator[tuple[str, bool]]:
    """By groups of cells, names of the metrics that can be better, and whether they are."""
    for group, found in cells.items():
        for name, cell in found.items():
            metric = GROUPS[group].metrics[name]
            if metric.better != "real":
                yield metric.name, cell.verdict == "better"
