"""Means that say what they stand for."""

import math

import numpy as np
import pytest

from data.value_type import UINT8, UINT16
from metrics.measure import ImageValues
from metrics.summary import caveats, summarise, type_notes

INF, NAN = math.inf, math.nan


def rows(group="real_A_vs_fake_B", **columns):
    values = zip(*columns.values(), strict=True)
    return [
        ImageValues(f"image{i}", {group: dict(zip(columns, row, strict=True))}, {}, "")
        for i, row in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("values", "mean", "counts"),
    [
        ([1.0, 2.0, 6.0], 3.0, (3, 0, 0)),
        ([10.0, INF, 20.0], 15.0, (2, 1, 0)),
        ([0.5, NAN], 0.5, (1, 0, 1)),
        ([INF, INF], None, (0, 2, 0)),
        ([NAN], None, (0, 0, 1)),
    ],
)
def test_mean_over_finite_values_and_counts_of_the_others(values, mean, counts):
    summary = summarise(rows(psnr=values), "real_A_vs_fake_B")["psnr"]
    assert summary.mean == mean
    assert (summary.n, summary.infinite, summary.undefined) == counts


def test_the_interval_is_that_of_the_mean():
    """For many images it is close to mean ± 1.96 standard errors."""
    values = np.random.default_rng(0).normal(20, 3, 400)
    summary = summarise(rows(psnr=values), "real_A_vs_fake_B")["psnr"]
    error = values.std(ddof=1) / 20
    assert summary.ci95 == pytest.approx(
        [values.mean() - 1.96 * error, values.mean() + 1.96 * error], abs=0.15 * error
    )


@pytest.mark.parametrize("values", [[3.0], [3.0, NAN], [INF, INF]])
def test_fewer_than_two_values_have_no_interval(values):
    assert summarise(rows(psnr=values), "real_A_vs_fake_B")["psnr"].ci95 is None


def test_what_was_not_measured_is_absent():
    assert summarise(rows(psnr=[20.0, 30.0]), "real_A_vs_fake_B").keys() == {"psnr"}
    assert summarise(rows(psnr=[20.0]), "fake_B_vs_real_B") == {}


def test_images_that_a_group_leaves_out_do_not_count():
    """A real image that stands under several names is described once."""
    images = [*rows("real_B", noise=[1.0, 3.0]), ImageValues("again", {}, {}, "")]
    assert summarise(images, "real_B")["noise"].n == 2
    assert summarise(images, "real_B")["noise"].mean == 2


def test_infinite_and_undefined_values_are_said():
    summaries = summarise(rows(psnr=[INF, INF], cc=[NAN, 0.5]), "real_A_vs_fake_B")
    infinite, undefined = caveats("real_A_vs_fake_B", summaries)
    assert infinite.startswith("PSNR of real_A vs fake_B: 2 of 2 pairs are equal")
    assert undefined.startswith("CC of real_A vs fake_B: undefined for 1 of 2")


@pytest.mark.parametrize(
    ("types", "unmeasured"),
    [
        ({"real_A": UINT8, "fake_B": UINT8, "real_B": UINT8}, []),
        ({"real_A": UINT16, "fake_B": UINT16}, []),
        ({"real_A": UINT8, "fake_B": UINT16, "real_B": UINT16}, ["real_A vs fake_B"]),
        ({"real_A": UINT8, "fake_B": UINT8, "real_B": UINT16}, ["fake_B vs real_B"]),
        (
            {"real_A": UINT16, "fake_B": UINT8, "real_B": UINT16},
            ["fake_B vs real_B", "real_A vs fake_B"],
        ),
    ],
)
def test_a_sentence_for_each_comparison_across_depths(types, unmeasured):
    notes = list(type_notes(types))
    assert [note.split(" is not measured: ")[0] for note in notes] == unmeasured
    assert all("values of two types cannot be compared pixel by pixel" in note for note in notes)
