"""Shares of pixels and of the range, on images whose shares are known."""

import numpy as np
import pytest
import torch

from data.range_use import EndsTally, RangeUse, measure_range_use, percent, range_warnings
from data.value_map import EIGHT_BIT, ValueMap
from util.errors import UserError


@pytest.fixture
def ramps(tmp_path, write):
    """Two images which hold each count from 1,000 to 1,999 once."""
    counts = np.arange(1000, 2000, dtype=np.uint16).reshape(2, 20, 25)
    return [write(tmp_path / f"{i}.png", image) for i, image in enumerate(counts)]


def test_shares_below_and_above_the_range(ramps):
    use = measure_range_use(ramps, ValueMap(1100.0, 1949.0, 16))
    assert (use.below, use.above) == pytest.approx((0.1, 0.05))
    assert (use.largest, use.saturated) == (1999, pytest.approx(0.001))
    whole = measure_range_use(ramps, ValueMap(1000.0, 1999.0, 16))
    assert (whole.below, whole.above, whole.used) == (0, 0, 1)
    wide = measure_range_use(ramps, ValueMap(0.0, 9990.0, 16))
    assert (wide.low, wide.high, wide.used) == (1000, 1999, pytest.approx(0.1))


def test_a_few_dead_and_hot_pixels_do_not_hide_an_unused_range(tmp_path, write):
    image = np.full((200, 200), 5000, np.uint16)
    image[::2] = 6000
    image[0, 0], image[9, 9] = 0, 65535
    use = measure_range_use([write(tmp_path / "x.png", image)], ValueMap(0.0, 65535.0, 16))
    assert (use.low, use.high) == (5000, 6000) and use.used == pytest.approx(1000 / 65535)
    (warning,) = range_warnings("B", use)
    assert "1.5 % of the value range, 5,000 to 6,000; a narrower --value_range_B" in warning


def test_a_large_set_is_sampled_over_its_whole_length(ramps, monkeypatch):
    monkeypatch.setattr("data.range_use.SAMPLED", 3)
    read = []
    monkeypatch.setattr(
        "data.range_use.read_depth", lambda path, bits: read.append(path) or np.ones(1, np.uint8)
    )
    measure_range_use([f"{i}.png" for i in range(8)], EIGHT_BIT)
    assert sorted(read) == ["0.png", "3.png", "6.png"]


def test_other_depths_are_refused(ramps):
    with pytest.raises(UserError, match="16 bits"):
        measure_range_use(ramps, EIGHT_BIT)


def test_colour_counts_all_bands(tmp_path, write):
    image = np.zeros((2, 2, 3), np.uint8)
    image[..., 0] = 255
    use = measure_range_use([write(tmp_path / "x.png", image)], ValueMap(0.0, 200.0, 8))
    assert use.above == pytest.approx(1 / 3)


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
        ("A", {"saturated": 0.014}, ["A: 1.4 % of the pixels have the largest count of all, 9"]),
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
    value_map = ValueMap(100.0, 300.0, 16)
    counts = np.array([[99, 100, 101, 200, 299, 300, 301, 400]], np.uint16)
    beyond, at_ends = (EndsTally(value_map, beyond=flag) for flag in (True, False))
    assert beyond.share == 0
    for _ in range(2):
        beyond.add(value_map.encode(counts))
        at_ends.add(value_map.encode(counts))
    assert (beyond.share, at_ends.share) == (3 / 8, 5 / 8)
    at_ends.add(torch.zeros(16))
    assert at_ends.share == 10 / 32
