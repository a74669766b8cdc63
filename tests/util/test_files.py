"""Files appear whole or not at all."""

import os
from pathlib import Path

import pytest

from util.errors import UserError, WriteError
from util.files import check_writable, leftovers_beside, remove_leftovers, replacing, write_text


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


def test_no_two_writers_share_a_temporary_file(tmp_path):
    """As on two hosts, whose processes may have one number."""
    path = tmp_path / "note.txt"
    with replacing(path) as one, replacing(path) as other:
        assert one != other
        one.write_text("one")
        other.write_text("other")
        assert sorted(leftovers_beside(path)) == sorted([one, other])
        assert leftovers_beside(tmp_path / "note") == []
    assert path.read_text() == "one" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("letter", ["a", "é", "적"])
def test_names_may_be_as_long_as_names_can_be(tmp_path, letter):
    path = tmp_path / (letter * (250 // len(letter.encode())) + ".txt")
    write_text(path, "text")
    assert path.read_text() == "text"


def test_what_a_killed_process_left_is_removed_and_what_another_writes_is_not(tmp_path):
    (tmp_path / "deep").mkdir()
    old, new = tmp_path / "deep" / ".a.png.0.part", tmp_path / ".b.png.0.part"
    for path in (old, new, tmp_path / "kept.part"):
        path.write_text("half")
    os.utime(old, (0, 0))
    remove_leftovers(tmp_path, idle_s=3600)
    assert not old.exists() and new.exists()
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["kept.part"]
    remove_leftovers(tmp_path / "not there")
