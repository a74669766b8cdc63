"""The number that a cell stands for, and how sure it is."""

import math

import pytest

from metrics.values import Distance, Mean


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        (Mean(3.5, None, n=1, infinite=2, undefined=0), 3.5),
        (Mean(None, None, n=0, infinite=2, undefined=0), math.inf),
        (Distance(0.0, None, (3, 3), None, biased=False), 0.0),
    ],
)
def test_the_number_of_a_cell(cell, number):
    assert cell.number == number


def test_a_cell_without_any_defined_value_is_not_a_number():
    assert math.isnan(Mean(None, None, n=0, infinite=0, undefined=5).number)
    assert math.isnan(Distance(None, None, (1, 3), None, biased=False).number)


def test_the_ends_are_those_of_the_interval_or_a_deviation_away():
    assert Mean(2.0, (1.5, 2.75), n=4, infinite=1, undefined=2).ends == (1.5, 2.75)
    assert Distance(2.0, 0.5, (3, 3), 2, biased=False).ends == (1.5, 2.5)
    assert Distance(2.0, None, (3, 3), None, biased=False).ends is None


def test_all_images_of_a_mean_are_counted():
    assert Mean(2.0, None, n=4, infinite=1, undefined=2).total == 7
