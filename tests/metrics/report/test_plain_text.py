"""Numbers as people read them."""

import math

import pytest

from metrics.metric_properties import METRICS
from metrics.report.plain_text import format_deviation, format_value


@pytest.mark.parametrize("key", METRICS)
def test_every_metric_has_its_digits(key):
    assert format_value(METRICS[key], 0.5).startswith("0.5")
    assert format_value(METRICS[key], None) == "-"
    assert format_value(METRICS[key], math.nan) == "undefined"
    assert format_value(METRICS[key], math.inf) == "inf"
    assert format_value(METRICS[key], -math.inf) == "-inf"


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("psnr", 16.2305, "16.23"),
        ("psnr", 8.0, "8.00"),
        ("ssim", 0.64551, "0.6455"),
        ("ssim", -0.00004, "0.0000"),  # not "-0.0000"
        ("cc", -0.12345, "-0.1235"),
        ("pointing", 0.875, "0.875"),
        ("mae", 4.0, "4.00"),
        ("mae", 0.01234, "0.0123"),
        ("mae", 12345.6, "12,346"),  # no digit before the point is rounded away
        ("noise", 15.96, "16.0"),
        ("contrast", -31.25, "-31.2"),
        ("contrast", 0.0, "0.00"),
        ("fid", 180.34, "180.3"),
        ("fid", 9.99996, "10.00"),
        ("kid", 0.0123456, "0.01235"),
        ("kid", -0.00123, "-0.001230"),
        ("kid", 0.0, "0.000"),
        ("coral", 0.000031234, "3.123e-5"),
        ("mmd", 1.5e-12, "1.500e-12"),
    ],
)
def test_values_have_the_digits_that_mean_something(key, value, text):
    assert format_value(METRICS[key], value) == text


def test_formatted_values_are_ascii():
    values = (None, math.nan, math.inf, -1.5, 1e-9, 1e9)
    assert all(format_value(METRICS["kid"], value).isascii() for value in values)


@pytest.mark.parametrize(("value", "text"), [(0.00312, "0.0031"), (0, "0.0"), (12.7, "13")])
def test_a_deviation_has_two_digits(value, text):
    assert format_deviation(value) == text
