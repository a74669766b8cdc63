"""make_pseudo_pairs.py: results become pairs with labels; unfit results are refused."""

import csv
import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data.images import read_image, write_image
from datasets import make_unpaired
from datasets.make_pseudo_pairs import main
from models import MODEL_OPTIONS
from options import parse_train
from tests.data.samples import item, training_datasets
from util.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
CLASSES = {
    "train": {"T72/a": "T72", "T72/ö 1": "T72", "BMP2/a": "BMP2"},
    "test": {"T72/c": "T72", "SUV/c": "SUV"},
}


def grey(value: int, *, side: int = 8) -> np.ndarray:
    return np.full((side, side), value, np.uint8)


def write_result(folder: Path, dataset: Path, phase: str, **changes) -> None:
    """What test.py leaves: real_A of value 1, 2, ... and fake_B of value 101, 102, ..."""
    names = sorted(CLASSES[phase])
    for value, name in enumerate(names, start=1):
        write_image(folder / "images" / "real_A" / f"{name}.png", grey(value))
        write_image(folder / "images" / "fake_B" / f"{name}.png", grey(100 + value))
        write_image(folder / "images" / "real_B" / f"{name}.png", grey(200))
    record = {
        "name": "mwir_real2cut",
        "model": "cut",
        "epoch": "latest",
        "dataroot": str(dataset),
        "phase": phase,
        "count": len(names),
        "total": len(names),
        "paired": False,
    }
    (folder / "result.json").write_text(json.dumps({**record, **changes}))


@pytest.fixture
def work(tmp_path):
    """A folder with the dataset mwir_real2cut and results of all its images."""
    with_range = []
    for phase, classes in CLASSES.items():
        write_image(tmp_path / "data" / "sim" / phase / "s.png", grey(0))
        for name, kind in classes.items():
            write_image(tmp_path / "data" / "real" / phase / f"{name}.jpg", grey(7))
            file = f"real/{phase}/{name}.jpg"
            with_range.append({"file": file, "class": kind, "range_m": str(len(with_range))})
    with (tmp_path / "data" / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, with_range[0])
        writer.writeheader()
        writer.writerows(with_range)
    real, sim = (str(tmp_path / "data" / domain) for domain in ("real", "sim"))
    make_unpaired.main(["--real", real, "--sim", sim, "--out", str(tmp_path)])
    for phase in CLASSES:
        write_result(tmp_path / f"{phase}_latest", tmp_path / "mwir_real2cut", phase)
    return tmp_path


def make(work: Path, *more: str) -> Path:
    out = work / "mwir_pix2pix"
    flags = ["--train", str(work / "train_latest"), "--test", str(work / "test_latest")]
    main([*flags, "--out", str(out), *more])
    return out


def read_table(dataset: Path) -> dict[str, dict[str, str]]:
    with (dataset / "labels.csv").open(newline="", encoding="utf-8") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def values(dataset: Path) -> dict[str, int]:
    return {
        p.relative_to(dataset).as_posix(): int(read_image(p)[0, 0]) for p in dataset.rglob("*.png")
    }


def test_translations_are_a_and_real_images_are_b(work):
    expected = {}
    for phase, classes in CLASSES.items():
        for value, name in enumerate(sorted(classes), start=1):
            expected[f"{phase}_A/{name}.png"] = 100 + value
            expected[f"{phase}_B/{name}.png"] = value
    assert values(make(work)) == expected


def test_both_images_of_a_pair_have_the_whole_label(work):
    out = make(work)
    rows = read_table(out)
    assert set(rows) == set(values(out))
    with (work / "data" / "labels.csv").open(newline="", encoding="utf-8") as file:
        for source in csv.DictReader(file):
            _, phase, name = source["file"].split("/", 2)
            for letter in "AB":
                place = f"{phase}_{letter}/{Path(name).with_suffix('.png').as_posix()}"
                assert rows[place] == {
                    "file": place,
                    "split": phase,
                    "class": source["class"],
                    "range_m": source["range_m"],
                }


@pytest.fixture
def boxed(work):
    """The source's table with boxes; the sources are larger than the results."""
    table = work / "mwir_real2cut" / "labels.csv"
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    box = dict(zip(("box_x", "box_y", "box_w", "box_h"), ("2", "4", "6.5", "8"), strict=True))
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*rows[0], *box, "box_source"])
        writer.writeheader()
        writer.writerows(row | box | {"box_source": "motion"} for row in rows)
    for source in (work / "data" / "real").rglob("*.jpg"):
        write_image(source, np.full((32, 16), 7, np.uint8))
    return table


def boxes(dataset: Path) -> set[tuple[str, ...]]:
    return {
        tuple(row[column] for column in ("box_x", "box_y", "box_w", "box_h", "box_source"))
        for row in read_table(dataset).values()
    }


def test_boxes_are_in_pixels_of_the_results(work, boxed):
    """From 16 pixels across and 32 down to 8 by 8."""
    assert boxes(make(work)) == {("1", "1", "3.25", "2", "motion")}


