"""train.py and test.py as users run them: files, continuing, fine-tuning, translation."""

import csv
import errno
import json
import shutil
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import test as test_program
import train
import translating.loop
from data.images import read_image, write_image
from data.value_map import EIGHT_BIT
from models import MODEL_OPTIONS, model_class
from models.base import Model
from models.networks import ResnetGenerator, UnetGenerator
from models.networks.classifiers import ResNet18Classifier, load_classifier
from models.translation import translate
from options import parse_test
from training import loop
from training.validation import PairedValidation
from util.checkpoint import digest
from util.compute import Compute
from util.errors import UserError

SMALL = "--ngf 4 --ndf 4 --load_size 36 --crop_size 32 --num_threads 0 --gpu_ids -1".split()
CUT = ["--model", "cut", "--netG", "resnet_4blocks", "--netF_nc", "8", "--num_patches", "16"]
PIX2PIX = ["--model", "pix2pix", "--netG", "resnet_4blocks"]
SHORT = ["--n_epochs", "1", "--n_epochs_decay", "1"]


def noise(seed, shape=(40, 48), dtype=np.uint8, top=256):
    return np.random.default_rng(seed).integers(0, top, shape).astype(dtype)


@pytest.fixture
def data(tmp_path):
    """Five images a folder, two of them of one name in different folders."""
    for number, folder in enumerate(("trainA", "trainB", "testA", "testB")):
        for i, name in enumerate(("T72/1", "BMP2/1", "BMP2/2", "3", "4")):
            write_image(tmp_path / "data" / folder / f"{name}.png", noise(10 * number + i))
    return tmp_path / "data"


@pytest.fixture
def run(tmp_path, data):
    """Call train.py or test.py in a folder of their own."""

    def call(program, *flags, name="run"):
        places = ["--checkpoints_dir", str(tmp_path / "checkpoints"), "--name", name]
        if program is test_program:
            places += ["--results_dir", str(tmp_path / "results"), "--num_threads", "0"]
            places += ["--gpu_ids", "-1"]
        program.main(["--dataroot", str(data), *places, *map(str, flags)])
        return tmp_path / ("checkpoints" if program is train else "results") / name

    return call


def weights(folder, label="latest", network="G"):
    return torch.load(folder / f"{label}_net_{network}.pth", weights_only=True)


def assert_same(a, b):
    assert a.keys() == b.keys()
    for key in a:
        assert torch.equal(a[key], b[key]), key


