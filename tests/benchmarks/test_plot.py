"""Which curves the files of benchmarks make, and that they are drawn."""

import json

import pytest
from PIL import Image

from benchmarks.plot import loader_panel, main, step_panels
from util.errors import UserError


def step(size, batch_size, seconds, precision="bf16"):
    return {
        "model": "cut",
        "precision": precision,
        "compiled": False,
        "size": size,
        "batch_size": batch_size,
        "seconds_per_step": seconds,
        "images_per_second": batch_size / seconds,
    }


STEPS = [step(256, 4, 6.0), step(256, 1, 2.0), step(512, 1, 8.0), step(256, 1, 4.0, "fp32")]


def reading(images, speed):
    row = {"size": 256, "batch_size": 1, "images_per_second": {"ram": speed, "reference": 10.0}}
    return {"images": images, "rows": [row]}


def test_a_curve_has_the_rows_of_one_model_and_precision():
    (by_batch, by_size) = step_panels(STEPS)
    assert by_batch[0] == "training, 256 pixels"
    assert by_batch[-1] == {"cut, bf16": [(1, 0.5), (4, 4 / 6.0)]}
    assert by_size[-1] == {"cut, bf16": [(256, 2.0), (512, 8.0)]}


def test_the_loader_over_both_domains_images():
    *_, curves = loader_panel([reading(100, 50.0), reading(10, 40.0)])
    assert curves["--cache ram"] == [(20, 40.0), (200, 50.0)]
    assert curves["Pillow and torchvision"] == [(20, 10.0), (200, 10.0)]


def test_the_picture_has_a_panel_for_each(tmp_path):
    (tmp_path / "steps.json").write_text(json.dumps({"steps": STEPS}))
    for number in (10, 100):
        (tmp_path / f"{number}.json").write_text(json.dumps(reading(number, 50.0)))
    out = tmp_path / "scaling.png"
    files = [str(tmp_path / f"{number}.json") for number in (10, 100)]
    main(["--steps", str(tmp_path / "steps.json"), "--loader", *files, "--out", str(out)])
    with Image.open(out) as three:
        wide = three.width
    main(["--loader", *files, "--out", str(out)])
    with Image.open(out) as one:
        assert one.width * 3 == pytest.approx(wide, abs=3)


def test_files_without_a_curve(tmp_path):
    (tmp_path / "steps.json").write_text(json.dumps({"steps": STEPS[:1]}))
    with pytest.raises(UserError, match="no curve has two points"):
        main(["--steps", str(tmp_path / "steps.json"), "--out", str(tmp_path / "x.png")])
    with pytest.raises(UserError, match=r"cannot read .*missing\.json"):
        main(["--steps", str(tmp_path / "missing.json"), "--out", str(tmp_path / "x.png")])


def test_files_of_another_benchmark_and_pictures_of_no_kind(tmp_path):
    file = tmp_path / "x.json"
    file.write_text(json.dumps({"rows": []}))
    with pytest.raises(UserError, match=r"x.json has no list 'steps'"):
        main(["--steps", str(file), "--out", str(tmp_path / "x.png")])
