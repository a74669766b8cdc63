"""What is found on this machine, and on machines that lack something."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import doctor
from diagnosis import checks
from diagnosis.checks import check_device, check_places, check_shared_memory, check_weights
from diagnosis.finding import Setting

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def setting(tmp_path):
    return Setting((tmp_path / "new" / "checkpoints",), tmp_path, "-1", "http://127.0.0.1:1")


def test_every_line_says_how_it_stands_and_the_exit_code_sums_them_up(tmp_path, capsys):
    flags = ["--checkpoints_dir", tmp_path / "a", "--results_dir", tmp_path / "b"]
    flags += ["--weights_dir", tmp_path, "--gpu_ids", "-1", "--display_port", "1"]
    code = 0
    try:
        doctor.main([str(flag) for flag in flags])
    except SystemExit as end:
        code = end.code
    lines = capsys.readouterr().out.splitlines()
    states = [line[:8].strip() for line in lines if not line.endswith(" to do")]
    assert {"ok", "optional"} <= set(states) <= {"ok", "optional", "to do"}
    assert code == (2 if "to do" in states else 0)
    assert lines[0] == f"ok        Python {sys.version.split()[0]}: {sys.executable}"
    assert list(tmp_path.iterdir()) == []


def test_without_any_package_there_is_no_traceback(tmp_path):
    """A Python that sees the standard library alone."""
    flags = ["--checkpoints_dir", tmp_path, "--results_dir", tmp_path]
    done = subprocess.run(
        [sys.executable, "-S", ROOT / "doctor.py", *flags], capture_output=True, text=True
    )
    assert done.returncode == 2 and done.stderr == ""
    assert "to do     packages: there is no torch, no torchvision" in done.stdout
    assert "to do     device: cannot be looked at (No module named 'torch')" in done.stdout
    assert f"ok        {tmp_path}: can be written" in done.stdout
    assert done.stdout.splitlines()[-1].endswith(" to do")


def test_a_check_that_fails_is_a_finding(setting, monkeypatch):
    def fails(_):
        raise ValueError("\na broken installation\nand more")

    monkeypatch.setattr(checks, "CHECKS", {"device": fails})
    (finding,) = checks.diagnose(setting)
    assert (finding.state, finding.text) == ("to do", "device: ValueError: a broken installation")


def test_the_device_is_tried_out(setting):
    found = list(check_device(setting))
    assert found[0].state == "ok" and "training on cpu in" in found[0].text
    (finding,) = check_device(Setting((), None, "1,2", ""))
    assert finding.state == "to do" and "a run uses one" in finding.text


def test_a_driver_without_a_torch_for_it_is_noticed(monkeypatch, tmp_path):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    monkeypatch.setattr(checks, "NVIDIA", tmp_path)
    monkeypatch.setattr("torch.version.cuda", None)
    states = [finding.state for finding in check_device(Setting((), None, "auto", ""))]
    assert states == ["ok", "optional"]


def test_weights_are_there_damaged_or_missing(setting, tmp_path, monkeypatch):
    """SHA-256 of nothing begins with e3b0c442."""
    names = {"inception": "a-e3b0c442.pth", "alex": "b-7be5be79.pth", "vgg": "c-397923af.pth"}
    addresses = {key: f"https://x/{name}" for key, name in names.items()}
    monkeypatch.setattr("metrics.pretrained.WEIGHTS", addresses)
    for name in ("a-e3b0c442.pth", "b-7be5be79.pth"):
        (tmp_path / name).touch()
    found = list(check_weights(setting))
    assert [finding.state for finding in found[:3]] == ["ok", "to do", "optional"]
    assert "FID, KID" in found[0].text and "damaged" in found[1].text
    assert "https://x/c-397923af.pth" in found[2].text and "--weights_dir" in found[2].text


def test_a_place_is_tried_out_and_left_as_it_was(setting, tmp_path):
    (finding,) = check_places(setting)
    assert finding.state == "ok" and "can be written" in finding.text
    assert list(tmp_path.iterdir()) == []


def test_a_place_below_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    (finding,) = check_places(Setting((tmp_path / "file" / "x",), None, "-1", ""))
    assert finding.state == "to do" and "Not a directory" in finding.text


def test_little_room_is_told(setting, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10**8))
    (finding,) = check_places(setting)
    assert finding.state == "to do" and "0.1 GB are free; make room" in finding.text
    if checks.SHARED_MEMORY.is_dir():
        (finding,) = check_shared_memory(setting)
        assert finding.state == "optional" and "100 MB are free" in finding.text


def test_where_files_cannot_be_locked_it_is_told(setting, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "lockf", refuse)
    (finding,) = check_places(setting)
    assert finding.state == "optional" and "cannot be locked" in finding.text


def test_no_room_for_a_lock_is_told(setting, monkeypatch):
    def refuse():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("multiprocessing.Lock", refuse)
    (finding,) = check_shared_memory(setting)
    assert finding.state == "to do" and "--num_threads 0" in finding.text
