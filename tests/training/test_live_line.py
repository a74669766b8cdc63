"""The live line of a terminal."""

import sys

import pytest

from training import live_line
from training.live_line import CLEAR, LiveLine
from training.messages import say


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when the test says so."""
    now = [100.0]
    monkeypatch.setattr(live_line.time, "monotonic", lambda: now[0])
    return now


def test_the_line_changes_in_place_and_not_too_often(clock, capsys):
    line = LiveLine()
    line.measured({"lr": 2e-4, "seconds_per_step": 0.1, "G": 1.23456, "D": 0.5})
    for step in (1, 2, 3):
        facts = {"epoch": "1/9", "step": str(step), "to go": "95 s", "speed": "4.2 images/s"}
        line.show({**facts, "learning rate": "0.0002"})
        clock[0] += 0.15
    rest = "95 s to go, 4.2 images/s  lr 0.0002  G 1.23  D 0.5"
    expected = [f"{CLEAR}epoch 1/9, step {step}, {rest}" for step in (1, 3)]
    assert capsys.readouterr().out == "".join(expected)


def test_the_line_never_wraps(clock, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    LiveLine().show({"epoch": "1/400", "step": "12,345,678"})
    assert capsys.readouterr().out == f"{CLEAR}epoch 1/400, step 1"


def test_sentences_take_the_place_of_the_line(capsys, monkeypatch):
    say("one")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    say("two", "")
    assert capsys.readouterr().out == f"one\n{CLEAR}two\n"
