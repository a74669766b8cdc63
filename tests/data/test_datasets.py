"""Datasets by --dataset_mode: what is paired with what, and in which shape it comes."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

import data.images
from data.build import build_test_dataset
from data.value_map import EIGHT_BIT, ValueMap
from data.value_type import UINT8, UINT16
from models import MODEL_OPTIONS
from options import TrainConfig, parse_train
from tests.data.samples import Sample, item, training_datasets
from util.errors import UserError

RNG = np.random.default_rng(0)


def config(root: Path, *flags: str, model: str = "pix2pix") -> TrainConfig:
    argv = ["--dataroot", str(root), "--model", model, "--preprocess", "none", "--no_flip", *flags]
    return parse_train(argv, MODEL_OPTIONS)


def training(root: Path, *flags: str, model: str = "pix2pix", value_maps=None):
    return training_datasets(config(root, *flags, model=model), value_maps=value_maps)


def for_testing(root: Path, *flags: str, model: str = "pix2pix", value_maps=None):
    options = config(root, "--phase", "test", *flags, model=model)
    return build_test_dataset(
        options.data, options.model, seed=options.run.seed, value_maps=value_maps or {}
    )


def grey(image: torch.Tensor | None) -> int:
    """The one grey value of an image of a `flat` folder."""
    (value,) = np.unique(EIGHT_BIT.decode(image))
    return int(value)


def values(dataset, epoch: int = 1) -> list[tuple[int, int | None]]:
    samples = [item(dataset, epoch, index) for index in range(len(dataset))]
    return [(grey(s.a), None if s.b is None else grey(s.b)) for s in samples]


@pytest.fixture
def pairs(tmp_path, flat):
    """Three pairs: A holds 1, 2, 3; B holds 11, 12, 13."""
    for number, name in enumerate(("a.png", "v/b.png", "v/c.png"), start=1):
        flat(tmp_path / "trainA", {name: number})
        flat(tmp_path / "trainB", {name.replace("png", "bmp"): 10 + number})
    return tmp_path


@pytest.fixture
def unpaired(tmp_path, flat):
    """A holds 1 to 4, B holds 11 to 16."""
    flat(tmp_path / "train_A", {f"a{i}.png": i for i in range(1, 5)})
    flat(tmp_path / "train_B", {f"b{i}.png": 10 + i for i in range(1, 7)})
    return tmp_path


# --- aligned


def test_pairs_by_relative_name(pairs):
    dataset, validation = training(pairs)
    assert validation is None and values(dataset) == [(1, 11), (2, 12), (3, 13)]
    assert [item(dataset, 1, i).name for i in range(3)] == ["a", "v/b", "v/c"]
    assert values(training(pairs, "--direction", "BtoA")[0]) == [(11, 1), (12, 2), (13, 3)]
    assert values(training(pairs, "--max_dataset_size", "2")[0]) == [(1, 11), (2, 12)]


def test_facts_tell_the_file_values_of_the_target(pairs):
    maps = {"A": EIGHT_BIT, "B": ValueMap(10.0, 20.0, UINT8)}
    assert training(pairs, value_maps=maps)[0].facts().value_range == (10.0, 20.0)


def test_a_pair_without_partner_is_listed(pairs):
    (pairs / "trainB" / "v" / "c.bmp").unlink()
    with pytest.raises(UserError, match=r"1 in A \(v/c\)"):
        training(pairs)


def test_pairs_share_crop_and_mirror(tmp_path, write):
    for i in range(4):
        image = RNG.integers(0, 256, (20, 24), dtype=np.uint8)
        write(tmp_path / "trainA" / f"{i}.png", image)
        write(tmp_path / "trainB" / f"{i}.png", 255 - image)
    argv = f"--dataroot {tmp_path} --model pix2pix --load_size 15 --crop_size 8".split()
    dataset, _ = training_datasets(parse_train(argv, MODEL_OPTIONS))
    for epoch in range(1, 6):
        for index in range(4):
            sample = item(dataset, epoch, index)
            assert sample.a.shape == (1, 8, 8)
            torch.testing.assert_close(sample.a, -sample.b, rtol=0, atol=1e-5)


def test_pairs_of_two_sizes_are_named(tmp_path, flat):
    flat(tmp_path / "trainA", {"x.png": 1}, size=(8, 10))
    flat(tmp_path / "trainB", {"x.png": 1}, size=(8, 12))
    with pytest.raises(UserError, match=r"x\.png has images of 10x8 and 12x8"):
        training(tmp_path)


def test_side_by_side_images(tmp_path, write):
    left, right = np.full((6, 5), 1, np.uint8), np.full((6, 5), 2, np.uint8)
    write(tmp_path / "train" / "v" / "x.png", np.hstack([left, right]))
    dataset, _ = training(tmp_path)
    assert values(dataset) == [(1, 2)] and item(dataset, 1, 0).a.shape == (1, 6, 5)
    assert item(dataset, 1, 0).name == "v/x"
    assert values(training(tmp_path, "--direction", "BtoA")[0]) == [(2, 1)]


def test_side_by_side_counts_have_one_value_map(tmp_path, write):
    write(tmp_path / "train" / "x.png", np.array([[100, 200, 500, 700]], np.uint16))
    dataset, _ = training(tmp_path)
    assert dataset.value_maps == dict.fromkeys("AB", ValueMap(100.0, 700.0, UINT16))
    torch.testing.assert_close(item(dataset, 1, 0).b, torch.tensor([[[1 / 3, 1.0]]]))


def test_a_side_by_side_image_of_odd_width_is_named(tmp_path, write):
    path = write(tmp_path / "train" / "x.png", np.zeros((4, 7), np.uint8))
    with pytest.raises(UserError, match=f"{path} is 7 pixels wide"):
        training(tmp_path)


@pytest.mark.parametrize("folder", ["trainB", "train/B"])
def test_one_domain_alone_is_not_taken_for_side_by_side(tmp_path, flat, folder):
    flat(tmp_path / "train", {"x.png": 1})
    flat(tmp_path / folder, {"x.png": 1})
    with pytest.raises(UserError, match=r"trainA, .*train_A, .*train/A"):
        training(tmp_path)


def test_labels_of_pairs(pairs):
    (pairs / "labels.csv").write_text(
        "file,class\ntrainA/a.png,ZSU\ntrainA/v/b.png,\ntrainB/v/b.bmp,BMP2\n"
    )
    dataset, _ = training(pairs)
    assert dataset.classes == ("BMP2", "ZSU")
    assert [item(dataset, 1, i).label for i in range(3)] == [1, 0, -1]
    facts = dataset.facts()
    assert (facts.classes, facts.class_counts, facts.unlabelled) == (("BMP2", "ZSU"), (1, 1), 1)


def test_labels_of_linked_pairs(tmp_path, flat):
    store = flat(tmp_path / "store", {"x.png": 1})
    root = tmp_path / "dataset"
    root.mkdir()
    for letter in "AB":
        (root / f"train{letter}").symlink_to(store)
    (root / "labels.csv").write_text("file,class\ntrainA/x.png,T72\n")
    dataset, _ = training(root)
    assert dataset.classes == ("T72",) and item(dataset, 1, 0).label == 0


# --- unaligned


def test_unpaired_epochs_are_as_long_as_the_larger_domain(unpaired):
    dataset, _ = training(unpaired, model="cut")
    assert len(dataset) == 6
    assert [a for a, _ in values(dataset)] == [1, 2, 3, 4, 1, 2]
    assert [item(dataset, 1, i).name for i in (0, 3, 4)] == ["a1", "a4", "a1"]
    assert all(item(dataset, 1, i).label == -1 for i in range(6))


def test_b_is_drawn_at_random_but_the_same_again(unpaired):
    dataset, again = training(unpaired, model="cut")[0], training(unpaired, model="cut")[0]
    draws = {(epoch, i): grey(item(dataset, epoch, i).b) for epoch in range(1, 9) for i in range(6)}
    assert {(e, i): grey(item(again, e, i).b) for e, i in reversed(draws)} == draws
    assert set(draws.values()) == set(range(11, 17))
    assert len({tuple(draws[e, i] for i in range(6)) for e in range(1, 9)}) > 4
    other = training(unpaired, "--seed", "1", model="cut")[0]
    assert any(grey(item(other, *key).b) != value for key, value in draws.items())


def test_serial_batches_take_b_in_order(unpaired):
    dataset, _ = training(unpaired, "--serial_batches", model="cut")
    assert values(dataset) == [(1, 11), (2, 12), (3, 13), (4, 14), (1, 15), (2, 16)]


def test_direction_and_limit_of_unpaired_images(unpaired):
    flags = ("--direction", "BtoA", "--max_dataset_size", "3", "--serial_batches")
    assert values(training(unpaired, *flags, model="cut")[0]) == [(11, 1), (12, 2), (13, 3)]


def test_a_missing_domain_is_named(unpaired):
    for image in (unpaired / "train_B").iterdir():
        image.unlink()
    with pytest.raises(UserError, match=r"no image in .*train_B"):
        training(unpaired, model="cut")
    (unpaired / "train_B").rmdir()
    with pytest.raises(UserError, match=r"trainB, .*train_B, .*train/B"):
        training(unpaired, model="cut")


def test_the_resize_margin_ends_with_the_full_rate(tmp_path, write):
    image = RNG.integers(0, 256, (8, 8), dtype=np.uint8)
    for letter in "AB":
        write(tmp_path / f"train{letter}" / "x.png", image)
    flags = ["--load_size", "12", "--crop_size", "8", "--n_epochs", "3", "--n_epochs_decay", "2"]
    dataset, _ = training(tmp_path, "--preprocess", "resize_and_crop", *flags, model="cut")
    whole = EIGHT_BIT.encode(image)
    for epoch in (1, 3):
        assert item(dataset, epoch, 0).a.shape == whole.shape
        assert not torch.allclose(item(dataset, epoch, 0).a, whole)
    for epoch in (4, 5):
        torch.testing.assert_close(item(dataset, epoch, 0).a, whole)
        torch.testing.assert_close(item(dataset, epoch, 0).b, whole)


# --- test time


@pytest.mark.parametrize("mode", ["aligned", "unaligned", "single"])
def test_a_alone_is_enough_for_a_test(tmp_path, flat, mode):
    flat(tmp_path / "testA", {"1.png": 1, "v/2.png": 2})
    dataset = for_testing(tmp_path, "--dataset_mode", mode)
    assert values(dataset) == [(1, None), (2, None)]
    assert [item(dataset, 0, i).name for i in range(2)] == ["1", "v/2"]
    assert set(dataset.domains) == {"A"}


def test_a_alone_keeps_the_value_map_of_b_that_the_checkpoint_knows(tmp_path, flat):
    flat(tmp_path / "testA", {"1.png": 1})
    maps = {"A": EIGHT_BIT, "B": ValueMap(5600.0, 20300.0, UINT16)}
    assert for_testing(tmp_path, value_maps=maps).value_maps == maps


def test_single_reads_the_root_itself_where_there_is_no_phase_folder(tmp_path, flat):
    flat(tmp_path, {"1.png": 1, "v/2.png": 2})
    assert values(for_testing(tmp_path, "--dataset_mode", "single")) == [(1, None), (2, None)]


def test_unpaired_test_images_get_a_random_b_and_their_own_count(tmp_path, flat):
    flat(tmp_path / "test_A", {f"a{i}.png": i for i in range(1, 9)})
    flat(tmp_path / "test_B", {f"b{i}.png": 10 + i for i in range(1, 4)})
    dataset = for_testing(tmp_path, model="cut")
    assert len(dataset) == 8 and values(dataset) == values(for_testing(tmp_path, model="cut"))
    assert {b for _, b in values(dataset)} == {11, 12, 13}
    flat(tmp_path / "test_B", {f"b{i}.png": 10 + i for i in range(1, 20)})
    assert len(for_testing(tmp_path, model="cut")) == 8


def test_whole_images_at_test_time(tmp_path, write):
    image = RNG.integers(0, 256, (20, 30), dtype=np.uint8)
    write(tmp_path / "testA" / "x.png", image)
    sizes = ("--load_size", "12", "--crop_size", "8")
    native = for_testing(tmp_path, "--preprocess", "crop", *sizes)
    np.testing.assert_array_equal(EIGHT_BIT.decode(item(native, 0, 0).a), image)
    square = for_testing(tmp_path, "--preprocess", "resize_and_crop", *sizes)
    assert item(square, 0, 0).a.shape == (1, 8, 8)


# --- values and bands


def test_16_bit_counts_keep_their_levels(tmp_path, write):
    ramp = np.linspace(5600, 20300, 64 * 64).reshape(64, 64).astype(np.uint16)
    write(tmp_path / "trainA" / "x.png", ramp)
    write(tmp_path / "trainB" / "x.png", ramp[::-1])
    dataset, _ = training(tmp_path)
    assert dataset.value_maps["A"] == ValueMap(5600.0, 20300.0, UINT16)
    image = item(dataset, 1, 0).a
    assert image.min() == -1 and image.max() == 1
    np.testing.assert_array_equal(dataset.value_maps["A"].decode(image), ramp)
    sizes = ("--load_size", "48", "--crop_size", "32")
    resized, _ = training(tmp_path, "--preprocess", "resize_and_crop", *sizes)
    assert len(item(resized, 1, 0).a.unique()) > 3 * 256


def test_the_value_map_of_the_checkpoint_goes_before_the_files(tmp_path, write):
    for letter in "AB":
        write(tmp_path / f"train{letter}" / "x.png", np.array([[100, 300]], np.uint16))
    maps = {"A": ValueMap(0.0, 400.0, UINT16), "B": ValueMap(100.0, 300.0, UINT16)}
    dataset, _ = training(tmp_path, value_maps=maps)
    assert dataset.value_maps == maps
    torch.testing.assert_close(item(dataset, 1, 0).a, torch.tensor([[[-0.5, 0.5]]]))
    torch.testing.assert_close(item(dataset, 1, 0).b, torch.tensor([[[-1.0, 1.0]]]))


@pytest.mark.parametrize("joined", [False, True], ids=["two folders", "side by side"])
def test_each_domain_has_the_range_that_was_given_for_it(tmp_path, write, joined):
    counts = np.array([[100, 300]], np.uint16)
    if joined:
        write(tmp_path / "train" / "x.png", np.hstack([counts, counts]))
    else:
        for letter in "AB":
            write(tmp_path / f"train{letter}" / "x.png", counts)
    auto, own = ValueMap(100.0, 300.0, UINT16), ValueMap(0.0, 400.0, UINT16)
    for flags, maps in (
        (["--value_range", "auto"], (auto, auto)),
        (["--value_range", "0", "400"], (own, own)),
        (["--value_range_A", "0", "400"], (own, auto)),
        (["--value_range_B", "0", "400"], (auto, own)),
    ):
        dataset, _ = training(tmp_path, *flags)
        assert dataset.value_maps == dict(zip("AB", maps, strict=True))


@pytest.mark.parametrize("joined", [False, True], ids=["two folders", "side by side"])
def test_targets_are_clipped_in_training_alone(tmp_path, write, joined):
    counts = np.array([[0, 100, 300, 500]], np.uint16)
    for phase in ("train", "test"):
        if joined:
            write(tmp_path / phase / "x.png", np.hstack([counts, counts]))
        for letter in [] if joined else "AB":
            write(tmp_path / f"{phase}{letter}" / "x.png", counts)
    flags = ["--value_range", "100", "300"]
    sample = item(training(tmp_path, *flags)[0], 1, 0)
    torch.testing.assert_close(sample.a, torch.tensor([[[-2.0, -1.0, 1.0, 3.0]]]))
    torch.testing.assert_close(sample.b, torch.tensor([[[-1.0, -1.0, 1.0, 1.0]]]))
    sample = item(for_testing(tmp_path, *flags), 0, 0)
    assert torch.equal(sample.a, sample.b) and sample.b.max() == 3


def test_a_range_beyond_the_depth_names_its_flag(pairs):
    with pytest.raises(UserError, match=r"--value_range_B 5600 20300 does not fit .* 8 bits"):
        training(pairs, "--value_range_B", "5600", "20300")


def test_files_of_another_depth_than_the_checkpoint_are_named(tmp_path, flat):
    flat(tmp_path / "testA", {"x.png": 1})
    with pytest.raises(UserError, match=r"x\.png has 8 bits"):
        for_testing(tmp_path, value_maps={"A": ValueMap(0.0, 400.0, UINT16)})


def test_bands_of_each_domain(pairs):
    sample = item(training(pairs, "--input_nc", "3", "--output_nc", "1")[0], 1, 0)
    assert sample.a.shape == (3, 8, 8) and sample.b.shape == (1, 8, 8)
    with pytest.raises(UserError, match="--input_nc 2"):
        training(pairs, "--input_nc", "2")
    with pytest.raises(UserError, match="--output_nc 0"):
        training(pairs, "--output_nc", "0")


@pytest.mark.parametrize("flag", ["--input_nc", "--output_nc"])
@pytest.mark.parametrize("joined", [False, True], ids=["two folders", "side by side"])
def test_16_bits_in_three_bands_are_refused(tmp_path, write, flag, joined):
    counts = np.array([[1, 2, 300, 400]], np.uint16)
    for folder in ["train"] if joined else ["trainA", "trainB"]:
        write(tmp_path / folder / "x.png", counts)
    with pytest.raises(UserError, match=f"16 bits.*{flag} 1"):
        training(tmp_path, flag, "3")


def test_a_broken_image_comes_back_as_its_error(pairs):
    file = pairs / "trainA" / "v" / "b.png"
    file.write_bytes(file.read_bytes()[:45])  # the head is whole
    dataset, _ = training(pairs, "--cache", "none")
    assert isinstance(item(dataset, 1, 0), Sample)
    assert isinstance(item(dataset, 1, 1), UserError) and "b.png" in str(item(dataset, 1, 1))


@pytest.mark.parametrize("cache", ["ram", "disk"])
def test_a_broken_image_is_found_before_training_where_images_are_kept(pairs, monkeypatch, cache):
    monkeypatch.setenv("XDG_CACHE_HOME", str(pairs / "cache"))
    (pairs / "trainA" / "v" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(UserError, match=r"b\.png is not a readable image"):
        training(pairs, "--cache", cache)


@pytest.mark.parametrize("joined", [False, True], ids=["two folders", "side by side"])
def test_every_image_is_decoded_once(tmp_path, write, monkeypatch, joined):
    folders = ["train"] if joined else ["trainA", "trainB"]
    counts = RNG.integers(0, 9999, (6, 4, 8), dtype=np.uint16)
    files = [
        write(tmp_path / folder / f"{i}.png", counts[i]) for folder in folders for i in range(3)
    ]
    decoded, to_array = [], data.images._to_array
    monkeypatch.setattr(
        "data.images._to_array", lambda image, path: decoded.append(path) or to_array(image, path)
    )
    dataset, _ = training(tmp_path)  # auto: the extremes of the counts are found, too
    for epoch in range(3):
        assert all(isinstance(item(dataset, epoch, index), Sample) for index in range(3))
    assert sorted(decoded) == sorted(files)
    assert [note.split(":")[0] for note in dataset.notes()] == (["A, B"] if joined else ["A", "B"])


def test_a_dataset_reaches_processes_that_are_spawned(pairs):
    dataset, _ = training(pairs)
    copy = pickle.loads(pickle.dumps(dataset))  # with images in memory, the default
    assert torch.equal(item(copy, 3, 1).a, item(dataset, 3, 1).a) and item(copy, 3, 1).name == "v/b"


# --- labeled


@pytest.fixture
def labelled(tmp_path, flat):
    """Two classes of four recordings with five frames each."""
    for number, name in enumerate(("BMP2", "T72")):
        for video in range(4):
            frames = {f"v{video}_{i:03d}.png": 50 * number + 10 * video + i for i in range(5)}
            flat(tmp_path / "train" / name, frames)
    return tmp_path


def test_labelled_images_are_split_by_recording(labelled):
    dataset, validation = training(labelled, "--no_augment", model="classifier")
    assert len(dataset) + len(validation) == 40 and len(validation) > 0
    assert dataset.classes == validation.classes == ("BMP2", "T72")
    sets = {}
    for part in (dataset, validation):
        samples = [item(part, 1, i) for i in range(len(part))]
        sets[part] = {s.name.rsplit("/", 1)[1][:2] for s in samples}
        assert all(s.name.split("/")[0] == part.classes[s.label] for s in samples)
        assert all(s.label == int(grey(s.a) >= 50) and s.b is None for s in samples)
    assert not sets[dataset] & sets[validation]
    assert validation.note.startswith("by file name")
    facts = dataset.facts()
    assert sum(facts.class_counts) == len(dataset) and facts.unlabelled == 0


def test_mean_and_deviation_are_those_of_the_training_values(labelled):
    dataset, _ = training(labelled, "--no_augment", model="classifier")
    pixels = np.concatenate([item(dataset, 1, i).a.numpy().ravel() for i in range(len(dataset))])
    facts = dataset.facts()
    assert facts.mean == pytest.approx(pixels.mean(), abs=1e-5)
    assert facts.std == pytest.approx(pixels.std(), rel=1e-3)


def test_augmentation_is_for_training_only(labelled):
    dataset, validation = training(labelled, model="classifier")
    assert not torch.equal(item(dataset, 1, 0).a, item(dataset, 2, 0).a)
    assert torch.equal(item(dataset, 1, 0).a, item(dataset, 1, 0).a)
    assert torch.equal(item(validation, 1, 0).a, item(validation, 2, 0).a)
    plain, _ = training(labelled, "--no_augment", model="classifier")
    assert torch.equal(item(plain, 1, 0).a, item(plain, 2, 0).a)


def test_validation_images_are_never_cropped_or_mirrored(labelled):
    crop = ("--preprocess", "crop", "--crop_size", "4")
    dataset, validation = training(labelled, *crop, model="classifier")
    assert item(dataset, 1, 0).a.shape == (1, 4, 4) and item(validation, 1, 0).a.shape == (1, 8, 8)
    assert not validation.preprocessing.flip


def test_validation_images_have_the_size_that_test_images_have(labelled):
    sizes = ("--preprocess", "resize_and_crop", "--load_size", "12", "--crop_size", "10")
    dataset, validation = training(labelled, *sizes, model="classifier")
    assert item(dataset, 1, 0).a.shape == item(validation, 1, 0).a.shape == (1, 10, 10)


# --- modes that do not fit


@pytest.mark.parametrize(
    ("flags", "model", "word"),
    [
        (["--dataset_mode", "single"], "cut", "unaligned or aligned"),
        (["--dataset_mode", "labeled"], "cut", "--model classifier"),
    ],
)
def test_modes_that_cannot_be_trained(pairs, flags, model, word):
    with pytest.raises(UserError, match=word):
        training(pairs, *flags, model=model)


def test_labelled_images_cannot_be_translated(pairs):
    with pytest.raises(UserError, match="single, unaligned or aligned"):
        for_testing(pairs, "--dataset_mode", "labeled")


def test_a_data_root_that_is_none(tmp_path):
    with pytest.raises(UserError, match="--dataroot"):
        training_datasets(parse_train([], MODEL_OPTIONS))
    with pytest.raises(UserError, match="name their folder with --dataroot"):
        training_datasets(parse_train(["--dataroot", ""], MODEL_OPTIONS))
    with pytest.raises(UserError, match=r"there is no folder .*nowhere"):
        training(tmp_path / "nowhere")


def test_files_of_other_kinds_are_noted_by_role(pairs):
    assert not any("other kinds" in note for note in training(pairs)[0].notes())
    for i in range(30):
        (pairs / "trainB" / f"g{i}.fff").touch()
    notes = [note for note in training(pairs)[0].notes() if "other kinds" in note]
    assert notes == ["B: 30 files of other kinds are not read (.fff)"]
