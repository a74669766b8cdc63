"""Nothing lost: signals, kills, damaged files, full disks, folders that vanish, NaN."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

import test as test_program
import train
from data.datasets import ImageDataset
from data.images import write_image
from data.loader import Loader
from models import model_class
from training import loop
from training.validation import PairedValidation
from util.errors import EXIT_STOPPED, UserError, WriteError, run_main
from util.pages import read_island

ROOT = Path(__file__).resolve().parents[1]
TINY = "--ngf 2 --ndf 2 --netG resnet_4blocks --load_size 36 --crop_size 32 --gpu_ids -1".split()
TINY += "--n_epochs 2 --n_epochs_decay 2 --save_epoch_freq 3 --print_freq 1".split()
CUT = ["--model", "cut", "--netF_nc", "4", "--num_patches", "4", "--pool_size", "3"]
PIX2PIX = ["--model", "pix2pix", "--normG", "batch", "--pool_size", "3"]
IMAGES = 5  # steps an epoch
LAST = 4 * IMAGES


@pytest.fixture
def data(tmp_path):
    draw = np.random.default_rng(0)
    for folder in ("trainA", "trainB"):
        for i in range(IMAGES):
            image = draw.integers(0, 256, (40, 48)).astype(np.uint8)
            write_image(tmp_path / "data" / folder / f"{i}.png", image)
    return tmp_path / "data"


@pytest.fixture
def flags(tmp_path, data):
    """Of train.py, as a list."""

    def make(*more, name="run"):
        places = ["--dataroot", data, "--checkpoints_dir", tmp_path / "runs", "--name", name]
        return [*map(str, [*TINY, "--num_threads", 0, *places, *more])]

    return make


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "runs" / "run"


@pytest.fixture
def whole(flags, tmp_path):
    """State and networks of the run that nobody disturbed."""

    def run(*more):
        train.main(flags(*more, name="whole"))
        return contents(tmp_path / "runs" / "whole")

    return run


def contents(folder):
    files = {p.name: p for p in folder.glob("*latest*.pth")}
    loaded = {name: torch.load(path) for name, path in files.items()}
    assert "latest.pth" in loaded
    return loaded


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.fixture
def at_step(monkeypatch):
    """at_step({4: action}): call the action before step 4."""
    seed_step = loop.seed_step

    def plan(actions):
        def hook(seed, step):
            if step in actions:
                actions[step]()
            seed_step(seed, step)

        monkeypatch.setattr(loop, "seed_step", hook)

    yield plan
    monkeypatch.setattr(loop, "seed_step", seed_step)


def leave(code):
    return pytest.raises(SystemExit, match=f"^{code}$")


def send(number):
    return lambda: os.kill(os.getpid(), number)


def test_runs_killed_at_random_end_like_those_left_alone():
    command = [sys.executable, ROOT / "tests" / "soak" / "kill.py"]
    command += ["--kills", "10", "--kills_a_run", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all equal, bit for bit" in done.stdout


def state_on_page(folder):
    return read_island(folder / "web" / "index.html", "standing")["state"]


@pytest.mark.usefixtures("signals_heard")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_saves_and_leaves_and_the_run_goes_on_as_if_nothing_had_been(
    number, flags, folder, whole, at_step, capsys
):
    expected = whole(*CUT)
    at_step({7: send(number)})
    with leave(EXIT_STOPPED):
        train.main(flags(*CUT))
    assert f"stopped by {number.name} after step 7, and saved" in capsys.readouterr().out
    assert torch.load(folder / "latest.pth")["position"]["step"] == 7
    assert not (folder / "lock").exists()
    assert state_on_page(folder) == "stopped"
    at_step({12: send(number)})
    with leave(EXIT_STOPPED):
        train.main(flags("--continue_train"))
    at_step({})
    train.main(flags("--continue_train"))
    assert same(contents(folder), expected)
    assert state_on_page(folder) == "finished"


@pytest.fixture
def endless(flags):
    """A run without end with two readers, whose first lines have been read; its output by name."""
    started = []

    def start(*more, **streams):
        command = [sys.executable, ROOT / "train.py"]
        process = subprocess.Popen(
            [*command, *flags(*CUT, "--n_epochs", 10**6, *READERS, *more)],
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams},
            text=True,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


READERS = ("--num_threads", 2, "--save_latest_freq", 1)


def until_it_trains(process, line="(epoch"):
    while not process.stdout.readline().startswith(line):
        assert process.poll() is None, process.stderr.read()


@pytest.mark.usefixtures("signals_heard")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_all_processes_of_a_run_leaves_no_traceback(number, endless, folder):
    """As the terminal's Ctrl-C and SLURM send it: to the readers too."""
    process = endless()
    until_it_trains(process)
    os.killpg(process.pid, number)
    out, errors = process.communicate(timeout=300)
    assert process.returncode == EXIT_STOPPED, errors
    assert errors == f"{number.name}: saving; the same again leaves at once\n"
    assert out.splitlines()[-1].startswith(f"stopped by {number.name} after step ")
    assert (folder / "latest.pth").exists()


