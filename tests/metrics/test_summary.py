"""Means that say what they stand for."""

import csv
import io
import math

import pytest

from metrics.measure import ImageValues
from metrics.summary import caveats, depth_notes, format_csv, format_table, means_of, summarise

INF, NAN = math.inf, math.nan


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
    summary = summarise(values)
    assert summary["mean"] == mean
    assert (summary["n"], summary["infinite"], summary["undefined"]) == counts


def row(name, **metrics):
    return ImageValues(name, {"real_A_vs_fake_B": metrics}, None)


def test_what_was_not_measured_is_none_and_a_dash():
    means = means_of([row("x", psnr=20.0, ssim=0.5), row("y", psnr=30.0, ssim=0.7)])
    assert means["fake_B_vs_real_B"] is None
    assert means["real_A_vs_fake_B"]["gcss"] is None
    assert means["real_A_vs_fake_B"]["psnr"]["mean"] == 25
    header, without_targets, measured = format_table(means, n=2).splitlines()
    assert "PSNR [dB]" in header and "CAM cosine" in header
    assert set(without_targets.removeprefix("fake_B vs real_B").split()) == {"-"}
    assert " ".join(measured.split()) == "real_A vs fake_B 2 25.0000 0.6000 - - -"


def test_infinite_and_undefined_values_are_said():
    values = {"ssim": 1.0, "cam_cosine": 1.0, "gcss": 1.0}
    means = means_of([row("x", psnr=INF, cc=NAN, **values), row("y", psnr=INF, cc=0.5, **values)])
    assert " inf " in format_table(means, n=2)
    infinite, undefined = caveats(means)
    assert infinite.startswith("PSNR of real_A vs fake_B: 2 of 2 pairs are equal")
    assert undefined.startswith("CC of real_A vs fake_B: undefined for 1 of 2")


@pytest.mark.parametrize(
    ("bits", "unmeasured"),
    [
        ({"real_A": 8, "fake_B": 8, "real_B": 8}, []),
        ({"real_A": 16, "fake_B": 16}, []),
        ({"real_A": 8, "fake_B": 16, "real_B": 16}, ["real_A vs fake_B"]),
        ({"real_A": 8, "fake_B": 8, "real_B": 16}, ["fake_B vs real_B"]),
        ({"real_A": 16, "fake_B": 8, "real_B": 16}, ["fake_B vs real_B", "real_A vs fake_B"]),
    ],
)
def test_a_sentence_for_each_comparison_across_depths(bits, unmeasured):
    notes = list(depth_notes(bits))
    assert [note.split(" is not measured: ")[0] for note in notes] == unmeasured
    assert all("8 and 16 bits cannot be compared pixel by pixel" in note for note in notes)


def test_csv_has_a_row_each_image_and_always_the_same_columns():
    text = format_csv([row("a,b/x", psnr=INF, ssim=1 / 3), row("y", psnr=NAN, ssim=0.0)])
    first, second = csv.DictReader(io.StringIO(text))
    assert first["image"] == "a,b/x"
    assert float(first["real_A_vs_fake_B_psnr"]) == INF
    assert float(first["real_A_vs_fake_B_ssim"]) == 1 / 3
    assert math.isnan(float(second["real_A_vs_fake_B_psnr"]))
    assert first["fake_B_vs_real_B_psnr"] == first["real_A_vs_fake_B_gcss"] == ""
    assert len(first) == 1 + 2 * 5