def test_boxes_of_unchanged_size_are_kept_to_the_letter(work, boxed):
    for source in (work / "data" / "real").rglob("*.jpg"):
        write_image(source, grey(7))
    assert boxes(make(work)) == {("2", "4", "6.5", "8", "motion")}


def test_a_box_of_unknown_scale_is_left_out(work, boxed):
    for source in (work / "data" / "real" / "train").rglob("*.jpg"):
        source.unlink()
    dataset = make(work)
    rows = read_table(dataset)
    assert {row["box_x"] for row in rows.values() if row["split"] == "train"} == {""}
    assert {row["box_source"] for row in rows.values() if row["split"] == "train"} == {""}
    assert {row["box_x"] for row in rows.values() if row["split"] == "test"} == {"1"}
    assert all(row["class"] for row in rows.values())


def test_a_box_that_is_no_number_is_one_sentence(work, boxed):
    boxed.write_text(boxed.read_text(encoding="utf-8").replace("6.5", "wide"), encoding="utf-8")
    with pytest.raises(UserError, match=r"a\.jpg: box_w is 'wide'.*correct it"):
        make(work)


def test_labels_reach_training(work):
    out = make(work)
    argv = ["--model", "pix2pix", "--dataset_mode", "aligned", "--dataroot", str(out)]
    argv += ["--load_size", "8", "--crop_size", "8", "--no_flip"]
    dataset, _ = training_datasets(parse_train(argv, MODEL_OPTIONS))
    assert dataset.classes == ("BMP2", "T72")
    names = [file.name for file in dataset.files]
    classes = [dataset.classes[label] for label in dataset.labels]
    assert dict(zip(names, classes, strict=True)) == CLASSES["train"]
    sample = item(dataset, 0, 0)
    assert (sample.name, sample.label) == ("BMP2/a", 0)
    assert sample.a.unique().item() == pytest.approx(101 / 127.5 - 1)
    assert sample.b.unique().item() == pytest.approx(1 / 127.5 - 1)


def test_pairs_stay_when_results_are_made_anew_or_deleted(work):
    out = make(work)
    before = values(out)
    source = work / "train_latest" / "images" / "fake_B" / "T72" / "a.png"
    assert (out / "train_A" / "T72" / "a.png").samefile(source)  # no space is spent
    write_image(source, grey(55))
    assert values(out) == before
    shutil.rmtree(work / "train_latest")
    assert values(out) == before


def test_a_second_run_takes_the_new_results(work):
    out = make(work)
    before = values(out), (out / "labels.csv").read_bytes()
    make(work)
    assert (values(out), (out / "labels.csv").read_bytes()) == before
    write_image(work / "train_latest/images/fake_B/T72/a.png", grey(55))
    make(work)
    assert values(out) == {**before[0], "train_A/T72/a.png": 55}


def test_counts_are_printed(work, capsys):
    make(work)
    said = capsys.readouterr().out
    for part in ("3 images in train_A", "3 images in train_B", "2 images in test_A"):
        assert part in said
    assert "10 of 10 with a class (3 classes)" in said


def test_16_bit_results_stay_what_they_are(work):
    counts = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000
    write_image(work / "train_latest/images/real_A/T72/a.png", counts)
    linked = read_image(make(work) / "train_B/T72/a.png")
    assert linked.dtype == np.uint16
    np.testing.assert_array_equal(linked, counts)


def test_without_hard_links_there_are_copies(work, capsys, monkeypatch):
    def across(*_args):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", across)
    out = make(work)
    assert "10 are copies, as the file system refused hard links" in capsys.readouterr().out
    source = work / "train_latest" / "images" / "fake_B" / "T72" / "a.png"
    assert not (out / "train_A" / "T72" / "a.png").samefile(source)
    assert values(out)["train_A/T72/a.png"] == read_image(source)[0, 0]


def test_test_results_may_be_left_out(work, capsys):
    out = work / "mwir_pix2pix"
    main(["--train", str(work / "train_latest"), "--out", str(out)])
    assert "no --test results" in capsys.readouterr().out
    assert sorted(p.name for p in out.iterdir()) == [
        "dataset.json",
        "labels.csv",
        "train_A",
        "train_B",
    ]


def test_labels_come_from_the_named_dataset(work):
    (work / "mwir_real2cut").rename(work / "moved")
    with pytest.raises(
        UserError, match=r"no folder .*mwir_real2cut to look labels up in.*--labels"
    ):
        make(work)
    rows = read_table(make(work, "--labels", str(work / "moved")))
    assert rows["train_A/BMP2/a.png"]["class"] == "BMP2"


@pytest.mark.parametrize("layout", ["trainA", "train_A"])
def test_class_folders_are_the_classes_without_a_table(work, layout):
    root = work / "plain"
    for phase in CLASSES:
        (root / layout.replace("train", phase)).mkdir(parents=True)
    rows = read_table(make(work, "--labels", str(root)))
    assert rows["train_A/BMP2/a.png"]["class"] == "BMP2"
    assert rows["test_B/SUV/c.png"]["class"] == "SUV"


