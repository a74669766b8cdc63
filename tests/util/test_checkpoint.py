"""Files of a run: whole or not at all, nothing in them is run, none outside their folder."""

import errno
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from util.checkpoint import load, run_path, saving
from util.errors import DamagedError, UserError, WriteError

CONTENT = {"weights": {"w": torch.arange(6.0).reshape(2, 3)}, "epoch": 3, "classes": ["a", "b"]}


def save(path: Path, content: object) -> None:
    with saving({path: content}):
        pass


def refuses(path: Path) -> str:
    """`load` ends in one sentence that names the file."""
    with pytest.raises(UserError) as caught:
        load(path, hint="train first")
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message


def test_what_is_saved_comes_back(tmp_path):
    path = tmp_path / "new" / "folder" / "latest.pth"
    save(path, CONTENT)
    back = load(path, hint="")
    assert torch.equal(back["weights"]["w"], CONTENT["weights"]["w"])
    assert (back["epoch"], back["classes"]) == (3, ["a", "b"])
    assert list(path.parent.iterdir()) == [path]


def test_files_of_older_torch_are_read(tmp_path):
    torch.save(CONTENT, tmp_path / "x.pth", _use_new_zipfile_serialization=False)
    assert torch.equal(load(tmp_path / "x.pth", hint="")["weights"]["w"], CONTENT["weights"]["w"])


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), RuntimeError("write")])
def test_a_failure_while_writing_leaves_the_old_file(tmp_path, monkeypatch, error):
    path = tmp_path / "latest.pth"
    save(path, CONTENT)
    before = path.read_bytes()

    def fail(content, file):
        file.write(b"half a checkpoint")
        raise error

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(UserError, match=r"cannot write .*latest\.pth"):
        save(path, {})
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_an_interruption_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "latest.pth"
    save(path, CONTENT)
    before = path.read_bytes()

    def interrupt(content, file):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(path, {})
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_the_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    events = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (events.append("fsync"), fsync(fd)))
    monkeypatch.setattr(
        Path, "replace", lambda self, to: (events.append("replace"), replace(self, to))[1]
    )
    save(tmp_path / "x.pth", CONTENT)
    assert events == ["fsync", "replace", "fsync"]  # of the file; its name; of the folder


def test_files_of_one_moment_take_their_names_together(tmp_path, monkeypatch):
    paths = [tmp_path / name for name in ("a.pth", "b.pth", "c.pth")]
    with saving(dict.fromkeys(paths, CONTENT)):
        assert not [path for path in paths if path.exists()]
        assert len(list(tmp_path.iterdir())) == 3  # all written, under other names
    assert sorted(tmp_path.iterdir()) == paths
    before = [path.read_bytes() for path in paths]
    names, replace = [], Path.replace
    monkeypatch.setattr(
        Path, "replace", lambda self, to: (names.append(to.name), replace(self, to))[1]
    )
    with saving({path: {} for path in reversed(paths)}):
        pass
    assert names == ["c.pth", "b.pth", "a.pth"]
    assert all(path.read_bytes() != old for path, old in zip(paths, before, strict=True))


def test_where_one_file_cannot_be_written_none_is(tmp_path, monkeypatch):
    paths = [tmp_path / name for name in ("a.pth", "b.pth", "c.pth")]
    with saving(dict.fromkeys(paths, CONTENT)):
        pass
    before = {path: path.read_bytes() for path in paths}
    write = torch.save

    def fail_at_b(content, file):
        if "b.pth" in file.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(content, file)

    monkeypatch.setattr(torch, "save", fail_at_b)
    with (
        pytest.raises(WriteError, match=r"cannot write .*b\.pth \(No space left"),
        saving({path: {} for path in paths}),
    ):
        pytest.fail("the block ran")
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=300, deadline=None)
def test_an_altered_file_is_named_or_harmless(tmp_path_factory, place, bit):
    """One bit anywhere: in the weights, in the names of the records, in the padding between."""
    path = tmp_path_factory.getbasetemp() / "altered.pth"
    save(path, CONTENT)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    path.write_bytes(content)
    try:
        back = load(path, hint="")
    except DamagedError as error:
        assert str(path) in str(error)
    else:
        assert torch.equal(back["weights"].pop("w"), CONTENT["weights"]["w"])
        assert back == {**CONTENT, "weights": {}}


