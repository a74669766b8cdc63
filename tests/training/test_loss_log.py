"""The loss log: read back with the csv module, across interruptions."""

import csv
import math
import os
import re
from pathlib import Path

import numpy as np
import pytest

from training.loss_log import LossLog, PublicLossLog, format_losses
from util.errors import UserError, WriteError


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def steps(path: Path) -> list[int]:
    return [int(row["step"]) for row in read(path)]


def write(path: Path, *numbers: int, resume_step: int | None = None) -> LossLog:
    log = LossLog(path, resume_step=resume_step)
    for step in numbers:
        log.append(1 + step // 100, step, {"lr": 2e-4, "G_GAN": step / 10})
    return log


def test_columns_and_values_can_be_read_while_the_run_goes_on(tmp_path):
    log = LossLog(tmp_path / "run" / "loss_log.csv")
    values = {"lr": 2e-4, "seconds_per_step": 0.125, "G_GAN": 0.4125, "NCE": 1.23}
    log.append(1, 100, values)
    assert log.path.read_text() == (
        "epoch,step,lr,seconds_per_step,G_GAN,NCE\n1,100,0.0002,0.125,0.4125,1.23\n"
    )
    log.append(1, 200, dict(reversed(values.items())))
    assert log.path.read_text().splitlines()[2] == "1,200,0.0002,0.125,0.4125,1.23"


def test_a_float32_comes_back_exactly_and_what_diverged_is_said(tmp_path):
    log = LossLog(tmp_path / "loss_log.csv")
    value = np.float32(1) / np.float32(3)
    log.append(1, 1, {"loss": value, "nan": math.nan, "inf": math.inf})
    (row,) = read(log.path)
    assert np.float32(row["loss"]) == value
    assert math.isnan(float(row["nan"])) and math.isinf(float(row["inf"]))


def test_names_with_commas_and_quotes_stay_one_column(tmp_path):
    log = LossLog(tmp_path / "loss_log.csv")
    log.append(1, 1, {'NCE, layer "4"': 0.5})
    log = LossLog(log.path, resume_step=1)
    log.append(1, 2, {'NCE, layer "4"': 0.25})
    assert [row['NCE, layer "4"'] for row in read(log.path)] == ["0.5", "0.25"]


def test_a_new_run_starts_a_new_log(tmp_path):
    path = tmp_path / "loss_log.csv"
    write(path, 100, 200)
    LossLog(path)
    assert not path.exists(), "a run that dies before its first row leaves no rows of another run"
    write(path, 50)
    assert steps(path) == [50]


@pytest.mark.parametrize(
    ("resume_step", "kept"), [(0, []), (100, [100]), (250, [100, 200]), (999, [100, 200, 300])]
)
def test_a_resumed_run_has_every_step_once(tmp_path, resume_step, kept):
    path = tmp_path / "loss_log.csv"
    write(path, 100, 200, 300)
    write(path, resume_step + 100, resume_step=resume_step)
    assert steps(path) == [*kept, resume_step + 100]
    assert path.read_text().splitlines()[0] == "epoch,step,lr,G_GAN"
    assert path.read_text().count("epoch") == 1


@pytest.mark.parametrize("torn_bytes", range(1, 17))
def test_a_row_that_was_being_written_when_the_run_was_killed_is_dropped(tmp_path, torn_bytes):
    path = tmp_path / "loss_log.csv"
    write(path, 100, 200)
    whole = path.read_bytes()
    path.write_bytes(whole[:-torn_bytes])
    assert whole.count(b"\n") - whole[:-torn_bytes].count(b"\n") == 1
    write(path, 200, resume_step=100)
    assert path.read_bytes() == whole


def test_a_run_killed_in_the_header_or_without_a_log_resumes(tmp_path):
    path = tmp_path / "loss_log.csv"
    for before in (None, b"", b"epoch,st"):
        path.unlink(missing_ok=True)
        if before is not None:
            path.write_bytes(before)
        write(path, 300, resume_step=200)
        assert path.read_text() == "epoch,step,lr,G_GAN\n4,300,0.0002,30\n"


@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize("values", [{"lr": 1.0}, {"lr": 1.0, "G_GAN": 1.0, "L1": 1.0}, {}])
def test_other_columns_are_an_error_and_write_nothing(tmp_path, resumed, values):
    path = tmp_path / "loss_log.csv"
    log = write(path, 100)
    if resumed:
        log = LossLog(path, resume_step=100)
    before = path.read_bytes()
    with pytest.raises(UserError, match=re.escape(str(path))):
        log.append(1, 200, values)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [
        b"not a log\n",
        b"1,100,0.5\n",
        b"\n",
        b"\xff\xfe\x00\n",
        b"epoch,step,lr\n1,100\n",
        b"epoch,step,lr\n1,x,0.5\n",
        b"epoch,step,lr\nepoch,step,lr\n",
    ],
)
def test_another_file_is_an_error_and_stays_as_it_is(tmp_path, content):
    path = tmp_path / "loss_log.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=re.escape(str(path))):
        LossLog(path, resume_step=100)
    assert path.read_bytes() == content


