"""Bad images: each is found under its kind, and training with --on_bad_image skip does without."""

import io
import json

import numpy as np
import pytest
import tifffile
import torch

import train
from data.build import build_test_dataset, build_validation_datasets
from data.faults import find_bad, find_faults
from data.images import write_image
from data.loader import Loader
from data.value_map import ValueMap
from data.value_type import UINT8
from models import MODEL_OPTIONS
from options import parse_test, parse_train
from tests.data.samples import training_datasets
from util.errors import UserError

GOOD = 3


def picture(seed, *, size=(40, 48), bits=8):
    draw = np.random.default_rng(seed).integers(0, 2**bits, size)
    return draw.astype(np.uint8 if bits == 8 else np.uint16)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-200])


def tiff(values):
    file = io.BytesIO()
    tifffile.imwrite(file, values)
    return file.getvalue()


def not_finite():
    return tiff(np.where(picture(9) < 9, np.nan, picture(9)).astype(np.float32))


SPOIL = {
    "truncated": truncate,
    "empty": lambda path: path.write_bytes(b""),
    "unreadable": lambda path: path.write_text("file,class"),
    "not finite": lambda path: path.write_bytes(not_finite()),
    "wrong depth": lambda path: write_image(path, picture(9, bits=16)),
    "wrong size": lambda path: write_image(path, picture(9, size=(40, 44))),
    "constant": lambda path: write_image(path, np.full((40, 48), 7, np.uint8)),
}
STOPPING = ("truncated", "empty", "unreadable", "not finite", "wrong depth")


@pytest.fixture
def folder(tmp_path):
    """Images 0 to 9 of each domain, the same size and depth."""
    for role in ("trainA", "trainB"):
        for i in range(GOOD + len(SPOIL)):
            write_image(tmp_path / "data" / role / f"{i}.png", picture(i))
    return tmp_path / "data"


@pytest.fixture
def spoilt(folder):
    """Of A one image of each kind is bad; returns kind -> file."""
    found = {kind: folder / "trainA" / f"{i}.png" for i, kind in enumerate(SPOIL)}
    for kind, path in found.items():
        SPOIL[kind](path)
    return found


def build(root, *flags, maps=None):
    argv = ["--dataroot", str(root), "--load_size", "36", "--crop_size", "32", *flags]
    config = parse_train(argv, MODEL_OPTIONS)
    return training_datasets(config, value_maps=maps)[0]


def names(dataset):
    return [file.name for file in dataset.files]


def batches(dataset, epoch=3):
    options = {"batch_size": 2, "shuffle": True, "seed": 0, "num_threads": 0}
    return list(Loader(dataset, device=torch.device("cpu"), **options).epoch(epoch))


def test_each_fault_is_listed_once_under_its_kind(folder, spoilt):
    faults = find_faults(sorted((folder / "trainA").iterdir()))
    assert {fault.kind: fault.path for fault in faults} == spoilt and len(faults) == len(spoilt)
    assert all(str(fault.path) in fault.reason for fault in faults)


def test_a_clean_set_has_no_fault(folder):
    assert find_faults(sorted((folder / "trainA").iterdir())) == []


def test_what_is_asked_for_goes_before_what_most_have(folder, spoilt):
    files = sorted((folder / "trainA").iterdir())
    kinds = [fault.kind for fault in find_faults(files, size=(40, 44), bits=16)]
    good = len(files) - len(STOPPING)  # decoded whole, of 8 bits
    assert kinds.count("wrong size") == good and kinds.count("wrong depth") == good


def test_files_without_one_that_can_be_read_are_all_listed(tmp_path):
    for i in range(3):
        (tmp_path / f"{i}.png").write_bytes(b"")
    assert [f.kind for f in find_faults(sorted(tmp_path.iterdir()))] == ["empty"] * 3


