"""The benchmark of the data loader runs, and reads what it says that it reads."""

import json

import pytest
import torch

from benchmarks.loader import PlainImages, build, main, make_folder, require_equal
from tests.data.samples import item
from util.errors import UserError

SMALL = "--images 3 --sizes 16 --batch_sizes 2 --workers 0 --repeats 1 --gpu_ids -1".split()


@pytest.fixture(autouse=True)
def own_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_it_times_all_ways(tmp_path, capsys):
    out = tmp_path / "loader.json"
    main([*SMALL, "--reference", "--out", str(out)])
    report = json.loads(out.read_text())
    caches = {"none", "ram", "disk"}
    assert [row["bits"] for row in report["rows"]] == [8, 16]
    assert [row["images_per_second"].keys() for row in report["rows"]] == [
        caches | {"reference"},
        caches,
    ]
    assert all(speed > 0 for row in report["rows"] for speed in row["images_per_second"].values())
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == [
        "size",
        "bits",
        "batch",
        "workers",
        "none",
        "ram",
        "disk",
        "reference",
    ]
    assert lines[3].split()[:4] == ["16", "16", "2", "0"] and lines[3].split()[-1] == "-"


def test_a_row_for_every_batch_size_and_number_of_workers(tmp_path):
    out = tmp_path / "loader.json"
    flags = [*SMALL, "--bits", "8", "--caches", "ram", "--batch_sizes", "1", "2", "--out", str(out)]
    main(flags)
    rows = json.loads(out.read_text())["rows"]
    assert [(row["batch_size"], row["workers"]) for row in rows] == [(1, 0), (2, 0)]


def test_both_ways_give_images_of_one_kind(tmp_path):
    make_folder(tmp_path, 2, 32, 8)
    a, b = PlainImages(tmp_path, 32)[0]
    own = item(build(tmp_path, 32, "none"), 1, 0)
    assert a.shape == b.shape == own.a.shape == own.b.shape == (1, 32, 32)
    assert a.dtype == own.a.dtype == torch.float32
    assert -1 <= a.min() < a.max() <= 1
    assert abs(a.mean() - own.a.mean()) < 0.1


def test_caches_that_differ_end_in_an_error(tmp_path):
    make_folder(tmp_path, 2, 32, 8)
    dataset = build(tmp_path, 32, "none")
    first, second = (dataset.prepare(dataset.collect([(1, index)])) for index in range(2))
    require_equal([first, first])
    with pytest.raises(UserError, match="different batches"):
        require_equal([first, second])


@pytest.mark.parametrize("flags", [["--images", "0"], ["--sizes", "8"], ["--workers", "-1"]])
def test_bad_numbers_are_one_sentence(flags):
    with pytest.raises(UserError, match=f"{flags[0]} is {flags[1]}; it must be"):
        main(flags)
