"""downstream.py from its flags to its files: 16-bit images of stripes and squares as classes."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models.resnet import BasicBlock, ResNet

import downstream
from data.images import read_image, write_image
from models.networks.classifiers import load_classifier, resnet18
from training import downstream as trials
from training import loop
from util.errors import UserError, run_main

FLAGS = "--n_epochs 1 --n_epochs_decay 0 --load_size 32 --batch_size 8 --no_augment --gpu_ids -1"
FLAGS = [*FLAGS.split(), "--num_threads", "0"]


def make_images(folder, labels, count, *, seed, dtype=np.uint16):
    """`count` images a class in folders; labels: what is shown -> class that it is filed under."""
    rng = np.random.default_rng(seed)
    low, step = (7000, 800) if dtype == np.uint16 else (50, 160)
    for shown, label in labels.items():
        for number in range(count):
            scene = rng.normal(0, 0.1, (32, 32))
            places = {"A": np.s_[:, ::4], "B": np.s_[::4], "C": np.s_[8:24, 8:24]}
            scene[places[shown]] += 1
            image = (low + step * scene).clip(0, 2**16 - 1).astype(dtype)
            write_image(folder / label / f"{shown}_s{seed}v{number % 5}_{number:03d}.png", image)


@pytest.fixture(scope="module", autouse=True)
def small_network():
    """One block a stage in place of two: half the time and space."""

    def resnet10(weights, **options):
        return ResNet(BasicBlock, [1, 1, 1, 1], **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resnet18, "resnet18", resnet10)
        yield


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Sets that teach the truth, the classes in another order, and two classes in 8 bits."""
    root = tmp_path_factory.mktemp("downstream")
    make_images(root / "real" / "train", {x: x for x in "ABC"}, 60, seed=0)
    make_images(root / "real" / "test", {x: x for x in "ABC"}, 6, seed=1)
    make_images(root / "permuted", {"A": "B", "B": "C", "C": "A"}, 60, seed=2)
    make_images(root / "few", {x: x for x in "AC"}, 60, seed=3, dtype=np.uint8)
    yield root
    shutil.rmtree(root)  # six classifiers with their optimisers: half a gigabyte


def call(places, *flags, sets=("real", "permuted"), out="out", extra=()):
    named = [word for name in sets for word in ("--set", name, str(places / name))]
    own = [*named, "--test", str(places / "real"), "--out", str(places / out)]
    downstream.main([*own, *map(str, flags), "--", *FLAGS, *map(str, extra)])


def read_report(places, out="out"):
    file = places / out / "downstream.json"
    return json.loads(file.read_text(), parse_constant=pytest.fail)


@pytest.fixture(scope="module")
def report(places):
    """Of two sets and two seeds."""
    call(places, "--seeds", 2)
    kept = {
        name: (places / "out" / name).read_text() for name in ("downstream.csv", "downstream.md")
    }
    return {**read_report(places), **kept}


def weights_of(places, out="out"):
    files = sorted((places / out / "checkpoints").rglob("*_net_classifier.pth"))
    return {file: file.stat().st_mtime_ns for file in files}


def test_a_set_is_worth_what_it_teaches(report):
    real, permuted = report["sets"]
    assert (real["name"], permuted["name"]) == ("real", "permuted")
    assert real["balanced_accuracy"]["mean"] > 0.9
    # Not a poor classifier, which would be near chance: a good one of other names.
    assert permuted["balanced_accuracy"]["mean"] < 0.1
    assert permuted["runs"][0]["validation_balanced_accuracy"] > 0.9
    assert permuted["difference"]["mean"] < -0.8
    assert report["chance"] == pytest.approx(1 / 3)
    assert report["test"]["images_of_class"] == {"A": 6, "B": 6, "C": 6}


def test_sixteen_bit_counts_are_shown_as_in_training(report):
    for images in report["sets"]:
        for run in images["runs"]:
            assert run["value_map"]["bits"] == 16
            assert 6000 < run["value_map"]["low"] < run["value_map"]["high"] < 9000


