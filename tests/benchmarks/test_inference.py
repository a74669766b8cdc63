"""The benchmark of test.py runs, and compares like with like."""

import json

import numpy as np
import pytest

import benchmarks.inference
from benchmarks.inference import PLAIN, Way, difference, main
from data.images import write_image
from util.errors import UserError

SMALL = "--images 2 --sizes 16 --ngf 2 --repeats 1 --threads 1 --workers 0 --gpu_ids -1".split()


def test_it_times_test_py_and_the_loop(tmp_path, capsys):
    out = tmp_path / "inference.json"
    main([*SMALL, "--precisions", "fp32", "--out", str(out)])
    report = json.loads(out.read_text())
    (row,) = report["rows"]
    assert (row["size"], row["bits"], row["batch_size"]) == (16, 8, "auto")
    speeds = [row[way]["images_per_second"] for way in ("ours", "loop")]
    assert row["ratio"] == pytest.approx(speeds[0] / speeds[1])
    for way in ("ours", "loop"):
        assert (row[way]["precision"], row[way]["threads"]) == ("fp32", 1)
        assert row[way]["peak_bytes"] > 2**20
        assert row[way]["images_per_second"] == pytest.approx(2 / row[way]["seconds"][0])
    # The loop cuts off where test.py rounds: half a count.
    assert 0.3 < row["difference"] < 0.7
    heads, line = capsys.readouterr().out.splitlines()
    assert heads.split()[:4] == ["size", "bits", "batch", "precision"]
    assert line.split()[:4] == ["16", "8", "auto", "fp32"]


@pytest.fixture
def turns(monkeypatch):
    """Turns that take note in place of starting a process."""
    taken = []

    def take(way, settings):
        seconds = [4.0, 1.0, 2.0][taken.count(way.name) % 3]
        taken.append(way.name)
        return {"seconds": seconds, "peak_bytes": len(taken), "precision": "fp32", "threads": 1}

    monkeypatch.setattr(benchmarks.inference, "take_turn", take)
    monkeypatch.setattr(benchmarks.inference, "difference", lambda results, way: 0.5)
    return taken


def test_ways_take_turns_and_medians_are_shown(tmp_path, turns):
    out = tmp_path / "inference.json"
    flags = [*SMALL, "--repeats", "3", "--precisions", "fp32", "bf16", "--batch_sizes", "2"]
    main([*flags, "--bits", "8", "16", "--out", str(out)])
    assert turns == [*["loop_1", "fp32_2", "bf16_2"] * 3, *["fp32_2", "bf16_2"] * 3]
    first, second, deep, _ = json.loads(out.read_text())["rows"]
    assert first["ours"]["images_per_second"] == first["loop"]["images_per_second"] == 2 / 2
    assert (first["ours"]["peak_bytes"], second["ours"]["peak_bytes"]) == (8, 9)
    assert (deep["bits"], deep["loop"], deep["ratio"]) == (16, None, None)


def test_results_that_differ_are_an_error(tmp_path, turns, monkeypatch):
    monkeypatch.setattr(benchmarks.inference, "difference", lambda results, way: 2.5)
    with pytest.raises(UserError, match=r"auto_auto differ from the loop's by 2\.5 counts"):
        main(SMALL)


def test_the_difference_is_the_mean_over_all_pixels(tmp_path):
    way = Way("fp32", "4")
    for name, values in ((way.name, (10, 250)), (PLAIN.name, (13, 249))):
        for number, value in enumerate(values):
            file = tmp_path / name / "test_latest" / "images" / "fake_B" / f"{number}.png"
            write_image(file, np.full((2, 2), value, np.uint8))
    assert difference(tmp_path, way) == 2


def test_a_worker_that_fails_is_one_sentence():
    with pytest.raises(UserError, match=r"^fp16_auto failed: --precision fp16 is for CUDA GPUs"):
        benchmarks.inference.take_turn(
            Way("fp16", "auto"),
            {"dataroot": ".", "weights": "g.pth", "results_dir": ".", "bits": 8, "ngf": 2}
            | {"gpu_ids": "-1", "threads": 1, "workers": 0},
        )


@pytest.mark.parametrize("flags", [["--images", "0"], ["--sizes", "8"], ["--ngf", "0"]])
def test_bad_numbers_are_one_sentence(flags):
    with pytest.raises(UserError, match=f"{flags[0]} is {flags[1]}; it must be"):
        main(flags)
    with pytest.raises(UserError, match="--batch_sizes has 0; numbers from 1 and auto"):
        main(["--batch_sizes", "0"])
