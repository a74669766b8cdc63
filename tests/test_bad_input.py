"""What a user gets wrong: one sentence on stderr, exit code 2, no traceback, nothing written."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import test as test_program
import train
from data.images import write_image
from models.networks import ResnetGenerator
from models.networks.classifiers import ResNet18Classifier
from util.errors import run_main

ROOT = Path(__file__).resolve().parents[1]
TINY = "--ngf 2 --ndf 2 --netF_nc 4 --num_patches 4 --netG resnet_4blocks --n_epochs 1".split()
TINY += "--n_epochs_decay 0 --load_size 36 --crop_size 32 --gpu_ids -1".split()


@pytest.fixture
def data(tmp_path):
    for folder in ("trainA", "trainB", "testA"):
        for i in range(2):
            image = np.random.default_rng(i).integers(0, 256, (40, 40)).astype(np.uint8)
            write_image(tmp_path / "data" / folder / f"{i}.png", image)
    return tmp_path / "data"


@pytest.fixture
def fails(tmp_path, monkeypatch, capsys):
    """Run a program; it must fail as users of a good tool expect, in one sentence with `words`."""
    monkeypatch.chdir(tmp_path)

    def run(program, flags, *words):
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            run_main(lambda: program.main([str(flag) for flag in flags]))
        lines = capsys.readouterr().err.strip().split("\n")
        assert left.value.code == 2
        assert len(lines) == 1, lines
        assert lines[0].startswith("error: ")
        for word in words:
            assert word in lines[0]

    return run


@pytest.mark.parametrize("program", ["train.py", "test.py", "evaluate.py"])
def test_from_the_shell(tmp_path, program):
    flag = "--results" if program == "evaluate.py" else "--dataroot"
    done = subprocess.run(
        [sys.executable, str(ROOT / program), flag, "nowhere"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_folders(fails, tmp_path, data):
    (tmp_path / "empty" / "trainA").mkdir(parents=True)
    (tmp_path / "empty" / "trainB").mkdir(parents=True)
    fails(train, ["--dataroot", "nowhere"], "nowhere", "--dataroot")
    fails(train, [], "--dataroot")
    fails(train, ["--dataroot", "empty"], "no image", "trainA")
    fails(train, ["--dataroot", data, "--phase", "val"], "valA", "val_A")
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize("threads", [0, 2])
def test_unreadable_image(fails, data, threads):
    whole = (data / "trainA" / "1.png").read_bytes()
    (data / "trainA" / "1.png").write_bytes(whole[: len(whole) // 2])
    flags = ["--dataroot", data, *TINY, "--num_threads", threads]
    fails(train, flags, "trainA/1.png")


def test_sizes_and_bands(fails, tmp_path, data):
    flags = ["--dataroot", data, *TINY, "--preprocess", "crop", "--crop_size", "64"]
    fails(train, flags, "40x40", "--crop_size 64")
    flags = ["--dataroot", data, "--load_size", 32, "--crop_size", 64]
    fails(train, flags, "--load_size 32")
    flags = ["--dataroot", data, *TINY, "--input_nc", 2]
    fails(train, flags, "--input_nc 2", "1 or 3")
    flags = ["--dataroot", data, *TINY, "--model", "pix2pix", "--netG", "unet_128"]
    flags = [f for f in flags if f not in ("--netF_nc", "--num_patches", "4")]
    fails(train, flags, "32", "128", "--crop_size")


def test_boxes(fails, tmp_path, data):
    cut, pix2pix = ["--dataroot", data, *TINY], ["--dataroot", data, "--model", "pix2pix"]
    why = "there is no labels.csv"
    fails(train, [*cut, "--blind_target"], "--blind_target needs boxes", "images A", why)
    fails(train, [*cut, "--box_patches", 0.25], "--box_patches needs boxes", "images A", why)
    fails(train, [*pix2pix, "--lambda_box", 20], "--lambda_box needs boxes", "images A", why)
    table = "file,box_x,box_y,box_w,box_h\ntrainA/0.png,5,5,9,9\ntrainB/0.png,,,,\n"
    (data / "labels.csv").write_text(table)
    fails(train, [*cut, "--blind_target"], "none of the images B", "of other names", "trainA/0.png")
    (data / "labels.csv").write_text(table.replace(",,,,", ",50,5,9,9"))
    fails(train, [*cut, "--blind_target"], "line 3", "lies outside the 40×40")
    assert not (tmp_path / "checkpoints").exists()


def test_pairs(fails, tmp_path, data):
    (data / "trainB" / "1.png").rename(data / "trainB" / "other.png")
    flags = ["--dataroot", data, "--model", "pix2pix"]
    fails(train, flags, "1 in A (1)", "1 in B (other)")
    (data / "trainB" / "0.png").rename(data / "trainB" / "another.png")
    fails(train, flags, "A and B have no name in common", "--model cut")


def test_folders_that_are_not_prepared_yet(fails, tmp_path, data):
    flags = ["--dataroot", tmp_path, *TINY]
    fails(train, flags, "trainA", "--phase", "--dataset_mode single")
    for name in ("real", "sim"):
        (tmp_path / name).mkdir()
    fails(train, flags, "trainA", "datasets/make_unpaired.py")


def test_a_classifier_translates_nothing(fails, tmp_path, data):
    (data / "labels.csv").write_text(
        "file,class,group\n" + "".join(f"train{d}/{i}.png,{d},{i}\n" for i in "01" for d in "AB")
    )
    flags = ["--dataroot", data, "--name", "c", "--n_epochs", 1, "--n_epochs_decay", 0]
    flags += ["--load_size", 32, "--crop_size", 32, "--gpu_ids", -1]
    train.main([*map(str, flags), "--model", "classifier"])
    fails(test_program, ["--name", "c"], "--model classifier translates nothing")


def test_names(fails, tmp_path, data):
    for name in ("../../x", "/tmp/x", ""):
        fails(train, ["--dataroot", data, "--name", name], "--name")
        fails(test_program, ["--dataroot", data, "--name", name], "--name")
    flags = ["--weights", "g.pth", "--dataset_mode", "single", "--dataroot", data / "testA"]
    net = ResnetGenerator(input_nc=1, output_nc=1, ngf=2)
    torch.save(net.state_dict(), tmp_path / "g.pth")
    fails(test_program, [*flags, "--ngf", 2, "--epoch", "../../7"], "--phase")
    flags = ["--dataroot", data, "--pretrained_name", "../x", *TINY]
    fails(train, flags, "--pretrained_name")


def test_checkpoints(fails, tmp_path, data):
    fails(test_program, ["--dataroot", data, "--name", "none"], "there is no run")
    fails(train, ["--dataroot", data, "--continue_train"], "latest.pth")
    flags = ["--dataroot", data, "--pretrained_name", "none", *TINY]
    fails(train, flags, "latest_net_G.pth")
    net = ResnetGenerator(input_nc=1, output_nc=1, ngf=2, n_blocks=9)
    torch.save(net.state_dict(), tmp_path / "g.pth")
    single = ["--dataroot", data / "testA", "--dataset_mode", "single", "--ngf", 2]
    flags = [*single, "--weights", "g.pth", "--netG", "resnet_6blocks"]
    fails(test_program, flags, "g.pth", "another architecture")
    fails(test_program, [*single, "--weights", "no.pth"], "no.pth")
    (tmp_path / "torn.pth").write_bytes((tmp_path / "g.pth").read_bytes()[:1000])
    fails(test_program, [*single, "--weights", "torn.pth"], "torn.pth")


def test_classifiers(fails, tmp_path, data):
    (data / "labels.csv").write_text(
        "file,split,class\n" + "".join(f"trainA/{i}.png,train,MTLB\n" for i in range(2))
    )
    torch.save(ResNet18Classifier(classes=("T72", "BMP2")).export(), tmp_path / "c.pth")
    flags = ["--dataroot", data, "--model", "pix2pix_gradcam", "--crop_size", 32]
    flags += ["--netG", "resnet_4blocks", "--gpu_ids", -1]
    fails(train, flags, "--classifier")
    fails(train, [*flags, "--classifier", "none.pth"], "none.pth")
    flags += ["--classifier", "c.pth", "--cam_target", "label"]
    fails(train, flags, "MTLB", "T72, BMP2")


def test_files_that_hold_something_else(fails, tmp_path, data):
    for content in ([torch.ones(1)], torch.ones(1), {"conv1.weight": 3}):
        torch.save(content, tmp_path / "other.pth")
        flags = ["--dataroot", data / "testA", "--dataset_mode", "single"]
        fails(test_program, [*flags, "--weights", "other.pth"], "other.pth", "state dict")
        (data / "labels.csv").write_text(
            "file,class,group\n"
            + "".join(f"train{d}/{i}.png,{d},{i}\n" for i in "01" for d in "AB")
        )
        flags = ["--dataroot", data, "--model", "classifier", "--imagenet_weights", "other.pth"]
        fails(train, flags, "other.pth", "state dict")


def test_images_that_are_too_small(fails, data):
    flags = ["--dataroot", data, *TINY, "--load_size", 16, "--crop_size", 16]
    fails(train, flags, "16x16", "24", "--crop_size")


def test_sizes_of_all_images_are_known_before_the_first_step(fails, tmp_path, data):
    """Of the last image, which is not the first to be asked for."""
    image = np.zeros((44, 40), np.uint8)
    write_image(data / "trainA" / "2.png", image)
    flags = ["--dataroot", data, *TINY, "--preprocess", "none", "--cache", "none"]
    fails(train, [*flags, "--batch_size", 2], "40x40", "40x44", "trainA/2.png", "--batch_size 1")
    fails(train, flags, "of A are 40x44 and images of B 40x40", "--nce_idt False")
    write_image(data / "trainA" / "2.png", image[:42])
    fails(train, [*flags, "--nce_idt", "False"], "40x42", "trainA/2.png", "multiples of 4")
    pairs = [f for f in flags if f not in ("--netF_nc", "--num_patches", "4")]
    pairs += ["--model", "pix2pix", "--val_freq", 1, "--preprocess", "resize_and_crop"]
    for letter in "AB":
        (data / f"train{letter}" / "2.png").unlink(missing_ok=True)
        write_image(data / f"val{letter}" / "0.png", image)
        write_image(data / f"val{letter}" / "1.png", image[: 40 if letter == "A" else 44])
    fails(train, pairs, "valA/1.png", "must have one size")
    assert not (tmp_path / "checkpoints").exists()


def test_domains_are_no_classes(fails, data):
    fails(train, ["--dataroot", data, "--model", "classifier"], "has a class", "labels.csv")


def test_losses_that_are_not_finite(fails, tmp_path, data):
    flags = ["--dataroot", data, *TINY, "--lr", "1e30", "--n_epochs", 5]
    fails(train, flags, "NaN or infinite", "--lr")
    assert not (tmp_path / "checkpoints" / "experiment_name" / "finished").exists()


def test_modes_and_devices(fails, tmp_path, data):
    flags = ["--dataroot", data, "--model", "pix2pix", "--dataset_mode", "unaligned"]
    fails(train, flags, "unaligned", "aligned")
    fails(train, ["--dataroot", data, "--gpu_ids", "99"], "99")
    fails(train, ["--dataroot", data, "--gpu_ids", "x"], "--gpu_ids x")
    fails(train, ["--lamda_NCE", "1"], "--lambda_NCE")
