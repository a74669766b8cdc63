"""Differences between rows on the images that they share."""

import numpy as np
import pytest

from data.value_type import UINT16
from metrics.differences import difference, differences_to, judged
from tests.metrics.samples import TARGET, row


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_a_constant_lead_has_an_interval_without_width(rng):
    """However wide the values themselves spread: that is what pairing is for."""
    values = rng.normal(20, 5, 30)
    found = difference(
        row("a", {"psnr": values + 1, "mae": values + 1}), row("b", {"psnr": values, "mae": values})
    )
    assert (found.row, found.baseline, found.images, found.recordings) == ("a", "b", 30, 30)
    psnr, mae = found.cells[TARGET]["psnr"], found.cells[TARGET]["mae"]
    assert psnr.mean == pytest.approx(1) and psnr.ci95 == pytest.approx([1, 1])
    assert (psnr.verdict, mae.verdict) == ("better", "worse")
    assert found.cells["fake_B"]["noise"].verdict == ""
    assert [name for name, better in judged(found.cells) if not better] == ["MAE"]


def test_the_interval_is_over_recordings(rng):
    """Ten recordings of ten equal frames are ten samples: 1.96 standard errors of their means."""
    of_recording = rng.normal(0, 1, 40)
    values = np.repeat(of_recording, 10)
    names = [f"video{i // 10}" for i in range(400)]
    zeros = {"psnr": np.zeros(400)}
    found = difference(row("a", {"psnr": values}, recordings=names), row("b", zeros))
    low, high = found.cells[TARGET]["psnr"].ci95
    assert found.recordings == 40
    assert high - low == pytest.approx(2 * 1.96 * of_recording.std() / 40**0.5, rel=0.1)
    alone = difference(row("a", {"psnr": values}), row("b", zeros)).cells[TARGET]["psnr"].ci95
    assert alone[1] - alone[0] < 0.5 * (high - low)
    assert found.cells[TARGET]["psnr"].verdict == ""


def test_one_recording_has_no_interval(rng):
    found = difference(
        row("a", {"psnr": rng.normal(9, 1, 6)}, recordings=["video"] * 6),
        row("b", {"psnr": np.zeros(6)}),
    )
    assert found.cells[TARGET]["psnr"].ci95 is None
    assert [name for name, better in judged(found.cells) if not better] == ["PSNR"]


def test_of_common_names_alone(rng):
    found = difference(row("a", {"psnr": np.arange(5.0)}), row("b", {"psnr": np.zeros(3)}))
    assert found.images == 3 and found.cells[TARGET]["psnr"].mean == 1


@pytest.mark.parametrize(
    "other",
    [
        {"scene": "another"},
        {"bits": UINT16},
        {"scene": "another", "origins": frozenset([("data", "train")])},
    ],
)
def test_rows_of_other_scenes_or_types_are_not_compared(other):
    ours = row("a", {"psnr": np.ones(3)}, origins=frozenset([("data", "test")]))
    assert difference(ours, row("b", {"psnr": np.ones(3)}, **other)) is None


@pytest.mark.parametrize("turned", [False, True])
def test_a_set_is_compared_with_what_was_made_of_it(turned):
    """As a simulator's images with their translations, which have no target in common."""
    source, made = row("a", {"psnr": np.ones(3)}), row("b", {"psnr": np.ones(3)}, scene="another")
    for image in made.values:
        image.contents["real_A"] = b"a"  # of all images of that row
    found = difference(*((source, made) if turned else (made, source)))
    assert list(found.cells) == ["fake_B"] and found.images == 3
    made.values[1].contents["real_A"] = b"of something else"
    assert difference(made, source) is None


def test_equal_images_have_no_difference(rng):
    a, b = np.array([np.inf, np.inf, 3.0]), np.array([np.inf, 2.0, 1.0])
    cell = difference(row("a", {"psnr": a}), row("b", {"psnr": b})).cells[TARGET]["psnr"]
    assert (cell.mean, cell.n, cell.infinite, cell.undefined) == (2.0, 1, 1, 1)


def test_random_targets_are_left_out():
    found = difference(
        row("a", {"psnr": np.ones(3)}, unpaired=True), row("b", {"psnr": np.ones(3)})
    )
    assert list(found.cells) == ["fake_B"]


def test_rows_are_compared_with_those_named_and_with_fitted_sensors_once():
    values = {"psnr": np.ones(3)}
    fit = row("fit", values, models=frozenset(["sensor_fit"]))
    rows = [row("a", values), fit, row("b", values)]
    pairs = [(f.row, f.baseline) for f in differences_to(rows, [])]
    assert pairs == [("a", "fit"), ("b", "fit")]
    pairs = [(f.row, f.baseline) for f in differences_to(rows, ["b"])]
    assert pairs == [("a", "fit"), ("b", "fit"), ("a", "b")]