def test_an_altered_weight_is_named(tmp_path):
    """torch itself reads it without a word."""
    path = tmp_path / "x.pth"
    save(path, CONTENT)
    content = path.read_bytes()
    weight = np.float32(5.0).tobytes()
    assert content.count(weight) == 1
    path.write_bytes(content.replace(weight, np.float32(5.5).tobytes()))
    assert torch.load(path)["weights"]["w"].max() == 5.5
    assert "it is damaged" in refuses(path)


@pytest.mark.parametrize("name", ["file/x.pth", "x" * 300], ids=["below a file", "long"])
def test_a_place_that_cannot_be_written_is_named(tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        save(tmp_path / name, CONTENT)


class Malicious:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("wrapped", [True, False], ids=["torch.save", "bare pickle"])
def test_code_in_a_file_is_never_run(tmp_path, wrapped):
    path, mark = tmp_path / "x.pth", tmp_path / "hacked"
    content = {"weights": Malicious(mark)}
    if wrapped:
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    assert "never run" in refuses(path)
    assert not mark.exists()
    torch.load(path, weights_only=False) if wrapped else pickle.loads(path.read_bytes())
    assert mark.exists()  # the trap was live


def test_a_pickled_network_is_refused(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "x.pth")
    assert "more than tensors" in refuses(tmp_path / "x.pth")


def test_a_file_that_grows_in_memory_is_refused(tmp_path):
    path = tmp_path / "x.pth"
    torch.save({"weight": torch.zeros(10**6)}, path)
    with zipfile.ZipFile(path) as archive:
        records = {record.filename: archive.read(record) for record in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in records.items():
            archive.writestr(name, content)
    assert path.stat().st_size < 10**5 and torch.load(path)["weight"].numel() == 10**6
    assert "is damaged" in refuses(path)


NO_NUMBERS = {
    "indices": torch.eye(3).to_sparse(),
    "no memory": torch.empty(3, device="meta"),
    "quantised": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", NO_NUMBERS)
def test_tensors_whose_numbers_are_not_all_there_are_refused(tmp_path, kind):
    torch.save({"model": [{"x": torch.ones(1)}, (NO_NUMBERS[kind],)]}, tmp_path / "x.pth")
    refuses(tmp_path / "x.pth")


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.9, 0.99])
def test_a_file_cut_off_is_named(tmp_path, legacy, share):
    path = tmp_path / "x.pth"
    torch.save(CONTENT, path, _use_new_zipfile_serialization=not legacy)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refuses(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@given(st.binary(max_size=200))
@example(b"hello, a text file\n")
@example(b"\x89PNG\r\n\x1a\n")
@settings(max_examples=150, deadline=None)
def test_any_other_file_is_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "other.pth"
    path.write_bytes(content)
    try:
        load(path, hint="")  # some bytes are the pickle of a plain value
    except UserError as error:
        assert str(path) in str(error)


def test_a_missing_file_comes_with_the_hint(tmp_path):
    path = tmp_path / "gone.pth"
    assert refuses(path) == f"there is no checkpoint {path}; train first."
    assert "directory" in refuses(tmp_path)


@pytest.mark.parametrize("name", ["mwir_pix2pix", "fold/1", "a.b", "..a", "ä ö", "./x"])
def test_plain_and_nested_names(tmp_path, name):
    path = run_path(tmp_path, name, flag="--name")
    assert path.resolve().is_relative_to(tmp_path.resolve()) and path != tmp_path


@pytest.mark.parametrize(
    "name", ["../x", "..", "/abs", "a/../../b", "a/../b", "a/..", "", ".", "./", "a\0b"]
)
def test_names_that_leave_the_folder(tmp_path, name):
    with pytest.raises(UserError, match="--pretrained_name") as caught:
        run_path(tmp_path, name, flag="--pretrained_name")
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("name", ["n" * 256, "a/" + "é" * 128])
def test_a_name_that_no_folder_can_have_is_refused(tmp_path, name):
    with pytest.raises(UserError, match="is longer than 255 bytes"):
        run_path(tmp_path, name, flag="--name")
    run_path(tmp_path, "n" * 255, flag="--name")


@given(st.text(alphabet="ab./\0~ \\", max_size=12))
def test_no_name_at_all_leaves_the_folder(name):
    parent = Path("/runs")
    try:
        path = run_path(parent, name, flag="--name")
    except UserError:
        return
    normal = Path(os.path.normpath(path))
    assert normal != parent and normal.is_relative_to(parent)
