"""Which program this is: its commit, what was changed since, and the packages beside it."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from util import version

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def git(tmp_path, monkeypatch):
    """git(words...) in `tmp_path`, with nobody's configuration."""
    if shutil.which("git") is None:
        pytest.skip("git is not here")
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]

    def call(*words):
        command = ["git", "-C", str(tmp_path), *who, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    return call


def test_a_commit_tells_what_was_changed_since(git, tmp_path):
    assert version.commit(tmp_path) is None
    git("init")
    assert version.commit(tmp_path) is None  # no commit yet
    file = tmp_path / "a.py"
    file.write_text("1\n")
    git("add", "a.py")
    git("commit", "-m", "first")
    head = git("rev-parse", "HEAD")
    assert version.commit(tmp_path) == head[:12]
    found = []
    for text in ("2\n", "3\n"):
        file.write_text(text)
        found.append(version.commit(tmp_path))
    file.write_text("2\n")
    assert [version.commit(tmp_path), found[0] == found[1]] == [found[0], False]
    assert found[0].startswith(f"{head[:12]} and changes ")
    (tmp_path / "site-packages").mkdir()  # what is installed below a checkout is not of it
    assert version.commit(tmp_path / "site-packages") is None


def test_without_git_there_is_no_commit(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert version.commit(tmp_path) is None


def test_packages_are_those_of_the_project_and_one_that_is_missing_is_left_out(monkeypatch):
    required = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert set(version.PACKAGES) <= {re.split("[=<>]", line)[0] for line in required}
    monkeypatch.setattr(version, "PACKAGES", ("numpy", "not-installed"))
    assert version.installed().keys() == {"python", "numpy"}


def test_the_project_has_one_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "util.version.VERSION"}
    assert "version" in project["project"]["dynamic"] and version.VERSION
