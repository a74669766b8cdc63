"""What is not finite is found later, with the step at which it began."""

import math

import pytest
import torch

from training.finite import FiniteWatch

GOOD = torch.tensor(True)


def losses(**values):
    return {name: torch.tensor(value) for name, value in values.items()}


def test_nothing_is_found_where_all_is_well():
    watch = FiniteWatch()
    assert watch.find() is None
    for step in (1, 2, 3):
        watch.add(step, ["a"], losses(G=1e38, D=-0.0), GOOD)
    assert watch.find() is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_the_first_bad_step_is_reported(value):
    watch = FiniteWatch()
    watch.add(7, ["T72/1", "T72/2"], losses(G=0.5, D=2.0), GOOD)
    watch.add(8, ["BMP2/1", "3"], losses(G=0.25, D=value), GOOD)
    watch.add(9, ["x", "y"], losses(G=value, D=value), GOOD)
    assert watch.find() == (
        f"D became NaN or infinite at step 8 (images BMP2/1, 3; G 0.25, D {value:.3g})"
    )
    assert watch.find() is None  # said once
    watch.add(10, ["z"], losses(G=0.5, D=2.0), GOOD)
    assert watch.find() is None


def test_a_gradient_is_reported_though_the_losses_are_finite():
    watch = FiniteWatch()
    watch.add(3, [str(i) for i in range(10)], losses(G=1.0), torch.tensor(False))
    found = watch.find()
    assert found.startswith("a gradient became NaN or infinite at step 3 (images 0, 1,")
    assert "7 and 2 more; G 1)" in found
    watch.add(4, [str(i) for i in range(8)], losses(G=1.0), torch.tensor(False))
    assert "6, 7; G 1)" in watch.find()
