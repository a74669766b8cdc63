"""Means over steps."""

import pytest
import torch

from training.means import RunningMeans


def test_means_start_anew_once_taken():
    means = RunningMeans()
    assert means.take() == {}
    for value in (1.0, 2.0, 6.0):
        means.add({"G": torch.tensor(value), "time": value / 2})
    assert means.take() == pytest.approx({"G": 3.0, "time": 1.5})
    assert means.take() == {}


def test_means_go_on_from_their_state():
    whole, first = RunningMeans(), RunningMeans()
    for value in (0.1, 0.7):
        for means in (whole, first):
            means.add({"loss": torch.tensor(value)})
    second = RunningMeans.from_state(first.state_dict())
    for means in (whole, second):
        means.add({"loss": torch.tensor(0.3)})
    assert whole.take() == second.take()
