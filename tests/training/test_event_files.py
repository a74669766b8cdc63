"""Event files as TensorBoard itself reads them."""

import csv
import io
import math

import numpy as np
import pytest
import torch
from PIL import Image

from training.event_files import EventFiles
from training.monitor import Monitor
from training.position import Position
from util.errors import WriteError

pytest.importorskip("tensorboard")
NEW = dict.fromkeys(("losses", "validation", "samples"))
GREY = np.arange(20, dtype=np.uint8).reshape(4, 5)


def read(folder):
    """TensorBoard's own reader, with all that it finds."""
    from tensorboard.backend.event_processing import event_accumulator as reading

    everything = reading.STORE_EVERYTHING_SIZE_GUIDANCE
    return reading.EventAccumulator(str(folder), size_guidance=everything).Reload()


def steps_on_page(folder, name):
    """As the reader behind TensorBoard's page finds them, which is not quite the same."""
    from tensorboard.backend.event_processing import plugin_event_accumulator as reading

    found = reading.EventAccumulator(str(folder), size_guidance={reading.TENSORS: 0}).Reload()
    return [event.step for event in found.Tensors(name)]


def scalars(folder, name):
    found = [(event.step, event.value) for event in read(folder).Scalars(name)]
    assert [step for step, _ in found] == steps_on_page(folder, name)
    return found


def images(folder, name):
    """step -> what is shown."""
    found = read(folder).Images(name)
    shown = {e.step: Image.open(io.BytesIO(e.encoded_image_string)) for e in found}
    assert list(shown) == [event.step for event in found] == steps_on_page(folder, name)
    return {step: np.asarray(image) for step, image in shown.items()}


def take_steps(files, first, last, *, value):
    """Losses, validation and samples of each of these steps, which are all of this value."""
    for step in range(first, last + 1):
        files.losses(Position(1, step=step), {"G": value, "D": -value})
        files.validation(Position(1, step=step), {"ssim": value})
        files.samples(Position(1, step=step), [{"fake_B": GREY + np.uint8(value)}])


def test_losses_and_validation_are_read_as_they_were(tmp_path):
    files = EventFiles(tmp_path, resume_steps=NEW)
    values = [0.1, 1e-30, math.inf]
    for step, value in enumerate(values, start=1):
        files.losses(Position(1, step=10 * step), {"G_GAN": value, "NCE": -value})
    files.validation(Position(2, step=30), {"ssim": 0.75})
    expected = [(10 * step, np.float32(value)) for step, value in enumerate(values, start=1)]
    assert scalars(tmp_path / "losses", "G_GAN") == expected
    assert scalars(tmp_path / "losses", "NCE") == [(step, -value) for step, value in expected]
    assert scalars(tmp_path / "validation", "ssim") == [(30, 0.75)]
    assert read(tmp_path / "validation").Tags()["scalars"] == ["ssim"]


def test_samples_are_read_as_they_were(tmp_path):
    colour = np.random.default_rng(0).integers(0, 256, (3, 6, 3), dtype=np.uint8)
    files = EventFiles(tmp_path, resume_steps=NEW)
    files.samples(Position(1, step=7), [{"real_A": GREY, "cam": colour}, {"real_A": GREY + 1}])
    files.samples(Position(1, step=9), [{"real_A": GREY}])
    for name, expected in (("sample 1/cam", {7: colour}), ("sample 2/real_A", {7: GREY + 1})):
        found = images(tmp_path / "samples", name)
        assert found.keys() == expected.keys()
        for step, image in expected.items():
            rgb = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
            np.testing.assert_array_equal(found[step], rgb)
    assert images(tmp_path / "samples", "sample 1/real_A").keys() == {7, 9}


