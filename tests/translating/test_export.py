"""Exported generators, run by ONNX Runtime and torch alone, make what test.py writes."""

import json
import sys
from functools import cache

import numpy as np
import onnxruntime
import pytest
import torch

import export
from data.images import read_image
from data.value_map import EIGHT_BIT, ValueMap
from tests.translating.runs import SIZES, TARGET
from util.checkpoint import digest
from util.errors import UserError
from util.version import VERSION


def export_run(run, out, *flags):
    places = ["--checkpoints_dir", run.parent, "--name", run.name, "--out", out]
    export.main([*map(str, places), *flags])


@pytest.fixture(scope="module")
def in_onnx(trained, tmp_path_factory):
    """in_onnx(kind): the exported run of this kind, as ONNX Runtime loads it."""

    @cache
    def load(kind):
        out = tmp_path_factory.mktemp("exported") / "new" / "generator.onnx"
        export_run(trained(kind), out)
        assert [file.name for file in out.parent.iterdir()] == [out.name]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(str(out), options, providers=["CPUExecutionProvider"])

    return load


def encoded(image, source):
    """(H, W) file values as (1, 1, H, W) in [-1, 1], by the numbers of the metadata."""
    low, high = source["low"], source["high"]
    return ((image.astype(np.float32) - low) * 2 / (high - low) - 1)[None, None]


def decoded(fake, target):
    return (fake[0, 0].astype(np.float64) + 1) / 2 * (target["high"] - target["low"]) + target[
        "low"
    ]


@pytest.mark.parametrize("kind", ["unet", "sensor_inside", "sensor"])
def test_onnx_runtime_gives_the_files_of_test(trained, tested, images, in_onnx, kind):
    run, session = trained(kind), in_onnx(kind)
    facts = session.get_modelmeta().custom_metadata_map
    maps = json.loads(facts["value_maps"])
    assert {role: ValueMap.from_record(m) for role, m in maps.items()} == {
        "A": EIGHT_BIT,
        "B": TARGET,
    }
    weights = torch.load(run / "latest_net_G.pth", weights_only=True)
    assert (facts["run"], facts["epoch"], facts["version"]) == (kind, "latest", VERSION)
    assert facts["weights"] == digest(weights)
    quiet = ["--no_noise"] if "sensor" in kind else []
    exact = tested(run, *quiet)
    coarse = tested(run, *quiet, "--save_bits", "8")
    for name in SIZES:
        image = read_image(images / f"{name}.png")
        (fake,) = session.run(["fake_B"], {"real_A": encoded(image, maps["A"])})
        counts = decoded(fake, maps["B"])
        assert np.abs(counts - exact[name]).max() < 1e-4 * (TARGET.high - TARGET.low)
        grey = decoded(fake, {"low": 0, "high": 255})
        assert np.abs(grey.round().clip(0, 255) - coarse[name]).max() <= 1
        assert np.ptp(exact[name]) > 2000, "the translation says something"


def test_a_batch_is_its_images(in_onnx):
    session = in_onnx("sensor_inside")
    assert [(i.name, i.shape) for i in session.get_inputs()] == [
        ("real_A", ["batch", 1, "height", "width"])
    ]
    draw = np.random.default_rng(0)
    batch = draw.uniform(-1, 1, (3, 1, 20, 30)).astype(np.float32)
    (whole,) = session.run(None, {"real_A": batch})
    each = [session.run(None, {"real_A": image[None]})[0] for image in batch]
    np.testing.assert_allclose(whole, np.concatenate(each), atol=1e-5)


@pytest.mark.parametrize("kind", ["resnet", "sensor"])
def test_torch_alone_runs_the_other_format(trained, tested, images, tmp_path, kind):
    out = tmp_path / "generator.pt2"
    export_run(trained(kind), out, "--format", "torch_export")
    facts = {"value_maps": ""}
    program = torch.export.load(out, extra_files=facts).module()
    maps = json.loads(facts["value_maps"])
    exact = tested(trained(kind), *(["--no_noise"] if "sensor" in kind else []))
    for name in SIZES:
        image = read_image(images / f"{name}.png")
        fake = program(torch.from_numpy(encoded(image, maps["A"])))
        counts = decoded(fake.detach().numpy(), maps["B"])
        assert np.abs(counts - exact[name]).max() < 1e-4 * (TARGET.high - TARGET.low)


def test_what_was_written_is_said(trained, tmp_path, capsys):
    export_run(trained("sensor"), tmp_path / "g.pt2", "--format", "torch_export")
    printed = capsys.readouterr().out.splitlines()
    assert printed == [
        "A: counts 0 to 255 of 8 bits -> [-1, 1]",
        "B: [-1, 1] -> counts 1,000 to 61,000 of 16 bits",
        "the noise of the sensor is not in the file",
        f"{trained('sensor') / 'latest_net_G.pth'} in {tmp_path / 'g.pt2'}",
    ]


@pytest.mark.parametrize(
    ("kind", "flags", "words"),
    [
        ("target_sensor", [], r"latest_net_G\.pth heeds the boxes of targets, .*; use load_gener"),
        ("classifier", [], "--model classifier translates nothing"),
        ("resnet", ["--epoch", "9"], r"none of 9_net_G\.pth"),
        ("resnet", ["--name", "other"], r"no run .*other .*; check --name and --checkpoints_dir\."),
        ("resnet", ["--name", "../x"], r"--name '\.\./x' leaves the folder"),
    ],
)
def test_what_cannot_be_exported_is_refused(trained, tmp_path, kind, flags, words):
    with pytest.raises(UserError, match=words):
        export_run(trained(kind), tmp_path / "g.onnx", *flags)
    assert not any(tmp_path.iterdir())


def test_a_place_that_takes_no_file_is_refused_before_all_else(tmp_path):
    with pytest.raises(UserError, match="name one with --out"):
        export.main(["--name", "x"])
    with pytest.raises(UserError, match=r"cannot write .*, which is a folder"):
        export.main(["--name", "x", "--out", str(tmp_path)])


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_a_missing_package_is_named(trained, tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=f"--format onnx needs the package {package}, .*pip inst"):
        export_run(trained("resnet"), tmp_path / "g.onnx")


def test_a_full_disk_leaves_the_earlier_file(trained, tmp_path, limit_files):
    out = tmp_path / "g.pt2"
    out.write_text("earlier")
    limit_files(1000)
    with pytest.raises(UserError, match="cannot write"):
        export_run(trained("sensor"), out, "--format", "torch_export")
    limit_files(None)
    assert out.read_text() == "earlier" and list(tmp_path.iterdir()) == [out]
