"""What a classifier is worth on images that were held out, beside baselines without learning."""

from metrics.classifier_report.aim import Aim
from metrics.classifier_report.report import (
    ClassifierReport,
    Contender,
    HeldOutImages,
    report_of,
)
from metrics.classifier_report.texts import markdown, plain, sentences, terminal

__all__ = [
    "Aim",
    "ClassifierReport",
    "Contender",
    "HeldOutImages",
    "markdown",
    "plain",
    "report_of",
    "sentences",
    "terminal",
]
