"""Images of the benchmarks: the same each time, and of a camera's counts at 16 bits."""

import numpy as np

from benchmarks.scenes import at_depth, make_pairs


def test_more_pairs_begin_with_the_same_ones():
    for few, many in zip(make_pairs(1, 16), make_pairs(3, 16), strict=True):
        assert few.dtype == np.uint8 and many.shape == (3, 16, 16)
        np.testing.assert_array_equal(few[0], many[0])


def test_counts_of_16_bits_fill_a_part_of_their_range():
    levels = np.array([[0, 255]], np.uint8)
    assert at_depth(levels, 8) is levels
    counts = at_depth(levels, 16)
    assert counts.dtype == np.uint16 and counts.tolist() == [[4096, 4096 + 64 * 255]]
