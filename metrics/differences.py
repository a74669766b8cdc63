"""How rows differ on the images that they share, with intervals over recordings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from metrics.measure import ImageValues
from metrics.measured_sets import MeasuredSet
from metrics.metric_properties import COMPARISONS, GROUPS
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


def differences_to(rows: Sequence[MeasuredSet], against: Sequence[str]) -> list[Differences]:
    """Of all rows to fitted sensors and to those named in `against`, where they share images.

    Those of two rows are there once.
    """
    named = {row.images.name: row for row in rows}
    fitted = [name for name, row in named.items() if row.images.models == BASELINE]
    found: dict[frozenset[str], Differences | None] = {}
    for baseline in dict.fromkeys([*fitted, *against]):
        for name, row in named.items():
            pair = frozenset([name, baseline])
            if len(pair) == 2 and pair not in found:
                found[pair] = difference(row, named[baseline])
    return [differences for differences in found.values() if differences]


def difference(row: MeasuredSet, baseline: MeasuredSet) -> Differences | None:
    """None for rows without images of equal names, of one scene and of one type of values."""
    theirs = {image.name: image for image in baseline.values}
    pairs = [(image, theirs[image.name]) for image in row.values if image.name in theirs]
    if not pairs or row.types["fake_B"] != baseline.types["fake_B"]:
        return None
    shared = [name for name, kind in COMPARISONS.items() if _shared(pairs, kind)]
    if not shared and not row.images.origins == baseline.images.origins != frozenset():
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
        name: Difference(**asdict(mean), verdict=_verdict(group, name, mean))
        for name, mean in means.items()
    }


def _verdict(group: str, name: str, mean: Mean) -> str:
    better = GROUPS[group].metrics[name].better
    if mean.ci95 is None or better == "real":
        return ""
    low, high = mean.ci95
    if low <= 0 <= high:
        return ""
    return "better" if (low > 0) == (better == "higher") else "worse"


def judged(differences: Differences) -> Iterator[tuple[str, bool]]:
    """Names of the metrics of images in which a row can be better, and whether this one is."""
    for group, cells in differences.cells.items():
        for name, cell in cells.items():
            metric = GROUPS[group].metrics[name]
            if metric.better != "real":
                yield metric.name, cell.verdict == "better"
