"""The curves of a log: its values, in few points, drawn."""

import math
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from training.loss_curves import MOST_POINTS, read_curves
from training.loss_log import LossLog


@pytest.fixture
def log(tmp_path):
    """log(rows): a file with these values, a row every ten steps."""

    def write(rows):
        found = LossLog(tmp_path / "loss_log.csv")
        for number, values in enumerate(rows, start=1):
            found.append(1 + number // 4, 10 * number, values)
        return found.path

    return write


def test_short_logs_are_drawn_row_by_row(log):
    rows = [{"lr": 2e-4, "seconds_per_step": 0.1, "G": g, "D": -g} for g in (3.0, 1.0, 2.0)]
    first, second = read_curves(log(rows))
    assert (first.name, second.name) == ("G", "D")  # neither rate nor clock
    assert first.steps.tolist() == [10, 20, 30]
    for values in (first.means, first.least, first.greatest):
        assert values.tolist() == [3, 1, 2]
    assert second.means.tolist() == [-3, -1, -2]


def test_long_logs_become_means_with_their_ends(log):
    values = np.random.default_rng(0).normal(size=4 * MOST_POINTS)
    (curve,) = read_curves(log([{"G": value} for value in values]))
    parts = values.reshape(MOST_POINTS, 4)
    np.testing.assert_allclose(curve.means, parts.mean(1), rtol=1e-7)
    np.testing.assert_allclose(curve.least, parts.min(1), rtol=1e-7)
    np.testing.assert_allclose(curve.greatest, parts.max(1), rtol=1e-7)
    assert curve.steps.tolist() == list(range(40, 40 * MOST_POINTS + 1, 40))


def test_what_is_not_finite_is_a_gap(log):
    (curve,) = read_curves(log([{"G": value} for value in (1.0, math.nan, math.inf, 4.0)]))
    np.testing.assert_array_equal(curve.means, [1, math.nan, math.nan, 4])


@pytest.mark.parametrize("rows", [[], [{"G": 1.0}]])
def test_nothing_to_draw(log, tmp_path, rows):
    assert read_curves(log(rows)) == []
    assert read_curves(tmp_path / "none.csv") == []


@pytest.mark.parametrize("line", ["1,20,x", "1,20", "1,20,\udcff"])
def test_an_altered_log_has_no_curves(log, line):
    path = log([{"G": 1.0}] * 3)
    text = path.read_text() + line + "\n"
    path.write_bytes(text.encode(errors="surrogateescape"))
    assert read_curves(path) == []


@pytest.mark.parametrize("values", [(1.0, 2.0), (math.nan, math.nan), (5.0, 5.0), (1e-9, 1e12)])
def test_a_drawing_is_svg_in_the_colours_of_the_page(log, values):
    (curve,) = read_curves(log([{'<b> & "G"': value} for value in values]))
    svg = curve.to_svg()
    ElementTree.fromstring(svg.replace("xlink:href", "href"))
    assert "var(--accent)" in svg and "#b4451f" not in svg and "http" not in svg