def test_the_console_line_is_the_one_users_know():
    values = {
        "lr": 2e-4,
        "seconds_per_step": 0.12,
        "seconds_data": 0.0,
        "G_GAN": 0.412,
        "NCE": 1.23,
    }
    assert format_losses(3, 400, 2400, values) == (
        "(epoch: 3/400, iters: 2400, time: 0.120, data: 0.000, lr: 0.0002) G_GAN: 0.412 NCE: 1.230"
    )
    assert format_losses(1, 1, 1, {"G": math.nan}) == "(epoch: 1/1, iters: 1) G: nan"


# As tools that plot the logs of CUT and pix2pix take a line apart.
PUBLIC = re.compile(
    r"\(epoch: (\d+), iters: (\d+), time: ([\d.]+), data: ([\d.]+)\) ((?:\S+: \S+ )*)"
)
VALUES = {
    "lr": 2e-4,
    "seconds_per_step": 0.5,
    "seconds_data": 0.1,
    "G_GAN": 0.4124,
    "NCE": math.nan,
}


def test_tools_for_the_public_code_read_the_losses(tmp_path):
    path = tmp_path / "loss_log.txt"
    path.write_text("of a run that left no state\n")
    PublicLossLog(path, batch_size=4, continued=False).append(3, 25, VALUES)
    PublicLossLog(path, batch_size=4, continued=True).append(4, 1, VALUES)
    lines = path.read_text().splitlines()
    headline = r"=+ Training Loss \(.+\) =+"
    assert [bool(re.fullmatch(headline, line)) for line in lines] == [True, False, True, False]
    found = [PUBLIC.fullmatch(line).groups() for line in lines[1::2]]
    # Images of the epoch, and seconds an image without waiting for its batch.
    assert found[0] == ("3", "100", "0.100", "0.100", "G_GAN: 0.412 NCE: nan ")
    assert found[1][:2] == ("4", "4")


def test_lines_that_cannot_be_written_wait(tmp_path):
    path = tmp_path / "loss_log.txt"
    path.mkdir()
    log = PublicLossLog(path, batch_size=1, continued=False)
    with pytest.raises(WriteError, match=r"cannot write .*loss_log\.txt"):
        log.append(1, 1, VALUES)
    path.rmdir()
    log.append(1, 2, VALUES)
    assert [line[:20] for line in path.read_text().splitlines()] == [
        "================ Tra",
        "(epoch: 1, iters: 1,",
        "(epoch: 1, iters: 2,",
    ]


def test_a_row_that_cannot_be_written_waits_and_leaves_no_half_of_itself(tmp_path, limit_files):
    log = write(tmp_path / "loss_log.csv", 1, 2)
    before = log.path.read_bytes()
    for step, room in ((3, 0), (4, 5)):  # bytes
        limit_files(len(before) + room)
        with pytest.raises(WriteError, match=r"cannot write .*loss_log\.csv \(File too large\)"):
            log.append(1, step, {"lr": 2e-4, "G_GAN": 0.5})
        assert log.path.read_bytes() == before
    limit_files(None)
    log.append(1, 5, {"lr": 2e-4, "G_GAN": 0.5})
    assert steps(log.path) == [1, 2, 3, 4, 5]


def test_a_log_that_vanished_begins_with_its_header_again(tmp_path):
    log = write(tmp_path / "run" / "loss_log.csv", 1, 2)
    log.path.unlink()
    log.path.parent.rmdir()
    with pytest.raises(WriteError, match="No such file"):
        log.append(1, 3, {"lr": 2e-4, "G_GAN": 0.3})
    log.path.parent.mkdir()
    log.append(1, 4, {"lr": 2e-4, "G_GAN": 0.4})
    assert [row["G_GAN"] for row in read(log.path)] == ["0.3", "0.4"]
    assert steps(write(log.path, 5, resume_step=4).path) == [3, 4, 5]


def test_a_place_that_is_no_file_is_named(tmp_path):
    with pytest.raises(WriteError, match="cannot write"):
        LossLog(tmp_path)


def test_a_row_is_on_the_disk_before_the_checkpoint_that_follows_it(tmp_path, monkeypatch):
    """Else a loss of power could leave the checkpoint without the rows before it."""
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda file: flushed.append(os.fstat(file).st_size))
    log = write(tmp_path / "loss_log.csv", 1, 2)
    assert len(flushed) == 2 and flushed[-1] == log.path.stat().st_size
