"""Subsets of equally distributed ranges: closed forms, and what must hold for any sets."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.matching import match_ranges
from util.errors import UserError


def counts(ranges, kept):
    return Counter(ranges[i] for i in kept)


def test_equal_sets_are_kept_whole():
    ranges = [1000, 2000, 2000, 3000]
    assert match_ranges([ranges, ranges, list(ranges)], width=500) == [[0, 1, 2, 3]] * 3


def test_shares_follow_the_set_that_has_fewest():
    """2 : 4 in one set, 6 : 3 in the other: the shares are 2 : 3."""
    one, other = [1000] * 2 + [2000] * 4, [1000] * 6 + [2000] * 3
    kept = match_ranges([one, other], width=500)
    assert counts(one, kept[0]) == {1000: 2, 2000: 3}
    assert counts(other, kept[1]) == {1000: 2, 2000: 3}


def test_a_larger_set_of_the_same_shares_is_kept_whole():
    small, large = [1000, 2000, 2000], [1000] * 10 + [2000] * 20
    assert match_ranges([small, large], width=500) == [list(range(3)), list(range(30))]


def test_ranges_that_one_set_lacks_and_images_without_one_are_left_out():
    one, other, third = [1000, 3000, None], [1000, 2000], [None, 1000, 2000]
    assert match_ranges([one, other, third], width=500) == [[0], [0], [1]]


def test_ranges_near_the_same_multiple_are_equal():
    assert match_ranges([[760.0, 1240.0], [1000.0, 1000.0]], width=500) == [[0, 1], [0, 1]]
    with pytest.raises(UserError, match="no range is common to all sets within steps of 100 m"):
        match_ranges([[760.0], [1000.0]], width=100)


def test_what_is_kept_is_spread_over_the_set():
    """The shares are 2 : 1, which the first set can fill with 2 and 1 of its 10 and 1."""
    one, other = [1000] * 10 + [2000], [1000] * 2 + [2000]
    assert match_ranges([one, other], width=500) == [[0, 5, 10], [0, 1, 2]]


ranges = st.lists(st.sampled_from([None, 1000, 2000, 3000, 4000]), min_size=1, max_size=40)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(ranges, min_size=2, max_size=4))
def test_every_range_has_the_same_share_to_less_than_an_image(sets):
    shown = [{r for r in s if r is not None} for s in sets]
    common = set.intersection(*shown)
    if not common:
        with pytest.raises(UserError):
            match_ranges(sets, width=500)
        return
    kept = match_ranges(sets, width=500)
    found = [counts(s, k) for s, k in zip(sets, kept, strict=True)]
    fewest = {r: min(s.count(r) for s in sets) for r in common}
    for numbers, indices, whole in zip(found, kept, sets, strict=True):
        assert set(numbers) == common and indices == sorted(set(indices))
        factor = min(whole.count(r) / fewest[r] for r in common)
        assert all(abs(numbers[r] - factor * fewest[r]) <= 1 for r in common)
        assert len(indices) >= sum(fewest.values())
