"""What the benchmark of several processes says of one, and how it adds up times."""

import re

import pytest

from benchmarks.processes import main, shared, union
from util.errors import UserError


def test_time_that_several_spans_hold_counts_once():
    merged = union([(5, 7), (0, 2), (1, 3), (3, 4)])
    assert merged == [(0, 4), (5, 7)]
    assert shared(merged, [(2, 6)]) == 2 + 1
    assert shared(merged, [(4, 5), (7, 9)]) == 0


def test_one_process_exchanges_nothing(capsys):
    main("--model classifier --steps 1 --warm_up 1 --profiled 1".split())
    (line,) = capsys.readouterr().out.splitlines()
    assert re.search(r"1 processes of 1 images: [\d.]+ s a step", line)
    assert "gradients of 44.7 MB" in line  # 11.2 million weights of ResNet-18 in fp32


def test_what_is_too_few_is_named():
    with pytest.raises(UserError, match="--steps is 0; it must be 1 or more"):
        main(["--steps", "0"])
