"""Sets of images that show their targets from equally distributed ranges."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from data.splits import spread
from util.errors import UserError


def match_ranges(
    fake: Sequence[float | None], real: Sequence[float | None], *, width: float
) -> tuple[list[int], list[int]]:
    """Indices of subsets of two sets whose ranges are equally distributed; both ascending.

    fake, real: range of each image in metres; images without one are left out. Ranges count as
    equal that are nearest to the same multiple of `width` metres; those of one set alone are left
    out. With n_f and n_r images kept, every range has the same share in both sets, to less than one
    image each and at least one. Of all such choices it is the one of the largest effective size,
    1 / (1/n_f + 1/n_r), which decides how well two sets can be told apart: the larger set is
    thinned no further than its shares demand. Within a range the kept images are spread evenly in
    the given order. Raises UserError where no range is common.
    """
    if not width > 0:
        raise UserError(f"--match_range is {width:g}; it must be more than 0 metres.")
    fakes, reals = _bins(fake, width), _bins(real, width)
    common = sorted(fakes.keys() & reals.keys())
    if not common:
        raise UserError(
            f"no range is common to both sets within steps of {width:g} m: the translations have "
            f"{_describe(fakes, width)}, the real images {_describe(reals, width)}; give a labels "
            "table that lists both, or leave out --match_range."
        )
    counts = [(len(fakes[b]), len(reals[b])) for b in common]
    kept: tuple[list[int], list[int]] = [], []
    for b, numbers in zip(common, _largest(counts), strict=True):
        for indices, bins, number in zip(kept, (fakes, reals), numbers, strict=True):
            indices += spread(bins[b], number)
    return sorted(kept[0]), sorted(kept[1])


def _bins(ranges: Sequence[float | None], width: float) -> dict[int, list[int]]:
    """Multiple of the width -> indices of the images nearest to it."""
    bins: dict[int, list[int]] = defaultdict(list)
    for index, metres in enumerate(ranges):
        if metres is not None:
            # Not round(), which sends halves to the even neighbour.
            bins[math.floor(metres / width + 0.5)].append(index)
    return bins


def _largest(counts: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Numbers to keep of each bin. counts: of fake and real images, 1 or more.

    With c real images to one fake, a bin can keep min(f, r/c) fakes. The effective size of their
    sum is monotone in c between the ratios r/f of the bins, so one of these is the best c.
    """

    def effective_size(c: float) -> float:
        return c / (1 + c) * sum(min(f, r / c) for f, r in counts)

    c = max((r / f for f, r in counts), key=effective_size)
    return [(max(1, round(min(f, r / c))), max(1, round(min(f * c, r)))) for f, r in counts]


def _describe(bins: Mapping[int, Sequence[int]], width: float) -> str:
    """The bins' ranges for people."""
    if not bins:
        return "none"
    return f"{', '.join(f'{b * width:g}' for b in sorted(bins))} m"
