"""Shares of pixels and of the range, on images whose shares are known."""

from pathlib import Path

import numpy as np
import pytest
import torch

from data.cache import Images
from data.datasets import Domain
from data.folders import ImageFile
from data.range_use import EndsTally, RangeUse, measure_range_use, percent, range_warnings
from data.value_map import EIGHT_BIT, ValueMap
from data.value_type import UINT8, UINT16, ValueType
from models import MODEL_OPTIONS
from options import parse_train
from tests.data.samples import training_datasets
from util.errors import UserError


class Decoded(Images):
    """Images that no file holds; read: the names asked for."""

    def __init__(self, images):
        self.images, self.asked = images, []

    def read(self, path):
        self.asked.append(path.name)
        return self.images[int(path.name)]


def domain_of(images, value_map):
    files = [ImageFile(Path(str(number)), str(number)) for number in range(len(images))]
    return Domain(files, Decoded(images), value_map, bands=1, clipped=False)


def use_of(images, value_map):
    return measure_range_use(domain_of(images, value_map))


# Two images which hold each count from 1,000 to 1,999 once.
RAMPS = np.arange(1000, 2000, dtype=np.uint16).reshape(2, 20, 25)


def test_shares_below_and_above_the_range():
    use = use_of(RAMPS, ValueMap(1100.0, 1949.0, UINT16))
    assert (use.below, use.above) == pytest.approx((0.1, 0.05))
    assert (use.largest, use.saturated) == (1999, pytest.approx(0.001))
    whole = use_of(RAMPS, ValueMap(1000.0, 1999.0, UINT16))
    assert (whole.below, whole.above, whole.used) == (0, 0, 1)
    wide = use_of(RAMPS, ValueMap(0.0, 9990.0, UINT16))
    assert (wide.low, wide.high, wide.used) == (1000, 1999, pytest.approx(0.1))


@pytest.mark.parametrize("unit", ["counts", "kelvin", "radiance"])
def test_shares_of_floats_are_those_of_counts(unit):
    kelvin = 280 + RAMPS.astype(np.float32) / 100  # 290 to 299.99
    kind = ValueType("float32", unit)
    use = use_of(kelvin, ValueMap(291.0 - 1e-4, 299.49 + 1e-4, kind))
    assert (use.below, use.above) == pytest.approx((0.1, 0.05))
    assert use.largest == pytest.approx(299.99) and use.saturated == pytest.approx(0.001)
    whole = use_of(kelvin, ValueMap(float(kelvin.min()), float(kelvin.max()), kind))
    assert (whole.below, whole.above) == (0, 0) and whole.used == pytest.approx(1)
    wide = use_of(kelvin, ValueMap(250.0, 350.0, kind))
    assert (wide.low, wide.high) == pytest.approx((290, 299.99), abs=100 / 2**14)
    assert wide.used == pytest.approx(0.0999, abs=1e-4)


def test_floats_far_beyond_a_range_do_not_look_saturated():
    image = np.linspace(0, 1000, 1000, dtype=np.float32).reshape(20, 50)
    use = use_of([image], ValueMap(1.0, 2.0, ValueType("float32")))
    assert use.saturated == pytest.approx(0.001) and use.above > 0.99


def test_a_saturated_value_is_the_largest_of_all_images():
    low, high = np.full((10, 10), 500, np.uint16), np.full((10, 10), 400, np.uint16)
    high[0] = 900
    use = use_of([low, high, low], ValueMap(0.0, 1000.0, UINT16))
    assert (use.largest, use.saturated) == (900, pytest.approx(10 / 300))


def test_a_few_dead_and_hot_pixels_do_not_hide_an_unused_range():
    image = np.full((200, 200), 5000, np.uint16)
    image[::2] = 6000
    image[0, 0], image[9, 9] = 0, 65535
    use = use_of([image], ValueMap(0.0, 65535.0, UINT16))
    assert (use.low, use.high) == (5000, 6000) and use.used == pytest.approx(1000 / 65535)
    (warning,) = range_warnings("B", use)
    assert "1.5 % of the value range, 5,000 to 6,000; a narrower --value_range_B" in warning


def test_a_large_set_is_sampled_over_its_whole_length(monkeypatch):
    monkeypatch.setattr("data.range_use.SAMPLED", 3)
    domain = domain_of(np.ones((8, 1, 1), np.uint8), EIGHT_BIT)
    measure_range_use(domain)
    assert sorted(domain.images.asked) == ["0", "3", "6"]


