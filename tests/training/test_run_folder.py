"""The folder of a run: what is written can be found again, what is missing is named."""

import json
from pathlib import Path

import pytest
import torch

from training.run_folder import RunFolder
from util.errors import DamagedError, UserError, WriteError

RECORD = {"options": {"run": {"model": "cut"}}, "value_maps": {}, "classes": ["a"]}
WEIGHTS = {"w": torch.ones(2)}
STATE = {"position": {"step": 5}, "schedule": {}, "model": {}}


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    return RunFolder.of(str(tmp_path), "run")


def test_nothing_is_created_before_the_first_save(folder):
    assert not folder.path.exists()
    with pytest.raises(UserError, match=r"there is no run .*run\.json.*--name"):
        folder.record()
    with pytest.raises(UserError, match=r"latest\.pth; train without --continue_train"):
        folder.load_state()
    assert not folder.path.exists()


@pytest.mark.parametrize(
    ("files", "way"),
    [
        (
            ["200_net_G.pth", "latest_net_D.pth", "latest_net_G.pth"],
            r"\(latest_net_D\.pth, latest_net_G\.pth\): .* with --pretrained_name, and",
        ),
        (["200_net_G.pth"], r"\(200_net_G\.pth\): .* with --pretrained_name and --epoch 200, and"),
    ],
)
def test_networks_without_a_state_can_be_started_from(tmp_path, files, way):
    """As of the public code, which goes on from these alone."""
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    for name in files:
        (folder.path / name).touch()
    with pytest.raises(UserError, match=rf"no checkpoint .*latest\.pth; .*{way}"):
        folder.recover_state()


def test_the_record_comes_back(folder):
    folder.begin(RECORD, continued=False)
    assert folder.record() == RECORD
    assert [file.name for file in folder.path.iterdir()] == ["run.json"]
    assert json.loads((folder.path / "run.json").read_text()) == RECORD


def test_nested_names_make_nested_folders(tmp_path):
    nested = RunFolder.of(str(tmp_path), "fold/1")
    nested.begin(RECORD, continued=False)
    assert (tmp_path / "fold" / "1" / "run.json").is_file()


def test_a_name_that_leaves_the_folder_names_its_flag(tmp_path):
    with pytest.raises(UserError, match=r"--name '\.\./x'"):
        RunFolder.of(str(tmp_path), "../x")
    with pytest.raises(UserError, match="--pretrained_name"):
        RunFolder.of(str(tmp_path), "/x", flag="--pretrained_name")


def test_a_run_is_not_overwritten_by_accident(folder):
    folder.begin(RECORD, continued=False)
    folder.begin(RECORD | {"classes": []}, continued=False)  # nothing was trained yet
    folder.save(STATE, {})
    with pytest.raises(UserError, match="--continue_train"):
        folder.begin({}, continued=False)
    assert folder.record()["classes"] == [] and folder.load_state() == STATE


def test_a_run_that_goes_on_is_finished_no_more(folder):
    folder.begin(RECORD, continued=False)
    folder.save(STATE, {})
    folder.mark_finished(4)
    assert folder.finished_file.exists()
    folder.begin(RECORD, continued=True)
    assert not folder.finished_file.exists() and folder.load_state() == STATE


