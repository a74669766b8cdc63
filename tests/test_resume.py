"""--resume: what is finished stays, what was interrupted goes on, what is other is refused."""

import shutil
from functools import partial

import numpy as np
import pytest

import test as test_program
import train
from data.images import write_image
from datasets import make_pseudo_pairs
from tests.earlier.make import FLAGS, HERE, TWO_EPOCHS
from training import loop
from util.errors import UserError
from util.resume import refuse_other_inputs

SMALL = (
    "--netG resnet_4blocks --ngf 2 --ndf 2 --load_size 36 --crop_size 32 --num_threads 0 "
    "--gpu_ids -1 --no_html --n_epochs 1 --n_epochs_decay 1 --num_test all"
).split()
PIX2PIX = ["--model", "pix2pix", *SMALL]


@pytest.fixture
def work(tmp_path, monkeypatch):
    """Two data roots of equal names, where the programs are called."""
    for seed, root in enumerate(("data", "other")):
        rng = np.random.default_rng(seed)
        for folder in ("trainA", "trainB", "testA", "testB"):
            for name in ("1", "2", "3"):
                values = rng.integers(0, 256, (40, 40), dtype=np.uint8)
                write_image(tmp_path / root / folder / f"{name}.png", values)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(program, *flags, data="data", model=PIX2PIX):
    program.main([*model, "--dataroot", data, "--name", "run", "--resume", *map(str, flags)])


def state(*folders):
    """What is in files, and when they were written."""
    files = (f for folder in folders for f in sorted(folder.rglob("*")) if f.is_file())
    return {f: (f.read_bytes(), f.stat().st_mtime_ns) for f in files if f.name != "lock"}


def test_what_is_finished_is_left_and_its_like_recognised(work, capsys):
    call(train)
    call(test_program)
    made = partial(state, work / "checkpoints", work / "results")
    before = made()
    shutil.copytree(work / "data", work / "moved")
    capsys.readouterr()
    for flags in ([], ["--print_freq", 7, "--cache", "none", "--num_threads", 1]):
        call(train, *flags, data="moved")
        call(test_program, *flags, data="moved")
        assert capsys.readouterr().out.count(": left as it is") == 2
    assert made() == before


@pytest.mark.parametrize(
    ("flags", "data", "words"),
    [
        (["--n_epochs", 2], "data", "was made with --n_epochs 1, not 2"),
        (["--lr", 0.1, "--ngf", 3], "data", "with --lr 0.0002, not 0.1 and with --ngf 2, not 3"),
        ([], "other", "was made from other training images"),
        (["--val_freq", 1, "--val_phase", "test"], "data", "--val_freq 0, not 1"),
    ],
)
@pytest.mark.parametrize("interrupted", [False, True])
def test_another_run_is_refused(work, flags, data, words, interrupted):
    call(train)
    if interrupted:
        (work / "checkpoints" / "run" / "finished").unlink()
    before = state(work / "checkpoints")
    with pytest.raises(UserError) as refused:
        call(train, *flags, data=data)
    message = str(refused.value)
    assert words in message
    assert "checkpoints/run was made" in message
    assert "NAME_PREFIX" in message and "delete it" in message
    assert state(work / "checkpoints") == before


def test_an_interrupted_run_goes_on_to_the_same_end(work, monkeypatch):
    call(train, "--checkpoints_dir", "whole")
    step = loop.seed_step

    def interrupt(seed, number):
        if number == 5:
            raise KeyboardInterrupt
        step(seed, number)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "seed_step", interrupt)
        with pytest.raises(KeyboardInterrupt):
            call(train, "--save_latest_freq", 2)
    call(train)
    ends = [work / folder / "run" / "latest_net_G.pth" for folder in ("whole", "checkpoints")]
    assert ends[0].read_bytes() == ends[1].read_bytes()
    with pytest.raises(UserError, match="leave --continue_train out"):
        call(train, "--continue_train")


def test_what_a_run_starts_from_counts_by_its_content(work):
    call(train)
    tuned = partial(call, train, "--name", "tuned", "--epoch_count", 2, "--pretrained_name")
    tuned("run")
    shutil.copytree(work / "checkpoints" / "run", work / "checkpoints" / "renamed")
    for same in ("run", "renamed"):
        tuned(same)
    shutil.rmtree(work / "checkpoints" / "run")
    call(train, "--seed", 1)
    with pytest.raises(UserError, match=r"from other networks \(--pretrained_name\)"):
        tuned("run")