@pytest.mark.usefixtures("signals_heard")
def test_the_page_follows_a_run_and_tells_how_it_ended(endless, folder, browser):
    def shown():
        browser.open(folder / "web" / "index.html")
        return browser.run("[...document.querySelectorAll('dd')].map(part => part.textContent)")

    process = endless("--update_html_freq", 1)
    until_it_trains(process, "(epoch: 2")
    first = shown()
    until_it_trains(process, "(epoch: 4")
    later = shown()
    assert first[0] == later[0] == "running" and first != later
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=300)
    assert shown()[0] == "stopped"
    process = endless("--continue_train")
    until_it_trains(process)
    process.kill()
    process.communicate()
    assert shown()[0] == "running"  # as far as anybody knows
    hour_later = browser.call(
        "Page.addScriptToEvaluateOnNewDocument",
        source="Date.now = () => new Date().valueOf() + 3_600_000",
    )
    assert shown()[0].startswith("died? no word since")
    browser.call("Page.removeScriptToEvaluateOnNewDocument", **hour_later)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")
def test_a_reader_that_is_killed_ends_the_run_with_a_sentence(endless, folder):
    process = endless()
    until_it_trains(process, "(epoch: 2")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[-1]), signal.SIGKILL)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 2, errors
    (line,) = errors.splitlines()
    assert line.startswith("error: a process that reads images has died (")
    assert torch.load(folder / "latest.pth")["position"]["step"] > 0


@pytest.fixture
def with_shared_memory(flags):
    """with_shared_memory("256k"): a short run with a reader in a namespace of so much /dev/shm."""

    def run(size):
        mount = f'mount -t tmpfs -o size={size} tmpfs /dev/shm && exec "$@"'
        inside = ["unshare", "--mount", "bash", "-c", mount, "bash"]
        if not shutil.which("unshare") or subprocess.run([*inside, "true"]).returncode:
            pytest.skip("no file system can be mounted here")
        more = [*PIX2PIX, "--load_size", 256, "--crop_size", 256, "--batch_size", 2]
        command = [sys.executable, ROOT / "train.py", *flags(*more, "--num_threads", 1)]
        return subprocess.run([*inside, *command], capture_output=True, text=True, timeout=300)

    return run


def test_a_full_dev_shm_does_not_stop_the_run(with_shared_memory, folder):
    done = with_shared_memory("256k")
    assert (done.returncode, done.stderr) == (0, "")
    assert (folder / "finished").exists()


def test_a_dev_shm_without_room_for_a_lock_is_a_sentence(with_shared_memory):
    done = with_shared_memory("4k")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "/dev/shm" in line and "--num_threads 0" in line


def test_a_dead_reader_that_is_met_on_leaving_is_a_sentence_too(flags, monkeypatch):
    def close(loader):
        raise RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly")

    monkeypatch.setattr(Loader, "close", close)
    with pytest.raises(UserError, match="a process that reads images has died"):
        train.main(flags(*PIX2PIX))


@pytest.mark.parametrize("readers", [0, 1])
def test_a_signal_is_obeyed_while_the_run_waits_for_images(
    readers, flags, folder, whole, at_step, monkeypatch
):
    """The files are on a server that no longer answers."""
    expected = whole(*PIX2PIX)
    collect, process, reached = ImageDataset.collect, os.getpid(), []

    def stuck(dataset, keys):
        reached.append(keys)
        if len(reached) == 8:
            os.kill(process, signal.SIGTERM)
            threading.Event().wait()
        return collect(dataset, keys)

    monkeypatch.setattr(ImageDataset, "collect", stuck)
    with leave(EXIT_STOPPED):
        train.main(flags(*PIX2PIX, "--cache", "none", "--num_threads", readers))
    assert torch.load(folder / "latest.pth")["position"]["step"] in range(8)
    monkeypatch.undo()
    train.main(flags("--continue_train"))
    assert same(contents(folder), expected)