def test_labels_of_a_dataset_without_phase_folders(work):
    root = work / "flat"
    root.mkdir()
    (root / "labels.csv").write_text("file,class,range_m\nT72/a.png,tank,5\n", encoding="utf-8")
    rows = read_table(make(work, "--labels", str(root)))
    assert rows["train_B/T72/a.png"]["class"] == "tank"
    assert rows["train_B/BMP2/a.png"]["class"] == ""


def change_record(folder: Path, **changes) -> None:
    record = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps({**record, **changes}))


def part_of_all(work: Path) -> None:
    change_record(work / "train_latest", total=920)


def no_record(work: Path) -> None:
    (work / "test_latest" / "result.json").unlink()


def broken_record(work: Path) -> None:
    (work / "test_latest" / "result.json").write_text('{"phase": "te')


def lean_record(work: Path) -> None:
    (work / "test_latest" / "result.json").write_text('{"phase": "test", "count": 2, "total": 2}')


def swapped(work: Path) -> None:
    (work / "train_latest").rename(work / "x")
    (work / "test_latest").rename(work / "train_latest")
    (work / "x").rename(work / "test_latest")


def nested_record(work: Path) -> None:
    (work / "train_latest/result.json").write_text("[" * 100_000)


def two_generators(work: Path) -> None:
    change_record(work / "test_latest", epoch="200")


def stale_images(work: Path) -> None:
    change_record(work / "test_latest", count=1, total=1)


def lonely(work: Path) -> None:
    (work / "train_latest/images/real_A/T72/a.png").unlink()


def unequal(work: Path) -> None:
    write_image(work / "train_latest/images/real_A/T72/a.png", grey(1, side=9))


def unreadable(work: Path) -> None:
    image = work / "train_latest/images/real_A/T72/a.png"
    image.unlink()  # the dataset has it as a hard link
    image.write_bytes(b"no image")


def no_translations(work: Path) -> None:
    shutil.rmtree(work / "train_latest/images/fake_B")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (part_of_all, r"train_latest holds 3 of 920 images; run test.py with .*--num_test all"),
        (no_record, r"there is no .*result\.json"),
        (broken_record, r"result\.json cannot be read"),
        (lean_record, r"result\.json cannot be read"),
        (nested_record, r"result\.json cannot be read"),
        (swapped, r"has results of --phase test, not of train"),
        (two_generators, r"several generators .*epoch 200 and .*epoch latest"),
        (stale_images, r"holds 2 images where its last run wrote 1"),
        (lonely, r"without a partner of the same name: 1 in A \(T72/a\)"),
        (unequal, r"1 pairs of .* of unequal size \(T72/a: 8x8 and 9x9\)"),
        (unreadable, r"a\.png is not a readable image"),
        (no_translations, r"there is no folder .*fake_B"),
    ],
)
def test_unfit_results_are_one_sentence_and_change_nothing(work, spoil, said):
    out = make(work)
    before = values(out)
    spoil(work)
    with pytest.raises(UserError, match=said):
        make(work)
    assert values(out) == before
    assert not [p for p in work.iterdir() if p.name.startswith(".")]


def test_a_failure_leaves_the_earlier_dataset(work, monkeypatch):
    out = make(work)
    before = values(out)
    calls = iter(range(100))
    link = Path.hardlink_to

    def until_full(path, source):
        if next(calls) == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        link(path, source)

    monkeypatch.setattr(Path, "hardlink_to", until_full)
    with pytest.raises(UserError, match="No space left on device"):
        make(work)
    assert values(out) == before
    assert not [p for p in work.iterdir() if p.name.startswith(".")]


def test_what_others_made_is_left_alone(work):
    write_image(work / "mwir_pix2pix" / "train_A" / "mine.png", grey(1))
    with pytest.raises(UserError, match=r"was not made by make_pseudo_pairs\.py"):
        make(work)
    main_flags = ["--train", str(work / "train_latest"), "--out", str(work / "mwir_real2cut")]
    with pytest.raises(UserError, match=r"was not made by make_pseudo_pairs\.py"):
        main(main_flags)
    with pytest.raises(UserError, match="among the images"):
        main([*main_flags[:2], "--out", str(work / "train_latest" / "images" / "fake_B" / "new")])


def test_from_any_directory_with_relative_paths(work):
    command = [sys.executable, str(ROOT / "datasets" / "make_pseudo_pairs.py")]
    flags = ["--train", "../train_latest", "--test", "../test_latest", "--out", "../pairs"]
    done = subprocess.run(command + flags, cwd=work / "data", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(values(work / "pairs")) == 10
    part_of_all(work)
    failed = subprocess.run(command + flags, cwd=work / "data", capture_output=True, text=True)
    assert failed.returncode == 2
    assert len(failed.stderr.splitlines()) == 1
