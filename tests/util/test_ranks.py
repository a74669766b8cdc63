"""What torchrun's variables tell."""

import pytest

from util import ranks

NAMES = ("WORLD_SIZE", "RANK", "LOCAL_WORLD_SIZE", "LOCAL_RANK")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ((None, None, None, None), (1, 0, 1, 0)),
        (("1", "0", "1", "0"), (1, 0, 1, 0)),
        (("6", "4", "3", "1"), (6, 4, 3, 1)),
        (("2", "1", None, None), (2, 1, 2, 1)),
        (("", "3", None, None), (1, 0, 1, 0)),
        (("many", "3", None, None), (1, 0, 1, 0)),
    ],
)
def test_variables(variables, expected, monkeypatch):
    for name, value in zip(NAMES, variables, strict=True):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    found = ranks.processes(), ranks.rank(), ranks.local_processes(), ranks.local_rank()
    assert found == expected
    assert ranks.is_first() == (expected[1] == 0)
