"""Which displays a run has, and what they need."""

import sys

import pytest

import train
from options import DisplayOptions
from training.displays import open_displays, require_packages
from util.errors import UserError

NEEDS = [
    ("matplotlib", {}, r"--no_html leaves out.*`pip install matplotlib`"),
    ("visdom", {"display_id": 1}, r"--display_id 1 .*`pip install .*requirements-visdom\.txt`"),
    ("tensorboard", {"tensorboard": True}, r"--tensorboard .*`pip install tensorboard`"),
]


@pytest.mark.parametrize(("package", "flags", "words"), NEEDS, ids=[need[0] for need in NEEDS])
def test_a_missing_package_matters_to_its_display_alone(package, flags, words, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=words):
        require_packages(DisplayOptions(**flags))
    require_packages(DisplayOptions(no_html=True))


def test_a_missing_package_is_noticed_before_anything_else(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    places = ["--dataroot", str(tmp_path / "none"), "--checkpoints_dir", str(tmp_path / "runs")]
    with pytest.raises(UserError, match="needs the package tensorboard"):
        train.main([*places, "--gpu_ids", "-1", "--tensorboard"])
    assert not (tmp_path / "runs" / "experiment_name" / "run.json").exists()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({}, ["the training page"]),
        ({"no_html": True}, []),
        ({"tensorboard": True}, ["the training page", "TensorBoard"]),
        ({"no_html": True, "display_id": 1}, ["visdom"]),
        ({"no_html": True, "display_id": -1}, []),
    ],
)
def test_flags_choose_the_displays(flags, expected, tmp_path):
    if "display_id" in flags:
        pytest.importorskip("visdom")
    if "tensorboard" in flags:
        pytest.importorskip("tensorboard")
    kinds = ("losses", "validation", "samples")
    found = open_displays(
        DisplayOptions(**flags),
        tmp_path,
        run="run",
        facts={},
        details={},
        logs={kind: tmp_path / kind for kind in kinds[:2]},
        resume_steps=dict.fromkeys(kinds),
        images_behind=0,
    )
    assert [display.name for display in found] == expected
    for display in found:
        display.close()