def test_other_depths_are_refused():
    with pytest.raises(UserError, match="16 bits"):
        use_of(RAMPS, EIGHT_BIT)


def test_colour_counts_all_bands():
    image = np.zeros((2, 2, 3), np.uint8)
    image[..., 0] = 255
    assert use_of([image], ValueMap(0.0, 200.0, UINT8)).above == pytest.approx(1 / 3)


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
@pytest.mark.parametrize("cache", ["ram", "none"])
def test_the_halves_of_a_side_by_side_image_are_measured_apart(tmp_path, write, direction, cache):
    dark = np.linspace(1000, 2000, 1600).astype(np.uint16).reshape(40, 40)
    bright = np.linspace(20000, 30000, 1600).astype(np.uint16).reshape(40, 40)
    write(tmp_path / "train" / "0.png", np.hstack([dark, bright]))
    flags = ["--model", "pix2pix", "--dataroot", str(tmp_path), "--direction", direction]
    config = parse_train([*flags, "--cache", cache], MODEL_OPTIONS)
    dataset, _ = training_datasets(config)
    uses = {role: measure_range_use(domain) for role, domain in dataset.domains.items()}
    left, right = ("A", "B") if direction == "AtoB" else ("B", "A")
    assert (uses[left].low, uses[left].high) == (1000, 2000)
    assert (uses[right].low, uses[right].high) == (20000, 30000)
    assert uses[left].used == pytest.approx(1000 / 29000)
    (warning,) = range_warnings(left, uses[left])
    assert "use 3.4 % of the value range, 1,000 to 2,000" in warning
    assert not list(range_warnings(right, uses[right]))


GOOD = {
    "below": 0.0,
    "above": 0.0,
    "saturated": 0.0,
    "used": 0.6,
    "largest": 9,
    "low": 1,
    "high": 9,
}


@pytest.mark.parametrize(
    ("role", "change", "words"),
    [
        ("B", {}, []),
        ("B", {"above": 0.032}, ["B: 3.2 % of the pixels lie above", "no translation reaches"]),
        ("A", {"below": 1e-6}, ["under 0.001 % below", "go in beyond [-1, 1]"]),
        ("A", {"saturated": 0.014}, ["A: 1.4 % of the pixels have the largest value of all, 9"]),
        ("A", {"used": 0.12}, ["use 12 % of the value range", "--value_range_A"]),
    ],
)
def test_warnings(role, change, words):
    lines = list(range_warnings(role, RangeUse(**GOOD | change)))
    assert len(lines) == bool(words)
    assert all(word in lines[0] for word in words)


def test_percentages_as_people_read_them():
    shares = (0, 1e-7, 0.000042, 0.0317, 0.5, 0.123, 0.987, 0.995, 0.9998, 1)
    words = "0 %|under 0.001 %|0.0042 %|3.2 %|50 %|12 %|99 %|99.5 %|99.98 %|100 %"
    assert "|".join(map(percent, shares)) == words


def test_pixels_at_and_beyond_the_ends():
    value_map = ValueMap(100.0, 300.0, UINT16)
    counts = np.array([[99, 100, 101, 200, 299, 300, 301, 400]], np.uint16)
    beyond, at_ends = (EndsTally(value_map, beyond=flag) for flag in (True, False))
    assert beyond.share == 0
    for _ in range(2):
        beyond.add(value_map.encode(counts))
        at_ends.add(value_map.encode(counts))
    assert (beyond.share, at_ends.share) == (3 / 8, 5 / 8)
    at_ends.add(torch.zeros(16))
    assert at_ends.share == 10 / 32


@pytest.mark.parametrize(("low", "high"), [(0.0, 1e-3), (290.0, 310.0)])
def test_pixels_at_and_beyond_the_ends_of_floats(low, high):
    """No count is as wide as the range of a radiance, nor half a kelvin at its end."""
    value_map = ValueMap(low, high, ValueType("float32"))
    shares = np.array([[-0.1, 0.0, 0.1, 0.5, 0.98, 1.0, 1.1, 1.5]], np.float32)
    images = value_map.encode(low + shares * (high - low))
    beyond, at_ends = (EndsTally(value_map, beyond=flag) for flag in (True, False))
    beyond.add(images)
    at_ends.add(images)
    assert (beyond.share, at_ends.share) == (3 / 8, 5 / 8)
