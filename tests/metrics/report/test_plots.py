"""The drawings: what they show, and that they can stand inside a page."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from data.value_map import Levels
from metrics.report import plots
from metrics.report.marks import REFERENCE, Mark, marks
from metrics.report.views import SetView
from metrics.values import Distance, Mean

FIRST, SECOND = (mark for mark, _ in zip(marks(), range(2), strict=False))
EMPTY = SetView("empty", {}, None, None, None, None, None)


def of_levels(histogram: np.ndarray) -> SetView:
    return replace(EMPTY, histogram=histogram, levels=Levels(len(histogram)))


def read(svg: str) -> ElementTree.Element:
    """The drawing as XML; a page needs no declaration of xlink."""
    return ElementTree.fromstring(svg.replace("<svg", '<svg xmlns:xlink="x"', 1))


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in read(svg).iter("text")]


def lines(svg: str, mark: Mark, *, width: str) -> list[np.ndarray]:
    """Points (n, 2) of the lines of a set, y to the top."""
    variable = plots.VARIABLES[mark.colour]
    found = [
        path.get("d")
        for path in read(svg).iter("path")
        if f"stroke: {variable}" in path.get("style", "") and f"width: {width}" in path.get("style")
    ]
    return [np.array(re.findall(r"[\d.]+", d), float).reshape(-1, 2) * (1, -1) for d in found]


def cell(mean: float | None, *, infinite: int = 0, undefined: int = 0) -> Mean:
    interval = None if mean is None else (mean - 1, mean + 1)
    return Mean(mean, interval, n=4, infinite=infinite, undefined=undefined)


def test_intervals_lie_where_the_values_are():
    svg = plots.interval_panel(
        [(FIRST, cell(10.0), None), (SECOND, cell(12.0), np.array([9.0, 12.0, 15.0, np.nan]))],
        cell(11.0),
        name="psnr",
    )
    (first,), (second,) = lines(svg, FIRST, width="2"), lines(svg, SECOND, width="2")
    scale = np.ptp(first[:, 0]) / 2  # units a count
    assert np.ptp(second[:, 0]) == pytest.approx(2 * scale, abs=0.3)
    assert second[:, 0].mean() - first[:, 0].mean() == pytest.approx(2 * scale, abs=0.3)
    assert first[0, 1] > second[0, 1], "the first set is on top"
    assert texts(svg)[-2:] == ["1", "2"]


def test_tiny_values_have_short_ticks():
    value = Distance(2.946e-7, None, (4, 9), None, biased=False)
    *ticks, _ = texts(plots.interval_panel([(FIRST, value, None)], None, name="coral"))
    assert ticks and all(len(tick) <= 7 for tick in ticks)
    assert all(2e-7 < float(tick.replace("−", "-")) < 4e-7 for tick in ticks)


def test_values_without_a_place_are_shown_as_signs():
    cells = [
        (FIRST, cell(None, infinite=4), None),
        (SECOND, None, None),
        (FIRST, cell(None, undefined=4), None),
        (SECOND, Distance(0.5, None, (4, 9), None, biased=False), None),
    ]
    found = texts(plots.interval_panel(cells, None, name="x"))
    assert found.count("∞") == 1 and found.count("–") == 2


def test_spectra_are_logarithmic_and_leave_out_the_mean():
    frequencies = np.array([0.0, 0.1, 0.2, 0.3])
    view = replace(EMPTY, frequencies=frequencies, spectrum=np.array([1e12, 1e4, 1e3, 1e2]))
    svg = plots.spectra([(FIRST, view), (SECOND, EMPTY)], name="spectra")
    ((left, middle, right),) = lines(svg, FIRST, width="1.4")
    np.testing.assert_allclose(middle, (left + right) / 2, atol=0.15)  # a straight line
    assert left[1] > right[1]
    assert plots.spectra([(FIRST, EMPTY)], name="spectra") is None


@pytest.mark.parametrize("count", [256, 65536])
def test_grey_levels_are_shares_of_the_pixels(count):
    many, few = np.zeros(count, np.int64), np.zeros(count, np.int64)
    many[100:200], few[100:200] = 3_000_000_000, 2
    sets = [(FIRST, of_levels(many)), (REFERENCE, of_levels(few))]
    svg = plots.grey_levels(sets, levels=Levels(count), name="levels")
    (one,), (other,) = lines(svg, FIRST, width="1.4"), lines(svg, REFERENCE, width="2.2")
    np.testing.assert_array_equal(one, other)
    assert np.ptp(one[:, 1]) == 0


def test_a_wide_histogram_is_binned():
    counts = np.zeros(65536, np.int64)
    counts[5000:25000:30] = 7  # as of an image of few levels that was stretched
    svg = plots.grey_levels([(FIRST, of_levels(counts))], levels=Levels(65536), name="x")
    (line,) = lines(svg, FIRST, width="1.4")
    assert 100 < len(np.unique(line[:, 0])) <= plots.GREY_BINS + 1


def test_a_single_grey_level_is_as_wide_as_its_bin():
    counts = np.zeros(256, np.int64)
    counts[[40, 42]] = 7
    svg = plots.grey_levels([(FIRST, of_levels(counts))], levels=Levels(256), name="x")
    (line,) = lines(svg, FIRST, width="1.4")
    left, right, next_left, next_right = line[:, 0]
    assert right - left == pytest.approx(next_left - right, abs=0.2)
    assert right - left == pytest.approx(next_right - next_left, abs=0.2)


def test_numbers_of_levels_are_found_apart():
    views = [of_levels(np.ones(n)) for n in (65536, 256, 256)]
    found = plots.kinds_of_levels([(FIRST, view) for view in (*views, EMPTY)])
    assert found == [Levels(256), Levels(65536)]


def test_every_point_of_a_scatter_is_there():
    rng = np.random.default_rng(0)
    points = [(FIRST, rng.normal(size=(1000, 2))), (SECOND, np.array([[0.0, 0.0]]))]
    svg = plots.scatter(points, axis_labels=("one", "two"), centres=True, name="pca")
    (dots,), (dot,) = lines(svg, FIRST, width="2.2"), lines(svg, SECOND, width="2.2")
    assert len(dots) == 2000 and len(dot) == 2, "a point is a line without length"
    np.testing.assert_array_equal(dots[::2], dots[1::2])
    drawn = np.polyfit(points[0][1][:, 0], dots[::2, 0], 1)
    np.testing.assert_allclose(np.polyval(drawn, points[0][1][:, 0]), dots[::2, 0], atol=0.1)
    assert texts(svg) == ["one", "two"]
    assert len(svg) < 100_000


def test_few_points_of_a_scatter_are_large():
    points = [(FIRST, np.eye(2)), (SECOND, 1 - np.eye(2))]
    svg = plots.scatter(points, axis_labels=("one", "two"), centres=False, name="pca")
    assert len(lines(svg, FIRST, width="5")) == len(lines(svg, SECOND, width="5")) == 1


def test_a_drawing_shares_nothing_with_other_drawings_and_asks_for_nothing():
    cells = [(FIRST, cell(10.0), None)]
    one = plots.interval_panel(cells, None, name="one")
    other = plots.interval_panel(cells, None, name="other")

    def ids(svg):
        return {element.get("id") for element in read(svg).iter() if element.get("id")}

    assert ids(one) and not ids(one) & ids(other)
    assert one == plots.interval_panel(cells, None, name="one"), "the same input, the same bytes"
    assert "http" not in one and "<style" not in one and "#1c1d1f" not in one
    used = set(re.findall(r'(?:url\(|href=")#(\w+)', one))
    assert used and used <= ids(one)