def test_the_figures_are_those_of_the_saved_classifier(places, report):
    files = sorted((places / "real" / "test").rglob("*.png"))
    labels = [file.parent.name for file in files]
    for images in report["sets"]:
        for run in images["runs"]:
            classifier = load_classifier(Path(run["folder"]) / "latest_net_classifier.pth")
            low, high = classifier.value_range
            counts = np.stack([read_image(file) for file in files]).astype(np.float32)
            inputs = torch.from_numpy((counts - low) * (2 / (high - low)) - 1)[:, None]
            best = classifier(inputs).argmax(dim=1)
            pairs = list(zip(labels, (classifier.classes[i] for i in best), strict=True))
            expected = [[pairs.count((t, p)) for p in "ABC"] for t in "ABC"]
            assert run["confusion"] == expected
            assert run["accuracy"] == pytest.approx(np.mean([t == p for t, p in pairs]))
            recalls = [row[k] / sum(row) for k, row in enumerate(expected)]
            assert run["balanced_accuracy"] == pytest.approx(np.mean(recalls))
        values = [run["balanced_accuracy"] for run in images["runs"]]
        assert images["balanced_accuracy"]["values"] == values
        assert images["balanced_accuracy"]["mean"] == pytest.approx(np.mean(values))


def test_files_agree_and_say_how_it_was_made(places, report):
    rows = list(csv.DictReader(report["downstream.csv"].splitlines()))
    assert [(row["set"], row["seed"]) for row in rows] == [
        *(("real", "0"), ("real", "1")),
        *(("permuted", "0"), ("permuted", "1")),
    ]
    runs = [run for images in report["sets"] for run in images["runs"]]
    for row, run in zip(rows, runs, strict=True):
        assert float(row["balanced_accuracy"]) == run["balanced_accuracy"]
        # Of 180 images one video in five is held out: 144, in batches of 8.
        assert (int(row["training_images"]), int(row["steps"])) == (144, 18)
    assert f"| {report['sets'][0]['balanced_accuracy']['mean']:.3f} ±" in report["downstream.md"]
    assert "Tested on 18 images of 3 classes: A, B, C." in report["downstream.md"]
    assert report["options"]["data"]["load_size"] == 32
    assert report["versions"]["torch"] == torch.__version__.split("+")[0]
    assert len({run["weights_sha256"] for run in runs}) == 4


def test_a_second_call_trains_nothing_and_a_set_can_be_added(places, report, capsys):
    before = weights_of(places)
    call(places, "--seeds", 1, sets=("real", "permuted", "few"))
    after = weights_of(places)
    assert {file: after[file] for file in before} == before
    added = {file.parent.name for file in after.keys() - before.keys()}
    assert added == {"few_seed0"}
    shown = capsys.readouterr().out
    assert shown.count("left as it is") == 2
    assert "Left out in all rows: B (6 images; not in few)." in shown
    assert "few has 8 bits and the test images have 16" in shown
    assert "One seed tells nothing" in shown

    found = read_report(places)
    assert found["classes"] == ["A", "C"]
    assert found["chance"] == 0.5
    assert found["left_out"] == ["B (6 images; not in few)"]
    real, permuted, few = found["sets"]
    assert real["balanced_accuracy"]["low"] is None
    assert few["balanced_accuracy"]["mean"] > 0.9
    # The answer B, to which A was permuted, is not open to any row: each image has one of A and C.
    for images in (real, permuted, few):
        assert np.sum(images["runs"][0]["confusion"], axis=1).tolist() == [6, 6]


def test_an_interrupted_run_ends_as_the_uninterrupted_one(places, report, monkeypatch):
    step = loop.seed_step

    def interrupt(seed, number):
        if number == 12:
            raise KeyboardInterrupt
        step(seed, number)

    monkeypatch.setattr(loop, "seed_step", interrupt)
    flags = {"sets": ["real"], "out": "parts", "extra": ["--save_latest_freq", 40]}
    with pytest.raises(SystemExit) as left:
        run_main(lambda: call(places, "--seeds", 1, **flags))
    assert left.value.code == 130
    assert not (places / "parts" / "downstream.json").exists()
    monkeypatch.undo()
    call(places, "--seeds", 1, **flags)
    again, first = read_report(places, "parts")["sets"][0]["runs"][0], report["sets"][0]["runs"][0]
    assert again["weights_sha256"] == first["weights_sha256"]
    assert again["confusion"] == first["confusion"]


