"""Which columns a table has, and which rows are best in each."""

import math

import pytest

from metrics import IMAGE_METRICS, PAIR_METRICS, SET_METRICS
from metrics.report.columns import Column, best_rows, measured_columns, number_of

SSIM = Column("fake_B_vs_real_B", "ssim", PAIR_METRICS["ssim"])
FID = Column("sets", "fid", SET_METRICS["fid"])
NOISE = Column("fake_B", "noise", IMAGE_METRICS["noise"])


def means(column: Column, *values: float | None, real: float | None = None) -> dict:
    """A report with one column: a row named 0, 1, ... for each value; inf counts as infinite."""

    def cell(value):
        if value is None:
            return None
        finite = value if math.isfinite(value) else None
        return {"mean": finite, "infinite": 3 if value == math.inf else 0}

    rows = {str(i): {column.group: {column.key: cell(value)}} for i, value in enumerate(values)}
    reference = None if real is None else {"images": {column.key: cell(real)}}
    return {"rows": rows, "reference": reference}


def test_columns_without_a_measurement_are_dropped_and_groups_have_their_order(report):
    found = [(column.group, column.key) for column in measured_columns(report)]
    assert found == [
        ("fake_B_vs_real_B", "psnr"),
        ("fake_B_vs_real_B", "ssim"),
        ("real_A_vs_fake_B", "psnr"),
        ("sets", "fid"),
        ("sets", "kid"),
        ("fake_B", "noise"),
    ]


def test_what_only_the_real_images_have_is_a_column():
    assert list(measured_columns(means(NOISE, None, real=4.0))) == [NOISE]
    assert list(measured_columns(means(NOISE, None))) == []


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        (None, None),
        ({"mean": 3.5, "infinite": 2}, 3.5),
        ({"mean": None, "infinite": 2}, math.inf),
        ({"value": 0.0}, 0.0),
    ],
)
def test_the_number_of_a_cell(cell, number):
    assert number_of(cell) == number


def test_a_cell_without_any_defined_value_is_not_a_number():
    assert math.isnan(number_of({"mean": None, "infinite": 0, "undefined": 5}))
    assert math.isnan(number_of({"value": None}))


@pytest.mark.parametrize(
    ("column", "values", "real", "best"),
    [
        (SSIM, (0.5, 0.7, 0.6), None, {"1"}),
        (FID, (50.0, 70.0, 60.0), None, {"0"}),
        (NOISE, (1.0, 4.5, 9.0), 5.0, {"1"}),
        (NOISE, (1.0, 6.5, 9.0, 3.5), 5.0, {"1", "3"}),  # on either side of the real images
        (NOISE, (1.0, 4.5), None, set()),  # near to what?
        (SSIM, (0.5, None, math.nan, 0.6), None, {"3"}),
        (SSIM, (0.5, math.inf), None, {"1"}),
        (SSIM, (0.7, 0.7, 0.6), None, {"0", "1"}),
        (SSIM, (0.7, 0.7), None, set()),  # no one is better
        (SSIM, (0.7,), None, set()),
        (SSIM, (None, math.nan), None, set()),
        (SSIM, (), None, set()),
    ],
)
def test_the_best_of_a_column_follows_its_direction(column, values, real, best):
    assert best_rows(means(column, *values, real=real), column) == best
