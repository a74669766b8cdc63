"""What is said and logged of steps, epochs and validations."""

import csv
from typing import Any

import pytest
import torch

from models import MODEL_OPTIONS
from options import DisplayOptions, parse_train
from training.display import RUNNING, Display
from training.means import RunningMeans
from training.monitor import Monitor
from training.position import Position
from training.restored import Progress
from training.run_folder import RunFolder
from training.start import Start


@pytest.fixture
def monitor(tmp_path):
    """monitor(resume): of a run in `tmp_path`, without a page."""
    options = {"run": "x", "facts": {}, "details": {}, "print_freq": 100, "last_epoch": 9}
    options["batch_size"] = 4

    def make(
        resume: Position | None, means: RunningMeans | None = None, clock: Any = None
    ) -> Monitor:
        given = {"resume": resume, "means": means or RunningMeans()}
        display = DisplayOptions(no_html=True)
        return Monitor(RunFolder(tmp_path), display, **options, **given, clock=clock)

    return make


def test_a_validation_is_said_and_logged(monitor, tmp_path, capsys):
    place = Position(4, batches=5, step=20)
    monitor(None).validation(place, {"ssim": 0.8123, "gcss": 0.64}, best=True)
    monitor(place).validation(place, {"ssim": 0.8, "gcss": 0.000123}, best=False)
    assert capsys.readouterr().out.splitlines() == [
        "epoch 4: validation ssim 0.812, gcss 0.640 (best so far)",
        "epoch 4: validation ssim 0.800, gcss 0.000123",
    ]
    (row,) = csv.DictReader((tmp_path / "validation_log.csv").open())
    assert row == {"epoch": "4", "step": "20", "ssim": "0.8", "gcss": "0.000123"}


@pytest.mark.parametrize(("epoch", "batches", "kept"), [(2, 5, 1), (3, 0, 2), (3, 2, 2)])
def test_an_epoch_is_in_the_validation_log_once(monitor, tmp_path, epoch, batches, kept):
    """A run killed after it validated epoch 2 (steps 6 to 10) goes on from its last state."""
    first = monitor(None)
    for done in (1, 2):
        first.validation(Position(done, batches=5, step=5 * done), {"ssim": 0.5}, best=False)
    monitor(Position(epoch, batches=batches, step=5 * (epoch - 1) + batches))
    rows = list(csv.DictReader((tmp_path / "validation_log.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"][:kept]


def test_an_epoch_tells_how_long_the_rest_takes(monitor, capsys):
    """A run that goes on in the middle of epoch 3 of 9: half an epoch, then whole ones."""
    times = iter([100.0, 105.0, 115.0, 9_000_115.0, 9_000_116.0])
    run = monitor(None, clock=lambda: next(times))
    run.begin(Position(3, batches=5, epoch_batches=10))
    for epoch in (4, 5, 6, 10):  # each the start of the next
        run.epoch(Position(epoch, epoch_batches=10))
    assert capsys.readouterr().out.splitlines() == [
        "end of epoch 3/9: 5 s, about 60 s to go",
        "end of epoch 4/9: 10 s, about 50 s to go",
        "end of epoch 5/9: 2500 h 0 min, about 4000 h 0 min to go",
    ]


def test_an_epoch_of_no_step_of_its_own_tells_nothing(monitor, capsys):
    run = monitor(None, clock=lambda: 1.0)
    run.begin(Position(2, batches=10, epoch_batches=10))  # saved after its last step
    run.epoch(Position(3, epoch_batches=10))
    assert capsys.readouterr().out == ""


def test_a_log_that_cannot_be_written_costs_one_line_until_it_can(monitor, tmp_path, capsys):
    shown = monitor(None)

    def step(number):
        shown.means.add({"G": torch.tensor(1.0)})
        shown.losses(Position(1, batches=number, step=number))

    step(1)
    log = tmp_path / "loss_log.csv"
    log.rename(tmp_path / "kept")
    for number, folder in ((2, True), (3, True), (4, False), (5, True)):
        if folder:
            log.mkdir(exist_ok=True)
        else:
            log.rmdir()
            (tmp_path / "kept").rename(log)
        step(number)
        if not folder:
            log.rename(tmp_path / "kept")
    assert capsys.readouterr().out.count("the loss log: cannot write") == 2
    rows = csv.DictReader((tmp_path / "kept").open())
    assert [row["step"] for row in rows] == ["1", "2", "3", "4"]


@pytest.mark.parametrize(("waiting", "kept"), [(0, ["4", "8"]), (3, ["4"])])
def test_means_that_are_still_to_be_said_have_no_row(monitor, tmp_path, waiting, kept):
    """A run killed after its last save, at step 8: the row of that step may be newer than that."""
    first = monitor(None)
    for step in (4, 8):
        first.means.add({"G": torch.tensor(1.0)})
        first.losses(Position(1, batches=step, step=step))
    means = RunningMeans()
    for _ in range(waiting):
        means.add({"G": torch.tensor(1.0)})
    monitor(Position(1, batches=8, step=8), means)
    rows = csv.DictReader((tmp_path / "loss_log.csv").open())
    assert [row["step"] for row in rows] == kept


def test_a_validation_may_take_longer_than_a_step(monitor):
    class Board(Display):
        name = "a board"

        def __init__(self):
            self.silences = []

        def update(self, standing):
            self.silences.append(standing.silence)

    now = 0.0
    watched = monitor(None, clock=lambda: now)
    watched.displays = [Board()]
    watched.begin(Position(1))
    now = 5.0
    watched.validating(Position(1, step=1))
    now = 400.0
    watched.update(Position(1, step=1), RUNNING)
    first, validating, after = watched.displays[0].silences
    assert first == 300 and validating >= 3600 and after == 4 * 395


def test_the_public_log_counts_the_images_of_all_processes(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    config = parse_train(["--batch_size", "4", "--no_html"], MODEL_OPTIONS)
    progress = Progress(Position(1, batches=3))
    progress.shown.add({"G": 1.0, "seconds_per_step": 0.8})
    monitor = Start(config).monitor(RunFolder(tmp_path), progress, last_epoch=9)
    monitor.losses(progress.position)
    line = (tmp_path / "loss_log.txt").read_text().splitlines()[1]
    assert line.startswith("(epoch: 1, iters: 24, time: 0.100, ")