@pytest.mark.parametrize("name", ["file/x", "x/" * 3000], ids=["below a file", "long"])
def test_a_folder_that_cannot_be_is_named(tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write into"):
        RunFolder.of(str(tmp_path), name).begin(RECORD, continued=False)


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe", b"[1,", b"[]", b"{}"])
def test_a_damaged_record_is_named(folder, content):
    folder.begin(RECORD, continued=False)
    (folder.path / "run.json").write_bytes(content)
    with pytest.raises(UserError, match=r"run\.json cannot be read"):
        folder.record()


def test_networks_by_label(folder):
    folder.save_networks("latest", {"G": WEIGHTS, "D": {"w": torch.zeros(1)}})
    folder.save_networks("20", {"G": {"w": torch.full((2,), 20.0)}})
    assert (folder.path / "latest_net_G.pth").is_file()
    assert (folder.path / "20_net_G.pth").is_file()
    assert folder.load_networks("20", ["G"])["G"]["w"].tolist() == [20, 20]
    assert folder.load_networks("latest", ["G", "F", "D"]).keys() == {"G", "D"}
    assert torch.load(folder.network_file("latest", "G"))["w"].tolist() == [1, 1]


def test_the_best_networks_stand_beside_the_latest(folder):
    folder.save_networks("latest", {"G": WEIGHTS})
    with pytest.raises(UserError, match=r"best_net_G\.pth; train with --val_freq"):
        folder.load_networks("best", ["G"])
    record = {"epoch": 4, "score": -0.25, "values": {"kid_mwir": 0.25}}
    folder.save_best({"G": {"w": torch.full((2,), 4.0)}}, record)
    assert folder.load_networks("best", ["G"])["G"]["w"].tolist() == [4, 4]
    assert folder.load_networks("latest", ["G"])["G"]["w"].tolist() == [1, 1]
    assert json.loads((folder.path / "best.json").read_text()) == record


def test_a_new_run_has_no_best_epoch_yet(folder):
    folder.begin(RECORD, continued=False)
    folder.save_best({"G": WEIGHTS}, {"epoch": 1})  # and killed before the first state
    folder.begin(RECORD, continued=False)
    assert [file.name for file in folder.path.iterdir()] == ["run.json"]
    folder.save_best({"G": WEIGHTS}, {"epoch": 1})
    folder.begin(RECORD, continued=True)
    assert (folder.path / "best.json").exists() and folder.load_networks("best", ["G"])


def test_missing_networks_are_named(folder):
    folder.save_networks("latest", {"G": WEIGHTS})
    with pytest.raises(UserError, match=r"30_net_G\.pth, 30_net_D\.pth") as caught:
        folder.load_networks("30", ["G", "D"])
    assert str(folder.path) in str(caught.value)


def test_a_classifiers_file_gives_its_weights(folder):
    folder.save_networks("latest", {"classifier": {"weights": WEIGHTS, "classes": ["a", "b"]}})
    assert folder.load_networks("latest", ["classifier"])["classifier"].keys() == {"w"}


@pytest.mark.parametrize("content", [torch.ones(3), [WEIGHTS], 5])
def test_a_file_without_a_state_dict_is_named(folder, content):
    folder.save_networks("latest", {"G": content})
    with pytest.raises(UserError, match=r"latest_net_G\.pth holds no state dict"):
        folder.load_networks("latest", ["G"])


MAP = {"low": 0.0, "high": 255.0, "bits": 8}
NO_RECORDS = [
    "[" * 100_000,
    "[]",
    "{}",
    json.dumps({"options": {}}),
    json.dumps({**RECORD, "options": []}),
    json.dumps({**RECORD, "value_maps": None}),
    json.dumps({**RECORD, "value_maps": {"A": "x"}}),
    json.dumps({**RECORD, "value_maps": {"A": {**MAP, "more": 1}}}),
    json.dumps({**RECORD, "value_maps": {"A": {**MAP, "low": "x"}}}),
    json.dumps({**RECORD, "value_maps": {"A": {**MAP, "low": 255}}}),
    json.dumps({**RECORD, "value_maps": {"A": {**MAP, "high": float("nan")}}}),
    json.dumps({**RECORD, "value_maps": {"A": {**MAP, "bits": 7}}}),
    json.dumps({**RECORD, "left_out": ["a.png"]}),
    json.dumps({**RECORD, "left_out": {"a.png": 3}}),
    json.dumps({**RECORD, "images": ["a.png"]}),
    json.dumps({**RECORD, "starts": {}}),
    json.dumps({**RECORD, "starts": [{"packages": {}, "device": "cpu"}]}),
]


@pytest.mark.parametrize("text", NO_RECORDS, ids=lambda text: text[:90])
def test_an_altered_record_is_named(folder, text):
    folder.begin(
        {**RECORD, "value_maps": {"A": MAP}, "left_out": {"a.png": "why"}}, continued=False
    )
    folder.record()
    (folder.path / "run.json").write_text(text)
    with pytest.raises(UserError, match=r"run\.json cannot be read \("):
        folder.record()


def test_broken_weights_are_named(folder):
    folder.path.mkdir()
    Path(folder.network_file("latest", "G")).write_text("git-lfs pointer")
    with pytest.raises(UserError, match=r"latest_net_G\.pth is no readable checkpoint"):
        folder.load_networks("latest", ["G"])


def test_what_a_killed_run_left_half_written_is_removed(folder):
    folder.begin(RECORD, continued=False)
    for leftover in (".latest.pth.123.part", "web/images/.epoch001_real_A.png.123.part"):
        (folder.path / leftover).parent.mkdir(parents=True, exist_ok=True)
        (folder.path / leftover).write_bytes(b"half")
    folder.begin(RECORD, continued=True)
    assert [f.name for f in folder.path.rglob("*") if f.is_file()] == ["run.json"]


def test_a_file_that_is_no_training_state_is_named(folder):
    folder.save({"weights": torch.ones(1)}, {})
    with pytest.raises(UserError, match="holds no training state"):
        folder.load_state()


@pytest.mark.parametrize("position", [[1], {"step": "7"}, {"step": -7}, {"lap": 7}])
def test_a_position_of_another_version_is_named(folder, position):
    folder.save({**STATE, "position": position}, {})
    with pytest.raises(UserError, match=r"latest\.pth holds a position that this version does not"):
        folder.load_state()


@pytest.mark.parametrize("label", ["../7", "last", ""])
def test_an_epoch_is_a_number(folder, label):
    with pytest.raises(UserError, match="neither latest, best nor an epoch's number"):
        folder.load_networks(label, ["G"])


def state(step):
    return {**STATE, "position": {"step": step}}


def damage(file):
    """A step that was not taken."""
    content = file.read_bytes()
    assert content.count(b"step") == 1
    file.write_bytes(content.replace(b"step", b"stop"))


@pytest.mark.parametrize("links", [True, False], ids=["", "no hard links"])
def test_the_state_before_the_latest_is_kept(folder, monkeypatch, links):
    if not links:
        monkeypatch.setattr("os.link", raise_(PermissionError(1, "Operation not permitted")))
    for step in (1, 2, 3):
        folder.save(state(step), {"G": WEIGHTS})
    assert folder.recover_state() == (state(3), "")
    files = {file.name for file in folder.path.iterdir()}
    assert files == {"latest.pth", "previous.pth", "latest_net_G.pth"}
    damage(folder.state_file)
    with pytest.raises(DamagedError, match=r"latest\.pth"):
        folder.load_state()
    found, note = folder.recover_state()
    assert found == state(2)
    assert "latest.pth is damaged" in note and "goes on from previous.pth" in note
    # The damaged one is out of the way: it does not become the previous one of the next save.
    folder.save(state(3), {})
    assert (folder.path / "damaged.pth").exists()
    damage(folder.state_file)
    assert folder.recover_state()[0] == state(2)


def raise_(error):
    def fail(*_, **__):
        raise error

    return fail


def test_networks_of_other_tools_are_not_overwritten(folder):
    folder.path.mkdir(parents=True)
    network = folder.network_file("best", "G")
    network.write_bytes(b"theirs")
    with pytest.raises(UserError, match=r"not of this program \(best_net_G.pth\).*another --name"):
        folder.begin(RECORD, continued=False)
    assert [file.name for file in folder.path.iterdir()] == [network.name]
    (folder.path / "run.json").write_text("{}")  # of a run killed before its first state
    folder.begin(RECORD, continued=False)
    assert not network.exists()


def test_states_that_are_gone_or_all_damaged(folder):
    for step in (1, 2):
        folder.save(state(step), {})
    content = folder.state_file.read_bytes()
    folder.state_file.unlink()
    found, note = folder.recover_state()
    assert found == state(1) and "there is no" in note
    with pytest.raises(UserError, match="holds a run already"):
        folder.begin(RECORD, continued=False)
    folder.state_file.write_bytes(content[:-9])
    damage(folder.previous_file)
    with pytest.raises(DamagedError, match=r"latest.pth and .*previous.pth are both damaged"):
        folder.recover_state()
    assert folder.state_file.exists() and folder.previous_file.exists()


def test_a_save_that_fails_leaves_everything_as_it_was(folder, monkeypatch):
    for step in (1, 2):
        folder.save(state(step), {"G": WEIGHTS})
    before = {file: file.read_bytes() for file in folder.path.iterdir()}
    write = torch.save

    def fill_the_disk(content, file):
        if "net_D" in file.name:
            raise OSError(28, "No space left on device")
        write(content, file)

    monkeypatch.setattr(torch, "save", fill_the_disk)
    with pytest.raises(WriteError, match="No space left"):
        folder.save(state(3), {"G": {"w": torch.zeros(2)}, "D": WEIGHTS})
    assert {file: file.read_bytes() for file in folder.path.iterdir()} == before


def test_the_last_epochs_are_kept(folder):
    for epoch in (5, 10, 15):
        folder.save_networks(str(epoch), {"G": WEIGHTS, "D": WEIGHTS})
    folder.save_networks("latest", {"G": WEIGHTS})
    folder.save_networks("best", {"G": WEIGHTS})
    folder.keep_last(4)
    folder.keep_last(2)
    left = {file.name for file in folder.path.iterdir()}
    epochs = {f"{epoch}_net_{name}.pth" for epoch in (10, 15) for name in "GD"}
    assert left == epochs | {"latest_net_G.pth", "best_net_G.pth"}
