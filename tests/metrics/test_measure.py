"""Which comparisons can be measured."""

import pytest

from data.value_type import UINT8, UINT16
from metrics.measure import measurable


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ({"real_A": UINT8, "fake_B": UINT8, "real_B": UINT8}, {"real_A", "real_B"}),
        ({"real_A": UINT16, "fake_B": UINT16}, {"real_A"}),
        ({"real_A": UINT8, "fake_B": UINT16, "real_B": UINT16}, {"real_B"}),
        ({"real_A": UINT8, "fake_B": UINT8, "real_B": UINT16}, {"real_A"}),
        ({"real_A": UINT16, "fake_B": UINT8, "real_B": UINT16}, set()),
        ({"real_A": UINT16, "fake_B": UINT8}, set()),
    ],
)
def test_only_kinds_of_one_depth_are_compared(types, expected):
    assert set(measurable(types).values()) == expected
