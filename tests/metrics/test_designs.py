"""Results over training seeds."""

import math

import numpy as np
import pytest
from scipy import stats

from metrics.designs import Designs, designs_of
from metrics.values import Distance
from tests.metrics.samples import TARGET, row

FITTED = {"models": frozenset(["sensor_fit"])}


def training(name, psnr, **facts):
    """Of two images, whose mean is `psnr`."""
    return row(name, {"psnr": np.array([psnr - 1.0, psnr + 1])}, **facts)


def distance(value, *, n=(2, 2), biased=False):
    return Distance(value, None, n, None, biased)


def by_names(designs):
    return {(found.row, found.baseline): found for found in designs.differences}


def test_the_mean_is_over_trainings_and_its_interval_is_students():
    values = [20.0, 21.0, 25.0]
    rows = [training(f"a, seed {seed}", value) for seed, value in enumerate(values)]
    (found,) = designs_of(rows, []).means
    assert (found.name, found.rows) == ("a", ["a, seed 0", "a, seed 1", "a, seed 2"])
    cell = found.cells[TARGET]["psnr"]
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (cell.mean, cell.n) == (22.0, 3) and cell.ci95 == pytest.approx(tuple(expected))
    assert found.cells["fake_B"]["noise"].ci95 == (0.5, 0.5)


def test_distances_of_sets_have_means_that_stay_biased():
    values = [10.0, 14.0]
    rows = [
        training(
            f"a, seed {seed}", 20, distances={"fid": distance(v, biased=True), "kid": distance(v)}
        )
        for seed, v in enumerate(values)
    ]
    cells = designs_of(rows, []).means[0].cells["sets"]
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    for key, biased in (("fid", True), ("kid", False)):
        assert cells[key].mean == 12 and cells[key].biased == biased
        assert cells[key].ci95 == pytest.approx(tuple(expected))


def test_rows_of_no_design_stand_beside_as_they_are():
    names = ["simulator", "b, seed 1", "a, seed 1", "b, seed 2", "c, seed x"]
    rows = [training(name, place) for place, name in enumerate(names)]
    found = designs_of(rows, [])
    assert [d.name for d in found.means] == ["simulator", "b", "a, seed 1", "c, seed x"]
    assert [d.cells[TARGET]["psnr"].mean for d in found.means] == [0, 2, 2, 4]
    assert [d.cells[TARGET]["psnr"].ci95 is None for d in found.means] == [True, False, True, True]
    assert found.trained == {"b, seed 1", "b, seed 2"}


def test_without_two_trainings_of_a_design_there_are_none():
    rows = [training(name, 1) for name in ("a, seed 1", "b, seed 1", "fit")]
    assert designs_of(rows, ["fit"]) == Designs()


def test_two_designs_are_paired_by_seed():
    """Seeds that are hard for both spread the means, and not the differences."""
    ours, theirs = [21.0, 31.5, 12.0], [20.0, 30.0, 10.0]
    rows = [training(f"b, seed {s}", theirs[s]) for s in (2, 0, 1)]
    rows += [training(f"a, seed {s}", ours[s]) for s in range(3)]
    found = by_names(designs_of(rows, ["b"]))["a", "b"]
    assert found.pairs == [(f"a, seed {s}", f"b, seed {s}") for s in range(3)]
    cell = found.cells[TARGET]["psnr"]
    expected = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert cell.mean == pytest.approx(1.5) and cell.ci95 == pytest.approx(tuple(expected))
    assert cell.verdict == "better" and found.cells["fake_B"]["noise"].verdict == ""


def test_only_seeds_that_both_have_are_paired():
    rows = [training(f"a, seed {s}", 10 + s) for s in (1, 2, 3)]
    rows += [training(f"b, seed {s}", 8 - s) for s in (2, 3, 4)]
    rows += [training(f"c, seed {s}", 8) for s in (3, 5)] + [
        training(f"d, seed {s}", 8) for s in "67"
    ]
    found = by_names(designs_of(rows, ["a"]))
    assert found["b", "a"].pairs == [(f"b, seed {s}", f"a, seed {s}") for s in (2, 3)]
    assert found["b", "a"].cells[TARGET]["psnr"].mean == pytest.approx(-7)
    one = found["c", "a"].cells[TARGET]["psnr"]
    assert (one.mean, one.n, one.ci95, one.verdict) == (-5, 1, None, "")
    assert ("d", "a") not in found