def test_cut_leaves_its_files(run):
    folder = run(train, *CUT, *SMALL, *SHORT, "--save_epoch_freq", 1, "--display_freq", 2)
    files = {path.name for path in folder.iterdir()}
    expected = {f"{label}_net_{n}.pth" for label in ("latest", "1", "2") for n in "GDF"}
    states = {"latest.pth", "previous.pth"}
    logs = {"loss_log.csv", "loss_log.txt", "train_opt.txt"}
    assert files == expected | states | logs | {"run.json", "finished", "web"}
    rows = list(csv.DictReader((folder / "loss_log.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[1]["lr"]) == pytest.approx(2e-4 / 2)
    page = (folder / "web" / "index.html").read_text()
    samples = list((folder / "web" / "images").iterdir())
    assert len(samples) == 5 * 4 * 3, "of four images, at five moments"
    assert all(sample.name in page for sample in samples)
    # For other tools: the bare state dict of the public code's network.
    ResnetGenerator(input_nc=1, output_nc=1, ngf=4, n_blocks=4).load_state_dict(weights(folder))


def test_a_short_run_shows_what_it_has_come_to(run):
    folder = run(train, *CUT, *SMALL, *SHORT)
    shown = {path.name.split("_sample")[0] for path in (folder / "web" / "images").iterdir()}
    assert shown == {"epoch002_images00000010"}


def test_the_average_of_g_is_what_is_tested(run):
    folder = run(train, *PIX2PIX, *SMALL, *SHORT, "--ema", 0.9)
    run(test_program)
    record = json.loads((folder.parents[1] / "results/run/test_latest/result.json").read_text())
    average = weights(folder, network="G_ema")
    assert record["inputs"]["weights of the generator"] == digest(average)
    assert digest(average) != digest(weights(folder))


def test_same_seed_same_weights_other_seed_others(run):
    first = weights(run(train, *CUT, *SMALL, *SHORT, name="a"))
    assert_same(first, weights(run(train, *CUT, *SMALL, *SHORT, name="b")))
    other = weights(run(train, *CUT, *SMALL, *SHORT, "--seed", 1, name="c"))
    assert not torch.equal(first["model.1.weight"], other["model.1.weight"])


@pytest.mark.parametrize(
    "flags",
    [
        [*CUT, "--pool_size", "3", "--blind_target", "--box_patches", "0.5"],
        [*PIX2PIX, "--batch_size", "2"],
        [*CUT, "--lr_policy", "plateau", "--lr", "0.01"],
        [*PIX2PIX, "--val_freq", "1", "--val_phase", "test"],
    ],
)
def test_continued_equals_uninterrupted(run, data, flags, monkeypatch):
    rows = [f"{f}/T72/1.png,,{6 + 9 * i},8,14,12" for i, f in enumerate(("trainA", "trainB"))]
    (data / "labels.csv").write_text("\n".join(["file,class,box_x,box_y,box_w,box_h", *rows]))
    flags = [*flags, *SMALL, "--n_epochs", "2", "--n_epochs_decay", "2"]
    flags += ["--save_latest_freq", "2", "--dataset_mode"]
    flags += ["aligned" if "pix2pix" in flags else "unaligned"]
    whole = run(train, *flags, name="whole")

    class Killed(Exception):
        pass

    step = loop.seed_step

    def interrupt(seed, number):
        if number == 10:
            raise Killed
        step(seed, number)

    monkeypatch.setattr(loop, "seed_step", interrupt)
    with pytest.raises(Killed):
        run(train, *flags, name="parts")
    monkeypatch.undo()
    parts = run(train, *flags, "--continue_train", name="parts")
    for network in ("G", "D"):
        assert_same(weights(whole, network=network), weights(parts, network=network))
    columns = [("epoch", "step")] * 2
    for folder, names in zip((whole, parts), columns, strict=True):
        rows = list(csv.DictReader((folder / "loss_log.csv").open()))
        steps = [int(row[names[1]]) for row in rows]
        assert steps == sorted(set(steps))
    if "--val_freq" in flags:
        assert_same(weights(whole, "best"), weights(parts, "best"))
        for file in ("best.json", "validation_log.csv"):
            assert (whole / file).read_text() == (parts / file).read_text()


def test_a_finished_run_is_neither_overwritten_nor_continued(run):
    folder = run(train, *CUT, *SMALL, *SHORT)
    before = weights(folder)
    with pytest.raises(UserError, match="holds a run already"):
        run(train, *CUT, *SMALL, *SHORT)
    with pytest.raises(UserError, match="is finished: all 2 epochs"):
        run(train, *CUT, *SMALL, *SHORT, "--continue_train")
    assert_same(before, weights(folder))
    run(train, *CUT, *SMALL, "--n_epochs", 2, "--n_epochs_decay", 1, "--continue_train")
    rows = list(csv.DictReader((folder / "loss_log.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]


def test_a_continued_run_keeps_its_options(run, capsys):
    folder = run(train, *CUT, *SMALL, *SHORT, "--direction", "BtoA", "--seed", 3, "--no_flip")
    before = json.loads((folder / "run.json").read_text())["options"]
    run(train, "--continue_train", "--n_epochs", 2, "--gpu_ids", "-1", "--num_threads", 0)
    record = json.loads((folder / "run.json").read_text())
    assert [start["changed"] for start in record["starts"]] == [[], ["--n_epochs 1, not 2"]]
    after = record["options"]
    assert after["model"] == before["model"]
    assert after["data"] == before["data"]
    assert after["run"]["seed"] == 3
    assert (after["training"]["n_epochs"], after["training"]["n_epochs_decay"]) == (2, 1)
    for flags, words in (
        (["--direction", "AtoB"], "--direction BtoA, not AtoB"),
        (["--seed", 4], "--seed 3, not 4"),
        (["--batch_size", 2], "--batch_size 1, not 2"),
        (["--model", "pix2pix"], "--model cut, not pix2pix"),
    ):
        with pytest.raises(UserError, match=words):
            run(train, "--continue_train", "--n_epochs", 5, *flags)


def test_where_decoded_images_are_kept_changes_no_weights(run, capsys):
    flags = [*CUT, *SMALL, "--lr_policy", "step", "--n_epochs_decay", 0]
    kept = run(train, *flags, "--n_epochs", 2, name="kept")
    assert "A: 5 images decoded, " in capsys.readouterr().out
    parts = run(train, *flags, "--n_epochs", 1, "--cache", "none", name="parts")
    assert "images decoded" not in capsys.readouterr().out
    run(train, *flags, "--n_epochs", 2, "--cache", "ram", "--continue_train", name="parts")
    assert "B: 5 images decoded, " in capsys.readouterr().out
    assert_same(weights(kept), weights(parts))


def test_a_run_killed_before_its_mark_is_marked(run):
    folder = run(train, *CUT, *SMALL, *SHORT)
    (folder / "finished").rename(folder / ".finished.123.part")
    run(train, "--continue_train")
    assert (folder / "finished").exists() and not list(folder.glob(".*"))


def test_fine_tuning_starts_from_the_other_runs_networks(run, tmp_path, monkeypatch):
    source = run(train, *PIX2PIX, *SMALL, *SHORT, name="mwir_pix2pix")
    torch.save(ResNet18Classifier(classes=("BMP2", "T72")).export(), tmp_path / "classifier.pth")
    kind = model_class("pix2pix_gradcam")
    seen = []
    step = kind.training_step

    def remember(model, batch):
        if not seen:
            networks = model.networks.items()
            seen.append({n: {k: v.clone() for k, v in m.state_dict().items()} for n, m in networks})
            assert all(not optimiser.state for optimiser in model.optimisers.values())
        return step(model, batch)

    monkeypatch.setattr(kind, "training_step", remember)
    flags = ["--model", "pix2pix_gradcam", "--netG", "resnet_4blocks"]
    folder = run(
        *(train, *flags, *SMALL, "--classifier", tmp_path / "classifier.pth"),
        *("--pretrained_name", "mwir_pix2pix", "--epoch_count", 3),
        *("--n_epochs", 2, "--n_epochs_decay", 2),
        name="tuned",
    )
    for network in ("G", "D"):
        assert_same(seen[0][network], weights(source, network=network))
    rows = list(csv.DictReader((folder / "loss_log.csv").open()))
    assert [row["epoch"] for row in rows] == ["3", "4"]
    assert [float(row["lr"]) for row in rows] == pytest.approx([2e-4 * 2 / 3, 2e-4 / 3])
    assert all(float(row["G_CAM"]) >= 0 for row in rows)


def test_a_classifier_goes_on_at_the_rate_of_its_step(run, data, monkeypatch):
    rows = ["file,split,class,group,box_x,box_y,box_w,box_h"] + [
        f"trainA/{name}.png,train,{vehicle},video{i},{6 + 3 * i},8,14,12"
        for i, (name, vehicle) in enumerate(
            [("T72/1", "T72"), ("BMP2/1", "BMP2"), ("BMP2/2", "BMP2"), ("3", "T72"), ("4", "T72")]
        )
    ]
    (data / "labels.csv").write_text("\n".join(rows))
    flags = "--model classifier --netC attention --batch_size 1 --val_freq 0 --num_threads 0"
    flags += " --n_epochs 1 --n_epochs_decay 1 --save_latest_freq 1 --gpu_ids -1"
    whole = run(train, *flags.split(), name="whole")
    step, rates = loop.seed_step, []

    class Killed(Exception):
        pass

    def interrupt(seed, number):
        if number == 3:
            raise Killed
        step(seed, number)

    monkeypatch.setattr(loop, "seed_step", interrupt)
    with pytest.raises(Killed):
        run(train, *flags.split(), name="parts")
    monkeypatch.undo()
    set_rate = Model.set_rate
    monkeypatch.setattr(
        Model, "set_rate", lambda model, rate: rates.append(rate) or set_rate(model, rate)
    )
    parts = run(train, "--continue_train", "--num_threads", 0, "--gpu_ids", -1, name="parts")
    assert_same(*(weights(f, network="classifier")["weights"] for f in (whole, parts)))
    assert len(rates) == len(set(rates)) >= 4


def test_an_empty_range_of_epochs_is_an_error(run):
    with pytest.raises(UserError, match="epoch_count 201"):
        run(train, *CUT, *SMALL, "--epoch_count", 201, *SHORT)


def test_classifier_keeps_classes_and_accuracy(run, data, capsys):
    with (data / "labels.csv").open("w") as file:
        file.write("file,split,class,group\n")
        for i, (name, vehicle) in enumerate(
            [("T72/1", "T72"), ("BMP2/1", "BMP2"), ("BMP2/2", "BMP2"), ("3", "T72"), ("4", "T72")]
        ):
            file.write(f"trainA/{name}.png,train,{vehicle},video{i}\n")
    flags = "--model classifier --load_size 64 --n_epochs 1 --n_epochs_decay 0 --gpu_ids -1"
    folder = run(train, *flags.split(), "--num_threads", 0)
    content = weights(folder, network="classifier")
    assert content["classes"] == ["BMP2", "T72"]
    assert int(content["confusion"].sum()) == 1
    assert load_classifier(folder / "latest_net_classifier.pth").classes == ("BMP2", "T72")
    report = json.loads((folder / "validation.json").read_text())
    assert report == content["validation"] and report["confusion"] == content["confusion"].tolist()
    assert (folder / "validation.md").read_text().startswith("# Validation")
    said = capsys.readouterr().out
    assert all(sentence in said for sentence in report["sentences"])
    assert "class \\ taken for" in said
    rows = list(csv.DictReader((folder / "validation_log.csv").open()))
    assert float(rows[0]["balanced_accuracy"]) == pytest.approx(content["balanced_accuracy"])
    best = json.loads((folder / "best.json").read_text())
    assert (best["epoch"], best["score"]) == (1, content["balanced_accuracy"])
    assert load_classifier(folder / "best_net_classifier.pth").classes == ("BMP2", "T72")
    with pytest.raises(UserError, match="--val_phase is for translations"):
        run(train, *flags.split(), "--val_phase", "val", name="other")


@pytest.fixture
def judge_file(tmp_path):
    torch.manual_seed(0)
    torch.save(ResNet18Classifier(classes=("BMP2", "T72")).export(), tmp_path / "judge.pth")
    return tmp_path / "judge.pth"


@pytest.mark.parametrize(
    ("model", "figures"),
    [
        # GCSS is undefined on images as small as these: the judge's last stage has one position.
        ([*PIX2PIX, "--normG", "batch", "--batch_size", "2"], ["ssim"]),
        ([*CUT, "--preprocess", "crop"], ["kid_mwir"]),
    ],
)
def test_validation_is_logged_and_leaves_the_weights_alone(run, judge_file, model, figures):
    plain = run(train, *model, *SMALL, *SHORT, name="plain")
    flags = ["--val_freq", 1, "--val_phase", "test", "--val_classifier", judge_file]
    folder = run(train, *model, *SMALL, *SHORT, *flags, name="validated")
    for network in ("G", "D"):
        # With the running statistics of batch normalisation, and despite dropout.
        assert_same(weights(plain, network=network), weights(folder, network=network))
    assert not (plain / "best.json").exists() and not (plain / "validation_log.csv").exists()
    rows = list(csv.DictReader((folder / "validation_log.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    best = json.loads((folder / "best.json").read_text())
    assert list(best["values"]) == figures
    row = rows[best["epoch"] - 1]
    assert [float(row[name]) for name in figures] == pytest.approx(list(best["values"].values()))
    if best["epoch"] == 2:
        assert_same(weights(folder, "best"), weights(folder))


def test_best_is_kept_when_later_epochs_are_worse(run, monkeypatch, capsys):
    scores = iter([0.3, 0.7, 0.5, 0.6, 0.8])
    monkeypatch.setattr(PairedValidation, "measure", lambda self: {"ssim": next(scores)})
    flags = [*PIX2PIX, *SMALL, "--lr", 0.01, "--save_epoch_freq", 1]
    flags += ["--val_freq", 1, "--val_phase", "test", "--n_epochs_decay", 0]
    folder = run(train, *flags, "--n_epochs", 3)
    assert_same(weights(folder, "best"), weights(folder, "2"))
    assert_same(weights(folder, "best", "D"), weights(folder, "2", "D"))
    best = json.loads((folder / "best.json").read_text())
    assert (best["epoch"], best["score"], best["values"]) == (2, 0.7, {"ssim": 0.7})
    assert capsys.readouterr().out.count("(best so far)") == 2
    # Epoch 4 is better than the third alone: the run remembers the second.
    run(train, *flags, "--continue_train", "--n_epochs", 4)
    assert json.loads((folder / "best.json").read_text()) == best
    assert_same(weights(folder, "best"), weights(folder, "2"))
    # An epoch without validation, and one that is not compared with other images' scores.
    run(train, *flags, "--continue_train", "--n_epochs", 5, "--val_freq", 0)
    with pytest.raises(UserError, match="another --val_phase"):
        run(train, *flags, "--continue_train", "--n_epochs", 6, "--val_phase", "train")
    run(train, *flags, "--continue_train", "--n_epochs", 6)
    assert json.loads((folder / "best.json").read_text())["epoch"] == 6

    images = run(test_program, "--epoch", "best") / "test_best" / "images" / "fake_B"
    last = run(test_program, "--epoch", 6) / "test_6" / "images" / "fake_B"
    assert np.array_equal(read_image(images / "3.png"), read_image(last / "3.png"))
    tuned = ["--pretrained_name", "run", "--epoch", "best", *SHORT]
    run(train, *PIX2PIX, *SMALL, *tuned, name="tuned")
    assert "start from" in capsys.readouterr().out


def test_a_teacher_that_validates_is_named(run, judge_file, capsys):
    flags = ["--model", "pix2pix_gradcam", "--netG", "resnet_4blocks", *SMALL, *SHORT]
    flags += ["--val_freq", 3, "--val_phase", "test", "--classifier", judge_file]
    copy = judge_file.with_name("copy.pth")
    copy.write_bytes(judge_file.read_bytes())
    folder = run(train, *flags, "--val_classifier", copy)
    assert "the classifier that validates is the one in the loss" in capsys.readouterr().out
    rows = list(csv.DictReader((folder / "validation_log.csv").open()))
    assert [row["epoch"] for row in rows] == ["2"]  # the last one, whatever --val_freq says
    # The record goes on with the results, for whoever judges them.
    results = run(test_program, "--phase", "test") / "test_latest" / "result.json"
    taught_by = digest(load_classifier(judge_file).net.state_dict())
    assert json.loads(results.read_text())["teacher"] == taught_by


def test_validations_that_cannot_be_are_refused_before_training(run, tmp_path, judge_file):
    for flags, words in (
        (["--val_freq", 1, "--val_classifier", judge_file], "no val_A and no val_B"),
        (["--val_freq", 1, "--val_phase", "test"], "name its file with --val_classifier"),
        (["--val_freq", 1, "--val_phase", "test", "--val_classifier", "none.pth"], r"none\.pth"),
        (["--val_phase", "test"], "--val_phase has no effect without --val_freq"),
    ):
        with pytest.raises(UserError, match=words):
            run(train, *CUT, *SMALL, *SHORT, *flags)
    assert not (tmp_path / "checkpoints").exists()


def test_results_keep_relative_paths_and_the_trained_size(run, data):
    run(train, *CUT, *SMALL, *SHORT)
    folder = run(test_program) / "test_latest"
    names = sorted(p.relative_to(data / "testA") for p in (data / "testA").rglob("*.png"))
    for kind in ("real_A", "fake_B", "real_B"):
        images = folder / "images" / kind
        assert sorted(p.relative_to(images) for p in images.rglob("*.png")) == names
        assert all(read_image(p).shape == (32, 32) for p in images.rglob("*.png"))
    page = (folder / "index.html").read_text()
    assert page.count("<img") == 15
    record = json.loads((folder / "result.json").read_text())
    assert record["paired"] is False
    assert (record["count"], record["total"]) == (5, 5)


def test_aligned_results_store_the_partner(run, data):
    run(train, *PIX2PIX, *SMALL, *SHORT)
    folder = run(test_program, "--preprocess", "none", "--phase", "train") / "train_latest"
    for path in (data / "trainB").rglob("*.png"):
        stored = folder / "images" / "real_B" / path.relative_to(data / "trainB")
        assert np.array_equal(read_image(stored), read_image(path))
    assert json.loads((folder / "result.json").read_text())["paired"] is True


def test_eval_mode_does_not_depend_on_batch_mates_and_no_eval_has_dropout(run):
    run(train, *PIX2PIX, *SMALL, *SHORT, "--normG", "batch")
    results = []
    for flags in (
        ["--batch_size", 1],
        ["--batch_size", 5],
        ["--no_eval"],
        ["--no_eval", "--seed", 1],
    ):
        folder = run(test_program, *flags) / "test_latest" / "images" / "fake_B"
        results.append([read_image(p).astype(int) for p in sorted(folder.rglob("*.png"))])
    one, five, dropout, other = results
    assert max(np.abs(a - b).max() for a, b in zip(one, five, strict=True)) <= 1
    assert max(np.abs(a - b).max() for a, b in zip(one, dropout, strict=True)) > 1
    assert max(np.abs(a - b).max() for a, b in zip(dropout, other, strict=True)) > 1


def test_files_hold_the_generators_output_rounded(run, data, monkeypatch, capsys):
    """In fp32, also where the hardware computes in bf16, which has to be asked for."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    write_image(data / "testA" / "wide.png", noise(9, (43, 50)))
    weights_of_g = weights(run(train, *CUT, *SMALL, *SHORT))
    folder = run(test_program, "--preprocess", "none") / "test_latest"
    compute = Compute(torch.device("cpu"))
    generator = ResnetGenerator(input_nc=1, output_nc=1, ngf=4, n_blocks=4)
    generator.load_state_dict(weights_of_g)
    generator = compute.place(generator).eval()
    for path in (data / "testA").rglob("*.png"):
        fake = translate(generator, EIGHT_BIT.encode(read_image(path))[None], compute)
        expected = ((fake[0, 0].numpy() + 1) * np.float32(127.5)).round().clip(0, 255)
        stored = read_image(folder / "images" / "fake_B" / path.relative_to(data / "testA"))
        assert np.array_equal(stored, expected.astype(np.uint8))
    assert "rounds" not in capsys.readouterr().out
    run(test_program, "--precision", "bf16")
    assert "--precision bf16 rounds: pixels can be several of 255 counts" in capsys.readouterr().out


def test_batches_that_are_formed_by_themselves_give_the_same_files(run, data, monkeypatch):
    for name in ("2a", "2b"):
        write_image(data / "testA" / f"{name}.png", noise(9, (43, 50)))
    run(train, *CUT, *SMALL, *SHORT)
    results, sizes = [], []
    program, finish = translating.loop.Translation, translating.loop.Translation.finish

    def remember(translation, batch, fake):
        sizes.append(len(fake))
        return finish(translation, batch, fake)

    monkeypatch.setattr(program, "finish", remember)
    for batches in ((1, None), (4, 2 * 43 * 50)):
        monkeypatch.setattr(program, "batches", lambda self, found=batches: found)
        folder = run(test_program, "--preprocess", "none", "--serial_batches") / "test_latest"
        files = sorted((folder / "images").rglob("*.png"))
        names = [str(path.relative_to(folder)) for path in files]
        page = (folder / "index.html").read_text()
        results.append((names, [read_image(path).astype(int) for path in files], page))
    (names, images, page), (names_again, images_again, page_again) = results
    assert (names, page) == (names_again, page_again)
    assert max(np.abs(a - b).max() for a, b in zip(images, images_again, strict=True)) <= 1
    # In the order of names: 2a 2b 3 4 | BMP2/1 BMP2/2 T72/1, cut where A or B change their size.
    assert sizes == [*[1] * 7, *[2, 2, 2, 1]]


@pytest.mark.parametrize(
    ("device", "training", "given", "expected"),
    [
        ("cuda", False, (), (16, 16 * 256 * 256)),
        ("cuda", True, (), (1, None)),
        ("cpu", False, (), (1, None)),
        ("cuda", False, ("--batch_size", "3"), (3, None)),
        ("cpu", False, ("--batch_size", "3"), (3, None)),
    ],
)
def test_how_many_images_share_a_batch(device, training, given, expected):
    translation = SimpleNamespace(
        config=parse_test(given, MODEL_OPTIONS),
        compute=Compute(torch.device(device)),
        generator=SimpleNamespace(training=training),
    )
    assert translating.loop.Translation.batches(translation) == expected


def test_a_file_that_cannot_be_written_ends_the_run(run, tmp_path):
    run(train, *CUT, *SMALL, *SHORT)
    folder = run(test_program) / "test_latest"
    shutil.rmtree(folder / "images" / "fake_B")
    (folder / "images" / "fake_B").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot write .*images/fake_B/.*\.png"):
        run(test_program)
    assert not (folder / "result.json").exists()
    assert not list(folder.rglob("*.part"))


def test_what_a_killed_test_left_half_written_is_removed(run):
    run(train, *CUT, *SMALL, *SHORT)
    folder = run(test_program) / "test_latest"
    (folder / "images" / "fake_B" / ".0.png.0123abcd.part").write_bytes(b"half")
    run(test_program)
    assert not list(folder.rglob(".*"))


def test_results_that_cannot_be_replaced_are_named(run, monkeypatch):
    run(train, *CUT, *SMALL, *SHORT)
    unlink = Path.unlink

    def read_only(path, **options):
        if path.name == "result.json":
            raise OSError(errno.EROFS, "Read-only file system")
        unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", read_only)
    with pytest.raises(UserError, match=r"cannot write into .*test_latest \(Read-only file system"):
        run(test_program)


def test_num_test_limits_and_says_so(run, capsys):
    run(train, *CUT, *SMALL, *SHORT)
    capsys.readouterr()
    folder = run(test_program, "--num_test", 2)
    assert "2 of 5" in capsys.readouterr().out
    assert len(list((folder / "test_latest" / "images" / "fake_B").rglob("*.png"))) == 2


def test_says_what_translates_and_how_far_it_is(run, capsys, monkeypatch):
    checkpoints = run(train, *CUT, *SMALL, *SHORT)
    assert "end of epoch 1/2: " in capsys.readouterr().out
    on_a_terminal = partial(translating.loop.tqdm, mininterval=0)
    monkeypatch.setattr(
        translating.loop, "tqdm", lambda **k: on_a_terminal(**{**k, "disable": False})
    )
    run(test_program)
    out, err = capsys.readouterr()
    assert f"{checkpoints / 'latest_net_G.pth'} on cpu" in out
    assert "3/5" in err and "5/5" in err


@pytest.mark.parametrize(("model", "said"), [(CUT, True), (PIX2PIX, False)])
def test_the_page_says_that_unpaired_targets_are_of_other_scenes(run, model, said):
    run(train, *model, *SMALL, *SHORT)
    folder = run(test_program, "--num_test", 1) / "test_latest"
    assert ("of another scene" in (folder / "index.html").read_text()) is said


def test_a_smaller_run_leaves_no_image_of_a_larger_one(run):
    run(train, *CUT, *SMALL, *SHORT)
    run(test_program)
    folder = run(test_program, "--num_test", 2) / "test_latest" / "images"
    assert {len(list(kind.rglob("*.png"))) for kind in folder.iterdir()} == {2}


def test_a_alone_is_enough(run, data):
    run(train, *CUT, *SMALL, *SHORT)
    shutil.rmtree(data / "testB")
    folder = run(test_program) / "test_latest"
    assert {p.name for p in (folder / "images").iterdir()} == {"real_A", "fake_B"}
    assert json.loads((folder / "result.json").read_text())["paired"] is None


def test_another_epoch_is_another_generator(run):
    run(train, *CUT, *SMALL, *SHORT, "--save_epoch_freq", 1, "--lr", 0.01)
    first = run(test_program, "--epoch", 1) / "test_1" / "images" / "fake_B" / "3.png"
    last = run(test_program, "--epoch", 2) / "test_2" / "images" / "fake_B" / "3.png"
    assert not np.array_equal(read_image(first), read_image(last))
    with pytest.raises(UserError, match="7_net_G"):
        run(test_program, "--epoch", 7)


def test_contradictions_with_the_checkpoint_are_named(run):
    run(train, *CUT, *SMALL, *SHORT)
    for flags, words in (
        (["--netG", "resnet_9blocks"], "--netG resnet_4blocks, not resnet_9blocks"),
        (["--ngf", "64"], "--ngf 4, not 64"),
        (["--model", "pix2pix"], "--model cut, not pix2pix"),
        (["--norm", "batch"], "--normG instance, not batch"),
        (["--direction", "BtoA"], "--direction AtoB, not BtoA"),
    ):
        with pytest.raises(UserError, match=words):
            run(test_program, *flags)
    run(test_program, "--ngf", "4", "--model", "cut", "--CUT_mode", "cut")


@pytest.mark.parametrize(("bands", "shape"), [(1, (41, 37)), (3, (20, 33, 3))])
def test_a_bare_state_dict_translates_whole_images(run, tmp_path, bands, shape):
    torch.manual_seed(0)
    net = ResnetGenerator(input_nc=bands, output_nc=bands, ngf=4, n_blocks=6)
    torch.save(net.state_dict(), tmp_path / "latest_net_G.pth")
    write_image(tmp_path / "in" / "frame.png", noise(1, shape))
    command = (
        f"--model cut --dataset_mode single --dataroot {tmp_path / 'in'} --weights "
        f"{tmp_path / 'latest_net_G.pth'} --netG resnet_6blocks --ngf 4 --input_nc {bands} "
        f"--output_nc {bands} --preprocess none --num_test all --name x "
        f"--results_dir {tmp_path / 'out'} --gpu_ids -1"
    )
    test_program.main(command.split())
    output = read_image(tmp_path / "out" / "x" / "test_latest" / "images" / "fake_B" / "frame.png")
    assert output.shape == shape


def test_sixteen_bits_stay_sixteen_bits(tmp_path, run):
    data = tmp_path / "deep"
    for folder in ("trainA", "trainB", "testA"):
        for i in range(3):
            write_image(data / folder / f"{i}.png", noise(i, dtype=np.uint16, top=14000) + 1000)
    places = ["--dataroot", data]
    run(train, *CUT, *SMALL, *SHORT, *places)
    folder = run(test_program, *places, "--preprocess", "none") / "test_latest"
    for i in range(3):
        stored = read_image(folder / "images" / "real_A" / f"{i}.png")
        assert np.array_equal(stored, read_image(data / "testA" / f"{i}.png"))
    fake = read_image(folder / "images" / "fake_B" / "0.png")
    assert fake.dtype == np.uint16
    assert fake.min() >= 1000
    assert fake.max() <= 15000
    assert read_image(folder / "previews" / "fake_B" / "0.png").dtype == np.uint8


def test_unet_frames_of_any_size(tmp_path, run):
    net = UnetGenerator(input_nc=1, output_nc=1, num_downs=7, ngf=2)
    torch.save(net.state_dict(), tmp_path / "g.pth")
    for size in ((100, 60), (129, 300)):
        write_image(tmp_path / "in" / f"{size[0]}.png", noise(1, size))
    flags = "--model pix2pix --dataset_mode single --netG unet_128 --ngf 2 --preprocess none"
    flags += f" --dataroot {tmp_path / 'in'} --weights {tmp_path / 'g.pth'}"
    images = run(test_program, *flags.split()) / "test_latest" / "images" / "fake_B"
    assert read_image(images / "100.png").shape == (100, 60)
    assert read_image(images / "129.png").shape == (129, 300)
