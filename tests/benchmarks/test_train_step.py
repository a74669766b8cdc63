"""The benchmark of training steps runs, and times another checkout beside ours."""

import importlib
import json
import textwrap

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks import train_step
from benchmarks.train_step import main
from benchmarks.workers.protocol import HERE as WORKERS
from util.errors import UserError

TINY = ["--sizes", "64", "--steps", "2", "--warm_up", "1", "--device", "cpu", "--threads", "1"]


@pytest.fixture
def checkout(tmp_path):
    """Other code with the interface of CUT's: packages `models` and `options`."""
    files = {
        "options/__init__.py": "",
        "options/train_options.py": """
            import sys
            class TrainOptions:
                def parse(self):
                    print("options")  # not an answer to the benchmark
                    return sys.argv
        """,
        "models/__init__.py": """
            class Model:
                def data_dependent_initialize(self, data):
                    assert data["A"].shape == data["B"].shape == (1, 1, 64, 64)
                def setup(self, options):
                    assert "cut" in options
                def parallelize(self):
                    pass
                def set_input(self, data):
                    pass
                def optimize_parameters(self):
                    pass
            def create_model(options):
                return Model()
        """,
    }
    for name, text in files.items():
        path = tmp_path / "checkout" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return tmp_path / "checkout"


def test_it_counts_what_a_step_does(tmp_path, capsys):
    out = tmp_path / "steps.json"
    main([*TINY, "--models", "classifier", "--precisions", "fp32", "bf16", "--out", str(out)])
    rows = json.loads(out.read_text())["steps"]
    assert [row["precision"] for row in rows] == ["fp32", "bf16"]
    assert [len(row["seconds"]) for row in rows] == [2, 2]
    # ResNet-18: 1.814 thousand million multiply-adds at 224 pixels and three bands; the first layer
    # has a third of its own here. A step is three passes, without a gradient of the image.
    first = 32**2 * 7**2 * 64
    forward = 1.814e9 * (64 / 224) ** 2 - 2 * first
    assert rows[0]["flops"] == pytest.approx(2 * (3 * forward - first), rel=0.01)
    assert rows[0]["flops"] == rows[1]["flops"]
    assert capsys.readouterr().out.count("classifier") == 2


def test_a_checkout_takes_turns_with_ours(tmp_path, checkout):
    out = tmp_path / "ratio.json"
    flags = ["--model", "cut", "--precision", "fp32", "--reference", str(checkout)]
    main([*TINY, *flags, "--out", str(out)])
    result = json.loads(out.read_text())
    seconds = {name: result[name]["seconds_per_step"] for name in ("ours", "reference")}
    assert result["ratio"] == seconds["reference"] / seconds["ours"] < 0.5


def test_further_flags_take_turns_with_none(monkeypatch, capsys):
    turns = []

    class Fake:
        def __init__(self, script, settings):
            assert script == "ours.py"
            self.flags, self.facts = settings["flags"], {"precision": "fp32"}

        def turn(self):
            turns.append(self.flags)
            return len(turns) * (1.5 if self.flags else 1.0)

        def close(self):
            return 2000 if self.flags else 1000

    monkeypatch.setattr(train_step, "Worker", Fake)
    main(["--precision", "fp32", "--steps", "3", "--flags=--blind_target --box_patches 0.25"])
    assert turns == 3 * [[], ["--blind_target", "--box_patches", "0.25"]]
    # The second one's median turn is the fourth of all, the first one's the third.
    assert f"ratio {1.5 * 4 / 3:.2f}, memory 0.50 of that with flags" in capsys.readouterr().out


def test_the_checkouts_norm_has_the_right_gradient(monkeypatch):
    monkeypatch.syspath_prepend(str(WORKERS))
    monkeypatch.setattr(nn.InstanceNorm2d, "forward", nn.InstanceNorm2d.forward)  # and back
    importlib.import_module("reference").mend_instance_norm()
    torch.manual_seed(0)
    # The ReLU works in place, as the public code's does.
    net = nn.Sequential(nn.InstanceNorm2d(4), nn.ReLU(True))
    x, weights = torch.randn(1, 4, 8, 6), torch.randn(1, 4, 8, 6)
    whole = x.double().requires_grad_()
    (exact,) = torch.autograd.grad(F.instance_norm(whole).relu(), whole, weights.double())
    for layout in (torch.channels_last, torch.contiguous_format):
        x = x.to(memory_format=layout).requires_grad_()
        for incoming in (torch.channels_last, torch.contiguous_format):
            (found,) = torch.autograd.grad(net(x), x, weights.to(memory_format=incoming))
            torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-5)
        x = x.detach()


def test_a_checkout_that_fails_says_why(checkout):
    (checkout / "models/__init__.py").write_text("import no_such_module")
    flags = ["--models", "cut", "--precisions", "fp32", "--reference", str(checkout)]
    with pytest.raises(UserError, match=r"cut, reference: .*no_such_module"):
        main([*TINY, *flags])


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--steps", "0"], "--steps is 0; it must be 1 or more"),
        (["--sizes", "256", "32"], "--sizes is 32"),
        (["--reference", "/nowhere"], "no folder models"),
        (["--reference", ".", "--batch_sizes", "1", "2"], "one of --batch_sizes"),
        (["--flags=--lambda_L1 1", "--batch_sizes", "1", "2"], "--flags goes with one"),
    ],
)
def test_flags_that_make_no_sense(flags, words):
    with pytest.raises(UserError, match=words):
        main(flags)
