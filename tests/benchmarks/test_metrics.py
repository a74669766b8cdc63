"""The benchmark of PSNR and SSIM runs and compares like with like."""

import json

import pytest

from benchmarks.metrics import main
from util.errors import UserError


def test_it_times_all_ways_to_the_same_values(tmp_path, capsys):
    out = tmp_path / "speed.json"
    main(["--pairs", "4", "--size", "32", "--repeats", "2", "--out", str(out)])
    report = json.loads(out.read_text())
    assert (report["pairs"], report["size"]) == (4, 32)
    assert report["seconds"].keys() == report["ratio"].keys()
    assert report["ratio"]["scikit-image"] == 1
    assert max(report["largest_difference"].values()) < 1e-6
    assert "metrics.paired" in capsys.readouterr().out


@pytest.mark.parametrize("flags", [["--pairs", "0"], ["--size", "6"], ["--repeats", "0"]])
def test_bad_numbers_are_one_sentence(flags):
    with pytest.raises(UserError, match=f"{flags[0]} is {flags[1]}; it must be"):
        main(flags)
