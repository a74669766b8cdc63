"""Which comparisons can be measured."""

import pytest

from metrics.measure import measurable


@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        ({"real_A": 8, "fake_B": 8, "real_B": 8}, {"real_A", "real_B"}),
        ({"real_A": 16, "fake_B": 16}, {"real_A"}),
        ({"real_A": 8, "fake_B": 16, "real_B": 16}, {"real_B"}),
        ({"real_A": 8, "fake_B": 8, "real_B": 16}, {"real_A"}),
        ({"real_A": 16, "fake_B": 8, "real_B": 16}, set()),
        ({"real_A": 16, "fake_B": 8}, set()),
    ],
)
def test_only_kinds_of_one_depth_are_compared(bits, expected):
    assert set(measurable(bits).values()) == expected
