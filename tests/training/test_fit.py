"""train.py --model sensor_fit and what follows it, as users run them, on 8- and 16-bit images."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

import evaluate
import test as test_program
import train
from data.images import read_image, write_image
from models.networks import load_weights
from models.networks.sensor import FittedSensor
from training.fit import MOST
from util.checkpoint import digest
from util.errors import UserError

SIDES = (40, 52)
# Counts of the real sensor: grey level 100 + 0.5 of the simulator's, and white noise of 2; the same
# times 100 in 16 bits, and in kelvin a tenth of it.
NOISE = 2.0
SCALES = {8: 1, 16: 100, 32: 0.1}


def scene(seed: int) -> np.ndarray:
    """Flat rectangles on flat ground, grey levels of a simulator."""
    rng = np.random.default_rng(seed)
    image = np.full(SIDES, 90.0)
    for _ in range(12):
        y, x = rng.integers(0, SIDES)
        image[y : y + 15, x : x + 15] = rng.integers(20, 230)
    return image


def real(seed: int) -> np.ndarray:
    rng = np.random.default_rng([1, seed])
    return 60 + 0.5 * scene(seed) + NOISE * rng.standard_normal(SIDES)


@dataclass(frozen=True)
class Place:
    """A folder with data of one depth, and calls of the programs in it."""

    path: Path
    bits: int

    @property
    def scale(self) -> float:
        return SCALES[self.bits]

    def write(self, folder: str, name: str, image: np.ndarray) -> None:
        if self.bits == 32:
            kelvin = (self.scale * image).astype(np.float32)
            write_image(self.path / "data" / folder / f"{name}.tif", kelvin, unit="kelvin")
            return
        kind = np.uint16 if self.bits == 16 else np.uint8
        counts = np.round(self.scale * image).clip(0, np.iinfo(kind).max).astype(kind)
        write_image(self.path / "data" / folder / f"{name}.png", counts)

    def train(self, *flags: str, model: str = "sensor_fit", name: str = "fit") -> Path:
        places = ["--dataroot", str(self.path / "data"), "--name", name]
        places += ["--checkpoints_dir", str(self.path / "checkpoints")]
        train.main(["--model", model, *places, *flags])
        return self.path / "checkpoints" / name

    def translate(self, *flags: str, name: str = "fit", results: str = "results") -> Path:
        places = ["--dataroot", str(self.path / "data"), "--name", name]
        places += ["--checkpoints_dir", str(self.path / "checkpoints")]
        places += ["--results_dir", str(self.path / results), "--num_threads", "0"]
        test_program.main([*places, "--gpu_ids", "-1", "--num_test", "all", *flags])
        return self.path / results / name / "test_latest"


@pytest.fixture
def make_place(tmp_path):
    def make(bits: int) -> Place:
        place = Place(tmp_path, bits)
        for number in range(6):
            place.write("trainA", f"{number}", scene(number))
            place.write("trainB", f"{number}", real(number))
        for number in range(3):
            place.write("testA", f"{number}", scene(200 + number))
            place.write("testB", f"{number}", real(200 + number))
        place.write("testA", "twin", scene(200))
        place.write("testB", "twin", real(200))
        return place

    return make


@pytest.fixture
def place(make_place):
    return make_place(8)


def images(results: Path, kind: str = "fake_B") -> dict[str, np.ndarray]:
    return {p.stem: read_image(p) for p in sorted((results / "images" / kind).glob("*.png"))}


@pytest.mark.parametrize("bits", [8, 16])
def test_a_fit_is_translated_with_and_evaluated(make_place, bits, capsys):
    place = make_place(bits)
    folder = place.train()
    assert {f.name for f in folder.iterdir()} == {"run.json", "latest_net_G.pth", "finished"}
    results = place.translate("--dataset_mode", "aligned")
    made = images(results)
    assert {image.dtype for image in made.values()} == {np.dtype(f"uint{bits}")}
    # At their own size, in the counts of the real sensor.
    for number in range(3):
        error = made[f"{number}"] - place.scale * (60 + 0.5 * scene(200 + number))
        assert made[f"{number}"].shape == SIDES
        assert np.abs(np.median(error)) < 4 * place.scale
    # Of one scene under two names noise and gain differ; a row less the next holds noise four
    # times, and by its median little else.
    apart = np.diff(np.subtract(made["0"], made["twin"], dtype=float), axis=0)
    noise = 1.4826 * np.median(np.abs(apart)) / 2
    assert noise == pytest.approx(NOISE * place.scale, rel=0.2)
    record = json.loads((results / "result.json").read_text())
    assert (record["model"], record["paired"]) == ("sensor_fit", True)

    capsys.readouterr()
    out = place.path / "metrics.json"
    evaluate.main(["--results", str(results), "--gpu_ids", "-1", "--out", str(out)])
    assert json.loads(out.read_text())["fake_B_vs_real_B"]["psnr"]["mean"] > 25


def test_noise_of_floats_is_not_taken_for_rounding(make_place, capsys):
    folder = make_place(32).train()
    low, high = (
        json.loads((folder / "run.json").read_text())["value_maps"]["B"][end]
        for end in ("low", "high")
    )
    white, _, _ = torch.load(folder / "latest_net_G.pth")["noise"] * (high - low) / 2
    assert float(white) == pytest.approx(NOISE * SCALES[32], rel=0.2)
    assert f"noise in kelvin of B: {white:.3g} white" in capsys.readouterr().out


def test_noise_follows_from_seed_and_name_and_can_be_left_out(place):
    place.train()
    first, again = (images(place.translate(results=r)) for r in ("a", "b"))
    other = images(place.translate("--seed", "1", results="c"))
    clean = images(place.translate("--no_noise", results="d"))
    clean_too = images(place.translate("--no_noise", "--seed", "1", results="e"))
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
        np.testing.assert_array_equal(clean[name], clean_too[name])
        assert (first[name] != other[name]).mean() > 0.5
    assert (first["0"] != first["twin"]).mean() > 0.5
    np.testing.assert_array_equal(clean["0"], clean["twin"])


def test_what_is_saved_is_the_sensor_without_noise(place):
    folder = place.train()
    sensor = FittedSensor()
    weights = torch.load(folder / "latest_net_G.pth", weights_only=True)
    load_weights(sensor, weights, source="latest_net_G.pth")
    image = torch.from_numpy(scene(200).astype(np.float32))[None, None] / 127.5 - 1
    expected = ((sensor(image)[0, 0] + 1) * 127.5).round().numpy()
    made = images(place.translate("--no_noise"))["0"].astype(float)
    assert np.abs(made - expected).max() <= 1


def test_equal_data_give_equal_fits(place):
    first, second = (
        torch.load(place.train(name=name) / "latest_net_G.pth", weights_only=True) for name in "ab"
    )
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_fit_is_repeated_by_its_name(place, capsys):
    first = place.train("--preprocess", "resize", "--load_size", "48")
    capsys.readouterr()
    places = ["--name", "again", "--checkpoints_dir", str(place.path / "checkpoints")]
    train.main(["--like", "fit", *places])
    file = "latest_net_G.pth"
    assert (first.parent / "again" / file).read_bytes() == (first / file).read_bytes()
    said = capsys.readouterr().out
    assert "fit is repeated: options, data, inputs, versions and device are the same" in said
    assert "no effect" not in said


def test_images_are_fitted_in_the_size_that_they_are_translated_in(place):
    own = torch.load(place.train(name="own") / "latest_net_G.pth", weights_only=True)
    half = place.train("--preprocess", "resize", "--load_size", "160", name="fit")
    blurred = torch.load(half / "latest_net_G.pth", weights_only=True)
    assert not torch.equal(own["noise"], blurred["noise"])
    assert {image.shape for image in images(place.translate()).values()} == {(160, 160)}


def test_of_many_images_some_are_looked_at(place, monkeypatch, capsys):
    monkeypatch.setattr("training.fit.MOST", 3)
    assert MOST > 100
    place.train()
    said = capsys.readouterr().out
    assert "6 images A, 3 of them looked at, 6 images B, 3 of them looked at" in said


def test_flags_of_epochs_have_no_effect_and_that_is_said(place, capsys):
    place.train("--n_epochs", "3", "--no_html", "--gpu_ids", "-1")
    assert "a fit takes no steps: --n_epochs, --no_html have no effect" in capsys.readouterr().out


def test_what_has_no_effect_makes_no_other_fit(place, capsys):
    idle = ["--val_freq", "5", "--batch_size", "4", "--precision", "bf16", "--n_epochs", "3"]
    place.train("--resume", *idle)
    place.train("--resume")
    place.train("--resume", *idle)
    said = capsys.readouterr().out
    names = "--batch_size, --n_epochs, --precision, --val_freq"
    assert said.count(f"a fit takes no steps: {names} have no effect") == 1
    assert said.count("left as it is") == 2


def test_results_take_the_place_of_earlier_ones_and_of_no_sources(place):
    place.train()
    made = place.translate()
    (made / "evaluation.csv").write_text("of the images before")
    place.translate()
    assert not (made / "evaluation.csv").exists()
    before = images(made)
    source = ["--dataset_mode", "single", "--dataroot", str(made / "images" / "fake_B")]
    with pytest.raises(UserError, match=r"fake_B.* lies in .*, where the results go; name another"):
        place.translate(*source)
    assert images(made).keys() == before.keys() and (made / "result.json").exists()
    place.translate(*source, results="again")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--continue_train"], "nothing to go on with; leave --continue_train out"),
        (["--dataset_mode", "aligned"], "cannot learn from --dataset_mode aligned; use unaligned"),
        (["--input_nc", "3"], "one band"),
        (["--dataroot", "nowhere"], "there is no folder"),
        (["--preprocess", "resize", "--load_size", "31"], "31x31 pixels is too small"),
    ],
)
def test_what_cannot_be_fitted_is_refused_and_leaves_nothing(place, flags, words):
    with pytest.raises(UserError, match=words):
        place.train(*flags)
    assert not (place.path / "checkpoints" / "fit").exists()


def test_a_run_is_not_overwritten(place):
    folder = place.train()
    before = (folder / "latest_net_G.pth").read_bytes()
    small = ["--netG", "resnet_4blocks", "--ngf", "4", "--ndf", "4", "--netF_nc", "8"]
    small += ["--load_size", "36", "--crop_size", "32", "--num_threads", "0", "--gpu_ids", "-1"]
    for model, flags in (("sensor_fit", []), ("cut", small)):
        with pytest.raises(UserError, match="holds a run already; choose another --name, or"):
            place.train(*flags, model=model)
    assert (folder / "latest_net_G.pth").read_bytes() == before
    assert (folder / "finished").exists()


def test_a_bad_image_is_named_or_left_out(place):
    bad = place.path / "data" / "trainB" / "3.png"
    bad.write_bytes(b"no image")
    with pytest.raises(UserError, match=r"3\.png"):
        place.train()
    folder = place.train("--on_bad_image", "skip")
    assert list(json.loads((folder / "run.json").read_text())["left_out"]) == ["trainB/3.png"]


def test_no_noise_is_for_a_fitted_sensor(place):
    small = ["--netG", "resnet_4blocks", "--ngf", "4", "--ndf", "4", "--netF_nc", "8"]
    small += ["--load_size", "36", "--crop_size", "32", "--num_threads", "0", "--gpu_ids", "-1"]
    small += ["--n_epochs", "1", "--n_epochs_decay", "0", "--num_patches", "8"]
    place.train(*small, model="cut")
    with pytest.raises(UserError, match="--no_noise is for a fitted sensor, and --model cut"):
        place.translate("--no_noise")


SMALL = ["--netG", "resnet_4blocks", "--ngf", "4", "--ndf", "4", "--num_threads", "0"]
SMALL += [
    "--max_dataset_size",
    "2",
    "--gpu_ids",
    "-1",
    "--n_epochs",
    "1",
    "--n_epochs_decay",
    "0",
    "--no_html",
]
BESIDE = [*SMALL, "--preprocess", "none", "--sensor", "fit"]
NOISE_FLAGS = {"noisy": [], "clean": ["--no_noise"]}


@pytest.mark.parametrize("bits", [8, 16])
def test_a_generator_with_a_sensor_begins_as_the_fit_and_needs_its_run_no_more(make_place, bits):
    place = make_place(bits)
    place.train()
    fits = {r: images(place.translate(*f, results=r)) for r, f in NOISE_FLAGS.items()}
    flags = [*BESIDE, "--max_dataset_size", "all", "--lr", "0"]
    place.train(*flags, model="pix2pix", name="beside")
    shutil.rmtree(place.path / "checkpoints" / "fit")
    for results, flags in NOISE_FLAGS.items():
        made = images(place.translate(*flags, name="beside", results=results))
        assert made.keys() == fits[results].keys()
        for name, image in made.items():
            np.testing.assert_array_equal(image, fits[results][name])
    more = ["--continue_train", "--n_epochs", "2", "--lr", "0.01", "--num_threads", "0"]
    place.train(*more, "--gpu_ids", "-1", model="pix2pix", name="beside")
    changed = images(place.translate("--no_noise", name="beside"))
    assert any((changed[name] != fits["clean"][name]).any() for name in changed)


def test_what_learnt_beside_a_sensor_goes_on_beside_the_same(place, capsys):
    place.train()
    place.train("--preprocess", "resize", "--load_size", "48", name="other")
    folder = place.train(*BESIDE, model="pix2pix", name="beside")
    again = [*BESIDE, "--pretrained_name", "beside"]
    assert (folder / "finished").exists()
    place.train(*again, model="pix2pix", name="next")
    with pytest.raises(UserError, match="beside another sensor than that of --sensor other"):
        place.train(*again, "--sensor", "other", model="pix2pix", name="third")
    with pytest.raises(UserError, match="it was trained with --sensor fit, not other; leave"):
        place.translate("--sensor", "other", name="beside")
    assert not (place.path / "checkpoints" / "third").exists()


def test_a_finished_fit_is_left_as_it_is_and_one_of_other_images_refused(place, capsys):
    folder = place.train("--resume")
    before = (folder / "latest_net_G.pth").stat()
    place.train("--resume")
    assert "left as it is" in capsys.readouterr().out
    assert (folder / "latest_net_G.pth").stat() == before
    place.write("trainB", "0", scene(0))
    with pytest.raises(UserError, match="made from other training images"):
        place.train("--resume")
    with pytest.raises(UserError, match="--preprocess"):
        place.train("--resume", "--preprocess", "resize")


def test_results_of_generators_from_before_targets_only_are_of_the_same_weights(place):
    place.train()
    folder = place.train(*BESIDE, model="pix2pix", name="beside")
    results = place.translate(name="beside")
    weights = torch.load(folder / "latest_net_G.pth")
    earlier = {k: v for k, v in weights.items() if not k.endswith("targets_only")}
    assert len(earlier) == len(weights) - 1
    told = json.loads((results / "result.json").read_text())["inputs"]["weights of the generator"]
    assert told == digest(earlier)


def test_another_sensor_is_another_run(place):
    place.train()
    flags = [*BESIDE, "--netF_nc", "8", "--num_patches", "8", "--resume"]
    place.train(*flags, model="cut", name="beside")
    place.train(*flags, model="cut", name="beside")
    shutil.rmtree(place.path / "checkpoints" / "fit")
    place.train("--max_dataset_size", "3")
    with pytest.raises(UserError, match=r"made from other networks \(--sensor\)"):
        place.train(*flags, model="cut", name="beside")


def test_a_sensor_of_resized_images_is_told(place, capsys):
    place.train()
    resized = ["--preprocess", "resize", "--load_size", "32"]
    place.train(*BESIDE, *resized, model="pix2pix", name="beside")
    assert "are those of images with --preprocess none" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (
            ["--sensor", "nowhere"],
            r"there is no run .*nowhere.*; check --sensor and --check.*_dir\.$",
        ),
        (["--sensor", "../fit"], "--sensor '../fit' leaves the folder"),
        (["--input_nc", "3"], "--sensor is for images of one band"),
        (
            ["--value_range_A", "0", "250"],
            "fitted to images of A with counts 0 to 255 of 8 bits, not counts 0 to 250 of 8 bits; "
            "give --value_range_A 0 255",
        ),
        (
            ["--value_range", "1", "255"],
            r"B with .*, not .*; give --value_range_A 0 255 --value_range_B 0 255\.",
        ),
    ],
)
def test_a_sensor_that_does_not_fit_is_refused_and_leaves_nothing(place, flags, words):
    place.train()
    with pytest.raises(UserError, match=words):
        place.train(*BESIDE, *flags, model="pix2pix", name="beside")
    assert not (place.path / "checkpoints" / "beside").exists()


def test_a_sensor_of_images_of_another_type_is_refused(make_place):
    make_place(16).train()
    place = make_place(8)
    with pytest.raises(
        UserError, match=r"of 16 bits, not .* of 8 bits; fit one to images of this type"
    ):
        place.train(*BESIDE, model="pix2pix", name="beside")


def test_a_run_that_is_no_fit_is_no_sensor(place):
    place.train(*SMALL, "--preprocess", "none", model="pix2pix", name="plain")
    with pytest.raises(UserError, match="--sensor plain is a run of --model pix2pix; name one of"):
        place.train(*BESIDE, "--sensor", "plain", model="pix2pix", name="beside")


def with_boxes(place: Place) -> None:
    """A table with a box of each image."""
    rows = ["file,box_x,box_y,box_w,box_h"]
    folder = place.path / "data"
    rows += [f"{f.relative_to(folder)},8,8,20,16" for f in sorted(folder.rglob("*.png"))]
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")


@pytest.mark.parametrize("bits", [8, 16])
def test_what_learns_from_randomized_real_images_translates_simulated_ones(make_place, bits):
    place = make_place(bits)
    with_boxes(place)
    place.train()
    fit = images(place.translate("--no_noise", results="fit"))
    flags = [*BESIDE, "--dataset_mode", "randomized", "--max_dataset_size", "all"]
    folder = place.train(*flags, "--lr", "0", model="pix2pix", name="begun")
    maps = json.loads((folder / "run.json").read_text())["value_maps"]
    assert maps == json.loads((place.path / "checkpoints/fit/run.json").read_text())["value_maps"]
    for name, image in images(place.translate("--no_noise", name="begun")).items():
        np.testing.assert_array_equal(image, fit[name])
    place.train(*flags, "--lr", "0.01", "--resume", model="pix2pix", name="learnt")
    place.train(*flags, "--lr", "0.01", "--resume", model="pix2pix", name="learnt")
    learnt = images(place.translate("--no_noise", name="learnt"))
    changed = np.any([learnt[name] != fit[name] for name in fit], axis=0)
    target = np.zeros(changed.shape, bool)
    target[5:27, 4:31] = True  # x 8 to 28, y 8 to 24, grown by a tenth and 1.5 pixels
    assert changed[target].any() and not changed[~target].any()


def test_a_fit_to_targets_heeds_boxes_where_images_are_translated(place, capsys):
    with_boxes(place)
    place.train("--fit_target")
    assert "targets" in capsys.readouterr().out
    weights = place.path / "checkpoints" / "fit" / "latest_net_G.pth"
    sensor = torch.load(weights)
    sensor["target_keep"].fill_(0.0)
    sensor["target"].fill_(0.9)
    torch.save(sensor, weights)
    capsys.readouterr()
    made = images(place.translate("--no_noise"))["0"]
    assert np.median(made[12:20, 14:22]) > 235
    assert np.median(made[:6]) < 235
    assert "A: 4 of 4 images have boxes\n" in capsys.readouterr().out
    (place.path / "data" / "labels.csv").rename(place.path / "elsewhere.csv")
    without = images(place.translate("--no_noise"))["0"]
    assert np.median(without[12:20, 14:22]) < 235
    assert "A: 0 of 4 images have boxes (there is no labels.csv" in capsys.readouterr().out


def test_a_fit_to_other_targets_is_another_run(place, capsys):
    with_boxes(place)
    place.train("--fit_target", "--resume")
    place.train("--fit_target", "--resume")
    assert "left as it is" in capsys.readouterr().out
    table = place.path / "data" / "labels.csv"
    table.write_text(table.read_text().replace("8,8,20,16", "8,8,20,17"))
    with pytest.raises(UserError, match="made from other training images"):
        place.train("--fit_target", "--resume")


def test_a_fit_to_targets_without_boxes_is_refused(place):
    with pytest.raises(UserError, match="--fit_target needs boxes"):
        place.train("--fit_target")
    assert not (place.path / "checkpoints" / "fit").exists()