def test_a_run_that_goes_on_has_every_step_once(tmp_path):
    """Killed at step 8 with a state of step 5, then at step 9 with one of step 6."""
    take_steps(EventFiles(tmp_path, resume_steps=NEW), 1, 8, value=1)
    # Step 5 was not validated yet when the state was saved.
    behind = {"losses": 5, "validation": 4, "samples": 5}
    again = EventFiles(tmp_path, resume_steps=behind)
    again.validation(Position(1, step=5), {"ssim": 2.0})
    take_steps(again, 6, 9, value=2)
    take_steps(EventFiles(tmp_path, resume_steps=dict.fromkeys(NEW, 6)), 7, 10, value=3)
    losses = [1, 1, 1, 1, 1, 2, 3, 3, 3, 3]
    assert scalars(tmp_path / "losses", "G") == list(zip(range(1, 11), losses, strict=True))
    validation = [1, 1, 1, 1, 2, 2, 3, 3, 3, 3]
    assert scalars(tmp_path / "validation", "ssim") == list(
        zip(range(1, 11), validation, strict=True)
    )
    shown = images(tmp_path / "samples", "sample 1/fake_B")
    assert [int(shown[step][0, 0, 0]) for step in range(1, 11)] == losses


def test_a_new_run_has_nothing_of_an_earlier_one(tmp_path):
    take_steps(EventFiles(tmp_path, resume_steps=NEW), 1, 3, value=1)
    take_steps(EventFiles(tmp_path, resume_steps=dict.fromkeys(NEW, 3)), 4, 5, value=1)
    take_steps(EventFiles(tmp_path, resume_steps=NEW), 1, 2, value=2)
    assert scalars(tmp_path / "losses", "G") == [(1, 2), (2, 2)]
    assert len(list((tmp_path / "losses").iterdir())) == 1


def test_a_record_cut_short_by_a_kill_hides_nothing_that_follows(tmp_path):
    take_steps(EventFiles(tmp_path, resume_steps=NEW), 1, 3, value=1)
    (file,) = (tmp_path / "losses").iterdir()
    file.write_bytes(file.read_bytes()[:-5])  # of step 3, G is whole and D is not
    take_steps(EventFiles(tmp_path, resume_steps=dict.fromkeys(NEW, 2)), 3, 4, value=2)
    assert scalars(tmp_path / "losses", "D") == [(1, -1), (2, -1), (3, -2), (4, -2)]


def test_losses_wait_for_a_disk_that_is_full(limit_files, tmp_path):
    files = EventFiles(tmp_path, resume_steps=NEW)
    take_steps(files, 1, 3, value=1)
    size = max(f.stat().st_size for f in (tmp_path / "losses").iterdir())
    limit_files(size + 20)  # which cuts a record
    for step in (4, 5):
        with pytest.raises(WriteError, match=r"cannot write .*File too large.*; make room"):
            files.losses(Position(1, step=step), {"G": 1, "D": -1})
    with pytest.raises(WriteError, match="make room"):
        files.samples(Position(1, step=4), [{"fake_B": np.zeros((99, 99), np.uint8)}] * 99)
    limit_files(None)
    take_steps(files, 6, 7, value=1)
    assert scalars(tmp_path / "losses", "D") == [(step, -1) for step in range(1, 8)]
    assert images(tmp_path / "samples", "sample 1/fake_B").keys() == {1, 2, 3, 6, 7}
    assert "sample 2/fake_B" not in read(tmp_path / "samples").Tags()["images"]


def test_event_files_of_a_run_that_was_interrupted(short_run, monkeypatch, capsys):
    """The state is that of step 4, at the interruption; the steps after it are taken again."""
    expected = short_run("alone")
    step = Monitor.step

    def interrupt(self, position, *args, **more):
        step(self, position, *args, **more)
        if position.step == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(Monitor, "step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        short_run("run", "--tensorboard", "--save_latest_freq", "2")
    monkeypatch.setattr(Monitor, "step", step)
    folder = short_run("run", "--continue_train")
    assert f"tensorboard --logdir {folder / 'tensorboard'}\n" in capsys.readouterr().out
    with (folder / "loss_log.csv").open() as file:
        rows = [(int(row["step"]), np.float32(row["NCE"])) for row in csv.DictReader(file)]
    assert [step for step, _ in rows] == list(range(1, 7))
    assert scalars(folder / "tensorboard" / "losses", "NCE") == rows
    shown = images(folder / "tensorboard" / "samples", "sample 1/fake_B")
    assert list(shown) == list(range(1, 7))
    for network in ("G", "D", "F"):
        file = f"latest_net_{network}.pth"
        weights = torch.load(folder / file)
        for key, value in torch.load(expected / file).items():
            assert torch.equal(weights[key], value)