def refused(program, flags, capsys):
    """The words in which a program leaves for want of memory."""
    capsys.readouterr()
    with leave(2):
        run_main(lambda: program.main(flags))
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: there is not enough memory for ") and " were refused); " in line
    return line


GIGABYTE = 2**30
HUGE = ["--ngf", "64", "--load_size", "4096", "--crop_size", "4096"]  # 2 GB a layer


def test_a_step_that_the_memory_does_not_hold(flags, limit_memory, capsys, folder):
    limit_memory(GIGABYTE)
    line = refused(train, flags(*PIX2PIX, *HUGE), capsys)
    assert "a step on 1 image of 4096x4096 pixels" in line
    assert "start again with a smaller --batch_size, --crop_size or --load_size" in line
    assert not (folder / "latest.pth").exists()


def test_want_of_memory_keeps_the_checkpoint(flags, folder, whole, at_step, monkeypatch, capsys):
    """On a GPU that another program fills: torch's words there."""
    expected = whole(*CUT)
    seen = {}

    def fill():
        seen.update(snapshot(folder))
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has")

    at_step({8: fill})
    line = refused(train, flags(*CUT), capsys)
    assert "1 image of 32x32 pixels (2.00 GiB were refused)" in line
    assert "the checkpoint of step 5 is good: --continue_train where there is more memory" in line
    assert "(--pretrained_name run) with a smaller --batch_size" in line
    assert snapshot(folder) == seen
    at_step({})
    train.main(flags("--continue_train"))
    assert same(contents(folder), expected)


def test_an_image_that_the_memory_does_not_hold(flags, limit_memory, capsys, folder, tmp_path):
    train.main(flags(*PIX2PIX, "--ngf", 64, "--n_epochs", 1, "--n_epochs_decay", 0))
    write_image(tmp_path / "data" / "testA" / "big.png", np.zeros((4096, 4096), np.uint8))
    places = ["--checkpoints_dir", tmp_path / "runs", "--name", "run", "--gpu_ids", -1]
    places += ["--dataroot", tmp_path / "data", "--results_dir", tmp_path / "results"]
    limit_memory(GIGABYTE)
    more = ["--dataset_mode", "single", "--preprocess", "none", "--num_threads", 0]
    line = refused(test_program, [*map(str, [*places, *more])], capsys)
    assert "1 image of 4096x4096 pixels, big " in line
    assert "--preprocess" in line and "--batch_size" in line


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_console_that_takes_no_word_does_not_end_the_run(endless, folder):
    """The job's output is on the disk that is full."""
    with Path("/dev/full").open("w") as full:
        process = endless(stdout=full, stderr=full)
        while not (folder / "previous.pth").exists():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=300) == EXIT_STOPPED


def test_an_image_that_goes_bad_while_the_run_is_at_work(flags, folder, data, at_step):
    """The run stops and says how it goes on; the next start leaves the image out."""
    bad = data / "trainA" / "2.png"
    at_step({7: lambda: bad.write_bytes(bad.read_bytes()[:-100])})
    more = ["--cache", "none", "--on_bad_image", "skip"]
    way_on = (
        r"2\.png cannot be decoded .* The checkpoint of step 5 is good: --continue_train \(with"
    )
    with pytest.raises(UserError, match=way_on):
        train.main(flags(*PIX2PIX, *more))
    at_step({})
    train.main(flags("--continue_train"))
    assert list(json.loads((folder / "run.json").read_text())["left_out"]) == ["trainA/2.png"]
    assert (folder / "finished").exists()


def test_a_signal_ends_a_validation_which_is_done_again(flags, folder, whole, monkeypatch, data):
    shutil.copytree(data / "trainA", data / "valA")
    shutil.copytree(data / "trainB", data / "valB")
    more = [*PIX2PIX, "--val_freq", "1"]
    expected = whole(*more)
    measure, measured = PairedValidation.measure, []

    def interrupted(validation):
        measured.append(1)
        if len(measured) == 2:
            send(signal.SIGTERM)()
        return measure(validation)

    monkeypatch.setattr(PairedValidation, "measure", interrupted)
    with leave(EXIT_STOPPED):
        train.main(flags(*more))
    train.main(flags("--continue_train"))
    assert len(measured) == 2 + 3  # epoch 2 twice
    assert same(contents(folder), expected)
    for file in ("best.json", "validation_log.csv"):
        assert (folder / file).read_text() == (folder.parent / "whole" / file).read_text()


