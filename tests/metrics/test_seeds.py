"""Which rows are trainings of one design."""

import pytest

from metrics.seeds import trainings


def test_rows_are_of_one_design_up_to_a_last_seed():
    names = ["fit", "a, seed 2", "b, x, seed 0", "a, seed 10", "b, x, seed 1"]
    assert trainings(names) == {
        "a": {"2": "a, seed 2", "10": "a, seed 10"},
        "b, x": {"0": "b, x, seed 0", "1": "b, x, seed 1"},
    }


@pytest.mark.parametrize(
    "name", ["a, seed x", "a, seed 01", "a, seed -1", "a, seed 1 b", "a seed 1", ", seed 1", "a"]
)
def test_other_names_are_those_of_rows_alone(name):
    assert trainings([name, "a, seed 2"]) == {}


def test_one_training_alone_is_a_row():
    assert trainings(["a, seed 1", "b, seed 1"]) == {}
