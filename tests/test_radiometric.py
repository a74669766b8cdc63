"""16-bit counts through test.py and make_pseudo_pairs.py: kept to the count, in their own units."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

import evaluate
import test as test_program
import train
import translating.start
import translating.trained
from data.images import read_image, read_type, write_image
from data.value_map import find_value_map
from data.value_type import ValueType
from datasets import make_pseudo_pairs
from models import MODEL_OPTIONS
from options import parse_train
from tests.data.samples import item, training_datasets
from util.errors import UserError

SMALL = "--ngf 2 --ndf 2 --netF_nc 4 --num_patches 4 --netG resnet_4blocks --n_epochs 1".split()
SMALL += "--n_epochs_decay 0 --load_size 36 --crop_size 32 --gpu_ids -1 --num_threads 0".split()
WHOLE = ["--preprocess", "none", "--num_test", "all", "--gpu_ids", "-1", "--num_threads", "0"]


class Identity(torch.nn.Module):
    """A generator that changes nothing, and needs padding as a real one does."""

    size_multiple = smallest_side = 4

    def forward(self, x):
        assert x.shape[-1] % 4 == 0 and x.shape[-2] % 4 == 0
        return x


def frame(seed: int, *, low: int, high: int, size=(40, 48)) -> np.ndarray:
    """A warm blob before a gradient, with noise: counts from `low` to `high` exactly."""
    height, width = size
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    rng = np.random.default_rng(seed)
    scene = np.exp(-9 * ((x - rng.uniform(-0.5, 0.5)) ** 2 + y**2)) + 0.3 * y
    scene += rng.normal(0, 0.02, size)
    scene = (scene - scene.min()) / np.ptp(scene)
    return (low + scene * (high - low)).round().astype(np.uint16)


def write_frames(folder: Path, *, low: int, high: int, sizes=((40, 48), (41, 37))) -> None:
    for number, size in enumerate(sizes):
        write_image(folder / f"{number}.png", frame(number, low=low, high=high, size=size))


@pytest.fixture
def data(tmp_path):
    """Unpaired recordings: A spans 5,600 to 20,300, B 1,000 to 3,000 counts."""
    for phase in ("train", "test"):
        write_frames(tmp_path / "data" / f"{phase}A", low=5600, high=20300)
        write_frames(tmp_path / "data" / f"{phase}B", low=1000, high=3000)
    return tmp_path / "data"


@pytest.fixture
def call(tmp_path, data, monkeypatch):
    """call(program, *flags) in a folder of its own; test.py has the identity for a generator."""

    def run(program, *flags) -> Path:
        places = ["--checkpoints_dir", str(tmp_path / "runs"), "--name", "run"]
        places += ["--dataroot", str(data)]
        if program is test_program:
            places += ["--results_dir", str(tmp_path / "results"), *WHOLE]
            for module in (translating.start, translating.trained):  # of --weights, and of a run
                monkeypatch.setattr(module, "make_generator", lambda options: Identity())
                monkeypatch.setattr(module, "load_weights", lambda *args, **kwargs: None)
        else:
            places += SMALL
        program.main([*places, *map(str, flags)])
        return tmp_path / ("runs" if program is train else "results") / "run"

    return run


@pytest.fixture
def bare(tmp_path, call):
    """bare(folder, *flags): results of the identity for a folder of images, without a run."""
    torch.save({}, tmp_path / "identity.pth")

    def run(folder: Path, *flags) -> Path:
        weights = ["--weights", tmp_path / "identity.pth", "--dataset_mode", "single"]
        return call(test_program, *weights, "--dataroot", folder, *flags) / "test_latest"

    return run


def record(folder: Path) -> dict:
    return json.loads((folder / "result.json").read_text())


def greatest_difference(a: Path, b: Path) -> int:
    """In counts, over all images of `a` and those of equal names in `b`."""
    files = sorted(path for path in a.rglob("*") if path.is_file())
    assert files
    differences = []
    for file in files:
        (other,) = b.rglob(f"{file.stem}.*")
        one, two = read_image(file), read_image(other)
        assert (one.dtype, one.shape) == (two.dtype, two.shape)
        differences.append(np.abs(one.astype(int) - two.astype(int)).max())
    return max(differences)


# --- to the count


def assert_kept(folder: Path, out: Path) -> None:
    files = sorted(folder.glob("*.png"))
    for value_map in (find_value_map(files), find_value_map(files[:1])):
        for file in files:
            counts = read_image(file)
            for suffix in (".png", ".tiff"):
                copy = out / f"{file.stem}{suffix}"
                write_image(copy, value_map.decode(value_map.encode(counts)))
                assert read_image(copy).dtype == np.uint16
                np.testing.assert_array_equal(read_image(copy), counts)


def test_load_and_save_is_the_identity(data, tmp_path):
    assert_kept(data / "trainA", tmp_path / "out")


def test_load_and_save_is_the_identity_for_real_recordings(shared_data, tmp_path):
    assert_kept(shared_data("radiometric16"), tmp_path / "out")


@pytest.mark.parametrize("ends", [["auto"], ["9000", "12000"]], ids=" ".join)
def test_an_identity_generator_gives_back_real_recordings(shared_data, bare, capsys, ends):
    folder = shared_data("radiometric16")
    results = bare(folder, "--value_range", *ends, "--save_format", "tiff")
    for kind in ("real_A", "fake_B"):
        assert len(list((results / "images" / kind).glob("*.tiff"))) == 9
        assert greatest_difference(folder, results / "images" / kind) <= 1
    beyond = np.concatenate([read_image(f).ravel() for f in sorted(folder.glob("*.png"))])
    share = 0 if ends == ["auto"] else np.mean((beyond < 9000) | (beyond > 12000))
    assert record(results)["beyond_range"] == pytest.approx(share)
    assert ("of real_A lie beyond" in capsys.readouterr().out) == (share > 0)


def test_whole_frames_of_any_size_come_back_in_their_size(tmp_path, bare):
    sizes = ((512, 640), (513, 641), (1, 3), (37, 41))
    write_frames(tmp_path / "in", low=5600, high=20300, sizes=sizes)
    results = bare(tmp_path / "in")
    shapes = [read_image(results / "images" / "fake_B" / f"{n}.png").shape for n in range(4)]
    assert tuple(shapes) == sizes
    assert greatest_difference(tmp_path / "in", results / "images" / "fake_B") <= 1
    with pytest.raises(UserError, match="cannot share a batch; use --batch_size 1"):
        bare(tmp_path / "in", "--batch_size", 2)


# --- two domains, two ranges


def test_both_ranges_are_told_kept_and_inverted(call, data, capsys):
    run = call(train, "--value_range_B", 500, 4500)
    text = capsys.readouterr().out
    assert "A: counts 5,600 to 20,300 of 16 bits -> [-1, 1]\n" in text
    assert "B: counts 500 to 4,500 of 16 bits -> [-1, 1]\n" in text
    maps = json.loads((run / "run.json").read_text())["value_maps"]
    assert maps["A"] == {"low": 5600.0, "high": 20300.0, "bits": 16}
    assert maps["B"] == {"low": 500.0, "high": 4500.0, "bits": 16}

    results = call(test_program) / "test_latest"
    assert "B: counts 500 to 4,500 of 16 bits -> [-1, 1]\n" in capsys.readouterr().out
    for file in (data / "testA").iterdir():
        counts = read_image(file).astype(float)
        expected = 500 + (counts - 5600) / 14700 * 4000
        fake = read_image(results / "images" / "fake_B" / file.name)
        assert fake.dtype == np.uint16 and np.abs(fake - expected).max() <= 0.5 + 1e-3
        assert np.array_equal(read_image(results / "images" / "real_A" / file.name), counts)
    values = record(results)["values"]
    assert values["real_A"]["value_range"] == [5600, 20300]
    assert values["fake_B"] == values["real_B"]
    assert values["fake_B"] == {"bits": 16, "value_range": [500, 4500], "scale": 1, "offset": 0}


@pytest.mark.parametrize(
    ("ends", "flags", "kind"),
    [
        ((500, 4500), [], np.uint16),
        ((0, 200), [], np.uint16),
        ((0, 200), ["--save_bits", 8], np.uint8),
    ],
)
def test_without_a_run_the_flags_tell_the_units_of_b(data, bare, ends, flags, kind):
    images = bare(data / "testA", "--value_range_B", *ends, *flags) / "images"
    fake = np.concatenate([read_image(f).ravel() for f in (images / "fake_B").iterdir()])
    assert (fake.dtype, fake.min(), fake.max()) == (kind, *ends)
    assert greatest_difference(data / "testA", images / "real_A") == 0


def test_without_a_run_ends_that_do_not_fit_are_an_error(data, bare):
    with pytest.raises(UserError, match="500 4500 does not fit --save_bits 8, which has 8 bits"):
        bare(data / "testA", "--value_range_B", 500, 4500, "--save_bits", 8)


def test_a_range_that_contradicts_the_run_is_an_error(call):
    call(train, "--value_range_B", 500, 4500)
    call(test_program, "--value_range_B", 500, 4500)
    for program, flags, words in (
        (test_program, ["--value_range_B", 0, 9], "--value_range_B 500 4500, not 0 9;"),
        (test_program, ["--value_range_B", "auto"], "--value_range_B 500 4500, not auto;"),
        (test_program, ["--value_range", 500, 4500], "--value_range_A auto, not 500 4500;"),
        (train, ["--continue_train", "--n_epochs", 2, "--value_range_B", 0, 9], "not 0 9;"),
    ):
        with pytest.raises(UserError, match=words):
            call(program, *flags)


def test_what_a_range_cuts_off_or_wastes_is_told(call, data, capsys):
    call(train, "--value_range_A", 0, 65535, "--value_range_B", 1000, 2000)
    text = capsys.readouterr().out
    counts = np.concatenate([read_image(f).ravel() for f in (data / "trainB").iterdir()])
    share = f"{100 * np.mean(counts > 2000):.2g} %"
    assert f"B: {share} of the pixels lie above the value range, 0 % below; they are cli" in text
    assert "A: 99.98 % of the pixels use 22 % of the value range, 5,600 to 20,300" in text


def test_networks_that_know_other_values_are_told(call, capsys):
    call(train)
    flags = ["--pretrained_name", "run", "--name", "tuned", "--value_range_B", 500, 4500]
    call(train, *flags)
    told = "learnt other values of B: counts 1,000 to 3,000 of 16 bits, now counts 500 to 4,500"
    text = capsys.readouterr().out
    assert told in text and "other values of A" not in text


# --- depth and file type


def test_8_bits_of_16_span_the_value_range(call, capsys):
    call(train)
    results = call(test_program, "--save_bits", 8) / "test_latest"
    words = "of B, counts 1,000 to 3,000 of 16 bits become counts 0 to 255 of 8 bits"
    assert words in capsys.readouterr().out
    fake = read_image(results / "images" / "fake_B" / "0.png")
    assert (fake.dtype, fake.min(), fake.max()) == (np.uint8, 0, 255)
    meaning = record(results)["values"]["fake_B"]
    counts = fake * meaning["scale"] + meaning["offset"]
    expected = 1000 + (frame(0, low=5600, high=20300) - 5600.0) / 14700 * 2000
    assert np.abs(counts - expected).max() <= meaning["scale"] / 2 + 1e-3
    assert read_image(results / "images" / "real_B" / "0.png").dtype == np.uint8
    assert read_image(results / "images" / "real_A" / "0.png").dtype == np.uint16


def test_16_bits_of_8_are_finer_steps_of_the_same_greys(tmp_path, bare):
    write_image(tmp_path / "in" / "x.png", np.arange(256, dtype=np.uint8).reshape(16, 16))
    results = bare(tmp_path / "in", "--save_bits", 16)
    fake = read_image(results / "images" / "fake_B" / "x.png")
    np.testing.assert_array_equal(fake, 257 * np.arange(256, dtype=np.uint16).reshape(16, 16))
    meaning = record(results)["values"]["fake_B"]
    assert meaning["scale"] == pytest.approx(1 / 257) and meaning["offset"] == 0
    write_image(tmp_path / "in" / "x.png", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(UserError, match=r"one band alone.*--save_bits 8 or --output_nc 1"):
        bare(tmp_path / "in", "--save_bits", 16, "--input_nc", 3, "--output_nc", 3)


def test_another_file_type_leaves_no_image_of_the_one_before(data, bare):
    for name, other in (("png", "tiff"), ("tiff", "png"), ("png", "tiff")):
        images = bare(data / "testA", "--save_format", name) / "images"
        assert greatest_difference(data / "testA", images / "fake_B") == 0
        assert len(list(images.rglob(f"*.{name}"))) == 4 and not list(images.rglob(f"*.{other}"))


# --- floats


def kelvin(seed: int, *, low: float, high: float, size=(40, 48)) -> np.ndarray:
    """As `frame`, and no whole numbers."""
    steps = frame(seed, low=0, high=60000, size=size).astype(np.float32)
    return (low + steps / 60000 * (high - low)).astype(np.float32)


@pytest.fixture
def floats(tmp_path):
    """Unpaired recordings in kelvin: A spans 250.5 to 320.25, B -40 to 12.75."""
    for phase in ("train", "test"):
        for number, size in enumerate(((40, 48), (41, 37))):
            for role, ends in (("A", (250.5, 320.25)), ("B", (-40.0, 12.75))):
                image = kelvin(number, low=ends[0], high=ends[1], size=size)
                file = tmp_path / "floats" / f"{phase}{role}" / f"{number}.tif"
                write_image(file, image, unit="kelvin")
    return tmp_path / "floats"


def greatest_share(a: Path, b: Path) -> float:
    """As `greatest_difference`, between files of floats, as a share of their range."""
    shares = []
    for file in sorted(a.iterdir()):
        one, two = read_image(file), read_image(next(b.glob(f"{file.stem}.*")))
        assert one.dtype == two.dtype == np.float32 and one.shape == two.shape
        assert read_type(file) == read_type(next(b.glob(f"{file.stem}.*")))
        shares.append(float(np.abs(one - two).max() / np.ptp(one)))
    return max(shares)


@pytest.mark.parametrize("cache", ["ram", "disk", "none"])
def test_floats_are_trained_on_and_come_back_in_their_unit(
    call, floats, capsys, tmp_path, monkeypatch, cache
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    run = call(train, "--dataroot", floats, "--cache", cache)
    text = capsys.readouterr().out
    assert "A: 250.5 to 320.25, 32-bit floats in kelvin -> [-1, 1]\n" in text
    assert "B: -40 to 12.75, 32-bit floats in kelvin -> [-1, 1]\n" in text
    maps = json.loads((run / "run.json").read_text())["value_maps"]
    assert maps["A"] == {"low": 250.5, "high": 320.25, "bits": 32, "unit": "kelvin"}
    call(train, "--dataroot", floats, "--continue_train", "--n_epochs", 2, "--cache", cache)

    results = call(test_program, "--dataroot", floats, "--serial_batches") / "test_latest"
    images = results / "images"
    assert greatest_share(floats / "testA", images / "real_A") < 1e-6
    assert greatest_share(floats / "testB", images / "real_B") < 1e-6
    for file in (floats / "testA").iterdir():
        fake = images / "fake_B" / f"{file.stem}.tiff"
        expected = -40 + (read_image(file) - 250.5) / 69.75 * 52.75
        np.testing.assert_allclose(read_image(fake), expected, atol=1e-4)
        assert read_type(fake) == ValueType("float32", "kelvin")
    meaning = record(results)["values"]["fake_B"]
    kept = {"bits": 32, "unit": "kelvin", "value_range": [-40, 12.75], "scale": 1, "offset": 0}
    assert meaning == kept


@pytest.mark.parametrize(("bits", "kind"), [(8, np.uint8), (16, np.uint16)])
def test_whole_numbers_of_floats(floats, bare, bits, kind):
    results = bare(floats / "testA", "--save_bits", bits)
    meaning = record(results)["values"]["fake_B"]
    for file in (floats / "testA").iterdir():
        fake = read_image(results / "images" / "fake_B" / f"{file.stem}.png")
        assert fake.dtype == kind
        back = fake * meaning["scale"] + meaning["offset"]
        assert np.abs(back - read_image(file)).max() <= meaning["scale"] / 2 + 1e-4
    assert greatest_share(floats / "testA", results / "images" / "real_A") < 1e-6


def test_floats_of_counts_are_the_values_between_them(data, bare):
    results = bare(data / "testA", "--save_bits", 32)
    fakes = sorted((results / "images" / "fake_B").iterdir())
    for file, fake in zip(sorted((data / "testA").iterdir()), fakes, strict=True):
        assert fake.suffix == ".tiff" and read_type(fake) == ValueType("float32")
        np.testing.assert_allclose(read_image(fake), read_image(file), atol=1e-2)
    meaning = record(results)["values"]["fake_B"]
    assert (meaning["bits"], meaning["scale"], meaning["offset"]) == (32, 1, 0)


def test_floats_of_another_unit_are_refused(call, floats, tmp_path):
    call(train, "--dataroot", floats)
    for file in (floats / "testA").iterdir():
        write_image(file, read_image(file), unit="radiance")
    words = "has 32-bit floats in radiance where .* have 32-bit floats in kelvin"
    with pytest.raises(UserError, match=words):
        call(test_program, "--dataroot", floats)
    file = floats / "trainA" / "1.tif"
    write_image(file, read_image(file))
    with pytest.raises(UserError, match=r"1\.tif has 32-bit floats in counts where .* in kelvin"):
        call(train, "--dataroot", floats, "--name", "mixed")


def test_a_pixel_that_is_no_number_stops_training_by_name(call, floats, tmp_path):
    image = read_image(floats / "trainB" / "0.tif").copy()
    image[3, 4:6] = np.nan, np.inf
    write_image(floats / "trainB" / "0.tif", image, unit="kelvin")
    with pytest.raises(UserError, match=r"trainB/0.tif has 2 pixels of 1,920 that are NaN"):
        call(train, "--dataroot", floats)
    run = call(train, "--dataroot", floats, "--on_bad_image", "skip")
    assert list(json.loads((run / "run.json").read_text())["left_out"]) == ["trainB/0.tif"]


def test_pseudo_pairs_of_floats(call, floats, tmp_path):
    call(train, "--dataroot", floats)
    folder = call(test_program, "--dataroot", floats, "--phase", "train") / "train_latest"
    out = tmp_path / "pairs"
    make_pseudo_pairs.main(["--train", str(folder), "--out", str(out)])
    assert greatest_share(floats / "trainA", out / "train_B") < 1e-6
    flags = ["--model", "pix2pix", "--preprocess", "none", "--no_flip", "--dataroot", str(out)]
    pairs, _ = training_datasets(parse_train(flags, MODEL_OPTIONS), value_maps={})
    kinds = {value_map.type for value_map in pairs.value_maps.values()}
    assert kinds == {ValueType("float32", "kelvin")}
    ends = pairs.value_maps["A"].low, pairs.value_maps["A"].high
    assert ends == pytest.approx((-40, 12.75), abs=1e-4)


# --- pairs


@pytest.mark.parametrize("name", ["png", "tiff"])
def test_pseudo_pairs_keep_16_bits(call, data, tmp_path, name):
    call(train)
    folder = call(test_program, "--phase", "train", "--save_format", name) / "train_latest"
    out = tmp_path / "pairs"
    make_pseudo_pairs.main(["--train", str(folder), "--out", str(out)])
    assert greatest_difference(data / "trainA", out / "train_B") == 0
    assert greatest_difference(folder / "images" / "fake_B", out / "train_A") == 0

    flags = ["--model", "pix2pix", "--preprocess", "none", "--no_flip", "--dataroot", str(out)]
    pairs, _ = training_datasets(parse_train(flags, MODEL_OPTIONS))
    assert (pairs.value_maps["A"].low, pairs.value_maps["A"].high) == (1000, 3000)
    for index, file in enumerate(pairs.files):
        sample, (real,) = item(pairs, 1, index), (out / "train_B").glob(f"{file.name}.*")
        assert np.array_equal(pairs.value_maps["A"].decode(sample.a), read_image(file.path))
        assert np.array_equal(pairs.value_maps["B"].decode(sample.b), read_image(real))


def test_aligned_results_keep_16_bits(bare, data):
    results = bare(data, "--dataset_mode", "aligned")
    for kind, letter in (("real_A", "A"), ("real_B", "B")):
        assert greatest_difference(data / f"test{letter}", results / "images" / kind) == 0


def write_kind(folder: Path, kind: str, image: np.ndarray, name: str) -> np.ndarray:
    """Write an image in this kind of file; returns what it is for the project."""
    folder.mkdir(parents=True, exist_ok=True)
    height, width = image.shape
    if kind == "14-bit pgm":
        content = f"P5\n{width} {height}\n16383\n".encode() + image.astype(">u2").tobytes()
        (folder / f"{name}.pgm").write_bytes(content)
    elif kind == "pgm text":
        content = f"P2\n{width} {height}\n65535\n" + " ".join(map(str, image.flat))
        (folder / f"{name}.pgm").write_text(content)
    elif kind == "npy":
        np.save(folder / f"{name}.npy", image.astype(np.int32))
    elif kind == "float npy":
        image = image / np.float32(100)
        np.save(folder / f"{name}.npy", image)
    elif kind == "tiff on its side":
        tags = [(274, "H", 1, 6, True)]
        tifffile.imwrite(folder / f"{name}.tif", np.rot90(image), extratags=tags)
    else:
        assert kind == "white is zero"
        tifffile.imwrite(folder / f"{name}.tif", 65535 - image, photometric="miniswhite")
    return image


@pytest.mark.parametrize(
    "kind",
    ["14-bit pgm", "pgm text", "npy", "float npy", "tiff on its side", "white is zero"],
)
def test_each_kind_of_file_goes_through_train_test_and_evaluate(tmp_path, call, data, kind):
    shutil.rmtree(data)
    images = {}
    for folder in ("trainA", "trainB", "testA", "testB"):
        for seed in range(2):
            image = frame(seed, low=1000 + 100 * seed, high=9000, size=(40, 48))
            images[folder, seed] = write_kind(data / folder, kind, image, str(seed))
    call(train)
    results = call(test_program) / "test_latest"
    suffix = "tiff" if kind == "float npy" else "png"
    for role in ("real_A", "fake_B"):
        for seed in range(2):
            back = read_image(results / "images" / role / f"{seed}.{suffix}")
            # The generator is the identity, the two domains have one range.
            np.testing.assert_allclose(back, images["testA", seed], atol=1e-2)
    out = tmp_path / "metrics.json"
    fake, real = results / "images" / "fake_B", data / "testB"
    evaluate.main(["--fake", str(fake), "--real", str(real), "--out", str(out), "--gpu_ids", "-1"])
    notes = json.loads(out.read_text())["notes"]
    equal = "2 of 2 pairs are equal images" if suffix == "png" else "2 of 2 images show the scene"
    assert any(equal in note for note in notes)
