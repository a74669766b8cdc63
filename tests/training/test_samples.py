"""The images that a training page shows at every moment."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from data.value_map import EIGHT_BIT, ValueMap
from data.value_type import UINT16
from training.samples import Sample, fixed_samples
from util.batch import Batch
from util.errors import UserError


class Numbered:
    """A dataset whose image `index` is of the grey level `index`."""

    def __init__(self, count, labels=(), unreadable=(), value_map=EIGHT_BIT):
        self.count, self.labels, self.unreadable = count, list(labels), unreadable
        self.value_maps = {"A": value_map}

    def __len__(self):
        return self.count

    def collect(self, keys):
        ((epoch, index),) = keys
        return UserError("bad") if index in self.unreadable else (epoch, index)

    def prepare(self, raw):
        epoch, index = raw
        a = torch.full((1, 1, 4, 4), index / 100)
        return Batch(a, None, torch.tensor([-1]), (f"{epoch} {index}",))


def names(dataset):
    return [sample.batch.names[0] for sample in fixed_samples(dataset, torch.device("cpu"))]


@pytest.mark.parametrize(
    ("dataset", "chosen"),
    [
        (Numbered(100), [0, 25, 50, 75]),
        (Numbered(2), [0, 1]),
        (Numbered(8, labels=[1, 1, 1, 0, -1, 0, 1, 1]), [0, 3, 2, 4]),
        (Numbered(9, labels=range(9)), [0, 1, 2, 3]),
        (Numbered(100, unreadable=[25]), [0, 50, 75]),
    ],
)
def test_one_of_each_class_and_others_evenly(dataset, chosen):
    assert names(dataset) == [f"0 {index}" for index in chosen]


def test_a_window_is_of_the_images_and_the_same_at_every_moment():
    value_map = ValueMap(0.0, 65535.0, UINT16)
    counts = torch.linspace(1000, 3000, 400).view(1, 1, 20, 20)
    batch = Batch(value_map.scale(counts), value_map.scale(counts), torch.tensor([0]), ("x",))
    sample = Sample.of(batch, eight_bit=False)

    def shown(shift):
        fake = {"fake_B": value_map.scale(counts + shift)}
        maps = {"attention_fake_B": torch.ones(1, 1, 20, 20)}
        model = SimpleNamespace(samples=lambda b: {"real_A": b.a, **fake, **maps})
        return sample.show(model)

    first, later = shown(0), shown(500)
    np.testing.assert_array_equal(first["real_A"], later["real_A"])
    assert np.ptp(first["real_A"].astype(int)) > 150
    steps = later["fake_B"].astype(int) - first["fake_B"]
    assert np.ptp(steps[first["fake_B"] < 150]) <= 1 and steps.max() > 30
    assert (first["attention_fake_B"] == 255).all()


def test_8_bits_are_shown_as_they_are():
    levels = torch.arange(256, dtype=torch.float32).view(1, 1, 16, 16)
    batch = Batch(EIGHT_BIT.scale(levels), None, torch.tensor([0]), ("x",))
    sample = Sample.of(batch, eight_bit=True)
    found = sample.show(SimpleNamespace(samples=lambda b: {"real_A": b.a}))
    np.testing.assert_array_equal(found["real_A"].ravel(), np.arange(256))
