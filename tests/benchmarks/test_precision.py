"""What the comparison of precisions calls within the seeds' spread."""

import pytest

from benchmarks.precision import compare, main
from util.errors import UserError


def test_a_mean_within_the_range_of_the_reference():
    found = compare({"fp32": [1.0, 2.0, 3.0], "bf16": [2.5, 3.5, 2.9]}, "fp32")
    assert found["fp32"]["mean"] == 2.0
    assert found["bf16"]["mean"] == pytest.approx(2.9667, abs=1e-4)
    assert found["bf16"]["within_spread"]


@pytest.mark.parametrize("values", [[0.9, 0.8], [3.5, 2.9]])
def test_a_mean_outside_of_it(values):
    assert not compare({"fp32": [1.0, 3.0], "bf16": values}, "fp32")["bf16"]["within_spread"]


@pytest.mark.parametrize("flag", ["--images", "--size", "--epochs"])
def test_numbers_that_make_no_sense(flag, tmp_path):
    with pytest.raises(UserError, match=f"{flag} is 0; it must be"):
        main(["--folder", str(tmp_path), flag, "0"])
