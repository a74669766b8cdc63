"""Numbers as people read them, in every table and on every page."""

import math

from metrics.metric_properties import Metric

SMALLEST = 1e-4  # below this, zeros would hide the digits


def format_value(metric: Metric, value: float | None) -> str:
    """A value of a metric to the digits that mean something: "16.23", "12,346", "1.200e-5".

    Plain ASCII, for terminals of any kind: "-" for None (not measured), "undefined" for NaN, "inf".
    Digits before the point are all kept.
    """
    if value is None:
        return "-"
    if math.isnan(value):
        return "undefined"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if metric.decimals is not None:
        text = f"{value:,.{metric.decimals}f}"
    else:
        text = _significant(value, metric.significant)
    return text if any(digit in text for digit in "123456789") else text.removeprefix("-")


def format_difference(metric: Metric, value: float | None) -> str:
    """As `format_value`, with the sign of what is more than 0: "+0.52"."""
    text = format_value(metric, value)
    return f"+{text}" if value is not None and value > 0 else text


def format_deviation(value: float) -> str:
    """A standard deviation, to the two digits that are known of it: "0.0031"."""
    return _significant(value, 2)


def _significant(value: float, digits: int) -> str:
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")  # rounded: 9.996 counts as 10.00
    if value and abs(value) < SMALLEST:
        return f"{mantissa}e{int(exponent)}"
    return f"{value:,.{max(0, digits - 1 - int(exponent))}f}"
