"""Samples that percentiles are taken of; the rest is tested through prepare_dsiac.py."""

import numpy as np
import pytest

from datasets.windows import MOST_FRAMES, Window, sample


def frame(number: int) -> np.ndarray:
    return np.arange(600, dtype=np.uint16).reshape(20, 30) + 1000 * number


def test_a_short_recording_is_sampled_whole():
    values = sample([1, 4, 7], frame, most=1800)
    assert values.dtype == np.uint16
    expected = np.concatenate([frame(number).ravel() for number in (1, 4, 7)])
    np.testing.assert_array_equal(values, expected)


def test_a_long_recording_is_sampled_evenly_and_always_alike():
    numbers = range(1, 64, 2)
    values = sample(numbers, frame, most=1600)
    assert values.size == 1600
    assert np.array_equal(np.unique(values // 1000), numbers)
    np.testing.assert_array_equal(values, sample(numbers, frame, most=1600))
    # All parts of a frame are drawn from.
    assert np.unique(values % 1000 // 100).size == 6


def test_a_very_long_recording_gives_some_of_its_frames():
    asked = []

    def image(number: int) -> np.ndarray:
        asked.append(number)
        return np.full((20, 30), number)

    values = sample(range(1, 100_001), image, most=6400)
    assert values.size == 6400
    assert len(set(asked)) == MOST_FRAMES
    assert (min(asked), max(asked)) == (1, 100_000)
    assert np.percentile(values, 50) == pytest.approx(50_000, rel=0.02)


@pytest.mark.parametrize(("bits", "top"), [(8, 255), (16, 65535)])
def test_the_ends_of_a_window_are_the_ends_of_the_depth(bits, top):
    image = np.array([[99.0, 100.0, 150.0, 200.0, 1e9]])
    levels = Window(100, 200).apply(image, bits=bits)
    assert levels.dtype.itemsize * 8 == bits
    assert levels.tolist() == [[0, 0, round(top / 2), top, top]]
    assert Window(100, 200).clipped(image) == (0.2, 0.2)