@pytest.mark.parametrize("cache", ["ram", "disk", "none"])
def test_bad_images_are_left_out_and_the_rest_is_as_if_they_had_never_been(
    folder, spoilt, cache, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    dataset = build(folder, "--cache", cache, "--on_bad_image", "skip")
    assert dataset.left_out.keys() == {f"trainA/{spoilt[kind].name}" for kind in STOPPING}
    for kind in STOPPING:
        spoilt[kind].unlink()
    expected = batches(build(folder, "--cache", "none"))
    for found, wanted in zip(batches(dataset), expected, strict=True):
        assert found.names == wanted.names
        assert torch.equal(found.a, wanted.a) and torch.equal(found.b, wanted.b)


@pytest.mark.parametrize("kind", STOPPING)
@pytest.mark.parametrize("cache", ["ram", "none"])
def test_without_the_flag_the_image_is_named(folder, spoilt, kind, cache):
    for other in SPOIL.keys() - {kind}:
        spoilt[other].unlink()
    # Of two types that of the first image counts: here the bad one's, of floats among others.
    of_its_type = kind in ("wrong depth", "not finite")
    with pytest.raises(UserError, match="bits" if of_its_type else spoilt[kind].name):
        list(batches(build(folder, "--cache", cache, "--serial_batches"), epoch=1))


LATE = {
    "of another depth": (SPOIL["wrong depth"], (), "bits"),
    "no image": (SPOIL["unreadable"], (), "not a readable image"),
    "of unequal pairs": (SPOIL["wrong size"], ("--model", "pix2pix"), "must have one size"),
    "below the crop": (
        lambda path: write_image(path, picture(9, size=(30, 48))),
        ("--preprocess", "crop"),
        "smaller than --crop_size 32",
    ),
    "of 16 bits in colour": (
        lambda path: path.write_bytes(tiff(picture(9, size=(40, 48, 3), bits=16))),
        (),
        "several bands of 16 bits",
    ),
    "of a size that no batch of others has": (
        SPOIL["wrong size"],
        ("--preprocess", "none", "--batch_size", "2"),
        "48x40 .* and 44x40 .* cannot share a batch; use --batch_size 1",
    ),
    "of a shape that no batch of others has": (
        SPOIL["wrong size"],
        ("--preprocess", "scale_width", "--batch_size", "2"),
        "36x30 .* and 36x33 .* cannot share a batch",
    ),
}


@pytest.mark.parametrize(("spoil", "flags", "words"), LATE.values(), ids=LATE)
def test_what_the_heads_tell_is_said_before_an_image_is_asked_for(folder, spoil, flags, words):
    path = folder / "trainA" / "7.png"
    spoil(path)
    with pytest.raises(UserError, match=words) as caught:
        build(folder, "--cache", "none", *flags)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("flags", "sizes"),
    [
        (("--preprocess", "none", "--batch_size", "1"), {(40, 48), (40, 44)}),
        (("--preprocess", "crop", "--batch_size", "2"), {(32, 32)}),
    ],
)
def test_images_of_several_sizes_are_taken_where_they_can_be(folder, flags, sizes):
    SPOIL["wrong size"](folder / "trainA" / "7.png")
    assert set(build(folder, "--cache", "none", *flags).facts().sizes["A"]) == sizes


