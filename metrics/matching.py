"""Sets of images that show their targets from equally distributed ranges."""

import math
from collections import defaultdict
from collections.abc import Sequence

from data.splits import spread
from util.errors import UserError


def match_ranges(sets: Sequence[Sequence[float | None]], *, width: float) -> list[list[int]]:
    """Indices of a subset of each set such that ranges are equally distributed in all; ascending.

    sets: range of each image in metres; images without one are left out. Ranges count as equal that
    are nearest to the same multiple of `width` metres; those that one of the sets lacks are left
    out. The share of a range, to less than one image each, is that of its number in the set that
    has fewest of it, so that no set has to give up more than the others demand; each set keeps as
    many images as these shares allow, spread evenly in the given order. Raises UserError where no
    range is common to all.
    """
    bins = [_bins(ranges, width) for ranges in sets]
    common = sorted(set.intersection(*(set(b) for b in bins)))
    if not common:
        raise UserError(f"no range is common to all sets within steps of {width:g} m.")
    fewest = {b: min(len(members[b]) for members in bins) for b in common}
    kept = []
    for members in bins:
        factor = min(len(members[b]) / fewest[b] for b in common)
        numbers = {b: min(len(members[b]), max(1, round(factor * fewest[b]))) for b in common}
        kept.append(sorted(i for b in common for i in spread(members[b], numbers[b])))
    return kept


def _bins(ranges: Sequence[float | None], width: float) -> dict[int, list[int]]:
    """Multiple of the width -> indices of the images nearest to it."""
    bins: dict[int, list[int]] = defaultdict(list)
    for index, metres in enumerate(ranges):
        if metres is not None:
            # Not round(), which sends halves to the even neighbour.
            bins[math.floor(metres / width + 0.5)].append(index)
    return bins
