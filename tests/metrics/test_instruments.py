"""What an evaluation measures with: which classifier may judge what."""

import pytest
import torch

from metrics.instruments import load_instruments
from models.networks.classifiers import ResNet18Classifier
from options import EvaluateOptions
from util.errors import UserError


def test_a_classifier_of_chips_judges_chips_alone(tmp_path):
    for view in ("frame", "chip"):
        made = ResNet18Classifier(classes=("a", "b"), view=view)
        torch.save(made.export(), tmp_path / f"{view}.pth")
    frame, chip = str(tmp_path / "frame.pth"), str(tmp_path / "chip.pth")
    found = load_instruments(
        EvaluateOptions(classifier=frame, chip_classifier=chip), torch.device("cpu")
    )
    assert (found.judge.classifier.view, found.chip_judge.classifier.view) == ("frame", "chip")
    with pytest.raises(UserError, match=r"--classifier .*chip\.pth was trained on chips"):
        load_instruments(EvaluateOptions(classifier=chip), torch.device("cpu"))
