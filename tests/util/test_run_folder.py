"""The folder of a run: what is written can be found again, what is missing is named."""

import json
from pathlib import Path

import pytest
import torch

from util.checkpoint import save
from util.errors import UserError
from util.run_folder import RunFolder

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
    folder.save_state(STATE)
    with pytest.raises(UserError, match="--continue_train"):
        folder.begin({}, continued=False)
    assert folder.record()["classes"] == [] and folder.load_state() == STATE


def test_a_run_that_goes_on_is_finished_no_more(folder):
    folder.begin(RECORD, continued=False)
    folder.save_state(STATE)
    folder.mark_finished(4)
    assert folder.finished_file.exists()
    folder.begin(RECORD, continued=True)
    assert not folder.finished_file.exists() and folder.load_state() == STATE


@pytest.mark.parametrize("name", ["file/x", "x" * 300], ids=["below a file", "long"])
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
    save(folder.network_file("latest", "G"), content)
    with pytest.raises(UserError, match=r"latest_net_G\.pth holds no state dict"):
        folder.load_networks("latest", ["G"])


def test_broken_weights_are_named(folder):
    folder.path.mkdir()
    Path(folder.network_file("latest", "G")).write_text("git-lfs pointer")
    with pytest.raises(UserError, match=r"latest_net_G\.pth is no readable checkpoint"):
        folder.load_networks("latest", ["G"])


def test_what_a_killed_run_left_half_written_is_removed(folder):
    folder.begin(RECORD, continued=False)
    (folder.path / ".latest.pth.123.part").write_bytes(b"half")
    folder.begin(RECORD, continued=True)
    assert [file.name for file in folder.path.iterdir()] == ["run.json"]


def test_a_file_that_is_no_training_state_is_named(folder):
    folder.save_state({"weights": torch.ones(1)})
    with pytest.raises(UserError, match="holds no training state"):
        folder.load_state()


@pytest.mark.parametrize("label", ["../7", "last", ""])
def test_an_epoch_is_a_number(folder, label):
    with pytest.raises(UserError, match="neither latest, best nor an epoch's number"):
        folder.load_networks(label, ["G"])
