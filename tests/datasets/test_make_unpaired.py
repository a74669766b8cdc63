"""make_unpaired.py: which files are linked where, what labels.csv says, what is refused."""

import csv
import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data.images import read_image, write_image
from data.labels import read_labels
from datasets import building
from datasets.make_unpaired import main
from models import MODEL_OPTIONS
from options import parse_train
from tests.data.samples import training_datasets
from util.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
REAL = ("train/T72/a.png", "train/T72/b.png", "train/BMP2/a.png", "test/T72/c.png")
SIM = ("train/s 1.png", "train/sümmer/s1.png", "test/s2.png")


def grey(value: int, dtype=np.uint8) -> np.ndarray:
    return np.full((8, 8), value, dtype)


@pytest.fixture
def data(tmp_path):
    """A folder with real/ and sim/, each image of a value of its own."""
    files = [f"real/{name}" for name in REAL] + [f"sim/{name}" for name in SIM]
    for value, name in enumerate(files):
        write_image(tmp_path / "data" / name, grey(value))
    return tmp_path / "data"


def write_table(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def read_table(dataset: Path) -> dict[str, dict[str, str]]:
    with (dataset / "labels.csv").open(newline="", encoding="utf-8") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def make(data: Path, out: Path) -> None:
    main(["--real", str(data / "real"), "--sim", str(data / "sim"), "--out", str(out)])


def tree(folder: Path) -> set[str]:
    """All image files below, as the datasets of this project would see them."""
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*.png")}


def test_both_datasets_hold_every_image_at_its_relative_path(data, tmp_path):
    make(data, tmp_path / "out")
    for name, (a, b) in {"mwir_real2cut": ("real", "sim"), "mwir_sim2cut": ("sim", "real")}.items():
        dataset = tmp_path / "out" / name
        places = {}
        for letter, domain in (("A", a), ("B", b)):
            for file in REAL if domain == "real" else SIM:
                split, rest = file.split("/", 1)
                places[f"{split}_{letter}/{rest}"] = data / domain / file
        assert tree(dataset) == set(places)
        for place, source in places.items():
            assert (dataset / place).is_symlink()
            assert (dataset / place).samefile(source)


def test_images_and_datasets_can_be_moved_together(data, tmp_path):
    make(data, data / "datasets")
    assert not any(p.readlink().is_absolute() for p in (data / "datasets").rglob("*.png"))
    data.rename(tmp_path / "elsewhere")
    moved = tmp_path / "elsewhere" / "datasets" / "mwir_real2cut" / "train_A" / "T72" / "b.png"
    np.testing.assert_array_equal(read_image(moved), grey(1))


@pytest.mark.parametrize("linked", ["out", "real"])
def test_links_hold_when_folders_are_reached_through_links(data, tmp_path, linked):
    if linked == "out":  # deeper than it looks: dots counted along the name would miss
        (tmp_path / "far" / "away" / "disk").mkdir(parents=True)
        (tmp_path / "out").symlink_to(tmp_path / "far" / "away" / "disk")
    else:
        (tmp_path / "far").mkdir()
        (data / "real").rename(tmp_path / "far" / "images")
        (data / "real").symlink_to(tmp_path / "far" / "images")
    make(data, tmp_path / "out")
    found = list((tmp_path / "out").resolve().rglob("*.png"))
    assert len(found) == 2 * (len(REAL) + len(SIM))
    assert all(p.is_file() for p in found)


def test_every_column_of_both_tables_is_kept(data, tmp_path):
    write_table(
        data / "real" / "labels.csv",
        [
            # The split of the table is wrong on purpose: the folder decides.
            {"file": "train/T72/a.png", "split": "test", "class": "T72", "range_m": "1000"},
            {"file": "test/T72/c.png", "split": "test", "class": "T72", "range_m": "2000"},
            {"file": "train/gone.png", "split": "train", "class": "T72", "range_m": "1"},
        ],
    )
    write_table(
        data / "sim" / "labels.csv",
        [{"file": "train/sümmer/s1.png", "class": "", "season": "summer, dry"}],
    )
    make(data, tmp_path / "out")
    rows = read_table(tmp_path / "out" / "mwir_sim2cut")
    assert len(rows) == len(REAL) + len(SIM)
    columns = {"file", "split", "class", "range_m", "season"}
    assert all(set(row) == columns for row in rows.values())
    assert rows["train_B/T72/a.png"] == {
        "file": "train_B/T72/a.png",
        "split": "train",
        "class": "T72",
        "range_m": "1000",
        "season": "",
    }
    assert rows["test_B/T72/c.png"]["range_m"] == "2000"
    assert rows["train_A/sümmer/s1.png"]["season"] == "summer, dry"
    # Not in a table that lists others of its domain: no class, whatever its folder is called.
    assert rows["train_B/BMP2/a.png"]["class"] == ""
    assert rows["train_B/BMP2/a.png"]["split"] == "train"


def test_a_table_above_both_domains_serves_each(data, tmp_path):
    write_table(
        data / "labels.csv",
        [
            {"file": "real/train/T72/a.png", "class": "tank", "group": "7"},
            {"file": "sim/test/s2.png", "class": "car", "group": "8"},
        ],
    )
    make(data, tmp_path / "out")
    rows = read_table(tmp_path / "out" / "mwir_real2cut")
    assert (rows["train_A/T72/a.png"]["class"], rows["train_A/T72/a.png"]["group"]) == ("tank", "7")
    assert (rows["test_B/s2.png"]["class"], rows["test_B/s2.png"]["split"]) == ("car", "test")


def test_class_folders_are_the_classes_without_a_table(data, tmp_path):
    make(data, tmp_path / "out")
    rows = read_table(tmp_path / "out" / "mwir_real2cut")
    assert {file: row["class"] for file, row in rows.items() if "_A/" in file} == {
        "train_A/T72/a.png": "T72",
        "train_A/T72/b.png": "T72",
        "train_A/BMP2/a.png": "BMP2",
        "test_A/T72/c.png": "T72",
    }
    assert rows["train_B/s 1.png"]["class"] == ""


def test_class_folders_are_the_classes_beside_a_table_of_boxes_alone(data, tmp_path):
    boxes = {"box_x": "1", "box_y": "2", "box_w": "3", "box_h": "4"}
    write_table(data / "labels.csv", [{"file": f"real/{name}", **boxes} for name in REAL[:3]])
    make(data, tmp_path / "datasets")
    table = read_table(tmp_path / "datasets" / "mwir_real2cut")
    found = {name: (table[name]["class"], table[name]["box_h"]) for name in table if "_A" in name}
    assert found == {
        "train_A/T72/a.png": ("T72", "4"),
        "train_A/T72/b.png": ("T72", "4"),
        "train_A/BMP2/a.png": ("BMP2", "4"),
        "test_A/T72/c.png": ("T72", ""),
    }


def test_a_table_that_fits_no_image_is_refused_one_that_fits_some_is_told(data, tmp_path, capsys):
    lines = [{"file": name.removeprefix("train/"), "class": "T72"} for name in REAL]
    write_table(data / "real" / "labels.csv", lines[:3])
    with pytest.raises(UserError, match=r"of the 3 lines of .*, 3 are of no image .*relative"):
        make(data, tmp_path / "datasets")
    assert not (tmp_path / "datasets").exists()
    write_table(data / "real" / "labels.csv", lines)  # the last one is that of a test image
    make(data, tmp_path / "datasets")
    assert "of the 4 lines of" in capsys.readouterr().out


def test_images_for_validation_come_along(data, tmp_path):
    for domain in ("real", "sim"):
        write_image(data / domain / "val" / "T72" / "v.png", grey(99))
    make(data, tmp_path / "datasets")
    make(data, tmp_path / "datasets")
    for name in ("mwir_real2cut", "mwir_sim2cut"):
        dataset = tmp_path / "datasets" / name
        assert {"val_A/T72/v.png", "val_B/T72/v.png"} <= tree(dataset)
        assert read_table(dataset)["val_A/T72/v.png"]["split"] == "val"


def test_labels_reach_training(data, tmp_path):
    dataset = tmp_path / "out" / "mwir_real2cut"
    argv = ["--model", "classifier", "--dataset_mode", "labeled", "--dataroot", str(dataset)]
    argv += ["--load_size", "8", "--crop_size", "8", "--val_fraction", "0.3"]
    write_table(  # two recordings of each class, so that one can be held out
        data / "labels.csv",
        [
            {"file": f"real/train/{c}/{g}.png", "class": c, "group": g}
            for c in ("T72", "BMP2")
            for g in ("a", "b")
        ]
        + [{"file": f"sim/{name}", "class": "", "group": ""} for name in SIM],
    )
    write_image(data / "real/train/BMP2/b.png", grey(9))
    make(data, tmp_path / "out")
    assert {p.relative_to(dataset).as_posix() for p in read_labels(dataset)} == tree(dataset)
    training, held_out = training_datasets(parse_train(argv, MODEL_OPTIONS))
    assert training.classes == ("BMP2", "T72")
    names = {
        f.name: k for d in (training, held_out) for f, k in zip(d.files, d.labels, strict=True)
    }
    assert names == {
        "train_A/BMP2/a": 0,
        "train_A/BMP2/b": 0,
        "train_A/T72/a": 1,
        "train_A/T72/b": 1,
    }


def test_a_second_run_follows_the_images(data, tmp_path):
    out = tmp_path / "out"
    make(data, out)
    first = tree(out), (out / "mwir_real2cut" / "labels.csv").read_bytes()
    make(data, out)
    assert (tree(out), (out / "mwir_real2cut" / "labels.csv").read_bytes()) == first
    (data / "real/train/T72/a.png").unlink()
    write_image(data / "real/train/SUV/n.png", grey(9))
    make(data, out)
    dataset = out / "mwir_real2cut"
    assert not os.path.lexists(dataset / "train_A/T72/a.png")
    np.testing.assert_array_equal(read_image(dataset / "train_A/SUV/n.png"), grey(9))
    assert set(read_table(dataset)) == tree(dataset)
    assert sorted(p.name for p in out.iterdir()) == ["mwir_real2cut", "mwir_sim2cut"]


def test_counts_are_printed(data, tmp_path, capsys):
    make(data, tmp_path / "out")
    first, second = capsys.readouterr().out.splitlines()
    for part in ("mwir_real2cut", "3 images in train_A", "1 images in test_A", "2 images in tr"):
        assert part in first
    # "sümmer" is a class folder too.
    assert "5 of 7 with a class (3 classes), 0 with boxes" in first
    assert "mwir_sim2cut" in second
    assert "3 images in train_B" in second


def test_images_with_boxes_are_counted_and_a_table_that_is_not_read_is_named(
    data, tmp_path, capsys
):
    box = {"box_x": "1", "box_y": "1", "box_w": "2", "box_h": "3"}
    write_table(data / "real/labels.csv", [{"file": name, "class": "", **box} for name in REAL[:2]])
    write_table(data / "sim/train/labels.csv", [{"file": "s 1.png", "class": "", **box}])
    make(data, tmp_path / "out")
    note, first, _ = capsys.readouterr().out.splitlines()
    assert "2 with boxes" in first
    assert note.startswith(f"{data / 'sim/train/labels.csv'} is not read: one table in")


@pytest.mark.parametrize("domain", ["real", "sim"])
def test_a_missing_test_folder_is_left_out_and_said(data, tmp_path, capsys, domain):
    shutil.rmtree(data / domain / "test")
    make(data, tmp_path / "out")
    assert f"no test images of --{domain}" in capsys.readouterr().out
    gone, there = ("test_A", "test_B") if domain == "real" else ("test_B", "test_A")
    assert not (tmp_path / "out/mwir_real2cut" / gone).exists()
    assert (tmp_path / "out/mwir_real2cut" / there).is_dir()


def test_16_bit_images_stay_what_they_are(data, tmp_path):
    counts = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000
    write_image(data / "real/train/T72/deep.png", counts)
    make(data, tmp_path / "out")
    linked = read_image(tmp_path / "out/mwir_sim2cut/train_B/T72/deep.png")
    assert linked.dtype == np.uint16
    np.testing.assert_array_equal(linked, counts)


def refuse(*_args, **_kwargs):
    raise OSError(errno.EPERM, "Operation not permitted")


@pytest.mark.parametrize(("refused", "said"), [(1, "hard links"), (2, "copies")])
def test_without_symbolic_links_files_come_in_another_way(
    data, tmp_path, capsys, monkeypatch, refused, said
):
    monkeypatch.setattr(Path, "symlink_to", refuse)
    if refused == 2:
        monkeypatch.setattr(Path, "hardlink_to", refuse)
    make(data, tmp_path / "out")
    assert f"7 are {said}, as the file system refused symbolic links" in capsys.readouterr().out
    image = tmp_path / "out/mwir_real2cut/train_A/T72/b.png"
    assert not image.is_symlink()
    assert image.samefile(data / "real/train/T72/b.png") == (refused == 1)
    np.testing.assert_array_equal(read_image(image), grey(1))
    make(data, tmp_path / "out")  # replaced as well as links are


@pytest.mark.parametrize("moment", ["link", "table", "swap"])
def test_a_failure_leaves_the_earlier_datasets(data, tmp_path, monkeypatch, moment):
    out = tmp_path / "out"
    make(data, out)
    before = tree(out)
    write_image(data / "real/train/T72/new.png", grey(9))

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    if moment == "link":
        monkeypatch.setattr(Path, "symlink_to", full)
    elif moment == "table":
        monkeypatch.setattr(building, "_write_table", full)
    else:
        rename = Path.rename
        monkeypatch.setattr(
            Path, "rename", lambda p, t: full() if p.name.endswith(".part") else rename(p, t)
        )
    with pytest.raises(UserError, match="No space left on device"):
        make(data, out)
    assert tree(out) == before
    assert sorted(p.name for p in out.iterdir()) == ["mwir_real2cut", "mwir_sim2cut"]


def test_an_interruption_leaves_nothing_half_made(data, tmp_path, monkeypatch):
    calls = iter(range(100))
    link = Path.symlink_to

    def interrupted(path, target):
        if next(calls) == 4:
            raise KeyboardInterrupt
        link(path, target)

    monkeypatch.setattr(Path, "symlink_to", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make(data, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("moment", ["building", "between the names", "clearing away"])
def test_what_a_killed_run_left_is_cleared_away(data, tmp_path, monkeypatch, moment):
    """And the dataset that it was about to replace is back, should the next run fail, too."""
    out = tmp_path / "out"
    make(data, out)
    before = tree(out)
    place, old = out / "mwir_sim2cut", out / ".mwir_sim2cut.old"
    if moment == "clearing away":
        shutil.copytree(place, old, symlinks=True)
    else:
        shutil.copytree(place, out / ".mwir_sim2cut.0123abcd.part", symlinks=True)
    if moment == "between the names":
        place.rename(old)
        write_table = building._write_table

        def full(path, items):
            if "sim2cut" in path.parent.name:
                raise OSError(errno.ENOSPC, "No space left on device")
            write_table(path, items)

        monkeypatch.setattr(building, "_write_table", full)
        with pytest.raises(UserError, match="No space left on device"):
            make(data, out)
        assert tree(out) == before
        monkeypatch.undo()
    make(data, out)
    assert tree(out) == before


def test_what_others_made_is_left_alone(data, tmp_path):
    out = tmp_path / "out"
    write_image(out / "mwir_sim2cut" / "train_A" / "mine.png", grey(1))
    with pytest.raises(UserError, match=r"mwir_sim2cut exists and was not made by make_unpaired"):
        make(data, out)
    assert tree(out) == {"mwir_sim2cut/train_A/mine.png"}
    assert not (out / "mwir_real2cut").exists()


def test_files_added_to_a_dataset_are_not_lost(data, tmp_path):
    make(data, tmp_path / "out")
    mine = tmp_path / "out/mwir_real2cut/val_A/mine.png"
    write_image(mine, grey(1))
    with pytest.raises(UserError, match=r"did not put there \(val_A/mine.png\)"):
        make(data, tmp_path / "out")
    assert mine.is_file()


def test_labels_corrected_by_hand_are_not_lost(data, tmp_path):
    make(data, tmp_path / "out")
    table = tmp_path / "out/mwir_real2cut/labels.csv"
    corrected = table.read_text(encoding="utf-8").replace("BMP2", "BRDM2")
    table.write_text(corrected, encoding="utf-8")
    with pytest.raises(UserError, match=r"labels.csv was changed since"):
        make(data, tmp_path / "out")
    assert table.read_text(encoding="utf-8") == corrected


def test_an_empty_folder_may_be_filled(data, tmp_path):
    (tmp_path / "out" / "mwir_real2cut").mkdir(parents=True)
    make(data, tmp_path / "out")
    assert (tmp_path / "out/mwir_real2cut/labels.csv").is_file()


def remove_train(data: Path) -> None:
    shutil.rmtree(data / "real" / "train")


def empty_train(data: Path) -> None:
    remove_train(data)
    (data / "real" / "train").mkdir()


def same_name(data: Path) -> None:
    write_image(data / "real/train/T72/a.jpg", grey(1))


def dangling(data: Path) -> None:
    (data / "real/train/T72/z.png").symlink_to(data / "nowhere.png")


def bad_table(data: Path) -> None:
    (data / "labels.csv").write_text("name,kind\nx,y\n")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (remove_train, r"there is no folder .*real/train; divide the images of --real"),
        (empty_train, r"there is no image in .*real/train"),
        (same_name, r"a\.(png|jpg) and .*a\.(png|jpg) would have results of one name"),
        (dangling, r"z\.png leads to no file"),
        (bad_table, r"labels\.csv has no column 'file'"),
    ],
)
def test_bad_images_are_one_sentence_and_leave_nothing(data, tmp_path, spoil, said):
    spoil(data)
    with pytest.raises(UserError, match=said):
        make(data, tmp_path / "out")
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_one_folder_for_both_domains_is_refused(data, tmp_path):
    real = str(data / "real")
    with pytest.raises(UserError, match="are one folder"):
        main(["--real", real, "--sim", f"{real}/../real", "--out", str(tmp_path / "out")])


def test_datasets_do_not_go_among_the_images(data):
    with pytest.raises(UserError, match="among the images"):
        make(data, data / "real" / "train")


def test_from_any_directory_with_relative_paths(data, tmp_path):
    command = [sys.executable, str(ROOT / "datasets" / "make_unpaired.py")]
    flags = ["--real", "real", "--sim", "../data/sim", "--out", "../out"]
    done = subprocess.run(command + flags, cwd=data, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(p.is_file() for p in (tmp_path / "out").rglob("*.png"))
    failed = subprocess.run(command + flags[:4], cwd=data, capture_output=True, text=True)
    assert failed.returncode == 2
    assert len(failed.stderr.splitlines()) == 1
    assert "--out" in failed.stderr


def test_shared_images(shared_data, tmp_path):
    mwir = shared_data("mwir")
    make(mwir, tmp_path)
    labels = read_labels(tmp_path / "mwir_real2cut")
    with (mwir / "labels.csv").open(newline="") as file:
        source = list(csv.DictReader(file))
    for row in source:
        _, split, rest = row["file"].split("/", 2)
        label = labels[tmp_path / "mwir_real2cut" / f"{split}_A" / rest]
        assert {**label.row, "file": row["file"]} == row
    assert len(labels) == len(source) + len(list((mwir / "sim").rglob("*.png")))


def test_what_systems_put_beside_images_is_no_data(data, tmp_path):
    make(data, tmp_path / "out")
    before = read_table(tmp_path / "out" / "mwir_real2cut")
    write_image(data / "real" / "train" / "T72" / "@eaDir" / "a.png" / "THUMB_M.jpg", grey(9))
    strange = tmp_path / "out" / "mwir_real2cut" / "train_A" / "@eaDir"
    write_image(strange / "THUMB_M.jpg", grey(9))
    (strange.parent / "Thumbs.db").touch()
    make(data, tmp_path / "out")  # what they put into a dataset does not stop its next making
    assert read_table(tmp_path / "out" / "mwir_real2cut") == before


def test_files_of_other_kinds_are_counted(data, tmp_path, capsys):
    for i in range(3):
        (data / "sim" / "train" / f"{i}.fff").touch()
    make(data, tmp_path / "out")
    told = f"{data / 'sim' / 'train'}: 3 files of other kinds are not read (.fff)\n"
    assert capsys.readouterr().out.startswith(told)


def test_a_table_of_a_spreadsheet_is_a_plain_one_in_the_datasets(data, tmp_path):
    table = "File;Class;Range_m\r\ntrain\\T72\\a.png;T72 ;12,5\r\n"
    (data / "real" / "labels.csv").write_bytes(table.encode("utf-8-sig"))
    make(data, tmp_path / "out")
    row = read_table(tmp_path / "out" / "mwir_real2cut")["train_A/T72/a.png"]
    assert (row["class"], row["range_m"]) == ("T72", "12.5")
