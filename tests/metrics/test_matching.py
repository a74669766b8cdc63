"""Subsets of equally distributed ranges, against closed forms and an exhaustive search."""

from collections import Counter
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.matching import match_ranges
from util.errors import UserError


def repeated(counts: dict[float, int]) -> list[float]:
    return [metres for metres, count in counts.items() for _ in range(count)]


def kept_counts(fake: dict[float, int], real: dict[float, int], width: float = 100.0):
    """Range -> number kept, of both sets."""
    ranges = repeated(fake), repeated(real)
    kept = match_ranges(*ranges, width=width)
    return tuple(dict(Counter(r[i] for i in k)) for r, k in zip(ranges, kept, strict=True))


def effective_size(fakes: int, reals: int) -> float:
    return fakes * reals / (fakes + reals)


def test_sets_of_equal_shares_stay_whole():
    fake, real = {1000: 3, 2000: 6}, {2000: 20, 1000: 10}
    assert kept_counts(fake, real) == (fake, real)


def test_the_larger_set_is_thinned_no_further_than_the_shares_demand():
    found = kept_counts({1000: 60, 1500: 60}, {1000: 400, 1500: 200})
    assert found == ({1000: 60, 1500: 60}, {1000: 200, 1500: 200})
    # A range that is rare in one set costs images of the other at this range only.
    found = kept_counts({1000: 10, 1500: 1000}, {1000: 500, 1500: 500})
    assert found == ({1000: 10, 1500: 1000}, {1000: 5, 1500: 500})


def test_ranges_of_one_set_alone_and_unknown_ones_are_left_out():
    fake = [None, 200.0, 1000.0, 500.0, None, 1500.0]
    real = [1500.0, None, 3000.0, 1000.0]
    assert match_ranges(fake, real, width=100) == ([2, 5], [0, 3])


def test_ranges_are_equal_that_round_to_one_step():
    assert match_ranges([949, 951, 1049], [1000, 1051], width=100) == ([1, 2], [0])
    # Halves go up, every time: 500 and 1500 lie in different steps of 1000.
    assert match_ranges([500.0], [1499.0], width=1000) == ([0], [0])
    with pytest.raises(UserError):
        match_ranges([500.0], [1500.0], width=1000)


def test_the_thinned_set_is_spread_over_the_given_order():
    fake = [1000.0, 2000.0] * 2
    real = [1000.0] * 8 + [2000.0] * 4
    assert match_ranges(fake, real, width=100) == ([0, 1, 2, 3], [0, 2, 4, 6, 8, 9, 10, 11])


def test_a_range_that_would_round_to_nothing_keeps_one_image():
    fake, real = kept_counts({1000: 100, 2000: 1}, {1000: 1000, 2000: 1})
    assert fake[2000] == real[2000] == 1


def test_sets_without_a_common_range_are_refused_with_their_ranges():
    with pytest.raises(UserError, match=r"have 200, 1000 m, the real images 1500 m") as caught:
        match_ranges([1010.0, 210.0, 190.0], [1500.0, None], width=100)
    assert "--match_range" in str(caught.value)
    with pytest.raises(UserError, match="have none"):
        match_ranges([None], [1500.0], width=100)


@pytest.mark.parametrize("width", [0, -5.0, float("nan")])
def test_steps_without_a_width_are_refused(width):
    with pytest.raises(UserError, match="--match_range"):
        match_ranges([1.0], [1.0], width=width)


RANGES = st.lists(st.sampled_from([None, 200.0, 500.0, 1000.0, 1500.0]), min_size=1, max_size=60)


@given(fake=RANGES, real=RANGES)
@settings(max_examples=200, deadline=None)
def test_shares_are_equal_to_one_image_a_range(fake, real):
    common = (set(fake) & set(real)) - {None}
    if not common:
        with pytest.raises(UserError):
            match_ranges(fake, real, width=100)
        return
    kept = match_ranges(fake, real, width=100)
    for ranges, indices in ((fake, kept[0]), (real, kept[1])):
        assert indices == sorted(set(indices))
        assert {ranges[i] for i in indices} == common
    fakes, reals = (Counter(r[i] for i in k) for r, k in zip((fake, real), kept, strict=True))
    # One ratio of the sets fits all ranges, if either number may be off by less than one image.
    ratios = [((reals[r] - 1) / (fakes[r] + 1), (reals[r] + 1), fakes[r] - 1) for r in common]
    lowest = max(low for low, _, _ in ratios)
    assert all(lowest * less < more for _, more, less in ratios)


COUNTS = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=3)


@given(counts=COUNTS)
@settings(max_examples=100, deadline=None)
def test_no_choice_of_equal_shares_is_larger(counts):
    """Against all choices whose shares are exactly equal; rounding may cost half an image each."""
    best = 0.0
    for fakes in product(*(range(1, f + 1) for f, _ in counts)):
        for reals in product(*(range(1, r + 1) for _, r in counts)):
            if all(f * reals[0] == r * fakes[0] for f, r in zip(fakes, reals, strict=True)):
                best = max(best, effective_size(sum(fakes), sum(reals)))
    fake = repeated({1000.0 * i: f for i, (f, _) in enumerate(counts)})
    real = repeated({1000.0 * i: r for i, (_, r) in enumerate(counts)})
    kept = match_ranges(fake, real, width=100)
    slack = len(counts) / 2
    assert effective_size(len(kept[0]) + slack, len(kept[1]) + slack) >= best - 1e-9