def test_a_bad_half_takes_its_pair_with_it(folder, spoilt):
    (folder / "trainB" / "9.png").write_bytes(b"")
    dataset = build(folder, "--model", "pix2pix", "--on_bad_image", "skip")
    left_out = dataset.left_out
    bad = {spoilt[kind].stem for kind in (*STOPPING, "wrong size")} | {"9"}
    assert names(dataset) == [file.name for file in dataset.domains["B"].files]
    assert set(names(dataset)) == {str(i) for i in range(10)} - bad
    assert "trainB/9.png" in left_out and "trainA/9.png" not in left_out
    assert "must have one size" in left_out[f"trainA/{spoilt['wrong size'].name}"]
    assert len(batches(dataset)) == -(-len(dataset) // 2)


def test_halves_of_an_odd_width_and_images_below_the_crop_are_left_out(tmp_path):
    for i, width in enumerate((96, 96, 95, 96)):
        write_image(tmp_path / "train" / f"{i}.png", picture(i, size=(40, width)))
    write_image(tmp_path / "train" / "4.png", picture(4, size=(40, 60)))
    flags = ("--model", "pix2pix", "--preprocess", "crop", "--on_bad_image", "skip")
    dataset = build(tmp_path, *flags)
    left_out = dataset.left_out
    assert names(dataset) == ["0", "1", "3"]
    assert "even width" in left_out["train/2.png"] and "--crop_size" in left_out["train/4.png"]


def test_the_depth_of_a_continued_run_decides_not_that_of_most(folder):
    dataset = build(folder)
    maps = {role: dataset.value_maps[role] for role in "AB"}
    assert maps["A"].type == UINT8
    for path in (folder / "trainB").iterdir():
        write_image(path, picture(1, bits=16))
    write_image(folder / "trainB" / "3.png", picture(3))
    dataset = build(folder, "--on_bad_image", "skip", maps=maps)
    assert [file.name for file in dataset.domains["B"].files] == ["3"]


def test_validation_does_without_them_and_testing_does_not(folder):
    for role in ("A", "B"):
        for i in range(3):
            write_image(folder / f"val{role}" / f"{i}.png", picture(i))
    truncate(folder / "valB" / "1.png")
    maps = {role: ValueMap(0.0, 255.0, UINT8) for role in "AB"}
    flags = ["--dataroot", str(folder), "--model", "pix2pix", "--on_bad_image", "skip"]
    config = parse_train(flags, MODEL_OPTIONS)
    known = {"trainA/0.png": "it is bad"}
    (pairs,) = build_validation_datasets(
        config.data, config.model, phase="val", seed=0, value_maps=maps, left_out=known
    )
    assert names(pairs) == ["0", "2"] and list(pairs.left_out) == ["trainA/0.png", "valB/1.png"]
    assert list(known) == ["trainA/0.png"], "what is handed in stays as it is"
    config = parse_test([*flags, "--phase", "val"], MODEL_OPTIONS)
    tested = build_test_dataset(config.data, config.model, seed=0, value_maps=maps)
    assert names(tested) == ["0", "1", "2"]


def test_a_classifier_does_without_them(tmp_path):
    for kind in ("T72", "BMP2"):
        for i in range(8):
            write_image(tmp_path / kind / f"video{i}" / "0.png", picture(i))
    truncate(tmp_path / "T72" / "video3" / "0.png")
    dataset = build(tmp_path, "--model", "classifier", "--on_bad_image", "skip")
    assert list(dataset.left_out) == ["T72/video3/0.png"]


def test_a_set_of_bad_images_alone_is_an_error(folder):
    for path in (folder / "trainB").iterdir():
        path.write_bytes(b"")
    with pytest.raises(UserError, match=r"none of 10 images is left .*trainB.* readable image"):
        build(folder, "--on_bad_image", "skip")


def test_training_says_what_it_leaves_out_and_does_so_when_it_goes_on(
    folder, spoilt, tmp_path, capsys
):
    flags = "--load_size 36 --crop_size 32 --netG resnet_4blocks --ngf 2 --ndf 2 --gpu_ids -1"
    flags += " --netF_nc 4 --num_patches 4 --n_epochs 1 --n_epochs_decay 0 --num_threads 0"
    places = ["--dataroot", str(folder), "--checkpoints_dir", str(tmp_path / "runs"), "--name", "x"]
    train.main([*flags.split(), *places, "--on_bad_image", "skip"])
    printed = capsys.readouterr().out
    assert f"{len(STOPPING)} bad images are left out" in printed
    record = json.loads((tmp_path / "runs" / "x" / "run.json").read_text())["left_out"]
    assert record.keys() == {f"trainA/{spoilt[kind].name}" for kind in STOPPING}
    assert all(name in printed for name in record)
    # Mended meanwhile: it stays out, else the order of all images would be another one.
    write_image(spoilt["truncated"], picture(0))
    (folder / "trainB" / "2.png").write_bytes(b"")
    train.main([*places, "--continue_train", "--n_epochs", "2"])
    grown = json.loads((tmp_path / "runs" / "x" / "run.json").read_text())["left_out"]
    assert grown.keys() == record.keys() | {"trainB/2.png"}


def one_fault(path):
    (fault,) = find_faults([path])
    assert str(path) in fault.reason
    return fault.kind


def scene(*, low: int, high: int) -> np.ndarray:
    """Hills with noise, in counts."""
    x = np.linspace(0, 9, 64)
    values = np.add.outer(np.sin(x), np.cos(x)) / 4 + 0.5
    noise = np.random.default_rng(0).normal(0, 0.02, values.shape)
    return (low + (values + noise).clip(0, 1) * (high - low)).astype(np.uint16)


@pytest.mark.parametrize(("low", "high"), [(7000, 10000), (0, 65535), (100, 16000), (5000, 7000)])
def test_counts_with_swapped_bytes_are_listed(tmp_path, low, high):
    counts = scene(low=low, high=high)
    write_image(tmp_path / "right.png", counts)
    write_image(tmp_path / "swapped.png", counts.byteswap())
    assert find_faults([tmp_path / "right.png"]) == []
    assert one_fault(tmp_path / "swapped.png") == "bytes swapped"


def test_noise_and_8_bits_in_16_do_not_look_swapped(tmp_path):
    rng = np.random.default_rng(0)
    ranges = ((0, 65536), (0, 256), (4990, 5250))
    counts = [rng.integers(low, high, (64, 64)) for low, high in ranges]
    counts += [scene(low=0, high=255) << 8, scene(low=0, high=255) * 257, scene(low=0, high=255)]
    for i, image in enumerate(counts):
        write_image(tmp_path / f"{i}.png", image.astype(np.uint16))
    assert find_faults(sorted(tmp_path.iterdir())) == []


def test_several_images_in_a_file_are_listed(tmp_path):
    np.save(tmp_path / "x.npy", np.stack([scene(low=0, high=9000)] * 3))
    assert one_fault(tmp_path / "x.npy") == "several images"
    bad = find_bad([[tmp_path / "x.npy"]], types=[None], check_sizes=lambda paths, sizes: None)
    assert "holds 3 images" in bad[tmp_path / "x.npy"]


def test_a_picture_with_counts_inside_is_listed_and_its_training_says_so(folder):
    path = folder / "trainA" / "0.jpg"
    (folder / "trainA" / "0.png").unlink()
    write_image(path, np.random.default_rng(0).integers(0, 256, (40, 44, 3), dtype=np.uint8))
    content = path.read_bytes()
    segment = b"FLIR\0\1\0\0" + bytes(99)
    size = (len(segment) + 2).to_bytes(2, "big")
    assert not any("FLIR" in note for note in build(folder).notes())
    path.write_bytes(content[:2] + b"\xff\xe1" + size + segment + content[2:])
    assert one_fault(path) == "counts inside"
    (note,) = [note for note in build(folder).notes() if "FLIR" in note]
    assert str(path) in note
