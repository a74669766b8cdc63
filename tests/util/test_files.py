"""Files appear whole or not at all."""

import os
from pathlib import Path

import pytest

from util.errors import UserError, WriteError
from util.files import check_writable, replacing, write_text


def test_text_replaces_what_was_there_and_folders_are_made(tmp_path):
    path = tmp_path / "a" / "b" / "note.txt"
    for text in ("one", "two, naïve\n"):
        write_text(path, text)
        assert path.read_text(encoding="utf-8") == text
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "note.txt"
    write_text(path, "old")
    with pytest.raises(error), replacing(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_takes_no_file_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match=r"file/note\.txt"):
        write_text(tmp_path / "file" / "note.txt", "text")


def test_a_place_that_will_take_no_file_is_known_beforehand(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    check_writable(tmp_path / "new" / "folder" / "note.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    with pytest.raises(UserError, match=r"cannot write .*file/a/note\.txt .*is no folder"):
        check_writable(tmp_path / "file" / "a" / "note.txt")
    # Asked for, not tried: the superuser may write anywhere.
    monkeypatch.setattr("os.access", lambda folder, mode: folder != tmp_path)
    with pytest.raises(UserError, match="no permission in"):
        check_writable(tmp_path / "new" / "note.txt")


def test_where_there_is_no_room_the_old_file_stays(tmp_path, limit_files):
    path = tmp_path / "note.txt"
    write_text(path, "old")
    limit_files(1000)
    with pytest.raises(WriteError, match=r"cannot write .*note\.txt \(File too large\)"):
        write_text(path, "new" * 1000)
    limit_files(None)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_text_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    events, fsync, replace = [], os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (events.append("fsync"), fsync(fd)))
    monkeypatch.setattr(
        Path, "replace", lambda self, to: (events.append("replace"), replace(self, to))[1]
    )
    write_text(tmp_path / "note.txt", "text")
    assert events == ["fsync", "replace"]
