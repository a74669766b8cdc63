"""The report of an evaluation as one HTML file: tables, scenes and plots."""

from metrics.report.page import PACKAGES, write_report
from metrics.report.views import Picture, Scene, SetView, Strip

__all__ = ["PACKAGES", "Picture", "Scene", "SetView", "Strip", "write_report"]
