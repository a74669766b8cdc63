"""The report of an evaluation as one HTML file: table, plots and example images."""

from metrics.report.page import PACKAGES, write_report
from metrics.report.views import Example, SetView

__all__ = ["PACKAGES", "Example", "SetView", "write_report"]