def test_a_design_is_compared_with_a_row_and_always_with_a_fitted_sensor():
    values = [20.0, 21.0, 25.0]
    rows = [training("fit", 15.0, **FITTED), training("old", 30.0)]
    rows += [training(f"a, seed {seed}", value) for seed, value in enumerate(values)]
    assert list(by_names(designs_of(rows, []))) == [("a", "fit")]
    found = by_names(designs_of(rows, ["old"]))
    assert list(found) == [("a", "fit"), ("a", "old")], "two rows are not compared here"
    assert found["a", "fit"].pairs == [(f"a, seed {s}", "fit") for s in range(3)]
    for baseline, value, verdict in (("fit", 15, "better"), ("old", 30, "worse")):
        cell = found["a", baseline].cells[TARGET]["psnr"]
        expected = stats.ttest_1samp(values, value).confidence_interval(0.95)
        assert cell.ci95 == pytest.approx((expected.low - value, expected.high - value))
        assert cell.verdict == verdict


def test_rows_are_compared_with_a_design_and_other_designs_with_one_training():
    rows = [training(f"{name}, seed {seed}", 10 * seed) for name in "ab" for seed in (1, 2)]
    rows.append(training("old", 15))
    found = by_names(designs_of(rows, ["a", "b, seed 1"]))
    assert list(found) == [("b", "a"), ("old", "a"), ("a", "b, seed 1")]
    assert found["old", "a"].pairs == [("old", "a, seed 1"), ("old", "a, seed 2")]
    assert found["old", "a"].cells[TARGET]["psnr"].mean == pytest.approx(0)
    assert found["a", "b, seed 1"].cells[TARGET]["psnr"].mean == pytest.approx(5)


def test_distances_of_sets_are_compared_too():
    """KID below 0 is 0 by chance; biased values of other numbers of images are not compared."""

    def rows(name, kids, **fid):
        cells = [{"kid": distance(kid), "fid": distance(9, biased=True, **fid)} for kid in kids]
        return [training(f"{name}, seed {s}", 1, distances=c) for s, c in enumerate(cells)]

    sets = [*rows("a", [0.25, 0.5]), *rows("b", [-0.5, 0.0]), *rows("c", [-0.25, 0], n=(3, 2))]
    found = by_names(designs_of(sets, ["a", "b"]))
    kid = found["b", "a"].cells["sets"]["kid"]
    expected = stats.ttest_rel([0, 0], [0.25, 0.5]).confidence_interval(0.95)
    assert kid.mean == pytest.approx(-0.375) and kid.ci95 == pytest.approx(tuple(expected))
    assert found["b", "a"].cells["sets"]["fid"].mean == 0
    cells = found["c", "b"].cells["sets"]
    assert (cells["kid"].ci95, cells["kid"].verdict) == ((0, 0), "") and "fid" not in cells


def test_trainings_of_other_scenes_are_not_compared():
    rows = [training(f"a, seed {s}", 1) for s in (1, 2)]
    rows += [training(f"b, seed {s}", 1, scene="another") for s in (1, 2)]
    assert designs_of(rows, ["a"]).differences == []


def test_a_training_without_a_value_is_counted_and_left_out_of_the_mean():
    """One is equal to its targets, and one was not measured."""
    rows = [training(f"a, seed {s}", value) for s, value in enumerate([3.0, 5.0, math.inf])]
    rows.append(row("a, seed 3", {"mae": np.ones(2)}))
    cell = designs_of(rows, []).means[0].cells[TARGET]["psnr"]
    assert (cell.mean, cell.n, cell.infinite, cell.undefined) == (4, 2, 1, 1)
    expected = stats.ttest_1samp([3, 5], 0).confidence_interval(0.95)
    assert cell.ci95 == pytest.approx(tuple(expected))