@pytest.mark.parametrize(
    ("place", "spoil", "words"),
    [
        ("late/A", lambda path: path.write_text("none"), "not a readable image"),
        ("late/A", lambda path: write_image(path, np.zeros((32, 40), np.uint8)), "share a batch"),
        ("test/A", lambda path: write_image(path, np.zeros((32, 40), np.uint8)), "share a batch"),
        ("test/A", lambda path: write_image(path, np.zeros((32, 32), np.uint16)), "16 bits"),
    ],
)
def test_images_that_do_not_fit_are_named_before_anything_is_trained(
    tmp_path, monkeypatch, place, spoil, words
):
    monkeypatch.setattr(trials, "train", lambda config: pytest.fail("it is trained"))
    for seed, name in enumerate(("early", "late", "test")):
        make_images(tmp_path / name, {x: x for x in "AB"}, 5, seed=seed, dtype=np.uint8)
    bad = sorted((tmp_path / place).iterdir())[-1]
    spoil(bad)
    flags = ["--set", "x", tmp_path / "early", "--set", "y", tmp_path / "late"]
    flags += ["--test", tmp_path / "test", "--out", tmp_path / "out"]
    with pytest.raises(UserError, match=words) as refused:
        downstream.main([*map(str, flags), "--", *FLAGS, "--preprocess", "none"])
    assert str(bad) in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_classifiers_of_chips_are_refused(tmp_path):
    flags = ["--set", "x", tmp_path, "--test", tmp_path, "--out", tmp_path / "out"]
    with pytest.raises(UserError, match="learn from chips; give --view frame"):
        downstream.main([*map(str, flags), "--", *FLAGS, "--view", "chip"])


def test_runs_of_other_flags_or_images_are_refused(places, report, tmp_path):
    before = weights_of(places)
    with pytest.raises(UserError, match="real_seed0 was made with --n_epochs 1, not 2"):
        call(places, "--seeds", 1, sets=["real"], extra=["--n_epochs", 2])
    make_images(tmp_path, {x: x for x in "ABC"}, 2, seed=5)
    flags = ["--set", "real", tmp_path, "--test", places / "real", "--out", places / "out"]
    with pytest.raises(UserError, match="real_seed0 was made from other training images"):
        downstream.main([*map(str, flags), "--", *FLAGS])
    assert weights_of(places) == before


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--set", "a", "real", "--test", "real", "--phase", "train"], "in the set a too"),
        (["--set", "a", "none", "--test", "real"], "none; check --set a"),
        (["--set", "a", "real", "--test", "none"], "none; check --test"),
        (["--set", "a", "real", "--set", "a", "few", "--test", "real"], "two sets are called a"),
        (["--set", "../a", "real", "--test", "real"], "--set"),
        (["--set", "a", "real", "--test", "real", "--seeds", "0"], "--seeds is 0"),
        (["--set", "a", "real", "--test", "real", "--n_epochs", "3"], "--n_epochs is not a flag"),
        (["--set", "a", "real", "--test", "real", "--", "--seed", "3"], "decides on --seed"),
        (["--set", "a", "real", "--test", "real", "--", "--like", "run"], "decides on --like"),
        (["--set", "a", "real", "--test", "real", "--", "--model", "cut"], "--model cut"),
        (["--set", "a", "real", "--test", "real", "--", "--n_epoch", "3"], "mean --n_epochs?"),
        (["--test", "real"], "--set"),
    ],
)
def test_mistakes_are_one_sentence_and_nothing_is_written(
    places, tmp_path, monkeypatch, capsys, flags, words
):
    monkeypatch.chdir(places)
    with pytest.raises(SystemExit) as left:
        run_main(lambda: downstream.main(["--out", str(tmp_path / "out"), *flags]))
    message = capsys.readouterr().err
    assert left.value.code == 2
    assert message.startswith("error: ")
    assert message.count("\n") == 1
    assert words in message
    assert not list(tmp_path.iterdir())
