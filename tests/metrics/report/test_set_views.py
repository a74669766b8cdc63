"""Values and curves of measured sets as a whole."""

import numpy as np
import torch

from metrics.instruments import Instruments
from metrics.judge import Judge
from metrics.measured_sets import Evaluation
from metrics.report.set_views import reference_view, set_views
from metrics.sets import find_results
from models.networks.classifiers import ResNet18Classifier
from tests.metrics.report.test_scenes import SIZE, write_results


def test_curves_and_values_are_those_that_were_measured(tmp_path):
    evaluation = Evaluation(Instruments(torch.device("cpu")), None)
    rows = [evaluation.measure(find_results(write_results(tmp_path, "abcdefgh")))]
    (view,) = set_views(rows)
    reference = reference_view(evaluation.reference(rows), rows)
    assert np.allclose(
        view.values["fake_B_vs_real_B_psnr"],
        [value.values["fake_B_vs_real_B"]["psnr"] for value in rows[0].values],
    )
    assert view.histogram.sum() == reference.histogram.sum() == 8 * SIZE[0] * SIZE[1]
    assert view.spectrum.shape == view.frequencies.shape
    assert reference.values.keys() == {"noise"}
    assert view.features is None


def test_features_are_those_of_the_judge(tmp_path):
    judge = Judge(ResNet18Classifier(classes=("a", "b")).requires_grad_(False).eval())
    evaluation = Evaluation(Instruments(torch.device("cpu"), judge=judge), None)
    rows = [evaluation.measure(find_results(write_results(tmp_path, "ab")))]
    assert set_views(rows)[0].features.shape == (2, 512)
