"""Results over training seeds: what another training of the same design would differ by."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from metrics.differences import (
    BASELINE,
    difference,
    distance_differences,
    pairs_with,
    verdict,
)
from metrics.measured_sets import MeasuredSet
from metrics.metric_properties import GROUPS
from metrics.seeds import trainings
from metrics.student import student_interval
from metrics.summary import mean_of
from metrics.values import Cell, Difference, Mean, Means, TrainingMean

Members = Mapping[str | None, MeasuredSet]  # by seed; a row of no design has none
Numbers = Mapping[str, Mapping[str, float]]  # group, as in GROUPS -> metric -> of one training


@dataclass(frozen=True)
class Design:
    """Rows that differ by the seed of their training; a row of no design stands for itself.

    name: that of the rows, less their seeds; rows: their names; cells: group, as in GROUPS ->
    metric -> mean over the rows, with its interval by Student's t over them.
    """

    name: str
    rows: Sequence[str]
    cells: Mapping[str, Mapping[str, TrainingMean]]


@dataclass(frozen=True)
class DesignDifferences:
    """A design less a baseline, training by training; the fields are those of JSON.

    row, baseline: their names, of designs or, one of them, of a row; pairs: the rows that are
    compared, of two designs those of one seed; cells: group, as in GROUPS -> metric -> mean
    difference, with its interval by Student's t over the pairs.
    """

    row: str
    baseline: str
    pairs: Sequence[tuple[str, str]]
    cells: Mapping[str, Mapping[str, Difference]]

    @property
    def n(self) -> int:
        """What the means are over."""
        return len(self.pairs)


@dataclass(frozen=True)
class Designs:
    """means: of designs and of rows of none, in the order of rows; both are empty where no two
    rows are of one design.
    """

    means: Sequence[Design] = ()
    differences: Sequence[DesignDifferences] = ()

    @property
    def trained(self) -> frozenset[str]:
        """The names of the rows of all designs."""
        return frozenset(row for found in self.means if len(found.rows) > 1 for row in found.rows)


def designs_of(rows: Sequence[MeasuredSet], against: Sequence[str]) -> Designs:
    """Their means, and their differences to fitted sensors and to those named in `against`."""
    designs = _members(rows)
    if all(len(members) == 1 for members in designs.values()):
        return Designs()
    means = [_design(name, list(members.values())) for name, members in designs.items()]
    return Designs(means, _differences(designs, rows, against))


def _members(rows: Sequence[MeasuredSet]) -> dict[str, Members]:
    """By name of the design, or of a row of none."""
    names = trainings(row.images.name for row in rows)
    places = {row: (design, seed) for design, of in names.items() for seed, row in of.items()}
    found: dict[str, dict[str | None, MeasuredSet]] = {}
    for row in rows:
        name, seed = places.get(row.images.name, (row.images.name, None))
        found.setdefault(name, {})[seed] = row
    return found


def _design(name: str, rows: Sequence[MeasuredSet]) -> Design:
    means = means_over([row.cells for row in rows])
    cells = {
        group: {
            key: TrainingMean(**asdict(mean), biased=_biased(rows, group, key))
            for key, mean in found.items()
        }
        for group, found in means.items()
    }
    return Design(name, [row.images.name for row in rows], cells)


def _biased(rows: Sequence[MeasuredSet], group: str, key: str) -> bool:
    cells = [row.cells.get(group, {}).get(key) for row in rows]
    return any(cell is not None and cell.biased for cell in cells)


def means_over(trained: Sequence[Mapping[str, Mapping[str, Cell]]]) -> dict[str, Means]:
    """By group, of the numbers in the cells of each training, with intervals over these."""
    return _means([_numbers(cells) for cells in trained])


def _numbers(cells: Mapping[str, Mapping[str, Cell]]) -> Numbers:
    return {
        group: {key: cell.number for key, cell in found.items()} for group, found in cells.items()
    }


def _means(trained: Sequence[Numbers]) -> dict[str, Means]:
    """Of each metric over trainings, where one of them has it; it is undefined in the others."""
    found = {}
    for name, group in GROUPS.items():
        own = [numbers.get(name, {}) for numbers in trained]
        keys = [key for key in group.metrics if any(key in numbers for numbers in own)]
        if keys:
            found[name] = {
                key: _mean([numbers.get(key, math.nan) for numbers in own]) for key in keys
            }
    return found


def _mean(values: Sequence[float]) -> Mean:
    finite = [value for value in values if math.isfinite(value)]
    return mean_of(np.array(values), student_interval(finite))


def _differences(
    designs: Mapping[str, Members], rows: Sequence[MeasuredSet], against: Sequence[str]
) -> list[DesignDifferences]:
    """Of all designs to the baselines, and of all rows to those that are designs."""
    single = {row.images.name: {None: row} for row in rows}
    fitted = [
        name
        for name, members in designs.items()
        if all(row.images.models == BASELINE for row in members.values())
    ]
    found = []
    for name, baseline in pairs_with([*fitted, *against], designs):
        pairs = _pairs(designs[name], designs.get(baseline) or single[baseline])
        compared = [(pair, numbers) for pair in pairs if (numbers := _less(*pair)) is not None]
        if compared:
            names = [(own.images.name, other.images.name) for (own, other), _ in compared]
            cells = _judged([numbers for _, numbers in compared])
            found.append(DesignDifferences(name, baseline, names, cells))
    return found


def _pairs(own: Members, other: Members) -> list[tuple[MeasuredSet, MeasuredSet]]:
    """Of one seed, or each training beside a row; none of two rows, nor of a design and its own."""
    if None in other:
        alone = other[None]
        apart = None not in own and all(row is not alone for row in own.values())
        return [(row, alone) for row in own.values()] if apart else []
    if None in own:
        return [(own[None], row) for row in other.values()]
    return [(row, other[seed]) for seed, row in own.items() if seed in other]


def _less(row: MeasuredSet, baseline: MeasuredSet) -> Numbers | None:
    """Mean differences over the images that both share, and those of sets; None without such."""
    found = difference(row, baseline)
    if found is None:
        return None
    return {**_numbers(found.cells), "sets": distance_differences(row, baseline)}


def _judged(trained: Sequence[Numbers]) -> dict[str, dict[str, Difference]]:
    return {
        group: {
            key: Difference(**asdict(mean), verdict=verdict(group, key, mean))
            for key, mean in means.items()
        }
        for group, means in _means(trained).items()
    }