def test_a_second_run_in_the_folder_is_refused(flags, folder, at_step):
    def second():
        child = os.fork()
        if not child:
            try:
                train.main(flags(*CUT, "--continue_train"))
            except UserError as error:
                os._exit(7 if f"in use by process {os.getppid()}" in str(error) else 1)
            os._exit(0)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    codes = []
    at_step({8: second})
    train.main(flags(*CUT))
    assert codes == [7]


def test_from_a_damaged_checkpoint_the_run_goes_on_to_the_same_end(
    flags, folder, whole, at_step, capsys
):
    expected = whole(*CUT)
    at_step({12: send(signal.SIGTERM)})
    with leave(EXIT_STOPPED):
        train.main(flags(*CUT))
    at_step({})
    state = bytearray((folder / "latest.pth").read_bytes())
    state[len(state) // 2] ^= 8
    (folder / "latest.pth").write_bytes(state)
    train.main(flags("--continue_train"))
    assert "latest.pth is damaged, and kept as damaged.pth" in capsys.readouterr().out
    assert (folder / "damaged.pth").read_bytes() == state
    assert same(contents(folder), expected)


def snapshot(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.pth")}


@pytest.fixture
def small_disk(folder):
    """The runs' folder on a disk of 4 MB: fill(True) takes what is left of it, fill(False)
    gives it back."""
    disk = folder.parent
    disk.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")

    def fill(full):
        if not full:
            (disk / "filler").unlink()
            return
        with (disk / "filler").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass

    yield fill
    while not subprocess.run(["umount", "--lazy", str(disk)], capture_output=True).returncode:
        pass


def test_a_full_disk_costs_lines_and_no_checkpoint(
    small_disk, flags, folder, whole, at_step, capsys
):
    more = [*CUT, "--no_html", "--save_latest_freq", "1"]
    expected = whole(*more)
    shutil.rmtree(folder.parent / "whole")
    seen = {}

    def full():
        small_disk(True)
        seen["before"] = snapshot(folder)

    def room():
        assert snapshot(folder) == seen["before"]
        small_disk(False)

    at_step({7: full, 13: room})
    train.main(flags(*more))
    out = capsys.readouterr().out
    assert out.count("no checkpoint at step") == 6 + 1  # and at the end of epoch 2
    assert "cannot write" in out and "(No space left on device)" in out
    assert same(contents(folder), expected)
    assert not list(folder.rglob(".*"))
    rows = (folder / "loss_log.csv").read_text().splitlines()
    assert [row.split(",")[1] for row in rows] == ["step", *map(str, range(1, LAST + 1))]


def test_a_disk_that_stays_full_is_an_error_in_the_end(
    small_disk, flags, folder, whole, at_step, capsys
):
    expected = whole(*CUT, "--no_html")
    shutil.rmtree(folder.parent / "whole")
    at_step({13: lambda: small_disk(True)})
    with pytest.raises(WriteError, match="No space left on device"):
        train.main(flags(*CUT, "--no_html"))
    assert torch.load(folder / "latest.pth")["position"]["step"] == 10
    assert not (folder / "finished").exists()
    small_disk(False)
    at_step({})
    train.main(flags("--continue_train"))
    assert same(contents(folder), expected)


def test_a_disk_that_becomes_read_only_costs_lines(
    small_disk, flags, folder, whole, at_step, capsys
):
    expected = whole(*CUT)
    shutil.rmtree(folder.parent / "whole")

    disk = str(folder.parent)

    def read_only():  # a mount of its own over the first, on which files are open
        subprocess.run(["mount", "--bind", disk, disk], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", disk], check=True)

    def writable():
        subprocess.run(["umount", disk], check=True)

    more = ["--save_latest_freq", "4", "--display_freq", "1", "--update_html_freq", "1"]
    at_step({7: read_only, 13: writable})
    train.main(flags(*CUT, *more))
    out = capsys.readouterr().out
    assert "no checkpoint at step 8: cannot write" in out and "(Read-only file system)" in out
    for what in (
        "the loss log",
        r"loss_log\.txt",
        "sample images on the training page",
        "how the run stands",
    ):
        assert len(re.findall(f"^{what}.*: cannot write", out, flags=re.MULTILINE)) == 1
    assert same(contents(folder), expected)


def test_files_that_cannot_grow_cost_lines(limit_files, flags, folder, whole, at_step, capsys):
    """As with a full disk, where none can be mounted."""
    expected = whole(*CUT, "--no_html")
    at_step({7: lambda: limit_files(2000), 13: lambda: limit_files(None)})
    train.main(flags(*CUT, "--no_html", "--save_latest_freq", "1"))
    out = capsys.readouterr().out
    assert out.count("no checkpoint at step") == 6 + 1
    assert "(File too large)" in out
    assert same(contents(folder), expected)
    assert not list(folder.rglob(".*"))


def test_best_networks_that_cannot_be_written_are_not_called_the_best(
    limit_files, flags, folder, data, at_step, monkeypatch
):
    shutil.copytree(data / "trainA", data / "valA")
    shutil.copytree(data / "trainB", data / "valB")
    scores = iter([0.1, 0.4, 0.2, 0.3])
    monkeypatch.setattr(PairedValidation, "measure", lambda self: {"ssim": next(scores)})
    seen = []

    def best():
        files = sorted(folder.glob("best*"))
        seen.append({file.name: file.read_bytes() for file in files})

    def room():
        best()
        limit_files(None)

    at_step({6: best, 9: lambda: limit_files(4000), 12: room})
    train.main(flags(*PIX2PIX, "--no_html", "--val_freq", 1))
    assert seen[0] == seen[1] and len(seen[0]) == 3
    # Of the epochs whose networks could be kept, the last was the best.
    record = json.loads((folder / "best.json").read_text())
    assert (record["epoch"], record["score"]) == (4, 0.3)


def test_a_folder_that_vanishes_is_made_anew(flags, folder, whole, at_step, capsys):
    expected = whole(*CUT)
    at_step({7: lambda: shutil.rmtree(folder)})
    train.main(flags(*CUT))
    assert capsys.readouterr().out.count("had vanished: made anew") == 1
    assert same(contents(folder), expected)
    assert (folder / "run.json").exists() and (folder / "finished").exists()
    rows = (folder / "loss_log.csv").read_text().splitlines()
    assert rows[0].startswith("epoch,step,") and rows[-1].startswith(f"4,{LAST},")
    train.main(flags("--continue_train", "--n_epochs", 3))


def test_numbered_checkpoints_are_kept_as_asked(flags, folder):
    train.main(flags(*CUT, "--save_epoch_freq", 1, "--keep_last", 2))
    kept = {path.name.partition("_")[0] for path in folder.glob("*_net_*.pth")}
    assert kept == {"3", "4", "latest"}


def test_other_images_than_those_of_the_beginning_cost_a_line(flags, folder, data, at_step, capsys):
    at_step({7: send(signal.SIGTERM)})
    with leave(EXIT_STOPPED):
        train.main(flags(*PIX2PIX))
    at_step({})
    (data / "trainB" / "0.png").rename(data / "trainB" / "new.png")
    (data / "trainA" / "0.png").rename(data / "trainA" / "new.png")
    train.main(flags("--continue_train"))
    out = capsys.readouterr().out
    assert "A: the images are not those of the start before" in out
    assert "B: the images are not those of the start before" in out
    assert (folder / "finished").exists()
    train.main(flags("--continue_train", "--n_epochs_decay", 3))
    assert "the images are not those" not in capsys.readouterr().out


@pytest.fixture
def bad_batch(monkeypatch):
    """bad_batch(4, 5): in these steps the images of A are NaN."""

    def plan(*steps):
        epoch, taken = Loader.epoch, []

        def spoil(loader, *args, **kwargs):
            for batch in epoch(loader, *args, **kwargs):
                taken.append(batch.names)
                if len(taken) in steps:
                    batch.a.fill_(torch.nan)
                yield batch

        monkeypatch.setattr(Loader, "epoch", spoil)
        return taken

    return plan


def test_nan_stops_with_a_report_and_the_checkpoint_stays(flags, folder, bad_batch, at_step):
    taken = bad_batch(9)
    seen = {}
    at_step({9: lambda: seen.update(snapshot(folder))})
    with pytest.raises(UserError) as caught:
        train.main(flags(*PIX2PIX, "--print_freq", 100))
    (name,) = taken[8]
    report = str(caught.value)
    assert f"became NaN or infinite at step 9 (images {name}; " in report
    assert "G_L1" in report and "G_L1 nan" in report
    assert "the checkpoint of step 5 is good: --continue_train" in report
    assert snapshot(folder) == seen
    assert not (folder / "finished").exists()
    assert state_on_page(folder) == f"failed: {report}"


def test_before_the_first_checkpoint_the_report_says_so(flags, folder, bad_batch):
    bad_batch(2)
    with pytest.raises(UserError, match=r"at step 2 .* there is no checkpoint yet: start again"):
        train.main(flags(*CUT))
    assert not (folder / "latest.pth").exists()


def test_a_gradient_that_is_not_finite_is_found_though_the_losses_are(flags, monkeypatch):
    kind = model_class("pix2pix")
    update, calls = kind.update, []

    def spoil(model, name, loss):
        calls.append(name)
        if calls.count("G") == 4 and name == "G":
            weight = next(model.generator.parameters())
            loss = loss + (weight * 0).sqrt().sum()  # 0, and its derivative is NaN
        update(model, name, loss)

    monkeypatch.setattr(kind, "update", spoil)
    with pytest.raises(UserError, match=r"^a gradient became NaN or infinite at step 4 "):
        train.main(flags(*PIX2PIX))


def test_weights_that_are_not_finite_are_never_saved(flags, folder, at_step, monkeypatch):
    """Where no loss and no gradient has told of them yet."""
    models = []
    kind = model_class("cut")
    step = kind.training_step

    def remember(model, batch):
        losses = step(model, batch)
        models.append(model)
        if len(models) == 8:
            next(model.discriminator.parameters()).data[0] = torch.inf
        return losses

    monkeypatch.setattr(kind, "training_step", remember)
    with pytest.raises(UserError, match="weights became NaN or infinite up to step 8"):
        train.main(flags(*CUT, "--save_latest_freq", "2"))
    assert torch.load(folder / "latest.pth")["position"]["step"] == 6


@pytest.mark.parametrize("model", [CUT, PIX2PIX], ids=["cut", "pix2pix with batch norm"])
def test_a_skipped_step_leaves_no_trace(flags, folder, whole, bad_batch, monkeypatch, model):
    """As if the step had done nothing at all: weights, optimisers, batch statistics, pool."""
    take_step = loop.Training.take_step

    def idle(training, batch):
        return None if training.position.step + 1 in (4, 9, 10) else take_step(training, batch)

    monkeypatch.setattr(loop.Training, "take_step", idle)
    expected = whole(*model)
    monkeypatch.undo()
    bad_batch(4, 9, 10)
    train.main(flags(*model, "--on_nan", "skip"))
    assert same(contents(folder), expected)


def test_skipping_has_a_limit(flags, folder, bad_batch, capsys):
    bad_batch(3, *range(7, 30))
    with pytest.raises(UserError, match=r"at step 10 .* the last of 4 such steps in a row"):
        train.main(flags(*CUT, "--on_nan", "skip", "--max_skips", "3"))
    out = capsys.readouterr().out
    assert [f"step {n} is left out:" in out for n in (3, 7, 8, 9, 10)] == [True] * 4 + [False]
    state = torch.load(folder / "latest.pth")
    assert (state["position"]["step"], state["position"]["skipped"]) == (5, 0)


def test_an_epoch_of_skipped_steps_is_survived(flags, folder, bad_batch):
    bad_batch(*range(6, 11))
    train.main(flags(*CUT, "--on_nan", "skip", "--lr_policy", "plateau"))
    assert (folder / "finished").exists()


@pytest.fixture
def usual_algorithms(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    benchmark = torch.backends.cudnn.benchmark
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark = benchmark


@pytest.mark.parametrize("model", [CUT, PIX2PIX], ids=["cut", "pix2pix"])
def test_deterministic_algorithms_are_asked_for(flags, folder, whole, usual_algorithms, model):
    expected = whole(*model)
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.benchmark
    train.main(flags(*model, "--deterministic"))
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.benchmark
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert same(contents(folder), expected)
