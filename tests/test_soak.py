"""What the soak calls growth: it can fail."""

import os

import pytest

from tests.soak.soak import FEWEST_LOOKS, Life, Soak, across, rising_steps


def life(memory, handles=None, *, start=0):
    peak = float(max(memory))
    return Life("train", start, peak, list(memory), list(handles or [9] * len(memory)))


def test_growth_is_told_from_the_start_of_the_work():
    assert life([1, 90, *[100] * 40], start=2).growth == (0, 0)
    rising = range(FEWEST_LOOKS)
    assert life(rising, rising).growth == (8, 8)
    assert life(rising, start=1).growth is None and life(rising, start=None).growth is None


def test_processes_are_compared_first_third_to_last():
    lives = [life([memory] * 20, [memory] * 20) for memory in (10, 11, 12, 13, 14, 15)]
    assert across(lives) == (3, 3)
    assert across(lives[:2]) == (0, 0)


def test_processes_that_differ_by_chance_have_not_grown():
    lives = [life([memory] * 20, [memory] * 20) for memory in (10, 14, 12, 11, 13, 15)]
    assert across(lives) == (0, 0)


def test_a_process_is_looked_at_and_one_that_has_gone_is_not():
    if not os.path.isdir("/proc/self/fd"):  # noqa: PTH112
        pytest.skip("needs /proc")
    one = Life("train")
    one.look(os.getpid())
    one.look(2**30)
    assert len(one.memory) == len(one.handles) == 1
    assert one.peak >= one.memory[0] > 10 and one.handles[0] > 2


def test_the_peak_of_a_short_process_is_the_systems_own_count(tmp_path, monkeypatch):
    """64 MB that come and go between two looks."""
    if not os.path.isdir("/proc/self/fd"):  # noqa: PTH112
        pytest.skip("needs /proc")
    script = tmp_path / "short.py"
    script.write_text("b'1' * 64_000_000")
    soak = Soak(tmp_path, minutes=1, seed=0, gpu_ids="-1")
    soak.watch("short", [str(script)])
    (one,) = soak.lives["short"]
    assert one.peak > 64 and max(one.memory) < 64


def test_growth_ends_the_soak(tmp_path):
    (tmp_path / "runs" / "soak").mkdir(parents=True)
    (tmp_path / "runs" / "soak" / "loss_log.csv").write_text("step,G\n1,0.5\n9,0.4\n")
    soak = Soak(tmp_path, minutes=1, seed=0, gpu_ids="-1")
    soak.lives["train"] = [life([100.0] * 40)]
    assert "9 steps" in soak.check()
    soak.lives["train"].append(life(range(100, 140)))
    with pytest.raises(SystemExit, match="memory or open files grew"):
        soak.check()


def test_steps_that_do_not_rise_end_it(tmp_path):
    (tmp_path / "log.csv").write_text("step,G\n1,0.5\n9,0.4\n9,0.4\n")
    with pytest.raises(SystemExit, match="do not rise"):
        rising_steps(tmp_path / "log.csv")
