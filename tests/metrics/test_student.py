"""Intervals of means over a few trainings."""

import pytest
from scipy import stats

from metrics.student import student_interval


@pytest.mark.parametrize("values", [[1.0, 4.0], [0.5, 0.75, 0.625], [3.0, -2.0, 8.0, 8.5, 1.0]])
def test_the_interval_is_that_of_a_t_test(values):
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert student_interval(values) == pytest.approx(tuple(expected))


def test_of_two_values_it_is_known_from_tables():
    """t of one degree of freedom is 12.706; half the difference is the standard error."""
    assert student_interval([0.0, 2.0]) == pytest.approx((1 - 12.706, 1 + 12.706), abs=1e-3)


def test_equal_values_have_an_interval_without_width_and_one_value_has_none():
    assert student_interval([0.25, 0.25, 0.25]) == (0.25, 0.25)
    assert student_interval([0.25]) is student_interval([]) is None
