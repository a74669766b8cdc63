"""What only a CUDA GPU can show: the CPU's results there, in every precision, without waiting."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import evaluate
import test as test_program
import train
from data.images import read_image, write_image
from data.loader import Loader
from models import MODEL_OPTIONS, MODELS, model_class
from models.networks.classifiers import ResNet18Classifier
from options import parse_train
from options.groups import (
    ClassifierOptions,
    CutGradcamOptions,
    CutOptions,
    Pix2PixGradcamOptions,
    Pix2PixOptions,
)
from tests.data.samples import training_datasets
from training import loop
from util.batch import Batch, DataFacts
from util.compute import Compute
from util.errors import UserError
from util.seeding import seed_step

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
CLASSES = ("BMP2", "T72")
NETWORKS = {"ngf": 8, "ndf": 8, "netG": "resnet_4blocks"}
FLAGS = "--model cut --netG resnet_4blocks --ngf 4 --ndf 4 --netF_nc 8 --num_patches 16".split()
FLAGS += "--load_size 36 --crop_size 32 --num_threads 2".split()


@pytest.fixture(autouse=True)
def _settings():
    """What a run sets for the whole process, as it was."""
    backends = torch.backends.cudnn
    before = (backends.allow_tf32, backends.benchmark, backends.deterministic)
    yield
    backends.allow_tf32, backends.benchmark, backends.deterministic = before
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def make(tmp_path):
    """make(model, compute): its networks drawn with the same seed each time."""
    torch.manual_seed(1)
    torch.save(ResNet18Classifier(classes=CLASSES).export(), tmp_path / "classifier.pth")
    options = {
        "cut": CutOptions(**NETWORKS, netF_nc=8, num_patches=16),
        "cut_gradcam": CutGradcamOptions(
            **NETWORKS,
            netF_nc=8,
            num_patches=16,
            classifier=str(tmp_path / "classifier.pth"),
        ),
        "pix2pix": Pix2PixOptions(**NETWORKS),
        "pix2pix_gradcam": Pix2PixGradcamOptions(
            **NETWORKS, classifier=str(tmp_path / "classifier.pth")
        ),
        "classifier": ClassifierOptions(lr=1e-3),
    }

    def call(name, compute, **further):
        seed_step(0, 0)
        facts = DataFacts(classes=CLASSES, class_counts=(3, 1))
        wanted = replace(options[name], **further)
        return model_class(name)(wanted, compute=compute, facts=facts)

    return call


def batch(device, count=2):
    a, b = torch.rand(2, count, 1, 96, 96, generator=torch.Generator().manual_seed(5)) * 2 - 1
    boxes = torch.tensor([[[20.0, 30, 50, 60]]]).expand(count, 1, 4)
    return Batch(a, b, torch.arange(count) % 2, ("x",) * count, boxes, boxes + 30).to(device)


def steps(model, count):
    losses = {}
    for step in range(count):
        seed_step(0, step)
        model.compute.begin_step()
        losses = model.training_step(batch(model.device))
    return {name: float(value) for name, value in losses.items()}


@pytest.mark.parametrize("name", MODELS)
def test_the_first_losses_in_fp32_are_those_of_the_cpu(name, make, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    # Places of patches are drawn on each device by itself: those of the CPU for both.
    draw = torch.randperm
    monkeypatch.setattr(
        torch, "randperm", lambda n, device=None, **more: draw(n, **more).to(device or CPU)
    )
    found, expected = (steps(make(name, Compute(device)), 1) for device in (GPU, CPU))
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("precision", Compute.precisions)
@pytest.mark.parametrize("name", MODELS)
def test_every_precision_trains(name, precision, make):
    model = make(name, Compute(GPU, precision))
    losses = steps(model, 4)
    assert all(np.isfinite(value) for value in losses.values())
    assert model.take_finite() and model.is_finite()


@pytest.mark.parametrize("precision", ["tf32", "bf16", "fp16"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for name in MODELS),
        ("classifier", {"netC": "attention"}),
        ("cut", {"blind_target": True, "box_patches": 0.25}),
        ("pix2pix", {"lambda_box": 20.0}),
    ],
)
def test_a_step_never_waits_for_the_device(name, options, precision, make):
    model = make(name, Compute(GPU, precision), **options)
    steps(model, 2)
    ready = batch(GPU)
    torch.cuda.set_sync_debug_mode("error")
    try:
        model.training_step(ready)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("name", ["cut", "pix2pix_gradcam"])
def test_compiled_training_follows_the_eager_one(name, make, monkeypatch):
    pytest.importorskip("triton")
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    # One step: from the second on, what Adam makes of the last bits of a gradient differs.
    eager, compiled = (
        steps(make(name, Compute(GPU, "fp32", compiled=compiled)), 1) for compiled in (False, True)
    )
    assert compiled == pytest.approx(eager, rel=1e-3, abs=1e-5)
    later = steps(make(name, Compute(GPU, "bf16", compiled=True)), 4)
    assert all(np.isfinite(value) for value in later.values())


@pytest.fixture
def data(tmp_path):
    """Twelve images a folder; those of the test set have two sizes, none a multiple of 4."""
    rng = np.random.default_rng(0)
    for folder in ("trainA", "trainB", "testA", "testB"):
        for i in range(12):
            shape = (43, 50) if folder.startswith("test") and i > 4 else (41, 38)
            image = rng.integers(0, 256, shape, dtype=np.uint8)
            write_image(tmp_path / "data" / folder / f"{i}.png", image)
    return tmp_path / "data"


@pytest.fixture
def run(tmp_path, data):
    """run(program, flags): train.py or test.py in a folder of their own, which is returned."""

    def call(program, *flags, name="run"):
        places = ["--checkpoints_dir", str(tmp_path / "checkpoints"), "--name", name]
        if program is test_program:
            places += ["--results_dir", str(tmp_path / "results")]
        program.main(["--dataroot", str(data), *places, *map(str, flags)])
        return tmp_path / ("checkpoints" if program is train else "results") / name

    return call


@pytest.mark.parametrize("num_threads", [0, 2])
def test_batches_made_on_the_gpu_are_those_made_on_the_cpu(data, num_threads):
    argv = ["--dataroot", str(data), "--load_size", "36", "--crop_size", "32", "--seed", "3"]
    dataset = training_datasets(parse_train(argv, MODEL_OPTIONS))[0]
    order = {"batch_size": 5, "shuffle": True, "seed": 3}
    found, expected = (
        list(Loader(dataset, **order, num_threads=n, device=device).epoch(1))
        for device, n in ((GPU, num_threads), (CPU, 0))
    )
    for ours, reference in zip(found, expected, strict=True):
        assert ours.names == reference.names and ours.a.device.type == "cuda"
        # Resizing sums in another order: a hundredth of a count.
        torch.testing.assert_close(ours.a.cpu(), reference.a, rtol=0, atol=1e-4)
        torch.testing.assert_close(ours.b.cpu(), reference.b, rtol=0, atol=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_deterministic_run_that_was_interrupted_equals_the_whole(run, precision, monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    flags = [*FLAGS, "--gpu_ids", 0, "--deterministic", "--precision", precision]
    flags += ["--n_epochs", 2, "--n_epochs_decay", 1, "--save_latest_freq", 5]
    whole = run(train, *flags, name="whole")
    step = loop.seed_step

    def interrupt(seed, number):
        if number == 17:
            raise KeyboardInterrupt
        step(seed, number)

    monkeypatch.setattr(loop, "seed_step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(train, *flags, name="parts")
    monkeypatch.setattr(loop, "seed_step", step)
    parts = run(train, "--continue_train", name="parts")
    for network in "GDF":
        states = [
            torch.load(folder / f"latest_net_{network}.pth", weights_only=True)
            for folder in (whole, parts)
        ]
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0]), network


@pytest.mark.parametrize(("precision", "counts"), [("fp32", 1), ("bf16", 8)])
def test_images_are_those_of_the_cpu(run, precision, counts):
    run(train, *FLAGS, "--gpu_ids", 0, "--n_epochs", 1, "--n_epochs_decay", 0)
    flags = ["--preprocess", "none", "--num_test", "all", "--num_threads", 2]
    images = []
    for device, chosen in ((-1, "fp32"), (0, precision)):
        folder = run(test_program, *flags, "--gpu_ids", device, "--precision", chosen)
        files = sorted((folder / "test_latest" / "images" / "fake_B").glob("*.png"))
        images.append([read_image(file).astype(int) for file in files])
    assert len(images[0]) == len(images[1]) == 12
    for ours, reference in zip(images[1], images[0], strict=True):
        assert np.abs(ours - reference).max() <= counts


def numbers(found, place=""):
    """What is a number in a tree of dictionaries and lists, by its place."""
    if isinstance(found, dict | list):
        items = found.items() if isinstance(found, dict) else enumerate(found)
        return {k: v for key, value in items for k, v in numbers(value, f"{place}/{key}").items()}
    return {place: found} if isinstance(found, float) else {}


def test_figures_are_those_of_the_cpu(data, tmp_path):
    torch.manual_seed(1)
    torch.save(ResNet18Classifier(classes=CLASSES).export(), tmp_path / "classifier.pth")
    flags = ["--fake", str(data / "testA"), "--real", str(data / "testB")]
    flags += ["--classifier", str(tmp_path / "classifier.pth")]
    found = []
    for device in ("-1", "0"):
        out = tmp_path / f"figures{device}.json"
        evaluate.main([*flags, "--gpu_ids", device, "--out", str(out)])
        found.append(numbers(json.loads(out.read_text())))
    assert len(found[0]) > 4
    assert found[1] == pytest.approx(found[0], rel=1e-3, abs=1e-5)


def test_a_step_that_the_gpu_does_not_hold_is_a_sentence(run, capsys):
    sizes = ["--load_size", 4096, "--crop_size", 4096, "--ngf", 64, "--precision", "fp32"]
    torch.cuda.set_per_process_memory_fraction(0.02)
    try:
        with pytest.raises(UserError, match=r"memory for a step on 1 image of 4096x4096.*refused"):
            run(train, *sizes)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