def test_results_of_other_weights_images_or_flags_are_refused(work):
    call(train)
    call(test_program)
    before = state(work / "results")
    with pytest.raises(UserError, match="test_latest was made from other images"):
        call(test_program, data="other")
    with pytest.raises(UserError, match="--save_format png, not tiff"):
        call(test_program, "--save_format", "tiff")
    shutil.rmtree(work / "checkpoints")
    call(train, "--seed", 1)
    with pytest.raises(UserError, match="from other weights of the generator"):
        call(test_program)
    assert state(work / "results") == before
    (work / "results" / "run" / "test_latest" / "result.json").unlink()  # half made: made anew
    call(test_program)
    assert (work / "results" / "run" / "test_latest" / "result.json").exists()


def test_results_and_pairs_that_lack_images_are_made_again(work, capsys):
    call(train)
    results, pairs = work / "results" / "run" / "train_latest", work / "pairs"
    stages = {
        results: partial(call, test_program, "--phase", "train"),
        pairs: partial(
            make_pseudo_pairs.main, ["--train", str(results), "--out", str(pairs), "--resume"]
        ),
    }
    for place, stage in stages.items():
        stage()
        images = {path: path.read_bytes() for path in place.rglob("*.png")}
        for path in sorted(images)[::4]:
            path.unlink()
        missing = len(images) - len(list(place.rglob("*.png")))
        capsys.readouterr()
        stage()
        assert f"{place.name} lacks {missing} of its images" in capsys.readouterr().out
        assert {path: path.read_bytes() for path in place.rglob("*.png")} == images
        stage()
        assert ": left as it is" in capsys.readouterr().out


def test_images_that_are_not_translated_do_not_count(work, capsys):
    call(train)
    some = partial(call, test_program, "--num_test", 2)
    some()
    write_image(work / "data" / "testA" / "3.png", np.zeros((40, 40), np.uint8))
    capsys.readouterr()
    some()
    assert ": left as it is" in capsys.readouterr().out
    write_image(work / "data" / "testB" / "2.png", np.zeros((40, 40), np.uint8))
    with pytest.raises(UserError, match="from other images"):
        some()


def test_pairs_of_other_results_are_refused(work, capsys):
    call(train)
    call(test_program, "--phase", "train")
    results = work / "results" / "run" / "train_latest"
    flags = ["--train", str(results), "--out", str(work / "pairs"), "--resume"]
    make_pseudo_pairs.main(flags)
    before = state(work / "pairs")
    make_pseudo_pairs.main(flags)
    assert "pairs is of the same results and labels: left as it is" in capsys.readouterr().out
    write_image(results / "images" / "fake_B" / "1.png", np.zeros((32, 32), np.uint8))
    with pytest.raises(UserError, match="pairs was made from other results or labels"):
        make_pseudo_pairs.main(flags)
    assert state(work / "pairs").keys() == before.keys()


def test_what_earlier_versions_made_is_refused_and_left(tmp_path, monkeypatch):
    for part in ("data", "checkpoints", "results"):
        shutil.copytree(HERE / part, tmp_path / part)
    monkeypatch.chdir(tmp_path)
    before = state(tmp_path)
    flags = [*FLAGS["pix2pix"], *TWO_EPOCHS, "--dataroot", "data/pix2pix", "--name", "pix2pix"]
    for program in (train, test_program):
        with pytest.raises(UserError, match=r"is of an earlier version, .* delete it"):
            program.main([*flags, "--resume"])
    assert state(tmp_path) == before


def test_all_that_differs_is_named(tmp_path):
    recorded = {"images": "1", "labels": "2", "weights": "3"}
    refuse_other_inputs(tmp_path, recorded, dict(recorded), way="x")
    with pytest.raises(
        UserError, match="from other images and from other weights and from other y"
    ):
        refuse_other_inputs(tmp_path, recorded, {"labels": "2", "weights": "4", "y": "5"}, way="x")
