"""A batch on its way to a device and from stream to stream."""

import pytest
import torch

from util.batch import Batch


def batch(*, targets: bool) -> Batch:
    a = torch.zeros(2, 1, 4, 4)
    boxes = (torch.zeros(2, 1, 4), torch.ones(2, 1, 4)) if targets else ()
    return Batch(a, a + 1 if targets else None, torch.tensor([0, -1]), ("x", "y"), *boxes)


@pytest.mark.parametrize("targets", [True, False])
def test_all_of_a_batch_goes_to_a_device(targets):
    moved = batch(targets=targets).to(torch.device("meta"))
    assert moved.a.device.type == moved.label.device.type == "meta"
    assert moved.names == ("x", "y")
    for tensor in (moved.b, moved.box_a, moved.box_b):
        assert tensor.device.type == "meta" if targets else tensor is None


@pytest.mark.parametrize("targets", [True, False])
def test_a_stream_is_recorded_for_every_tensor(monkeypatch, targets):
    found = []
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda tensor, s: found.append((tensor, s)))
    given = batch(targets=targets)
    given.record_stream("stream")
    tensors = [given.a, given.b, given.label, given.box_a, given.box_b]
    expected = tensors if targets else [given.a, given.label]
    assert [id(tensor) for tensor, _ in found] == [id(tensor) for tensor in expected]
    assert {stream for _, stream in found} == {"stream"}
