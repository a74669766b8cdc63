"""evaluate.py from its flags to its files, on small images with known distances."""

import csv
import importlib.metadata
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch
import torchvision

from data.chips import ChipScale, cut_chips
from data.images import read_image, write_image
from evaluate import main
from metrics import measured_sets
from metrics.attention import cam_cosine, correlation, gcss
from metrics.distribution import frechet_distance
from metrics.measure import BATCH_SIZE
from models.gradcam import gradcam
from models.networks.classifiers import ResNet18Classifier, load_classifier
from util.checkpoint import digest
from util.errors import UserError

PROJECT = Path(__file__).resolve().parents[1]
ATTENTION = ("gcss", "cc", "cam_cosine")
REFERENCES = {"fake_B_vs_real_B": "real_B", "real_A_vs_fake_B": "real_A"}


def make_results(
    folder, *, names="xyz", offsets=(5, 20), dtype=np.uint8, shape=(40, 48), targets=True
):
    """fake_B is real_A plus offsets[0], real_B is fake_B plus offsets[1]; returns the folder."""
    random = np.random.default_rng(len(folder.name))
    for name in names:
        source = random.integers(0, np.iinfo(dtype).max // 2, shape, dtype=dtype)
        fake = source + dtype(offsets[0])
        write_image(folder / "images" / "real_A" / f"{name}.png", source)
        write_image(folder / "images" / "fake_B" / f"{name}.png", fake)
        if targets:
            target = fake + dtype(offsets[1])
            write_image(folder / "images" / "real_B" / f"{name}.png", target)
    return folder


def evaluate(*flags, out):
    """Run on the CPU; returns what stands in the JSON file."""
    main([*map(str, flags), "--out", str(out), "--gpu_ids", "-1"])
    return json.loads(out.read_text(), parse_constant=pytest.fail)


def rows_of(file):
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def make_results_of_depths(folder, *, bits, offset):
    """Two images a kind of that depth: fake_B is the bare scene, every other kind has the offset.

    bits: kind -> depth. Kinds of 16 bits hold scene * 100, so they would not even be alike.
    """
    random = np.random.default_rng(0)
    for name in "xy":
        scene = random.integers(0, 200, (64, 64))
        for kind, depth in bits.items():
            values = scene * (100 if depth == 16 else 1) + (0 if kind == "fake_B" else offset)
            dtype = np.uint16 if depth == 16 else np.uint8
            write_image(folder / "images" / kind / f"{name}.png", values.astype(dtype))
    return folder


def save_classifier(file, **facts):
    torch.manual_seed(0)
    torch.save(ResNet18Classifier(classes=("a", "b"), **facts).export(), file)
    return file


def maps_of(classifier, image, reference, *, stage="layer4"):
    """Attention maps (1, 1, H, W) of two images for the class predicted on the second."""
    map_b, label = gradcam(classifier, reference, stage=stage)
    map_a, _ = gradcam(classifier, image, label, stage=stage)
    return map_a, map_b


def attention_of(results, name, *, kind, classifier_file, low, high):
    """Attention metrics of one fake_B and its `kind`, file values low and high as -1 and 1."""
    images = [
        read_image(results / "images" / k / f"{name}.png").astype(np.float32)
        for k in ("fake_B", kind)
    ]
    pair = [torch.from_numpy((i - low) / (high - low) * 2 - 1)[None, None] for i in images]
    a, b = maps_of(load_classifier(classifier_file), *pair)
    metrics = {"gcss": gcss, "cc": correlation, "cam_cosine": cam_cosine}
    return {name: metric(a, b).item() for name, metric in metrics.items()}


def attention_in(row, comparison):
    return {metric: float(row[f"{comparison}_{metric}"]) for metric in ATTENTION}


def extremes(results, kind):
    images = [read_image(file) for file in sorted((results / "images" / kind).glob("*.png"))]
    return [float(min(i.min() for i in images)), float(max(i.max() for i in images))]


@pytest.fixture(scope="module")
def classifier_file(tmp_path_factory):
    return save_classifier(tmp_path_factory.mktemp("classifier") / "classifier.pth")


def test_known_distances_table_csv_and_json(tmp_path, capsys):
    results = make_results(tmp_path / "run", offsets=(5, 20))
    report = evaluate("--results", results, out=tmp_path / "out" / "means.json")
    near, far = 20 * math.log10(255 / 5), 20 * math.log10(255 / 20)
    assert report["n"] == 3
    assert report["fake_B_vs_real_B"]["psnr"]["mean"] == pytest.approx(far)
    assert report["real_A_vs_fake_B"]["psnr"]["mean"] == pytest.approx(near)
    assert 0.9 < report["real_A_vs_fake_B"]["ssim"]["mean"] < 1
    for comparison in ("fake_B_vs_real_B", "real_A_vs_fake_B"):
        assert all(report[comparison][metric] is None for metric in ATTENTION)
    rows = rows_of(tmp_path / "out" / "means.csv")
    assert [row["image"] for row in rows] == ["x", "y", "z"]
    assert all(float(r["real_A_vs_fake_B_psnr"]) == pytest.approx(near) for r in rows)
    printed = capsys.readouterr().out
    assert f"{far:.2f}" in printed and f"{near:.2f}" in printed
    assert "pairing unknown" in printed and "--classifier FILE" in printed
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["means.csv", "means.json"]


def test_folders_are_pooled(tmp_path):
    one = make_results(tmp_path / "train", names="abc", offsets=(10, 10))
    two = make_results(tmp_path / "test", names="a", offsets=(40, 40))
    report = evaluate("--results", one, two, out=tmp_path / "means.json")
    expected = (3 * 20 * math.log10(255 / 10) + 20 * math.log10(255 / 40)) / 4
    assert report["n"] == 4
    assert report["fake_B_vs_real_B"]["psnr"]["mean"] == pytest.approx(expected)
    names = [row["image"] for row in rows_of(tmp_path / "means.csv")]
    assert names == [f"{one.as_posix()}/{n}" for n in "abc"] + [f"{two.as_posix()}/a"]


def test_csv_stands_in_the_first_results_folder_or_where_it_is_told(tmp_path):
    results = make_results(tmp_path / "run")
    main(["--results", str(results)])
    assert len(rows_of(results / "evaluation.csv")) == 3
    main(["--results", str(results), "--csv", str(tmp_path / "deep" / "er" / "values.csv")])
    assert len(rows_of(tmp_path / "deep" / "er" / "values.csv")) == 3


def test_16_bit_counts_are_not_squeezed(tmp_path):
    results = make_results(tmp_path / "run", offsets=(3, 3000), dtype=np.uint16)
    report = evaluate("--results", results, out=tmp_path / "means.json")
    assert report["bits"] == {"real_A": 16, "fake_B": 16, "real_B": 16}
    near = report["real_A_vs_fake_B"]["psnr"]["mean"]
    assert near == pytest.approx(20 * math.log10(65535 / 3))


def test_floats_are_measured_over_the_range_of_the_real_images(tmp_path):
    rng = np.random.default_rng(0)
    real = rng.uniform(280, 300, (64, 64)).astype(np.float32)
    real[0, :2] = 280, 305
    kinds = {"real_A": real, "fake_B": real + np.float32(0.5), "real_B": real}
    for kind, image in kinds.items():
        for name in "xy":
            write_image(tmp_path / "run" / "images" / kind / f"{name}.tiff", image, unit="kelvin")
    report = evaluate("--results", tmp_path / "run", out=tmp_path / "means.json")
    assert report["bits"] == dict.fromkeys(kinds, 32) and report["value_range"] == [280, 305]
    values = report["fake_B_vs_real_B"]
    assert values["psnr"]["mean"] == pytest.approx(20 * math.log10(25 / 0.5), abs=1e-3)
    assert values["mae"]["mean"] == pytest.approx(0.5, abs=1e-4)
    ssim = skimage.metrics.structural_similarity(
        kinds["fake_B"].astype(float), real.astype(float), data_range=25.0
    )
    assert values["ssim"]["mean"] == pytest.approx(ssim, abs=1e-6)
    assert report["sets"]["grey_levels"]["value"] == pytest.approx(0.5, abs=25 / 2**14)


def test_floats_of_two_units_are_not_compared(tmp_path, capsys):
    image = np.random.default_rng(0).uniform(1, 2, (64, 64)).astype(np.float32)
    for kind, unit in (("real_A", "kelvin"), ("fake_B", "radiance"), ("real_B", "radiance")):
        write_image(tmp_path / "run" / "images" / kind / "x.tiff", image, unit=unit)
    report = evaluate("--results", tmp_path / "run", out=tmp_path / "means.json")
    assert report["real_A_vs_fake_B"] is None and report["fake_B_vs_real_B"] is not None
    assert "real_A has 32-bit floats in kelvin and fake_B 32-bit" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("real_A", "fake_B", "real_B"), [(8, 16, 16), (16, 8, 8), (8, 8, 16), (16, 16, 8), (16, 8, 16)]
)
def test_kinds_of_two_depths_are_not_compared_and_the_others_are(
    tmp_path, capsys, real_A, fake_B, real_B
):
    bits = {"real_A": real_A, "fake_B": fake_B, "real_B": real_B}
    results = make_results_of_depths(tmp_path / "run", bits=bits, offset=7)
    report = evaluate("--results", results, out=tmp_path / "means.json")
    printed = capsys.readouterr().out
    rows = rows_of(tmp_path / "means.csv")
    assert report["bits"] == bits
    for comparison, kind in REFERENCES.items():
        sentence = f"{comparison.replace('_vs_', ' vs ')} is not measured: {kind} has"
        if bits[kind] == fake_B:
            expected = pytest.approx(20 * math.log10((2**fake_B - 1) / 7))
            assert report[comparison]["psnr"]["mean"] == expected
            assert [float(row[f"{comparison}_psnr"]) for row in rows] == [expected] * 2
            assert sentence not in printed
        else:
            assert report[comparison] is None
            assert [row[f"{comparison}_psnr"] for row in rows] == ["", ""]
            assert printed.count(sentence) == 1


def test_attention_across_depths_is_not_measured(tmp_path, classifier_file):
    bits = {"real_A": 8, "fake_B": 16, "real_B": 16}
    results = make_results_of_depths(tmp_path / "run", bits=bits, offset=900)
    flags = ["--results", results, "--classifier", classifier_file]
    report = evaluate(*flags, out=tmp_path / "means.json")
    row = rows_of(tmp_path / "means.csv")[0]
    low, high = extremes(results, "real_B")
    expected = attention_of(
        results, "x", kind="real_B", classifier_file=classifier_file, low=low, high=high
    )
    assert report["real_A_vs_fake_B"] is None
    assert report["cam_value_range"] == [low, high]
    assert attention_in(row, "fake_B_vs_real_B") == pytest.approx(expected, abs=1e-4)


def test_the_only_judged_kind_gives_the_range(tmp_path, classifier_file):
    """The targets have another depth, so their values say nothing about those of the sources."""
    bits = {"real_A": 16, "fake_B": 16, "real_B": 8}
    results = make_results_of_depths(tmp_path / "run", bits=bits, offset=50)
    flags = ["--results", results, "--classifier", classifier_file]
    report = evaluate(*flags, out=tmp_path / "means.json")
    assert report["cam_value_range"] == extremes(results, "real_A")


def test_a_classifier_with_nothing_to_compare_is_no_error(tmp_path, classifier_file):
    bits = {"real_A": 16, "fake_B": 8}
    results = make_results_of_depths(tmp_path / "run", bits=bits, offset=5)
    flags = ["--results", results, "--classifier", classifier_file]
    report = evaluate(*flags, out=tmp_path / "means.json")
    assert report["fake_B_vs_real_B"] is report["real_A_vs_fake_B"] is None


def test_bands_of_kinds_that_are_not_compared_may_differ(tmp_path):
    bits = {"real_A": 8, "fake_B": 16, "real_B": 16}
    results = make_results_of_depths(tmp_path / "run", bits=bits, offset=7)
    for file in (results / "images" / "real_A").iterdir():
        write_image(file, np.stack([read_image(file)] * 3, axis=2))
    report = evaluate("--results", results, out=tmp_path / "means.json")
    assert report["real_A_vs_fake_B"] is None
    assert report["fake_B_vs_real_B"]["psnr"]["mean"] == pytest.approx(20 * math.log10(65535 / 7))


def test_without_targets(tmp_path, capsys):
    results = make_results(tmp_path / "run", targets=False)
    report = evaluate("--results", results, out=tmp_path / "means.json")
    assert report["fake_B_vs_real_B"] is None
    assert report["real_A_vs_fake_B"]["psnr"]["mean"] == pytest.approx(20 * math.log10(255 / 5))
    assert report["unpaired_real_B"] is None
    assert "there is no real_B" in capsys.readouterr().out


def test_equal_images_give_valid_json_and_are_counted(tmp_path, capsys):
    results = make_results(tmp_path / "run", offsets=(0, 5))
    report = evaluate("--results", results, out=tmp_path / "means.json")
    summary = report["real_A_vs_fake_B"]["psnr"]
    assert summary == {
        **{"mean": None, "ci95": None, "n": 0},
        **{"infinite": 3, "undefined": 0},
    }
    assert report["real_A_vs_fake_B"]["ssim"]["mean"] == pytest.approx(1)
    assert rows_of(tmp_path / "means.csv")[0]["real_A_vs_fake_B_psnr"] == "inf"
    assert "3 of 3 pairs are equal images" in capsys.readouterr().out


@pytest.mark.parametrize("recorded", [True, False])
def test_the_pairing_that_test_py_recorded_is_reported(tmp_path, capsys, recorded):
    results = make_results(tmp_path / "run")
    (results / "result.json").write_text(json.dumps({"paired": recorded}))
    report = evaluate("--results", results, out=tmp_path / "means.json")
    assert report["unpaired_real_B"] is not recorded
    assert ("UNPAIRED" in capsys.readouterr().out) is not recorded


def test_one_target_under_several_names_is_unpaired(tmp_path, capsys):
    results = make_results(tmp_path / "run")
    folder = results / "images" / "real_B"
    write_image(folder / "z.png", read_image(folder / "x.png"))
    report = evaluate("--results", results, out=tmp_path / "means.json")
    assert report["unpaired_real_B"] is True
    assert "UNPAIRED, x and z have the same one" in report["pairing"]
    assert report["pairing"] in capsys.readouterr().out


def test_luma_compares_floating_point_luminance_of_colour_images(tmp_path):
    results = make_results(tmp_path / "run", shape=(40, 48, 3), offsets=(5, 20))
    report = evaluate("--results", results, "--luma", out=tmp_path / "means.json")
    expected = 20 * math.log10(255 / (0.9999 * 5))
    assert report["protocol"]["luma"] is True
    assert report["real_A_vs_fake_B"]["psnr"]["mean"] == pytest.approx(expected)


def test_grey_and_colour_compare_by_luminance_only(tmp_path):
    results = make_results(tmp_path / "run")
    file = results / "images" / "fake_B" / "y.png"
    colour = np.stack([read_image(file)] * 3, axis=2)
    colour[0, 0, 0] += 1
    write_image(file, colour)
    with pytest.raises(UserError, match=r"fake_B/y\.png .* differ in bands .* --luma"):
        main(["--results", str(results)])
    report = evaluate("--results", results, "--luma", out=tmp_path / "means.json")
    assert report["n"] == 3


def test_grey_stored_as_colour_is_grey(tmp_path):
    results = make_results(tmp_path / "run", offsets=(0, 20))
    file = results / "images" / "fake_B" / "y.png"
    write_image(file, np.stack([read_image(file)] * 3, axis=2))
    for flags in ([], ["--luma"]):
        report = evaluate("--results", results, *flags, out=tmp_path / "means.json")
        assert report["real_A_vs_fake_B"]["psnr"]["infinite"] == 3
        assert report["fake_B_vs_real_B"]["mae"]["mean"] == pytest.approx(20)


@pytest.mark.parametrize("flag", ["--classifier", "--resnet18_path"])
def test_attention_of_equal_images_is_equal(tmp_path, classifier_file, flag):
    results = make_results(tmp_path / "run", offsets=(0, 0))
    report = evaluate("--results", results, flag, classifier_file, out=tmp_path / "means.json")
    for comparison in ("fake_B_vs_real_B", "real_A_vs_fake_B"):
        for metric in ATTENTION:
            assert report[comparison][metric]["mean"] == pytest.approx(1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_attention_equals_the_maps_compared_one_by_one(tmp_path, classifier_file, dtype):
    """More images than a batch, in two sizes: nothing may depend on batch mates or their order."""
    results = tmp_path / "run"
    names = [f"{i:02}" for i in range(BATCH_SIZE + 1)]
    make_results(results, names=names[:4], shape=(32, 48), dtype=dtype, offsets=(50, 60))
    make_results(results, names=names[4:], shape=(40, 32), dtype=dtype, offsets=(50, 60))
    flags = ["--results", results, "--classifier", classifier_file]
    evaluate(*flags, out=tmp_path / "means.json")
    rows = rows_of(tmp_path / "means.csv")
    low, high = (0, 255) if dtype == np.uint8 else extremes(results, "real_B")
    assert [row["image"] for row in rows] == names
    for place in (0, 3, 4, BATCH_SIZE):
        name, row = names[place], rows[place]
        for comparison, kind in REFERENCES.items():
            expected = attention_of(
                results, name, kind=kind, classifier_file=classifier_file, low=low, high=high
            )
            assert attention_in(row, comparison) == pytest.approx(expected, abs=1e-4)


def test_both_maps_are_of_the_class_predicted_on_the_reference(tmp_path):
    results = make_results(tmp_path / "run", names=["x"], offsets=(5, 60))
    images = [read_image(results / "images" / kind / "x.png") for kind in ("fake_B", "real_B")]
    torch.manual_seed(0)
    classifier = ResNet18Classifier(classes=("a", "b")).eval()
    with torch.no_grad():
        pair = torch.from_numpy(np.stack(images)[:, None] / np.float32(127.5) - 1)
        first, second = classifier(pair).T
        classifier.net.fc.bias[1] += (first - second).mean()  # so that the two are told apart
    torch.save(classifier.export(), tmp_path / "judge.pth")
    evaluate("--results", results, "--classifier", tmp_path / "judge.pth", out=tmp_path / "m.json")
    (row,) = rows_of(tmp_path / "m.csv")
    assert float(row["fake_B_vs_real_B_class_agreement"]) == 0
    options = {"kind": "real_B", "classifier_file": tmp_path / "judge.pth", "low": 0, "high": 255}
    expected = attention_of(results, "x", **options)
    found = {metric: float(row[f"fake_B_vs_real_B_{metric}"]) for metric in expected}
    assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("value_type", "shown"),
    [("float32 kelvin", [270, 320]), ("uint16", [280, 305]), ("float32 counts", [280, 305])],
)
def test_the_classifier_knows_values_of_its_own_type_alone(tmp_path, value_type, shown):
    image = np.random.default_rng(0).uniform(281, 304, (64, 64)).astype(np.float32)
    image[0, :2] = 280, 305
    for kind in ("real_A", "fake_B", "real_B"):
        write_image(tmp_path / "run" / "images" / kind / "x.tiff", image, unit="kelvin")
    facts = {"value_range": (270.0, 320.0), "value_type": value_type}
    file = save_classifier(tmp_path / "classifier.pth", **facts)
    flags = ("--results", tmp_path / "run", "--classifier", file)
    assert evaluate(*flags, out=tmp_path / "means.json")["cam_value_range"] == shown


@pytest.mark.parametrize(
    ("value_range", "bits", "fits"),
    [
        ((2000.0, 9000.0), 16, True),
        ((20.0, 90.0), 8, True),
        ((0.0, 255.0), 16, False),
        ((2000.0, 9000.0), 8, False),
        (None, 16, False),
    ],
)
def test_the_classifier_sees_the_values_that_it_was_trained_with(tmp_path, value_range, bits, fits):
    """A range of the other depth cannot be meant for these files: their own values decide."""
    depths = dict.fromkeys(("real_A", "fake_B", "real_B"), bits)
    offset = 40 if bits == 8 else 4000
    results = make_results_of_depths(tmp_path / "run", bits=depths, offset=offset)
    file = save_classifier(tmp_path / "classifier.pth", value_range=value_range, mean=0.3)
    report = evaluate("--results", results, "--classifier", file, out=tmp_path / "means.json")
    own = [0.0, 255.0] if bits == 8 else extremes(results, "real_B")
    low, high = value_range if fits else own
    assert report["cam_value_range"] == [low, high]
    row = rows_of(tmp_path / "means.csv")[0]
    facts = {"kind": "real_B", "classifier_file": file}
    expected = attention_of(results, "x", **facts, low=low, high=high)
    assert attention_in(row, "fake_B_vs_real_B") == pytest.approx(expected, abs=1e-4)
    if fits:
        other = attention_of(results, "x", **facts, low=own[0], high=own[1])
        assert other != pytest.approx(expected, abs=1e-3)


def test_cam_layer_chooses_the_stage(tmp_path, classifier_file):
    results = make_results(tmp_path / "run", names="x", shape=(64, 64), offsets=(50, 60))
    classifier = load_classifier(classifier_file)
    pair = [
        torch.from_numpy(read_image(results / "images" / kind / "x.png") / 127.5 - 1)
        .float()
        .reshape(1, 1, 64, 64)
        for kind in ("fake_B", "real_B")
    ]
    for stage in ("layer3", "layer4"):
        flags = ["--results", results, "--classifier", classifier_file, "--cam_layer", stage]
        report = evaluate(*flags, out=tmp_path / "means.json")
        assert report["protocol"]["cam_layer"] == stage
        a, b = maps_of(classifier, *pair, stage=stage)
        # Gradients through later ReLUs jump, so rounding shows in the third digit for layer3.
        measured = report["fake_B_vs_real_B"]["cam_cosine"]["mean"]
        assert measured == pytest.approx(cam_cosine(a, b).item(), abs=5e-3)


def test_constant_maps_are_excluded_and_counted(tmp_path, capsys):
    classifier = ResNet18Classifier(classes=("a", "b"))
    torch.nn.init.zeros_(classifier.net.fc.weight)
    torch.save(classifier.export(), tmp_path / "blind.pth")
    results = make_results(tmp_path / "run")
    flags = ["--results", results, "--classifier", tmp_path / "blind.pth"]
    report = evaluate(*flags, out=tmp_path / "means.json")
    assert report["fake_B_vs_real_B"]["cc"]["mean"] is None
    assert report["fake_B_vs_real_B"]["cc"]["undefined"] == 3
    assert "CC of fake_B vs real_B: undefined for 3 of 3" in capsys.readouterr().out


def break_size(results):
    write_image(results / "images" / "fake_B" / "y.png", np.zeros((40, 40), np.uint8))


def break_depth(results):
    write_image(results / "images" / "real_B" / "y.png", np.zeros((40, 48), np.uint16))


def break_file(results):
    (results / "images" / "real_A" / "y.png").write_bytes(b"no image")


def lose_partner(results):
    (results / "images" / "fake_B" / "y.png").unlink()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (break_size, r"y\.png has 48×40 pixels .* 40×40"),
        (break_depth, r"real_B/y\.png has 16 bits"),
        (break_file, r"real_A/y\.png is not a readable image"),
        (lose_partner, r"without a partner .*\(y\)"),
    ],
)
def test_bad_images_are_named_and_nothing_is_written(tmp_path, damage, words):
    results = make_results(tmp_path / "run")
    damage(results)
    with pytest.raises(UserError, match=words):
        main(["--results", str(results), "--out", str(tmp_path / "means.json")])
    assert [p.name for p in tmp_path.iterdir()] == ["run"]
    assert [p.name for p in results.iterdir()] == ["images"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "no images are given"),
        (["--results", "nowhere"], "no folder nowhere"),
        (["--results", "run", "--classifier", "nowhere.pth"], r"no checkpoint nowhere\.pth"),
        (["--results", "run", "run/images"], "given twice"),
        (["--results", "run", "--out", "run"], "run is a folder"),
        (["--results", "run", "--out", "means.csv"], r"both be means\.csv"),
        (["--results", "run", "--out", "file/means.json"], r"cannot write file/means\.json"),
        (["--results", "run", "--csv", "file/values.csv"], r"cannot write file/values\.csv"),
    ],
)
def test_bad_flags_are_one_sentence(tmp_path, monkeypatch, flags, words):
    monkeypatch.chdir(tmp_path)
    make_results(Path("run"))
    Path("file").touch()
    with pytest.raises(UserError, match=words):
        main(flags)


def test_a_results_folder_that_takes_no_file_is_no_error(tmp_path, monkeypatch, capsys):
    """Archived results are often write-protected; root may write there all the same."""
    results = make_results(tmp_path / "run")

    def refuse(self, *_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    main(["--results", str(results)])
    assert "not kept: cannot write" in capsys.readouterr().out
    assert [p.name for p in results.iterdir()] == ["images"]
    with pytest.raises(UserError, match="Permission denied"):
        main(["--results", str(results), "--csv", str(tmp_path / "values.csv")])


def test_bad_input_ends_with_exit_code_2_and_no_traceback(tmp_path):
    command = [sys.executable, str(PROJECT / "evaluate.py"), "--results", str(tmp_path / "nowhere")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no folder")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("luma", [False, True])
def test_published_results(shared_data, tmp_path, luma):
    """The figures that the method's author publishes for 50 images, and his value for each."""
    results = shared_data("author_cut_results")
    flags = ["--luma"] if luma else []
    report = evaluate("--results", results, *flags, out=tmp_path / "means.json")
    assert report["n"] == 50
    assert report["unpaired_real_B"] is True
    rows = {row["image"]: row for row in rows_of(tmp_path / "means.csv")}
    published = {Path(r["image"]).stem: r for r in rows_of(results / "eval_metrics.csv")}
    assert rows.keys() == published.keys()
    if luma:
        assert report["real_A_vs_fake_B"]["ssim"]["mean"] == pytest.approx(0.72589, abs=5e-6)
        column, ours = "SSIM", "real_A_vs_fake_B_ssim"
    else:
        assert report["fake_B_vs_real_B"]["psnr"]["mean"] == pytest.approx(16.2305, abs=5e-5)
        assert report["fake_B_vs_real_B"]["ssim"]["mean"] == pytest.approx(0.6455, abs=5e-5)
        column, ours = "PSNR", "fake_B_vs_real_B_psnr"
    for name, row in rows.items():
        assert float(row[ours]) == pytest.approx(float(published[name][column]), abs=1e-6)


def write_set(folder, images):
    """images: name -> array; returns the folder."""
    for name, image in images.items():
        write_image(folder / f"{name}.png", image)
    return folder


def scenes(names, *, offset=0, seed=0, shape=(40, 48)):
    random = np.random.default_rng(seed)
    return {name: random.integers(20, 120, shape, dtype=np.uint8) + offset for name in names}


def write_labels(file, rows):
    """rows: dictionaries with the same keys."""
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return file


def save_alexnet(folder):
    """Random weights under the published file's name; the classifier of AlexNet is not needed."""
    torch.manual_seed(0)
    features = torchvision.models.alexnet(weights=None).features
    weights = {f"features.{key}": value for key, value in features.state_dict().items()}
    folder.mkdir()
    torch.save(weights, folder / "alexnet-owt-7be5be79.pth")
    return folder


def test_folders_of_equal_names_are_pairs(tmp_path):
    fake = write_set(tmp_path / "f", scenes(["a/x", "y"]))
    real = write_set(tmp_path / "r", scenes(["a/x", "y"], offset=10))
    source = write_set(tmp_path / "s", scenes(["a/x", "y"], offset=4))
    flags = ["--fake", fake, "--real", real, "--source", source]
    report = evaluate(*flags, out=tmp_path / "means.json")
    expected = {"fake_B_vs_real_B": 10, "real_A_vs_fake_B": 4}
    for comparison, offset in expected.items():
        values = report[comparison]
        assert values["psnr"]["mean"] == pytest.approx(20 * math.log10(255 / offset))
        assert values["mae"]["mean"] == pytest.approx(offset)
    assert report["sets"]["grey_levels"]["value"] == pytest.approx(10)
    assert report["sets"]["grey_levels"]["n"] == [2, 2]


def test_sets_of_other_sizes_are_compared_as_sets_only(tmp_path, capsys):
    fake = write_set(tmp_path / "f", scenes("abc"))
    real = write_set(tmp_path / "r", scenes("vwxyz", seed=1, shape=(64, 56)))
    report = evaluate("--fake", fake, "--real", real, out=tmp_path / "means.json")
    assert report["fake_B_vs_real_B"] is report["real_A_vs_fake_B"] is None
    assert report["sets"]["spectrum"]["n"] == [3, 5]
    assert report["sets"]["spectrum"]["value"] < 3
    assert report["reference"]["n"] == 5
    assert "the 3 images of" in (printed := capsys.readouterr().out)
    assert "no pairs by name" in printed
    with pytest.raises(UserError, match=r"--require psnr: fake_B has no targets"):
        main(["--fake", str(fake), "--real", str(real), "--require", "psnr"])


def test_a_set_is_compared_with_targets_of_other_names_as_a_whole(tmp_path):
    """As with --real, and beside a row that has pairs."""
    fake = write_set(tmp_path / "f", scenes("abc"))
    real = write_set(tmp_path / "r", scenes("vwxyz", seed=1, shape=(64, 56)))
    day = ["--set", "day", fake, write_set(tmp_path / "t", scenes("abc", offset=10))]
    rows = evaluate(*day, "--set", "night", fake, real, out=tmp_path / "m.json")["rows"]
    alone = evaluate("--set", "night", fake, real, out=tmp_path / "m.json")
    expected = evaluate("--fake", fake, "--real", real, out=tmp_path / "m.json")
    assert rows["night"]["sets"] == alone["sets"] == expected["sets"]
    assert rows["night"]["real"]["files_sha256"] == expected["reference"]["files_sha256"]
    assert alone["reference"]["n"] == 5 and rows["night"]["fake_B_vs_real_B"] is None
    assert rows["day"]["sets"]["grey_levels"]["value"] == pytest.approx(10)
    write_image(real / "z.png", np.zeros((64, 56), np.uint16))
    with pytest.raises(UserError, match=r"z\.png has 16 bits"):
        evaluate("--set", "night", fake, real, out=tmp_path / "m.json")


@pytest.mark.parametrize("results", [False, True])
def test_files_of_other_kinds_that_are_not_read_are_said(tmp_path, results):
    """Two folders of results are pooled; a folder that is named twice is told of once."""
    made = [make_results(tmp_path / name) / "images" for name in ("run", "more")]
    training = write_set(tmp_path / "training", scenes("ab"))
    folders = [made[0] / kind for kind in ("real_A", "fake_B", "real_B")]
    for folder in (*folders, training):
        (folder / "frame.fff").touch()
    flags = ["--source", folders[0], "--fake", folders[1], "--real", folders[2]]
    if results:
        flags = ["--results", *(folder.parent for folder in made)]
    report = evaluate(*flags, "--training", training, out=tmp_path / "m.json")
    told = [note for note in report["notes"] if "not read" in note]
    expected = [f"{f}: 1 file of other kinds is not read (.fff)." for f in (*folders, training)]
    assert sorted(told) == sorted(expected)


def test_a_random_target_counts_once_among_the_real_images(tmp_path):
    results = make_results(tmp_path / "run", names="wxyz")
    folder = results / "images" / "real_B"
    write_image(folder / "z.png", read_image(folder / "x.png"))
    report = evaluate("--results", results, out=tmp_path / "means.json")
    assert report["reference"]["n"] == 3
    assert report["reference"]["images"]["noise"]["n"] == 3
    assert report["sets"]["spectrum"]["n"] == [4, 3]


def test_a_table_has_one_row_a_set(tmp_path, capsys, classifier_file):
    real = write_set(tmp_path / "real", scenes("vwxyz", seed=1))
    plain = write_set(tmp_path / "plain", scenes("abc"))
    run = make_results(tmp_path / "run", targets=False)
    flags = ["--real", real, "--set", "simulator <b>", plain, "--set", "a → b", run]
    flags += ["--set", "pairs", plain, write_set(tmp_path / "target", scenes("abc", offset=10))]
    flags += ["--classifier", classifier_file]
    report = evaluate(*flags, "--report", tmp_path / "report", out=tmp_path / "means.json")
    rows = report["rows"]
    assert list(rows) == ["simulator <b>", "a → b", "pairs"]
    assert rows["simulator <b>"]["fake_B_vs_real_B"] is None
    assert rows["simulator <b>"]["real_A_vs_fake_B"] is None
    assert rows["a → b"]["real_A_vs_fake_B"]["mae"]["mean"] == pytest.approx(5)
    assert rows["pairs"]["fake_B_vs_real_B"]["mae"]["mean"] == pytest.approx(10)
    for row in rows.values():
        assert row["sets"]["fid_mwir"]["n"] == [3, 5]
        assert row["sets"]["fid_mwir"]["biased"]
    # The first and the last row are the same images: measured alike, and hashed alike.
    assert rows["pairs"]["sets"] == rows["simulator <b>"]["sets"]
    assert rows["pairs"]["files_sha256"] == rows["simulator <b>"]["files_sha256"]
    assert rows["a → b"]["files_sha256"] != rows["pairs"]["files_sha256"]
    printed = capsys.readouterr().out
    assert "FID (MWIR) is BIASED: n is 3, below 1,024" in printed
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert names == {"report.html", "table.md", "table.csv", "report.json", "images.csv"}
    assert json.loads((tmp_path / "report" / "report.json").read_text()) == report
    page = (tmp_path / "report" / "report.html").read_text()
    assert "simulator &lt;b&gt;" in page and "simulator <b>" not in page
    sets = [row["set"] for row in rows_of(tmp_path / "report" / "images.csv")]
    assert sets == ["simulator <b>"] * 3 + ["a → b"] * 3 + ["pairs"] * 3 + ["real"] * 5


def test_the_size_of_subsets_is_said_and_what_sets_are_too_small_for(
    tmp_path, capsys, classifier_file
):
    judge = ["--classifier", classifier_file]
    few = "KID (MWIR) is undefined: there are fewer than 4 images of a set."
    for n, sentence in ((9, "100 subsets of 4 images"), (3, few)):
        fake = write_set(tmp_path / f"{n}", scenes([f"{i}" for i in range(n)]))
        real = write_set(tmp_path / f"r{n}", scenes([f"r{i}" for i in range(n)], seed=1))
        evaluate("--fake", fake, "--real", real, *judge, out=tmp_path / "means.json")
        assert sentence in capsys.readouterr().out


def test_why_a_metric_of_sets_is_undefined_is_said_of_each(tmp_path, monkeypatch):
    """Five real images, and translations without any detail, in sets large enough for all else."""
    monkeypatch.setattr("metrics.instruments.LITE0_PACKAGES", ())
    monkeypatch.setattr("metrics.instruments.Lite0", MeanAndDeviation)
    names = [f"{i}" for i in range(5)]
    flat = {name: np.full((40, 48), 50 + int(name), np.uint8) for name in names}
    folders = write_set(tmp_path / "f", flat), write_set(tmp_path / "r", scenes(names))
    report = evaluate("--fake", folders[0], "--real", folders[1], out=tmp_path / "m.json")
    told = [note for note in report["notes"] if "undefined: " in note]
    assert told == [
        "density, coverage are undefined: there are fewer than 6 real images.",
        "spectrum is undefined: the images of one set have no power where those of the other have "
        "some, like flat ones, or there are no frequencies that both have.",
    ]
    assert report["sets"]["fd_lite0"]["value"] is not None


def test_contrast_and_attention_are_measured_inside_boxes(tmp_path, classifier_file):
    """Targets of 30 counts on a flat ground in the translations, of 45 in the real images."""
    label = {"box_x": 16, "box_y": 7, "box_w": 8, "box_h": 6}
    sets, rows = {"fake": (30, "ab"), "real": (45, "uvw")}, []
    for name, (contrast, images) in sets.items():
        for image in images:
            scene = np.full((40, 48), 50, np.uint8)
            scene[7:13, 16:24] += np.uint8(contrast)
            write_image(tmp_path / name / f"{image}.png", scene)
            rows.append({"file": f"{name}/{image}.png", "class": "b", **label})
    table = write_labels(tmp_path / "labels.csv", rows)
    flags = ["--fake", tmp_path / "fake", "--real", tmp_path / "real", "--boxes", table]
    flags += ["--classifier", classifier_file]
    report = evaluate(*flags, out=tmp_path / "means.json")
    assert report["fake_B"]["contrast"]["mean"] == pytest.approx(30)
    assert report["reference"]["images"]["contrast"]["mean"] == pytest.approx(45)
    assert report["fake_B"]["box_share"]["mean"] == pytest.approx(48 / (40 * 48))
    classifier = load_classifier(classifier_file)
    image = torch.from_numpy(read_image(tmp_path / "fake" / "a.png") / 127.5 - 1).float()
    assert classifier(image[None, None]).argmax() == 0  # "a": the table decides, not the judge
    attention, _ = gradcam(classifier, image[None, None], torch.tensor([1]))
    share = attention[0, 0, 7:13, 16:24].sum() / attention.sum()
    assert report["fake_B"]["cam_energy"]["mean"] == pytest.approx(share.item(), rel=1e-4)
    # The target is all that there is to see, and a network that has learnt nothing looks elsewhere.
    baseline = report["reference"]["images"]
    assert baseline["dog_pointing"]["mean"] == report["fake_B"]["dog_pointing"]["mean"] == 1
    assert baseline["dog_energy"]["mean"] > baseline["cam_energy"]["mean"]
    (note,) = [note for note in report["notes"] if "difference of Gaussians" in note]
    assert f"(DoG {baseline['dog_energy']['mean']:.3f})" in note
    assert report["protocol"]["labels_sha256"].keys() == {str(table)}


@pytest.mark.parametrize("usable", [True, False])
def test_what_training_found_of_the_judge_is_said(tmp_path, classifier_file, usable):
    """A file that holds something else in its place is a judge without such a report."""
    content = torch.load(classifier_file)
    found = {"in_short": "all, 9 images: accuracy 0.4", "sentences": ["first", "does not beat HOG"]}
    content["validation"] = found if usable else {**found, "in_short": torch.ones(1)}
    torch.save(content, tmp_path / "judge.pth")
    results = make_results(tmp_path / "run")
    judge = tmp_path / "judge.pth"
    flags = ["--results", results, "--classifier", judge, "--chip_classifier", judge]
    report = evaluate(*flags, out=tmp_path / "means.json")
    told = [note for note in report["notes"] if "on its own held-out images: " in note]
    judges = ("classifier", "chip_classifier")
    assert report["validations"] == (dict.fromkeys(judges, found) if usable else {})
    # How good they are, the first sentence, was said with their names.
    text = f"{judge}, on its own held-out images: all, 9 images: accuracy 0.4; does not beat HOG."
    assert told == ([text, text] if usable else [])


def test_how_good_the_judge_of_chips_is_is_said_where_it_is_the_only_one(tmp_path, capsys):
    """It has recognised one image of ten, and learnt counts of 16 bits."""
    made = ResNet18Classifier(classes=("a", "b"), value_range=(2000.0, 9000.0))
    facts = {"balanced_accuracy": 0.1, "confusion": torch.tensor([[1, 9], [9, 1]])}
    torch.save(made.export(**facts), tmp_path / "chips.pth")
    results = make_results(tmp_path / "run")
    flags = ["--results", results, "--chip_classifier", tmp_path / "chips.pth"]
    report = evaluate(*flags, out=tmp_path / "means.json")
    assert report["protocol"]["chip_classifier_above_chance"] is False
    assert report["protocol"]["chip_classifier_balanced_accuracy"] == 0.1
    assert report["protocol"]["classifier_above_chance"] is None
    printed = capsys.readouterr().out
    assert "judge of chips: " in printed
    assert "of balanced accuracy 0.100 on its own held-out images (chance 0.500): no" in printed
    assert "the judge of chips learnt file values from 2000 to 9000, of another type" in printed
    assert "the judge may be its teacher" in printed
    assert "need a classifier that did not take part" in printed


def test_pixels_in_the_box_and_outside_are_measured_apart(tmp_path):
    """An error of 40 counts in the grown box and of 5 outside; b has no box."""
    scene = np.full((40, 48), 90, np.uint8)
    fake = scene + np.uint8(5)
    fake[4:14, 11:29] += np.uint8(35)  # the box (14, 6) to (26, 12) with 0.1 of its sides and 1.5
    write_set(tmp_path / "real", dict.fromkeys("ab", scene))
    write_set(tmp_path / "fake", dict.fromkeys("ab", fake))
    row = {"file": "fake/a.png", "box_x": 14, "box_y": 6, "box_w": 12, "box_h": 6}
    table = write_labels(tmp_path / "labels.csv", [row])
    flags = ["--fake", tmp_path / "fake", "--real", tmp_path / "real", "--boxes", table]
    values = evaluate(*flags, out=tmp_path / "m.json")["fake_B_vs_real_B"]
    assert values["mae_box"]["mean"] == pytest.approx(40)
    assert values["mae_background"]["mean"] == pytest.approx(5)
    assert values["psnr_box"]["mean"] == pytest.approx(20 * math.log10(255 / 40))
    assert values["psnr_background"]["mean"] == pytest.approx(20 * math.log10(255 / 5))
    assert values["psnr"]["n"] == 2
    assert [values[f"ssim_{part}"]["undefined"] for part in ("box", "background")] == [1, 1]
    similarity = skimage.metrics.structural_similarity(scene, fake, data_range=255, full=True)[1]
    assert values["ssim_box"]["mean"] == pytest.approx(similarity[4:14, 11:29].mean())


def test_every_target_of_an_image_is_in_the_box_and_no_ghost(tmp_path):
    """Two targets, drawn 100 counts too bright: the smaller one is no background, and no ghost."""
    results = make_results(tmp_path / "run", names="a", shape=(64, 80), offsets=(0, 0))
    file = results / "images" / "fake_B" / "a.png"
    real = read_image(results / "images" / "real_B" / "a.png")
    fake = real.astype(int)
    for y, x, height, width in ((8, 8, 16, 20), (40, 52, 14, 16)):
        fake[y : y + height, x : x + width] += 100
    write_image(file, fake.clip(0, 255).astype(np.uint8))
    row = {"file": "a.png", "class": ""}
    boxes = [
        {**row, "box_x": 8, "box_y": 8, "box_w": 20, "box_h": 16},
        {**row, "box_x": 52, "box_y": 40, "box_w": 16, "box_h": 14},
    ]
    table = write_labels(tmp_path / "labels.csv", boxes)
    report = evaluate("--results", results, "--boxes", table, out=tmp_path / "m.json")
    assert report["fake_B_vs_real_B"]["mae_background"]["mean"] == 0
    assert report["fake_B_vs_real_B"]["mae_box"]["mean"] > 20
    assert report["fake_B"]["ghosts"]["mean"] == 0


def test_classes_are_kept_and_ghosts_are_seen(tmp_path, capsys, classifier_file):
    """Of two translations one has a ghost; the judge of chips sees the squares about the boxes."""
    results = make_results(tmp_path / "run", names="ab", shape=(64, 80), offsets=(5, 5))
    file = results / "images" / "fake_B" / "b.png"
    ghost = read_image(file).copy()
    ghost[40:56, 50:70] = 250
    write_image(file, ghost)
    box = {"box_x": 16, "box_y": 10, "box_w": 20, "box_h": 12}
    rows = [{"file": f"{n}.png", "class": c, **box} for n, c in zip("ab", "ab", strict=True)]
    table = write_labels(tmp_path / "labels.csv", rows)
    flags = ["--results", results, "--boxes", table, "--chip_classifier", classifier_file]
    report = evaluate(*flags, "--report", tmp_path / "report", out=tmp_path / "m.json")
    assert report["fake_B"]["ghosts"]["mean"] == 0.5
    assert report["fake_B"]["ghost_area"]["mean"] == pytest.approx(50 * 16 * 20 / 5120, rel=0.3)
    images = [read_image(results / "images" / "fake_B" / f"{n}.png") for n in "ab"]
    batch = torch.from_numpy(np.stack(images)[:, None]) / 127.5 - 1
    scale = ChipScale(40.0, by_range=False)  # 2 times the larger side of all boxes
    chips = cut_chips(batch, torch.tensor([[16.0, 10, 36, 22]] * 2), [None] * 2, scale)
    told = load_classifier(classifier_file)(chips).argmax(dim=1).tolist()
    counts = [[float(told[i] == k) for k in (0, 1)] for i in (0, 1)]
    assert report["flips"] == {"classes": ["a", "b"], "counts": counts}
    kept = [float(row["fake_B_class_kept"]) for row in rows_of(tmp_path / "m.csv")]
    assert kept == [counts[0][0], counts[1][1]]
    assert sum(map(sum, report["reference"]["flips"]["counts"])) == 2
    assert report["fake_B_vs_real_B"]["retrieval"]["n"] == 2
    assert report["fake_B_vs_real_B"]["gcss"] is None
    assert "taken for" in (tmp_path / "report" / "report.html").read_text()
    assert "targets are taken, most often," in capsys.readouterr().out


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("class_kept", r"needs a classifier of chips; .*--chip_classifier FILE"),
        ("ghosts", "needs boxes"),
    ],
)
def test_what_a_required_metric_of_the_target_needs_is_said(tmp_path, key, words):
    results = make_results(tmp_path / "run")
    with pytest.raises(UserError, match=f"--require {key} {words}"):
        main(["--results", str(results), "--require", key])


def box_of(file, *, x=9):
    return {"file": file, "class": "", "box_x": x, "box_y": 9, "box_w": 6, "box_h": 6}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda root: [box_of("late/b.png", x=50)], r"labels\.csv.* \(50, 9\) lies outside"),
        (lambda root: [box_of("x/b.png"), box_of("y/b.png", x=2)], r"b\.png fits .* differ"),
        (
            lambda root: write_set(root / "late", {"b": np.zeros((9, 9), np.uint16)}),
            r"late/b\.png has 16 bits",
        ),
        (lambda root: write_image(root / "late" / "b.png", np.zeros((6, 9), np.uint8)), "SSIM"),
        (lambda root: (root / "late" / "b.png").write_text("none"), r"late/b\.png is not a read"),
    ],
    ids=["box outside", "two labels", "depth", "size", "no image"],
)
def test_what_is_wrong_with_the_last_set_is_told_before_the_first_is_measured(
    tmp_path, monkeypatch, spoil, words
):
    monkeypatch.setattr(measured_sets, "measure", lambda *_, **__: pytest.fail("it is measured"))
    for name in ("first", "late", "real"):
        write_set(tmp_path / name, scenes("ab"))
    rows = spoil(tmp_path)
    table = write_labels(tmp_path / "labels.csv", rows if isinstance(rows, list) else [box_of("a")])
    flags = ["--set", "x", tmp_path / "first", "--set", "y", tmp_path / "late"]
    flags += ["--real", tmp_path / "real", "--boxes", table]
    with pytest.raises(UserError, match=words):
        evaluate(*flags, out=tmp_path / "m.json")


def test_boxes_that_are_required_are_looked_for_before_anything_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(measured_sets, "measure", lambda *_, **__: pytest.fail("it is measured"))
    fake = write_set(tmp_path / "fake", scenes("ab"))
    table = write_labels(tmp_path / "labels.csv", [box_of("c.png")])
    flags = ["--fake", fake, "--real", fake, "--boxes", table, "--require", "contrast"]
    with pytest.raises(UserError, match=r"no image of .* has a box; the tables have 1, of"):
        evaluate(*flags, out=tmp_path / "m.json")


def test_images_without_a_box_are_left_out_and_counted(tmp_path, capsys):
    fake = write_set(tmp_path / "fake", scenes("abc"))
    table = write_labels(tmp_path / "labels.csv", [box_of("fake/a.png")])
    report = evaluate("--fake", fake, "--real", fake, "--boxes", table, out=tmp_path / "m.json")
    assert report["fake_B"]["contrast"]["n"] == 1
    assert report["fake_B"]["contrast"]["undefined"] == 2
    assert "1 of 3 images have a box" in capsys.readouterr().out


@pytest.mark.parametrize(("taught_by", "flagged"), [("judge", True), ("other", False)])
def test_a_teacher_as_judge_is_flagged(tmp_path, capsys, classifier_file, taught_by, flagged):
    results = make_results(tmp_path / "run")
    weights = load_classifier(classifier_file).net.state_dict()
    teacher = digest(weights) if taught_by == "judge" else "0" * 64
    (results / "result.json").write_text(json.dumps({"paired": True, "teacher": teacher}))
    flags = ["--results", results, "--classifier", classifier_file]
    report = evaluate(*flags, out=tmp_path / "means.json")
    assert report["judge_is_teacher"] is flagged
    printed = capsys.readouterr().out
    assert ("is the TEACHER" in printed) is flagged
    assert str(classifier_file) in printed


def test_without_a_record_nobody_knows_the_teacher(tmp_path, classifier_file):
    results = make_results(tmp_path / "run")
    flags = ["--results", results, "--classifier", classifier_file]
    assert evaluate(*flags, out=tmp_path / "means.json")["judge_is_teacher"] is None


def test_what_weights_are_missing_is_said_and_can_be_required(tmp_path, capsys):
    results, empty = make_results(tmp_path / "run"), tmp_path / "empty"
    empty.mkdir()
    flags = ["--results", str(results), "--weights_dir", str(empty)]
    report = evaluate(*flags, out=tmp_path / "means.json")
    assert report["sets"]["fid"] is report["fake_B_vs_real_B"]["lpips_alex"] is None
    printed = capsys.readouterr().out
    for file in ("pt_inception-2015-12-05-6726825d", "alexnet-owt-7be5be79", "vgg16-397923af"):
        assert sum(file in line and str(empty) in line for line in printed.splitlines()) == 1
    for required in ([], ["lpips_vgg", "ssim"]):
        with pytest.raises(UserError, match=r"--require: .*\.pth into .*empty"):
            main([*flags, "--require", *required])
    main([*flags, "--require", "ssim"])


def test_an_unknown_metric_cannot_be_required(tmp_path):
    results = make_results(tmp_path / "run")
    with pytest.raises(UserError, match=r"--require knows no metric 'lpip'.*lpips_alex"):
        main(["--results", str(results), "--require", "lpip"])


def test_lpips_is_measured_with_weights_from_a_folder(tmp_path):
    results = make_results(tmp_path / "run", offsets=(0, 20), shape=(48, 48))
    weights = save_alexnet(tmp_path / "weights")
    flags = ["--results", results, "--weights_dir", weights, "--require", "lpips_alex"]
    report = evaluate(*flags, out=tmp_path / "means.json")
    assert report["real_A_vs_fake_B"]["lpips_alex"]["mean"] == pytest.approx(0, abs=1e-7)
    assert report["fake_B_vs_real_B"]["lpips_alex"]["mean"] > 1e-5
    assert report["protocol"]["weights_digest"].keys() == {"alex"}


def test_images_too_small_for_lpips_are_undefined(tmp_path, capsys):
    results = make_results(tmp_path / "run", shape=(20, 48))
    flags = ["--results", results, "--weights_dir", save_alexnet(tmp_path / "weights")]
    report = evaluate(*flags, out=tmp_path / "means.json")
    assert report["fake_B_vs_real_B"]["lpips_alex"]["undefined"] == 3
    assert "3 of 3 pairs (too small for the network)" in capsys.readouterr().out


class MeanAndDeviation(torch.nn.Module):
    """Stands in for Inception or Lite0: features that can be computed by hand."""

    def __init__(self, path=None):
        super().__init__()

    def forward(self, images):
        assert images.min() >= 0 and images.max() <= 1
        flat = images.flatten(1)
        return torch.stack([flat.mean(dim=1), flat.std(dim=1)], dim=1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_inception_sees_the_value_range_as_0_to_1(tmp_path, monkeypatch, dtype):
    """16 bits: the extremes of the real images; nothing is squeezed into 8 bits on the way."""
    monkeypatch.setattr("metrics.instruments.Inception", MeanAndDeviation)
    (tmp_path / "pt_inception-2015-12-05-6726825d.pth").touch()
    names, step = [f"{i}" for i in range(5)], 1 if dtype == np.uint8 else 3
    images = {n: image.astype(dtype) * step for n, image in scenes(names).items()}
    real = write_set(tmp_path / "real", images)
    low, high = min(i.min() for i in images.values()), max(i.max() for i in images.values())
    fakes = {n: (i // 2 + low // 2 + 1).astype(dtype) for n, i in images.items()}
    fake = write_set(tmp_path / "fake", fakes)
    flags = ["--fake", fake, "--real", real, "--weights_dir", tmp_path, "--require", "fid", "kid"]
    report = evaluate(*flags, out=tmp_path / "means.json")
    span = (0, 255) if dtype == np.uint8 else (int(low), int(high))
    assert report["value_range"] == list(span)
    features = [
        np.array(
            [[s.mean(), s.std(ddof=1)] for s in ((i - span[0]) / (span[1] - span[0]) for i in x)]
        )
        for x in (fakes.values(), images.values())
    ]
    assert report["sets"]["fid"]["value"] == pytest.approx(frechet_distance(*features), rel=1e-3)


def test_sets_are_compared_by_the_features_of_lite0(tmp_path, monkeypatch):
    monkeypatch.setattr("metrics.instruments.LITE0_PACKAGES", ())
    monkeypatch.setattr("metrics.instruments.Lite0", MeanAndDeviation)
    names = [f"{i}" for i in range(12)]
    sets = scenes(names), scenes(names, offset=40, seed=1)
    fake, real = (write_set(tmp_path / n, s) for n, s in zip("fr", sets, strict=True))
    training = write_set(tmp_path / "t", scenes(names, offset=20, seed=2))
    keys = ["fd_lite0", "kid_lite0", "c2st", "density", "coverage", "novelty"]
    flags = ["--fake", fake, "--real", real, "--require", *keys]
    with pytest.raises(UserError, match=r"--require novelty needs .*--training DIR"):
        main([str(flag) for flag in flags])
    flags += ["--training", training]
    found = evaluate(*flags, out=tmp_path / "means.json")["sets"]
    features = [np.array([[i.mean(), i.std(ddof=1)] for i in s.values()]) / 255 for s in sets]
    assert found["fd_lite0"]["value"] == pytest.approx(frechet_distance(*features), rel=1e-3)
    assert found["c2st"]["value"] == 1 and found["c2st"]["ci95"] == [1, 1]
    assert found["density"]["value"] == found["coverage"]["value"] == 0
    means = [np.mean([i.mean() for i in images.values()]) for images in sets]
    assert means[1] - means[0] > 30  # the sets lie on either side of the training's
    assert 0.3 < found["novelty"]["value"] < 3


def test_chips_about_the_targets_are_compared_apart_from_the_frames(tmp_path, monkeypatch):
    """Equal targets before other grounds; one image of either set has none."""
    monkeypatch.setattr("metrics.instruments.LITE0_PACKAGES", ())
    monkeypatch.setattr("metrics.instruments.Lite0", MeanAndDeviation)
    grounds, names = {"f": 40, "r": 160}, [f"{i}" for i in range(9)]
    rows = []
    for folder, ground in grounds.items():
        random, images = np.random.default_rng(0), {}
        for name in names:
            images[name] = np.full((64, 64), ground, np.uint8)
            # A chip is twice as large as the box, which has 8 pixels a side.
            images[name][20:40, 24:44] = random.integers(0, 256, (20, 20))
        write_set(tmp_path / folder, images)
        box = {"box_x": 30, "box_y": 26, "box_w": 8, "box_h": 8}
        rows += [{"file": f"{folder}/{name}.png"} | box for name in names[1:]]
    table = write_labels(tmp_path / "labels.csv", rows)
    flags = ["--fake", tmp_path / "f", "--real", tmp_path / "r", "--boxes", table]
    flags += ["--require", "fd_lite0_chips"]
    found = evaluate(*flags, out=tmp_path / "means.json")["sets"]
    assert found["fd_lite0"]["value"] > 0.1 and found["fd_lite0"]["n"] == [9, 9]
    assert found["fd_lite0_chips"]["value"] == pytest.approx(0, abs=1e-6)
    assert found["kid_lite0_chips"]["value"] < found["kid_lite0"]["value"]
    assert found["fd_lite0_chips"]["n"] == [8, 8]


@pytest.mark.parametrize(("copied", "novelty"), [("f", 0), ("r", None)])
def test_copies_of_training_images_are_told(tmp_path, monkeypatch, capsys, copied, novelty):
    monkeypatch.setattr("metrics.instruments.LITE0_PACKAGES", ())
    monkeypatch.setattr("metrics.instruments.Lite0", MeanAndDeviation)
    sets = {n: scenes([f"{i}" for i in range(8)], seed=seed) for seed, n in enumerate("fr")}
    folders = {name: write_set(tmp_path / name, images) for name, images in sets.items()}
    flags = ["--fake", folders["f"], "--real", folders["r"], "--training", folders[copied]]
    found = evaluate(*flags, out=tmp_path / "means.json")["sets"]["novelty"]
    assert found["value"] == (None if novelty is None else pytest.approx(0, abs=1e-6))
    said = "novelty is undefined: the real images are copies" in capsys.readouterr().out
    assert said == (novelty is None)


def test_training_images_of_another_type_are_refused(tmp_path, monkeypatch):
    """The same images as 16 bits would look new; a row that is not compared asks for nothing."""
    monkeypatch.setattr(measured_sets, "measure", lambda *_, **__: pytest.fail("it is measured"))
    fake = write_set(tmp_path / "f", scenes("ab"))
    wide = {name: image.astype(np.uint16) * 257 for name, image in scenes("ab").items()}
    training = write_set(tmp_path / "t", wide)
    flags = ["--fake", fake, "--real", write_set(tmp_path / "r", scenes("ab", seed=1))]
    with pytest.raises(UserError, match=r"--training .*t have 16 bits, and .* have 8 bits"):
        evaluate(*flags, "--training", training, out=tmp_path / "m.json")
    monkeypatch.undo()
    rows = ["--set", "a", fake, "--set", "b", training, "--real", training]
    report = evaluate(*rows, "--training", training, out=tmp_path / "m.json")
    assert report["rows"]["a"]["sets"]["spectrum"] is None


def test_missing_packages_of_lite0_are_said_and_can_be_required(tmp_path, capsys):
    flags = ["--results", str(make_results(tmp_path / "run"))]
    assert evaluate(*flags, out=tmp_path / "means.json")["sets"]["fd_lite0"] is None
    assert "FD (Lite0) and KD (Lite0) and FD of chips (Lite0)" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"--require: FD .*run `pip install not-installed`"):
        main([*flags, "--require", "c2st"])


def make_ranges(folder, fake, real):
    """Sets of images with a label each; fake, real: ranges. Returns the flags that match them."""
    rows = []
    for name, ranges in (("fake", fake), ("real", real)):
        write_set(folder / name, scenes([f"{name[0]}{i:02}" for i in range(len(ranges))]))
        listed = ((f"{name}/{name[0]}{i:02}.png", metres) for i, metres in enumerate(ranges))
        rows += [{"file": file, "range_m": metres} for file, metres in listed]
    table = write_labels(folder / "labels.csv", rows)
    places = ["--fake", folder / "fake", "--real", folder / "real", "--labels", table]
    return [*places, "--match_range", 500]


def test_sets_are_matched_in_range(tmp_path, capsys):
    near_and_middle = [1000] * 4 + [2000] * 4
    flags = make_ranges(tmp_path, [*near_and_middle, 9000, 9000], near_and_middle * 2)
    report = evaluate(*flags, out=tmp_path / "means.json")
    assert report["sets"]["spectrum"]["n"] == [8, 16]
    assert report["n"] == 8
    measured = [row["image"] for row in rows_of(tmp_path / "means.csv") if row["set"] == "fake_B"]
    assert measured == [f"f{i:02}" for i in range(8)]
    printed = capsys.readouterr().out
    assert "fake_B: 8 of 10 images, to match ranges in steps of 500 m" in printed
    assert "real: " not in printed  # all of them stay


def test_all_sets_are_compared_with_the_same_real_images(tmp_path, capsys):
    near, far = [1000] * 8, [2000] * 8
    flags = make_ranges(tmp_path, near + far[:4], near + far)
    places = dict(zip(flags[::2], flags[1::2], strict=True))
    unknown = write_set(tmp_path / "unknown", scenes("xyz", seed=3))
    sets = ["--set", "a", places["--fake"], "--set", "b", unknown]
    rest = ["--real", places["--real"], "--labels", places["--labels"], "--match_range", 500]
    report = evaluate(*sets, *rest, out=tmp_path / "means.json")
    assert report["rows"]["a"]["sets"]["spectrum"]["n"] == [12, 12]
    assert report["rows"]["b"]["sets"]["spectrum"]["n"] == [3, 12]
    assert report["reference"]["n"] == 12
    printed = capsys.readouterr().out
    assert "b: no range is known, compared as it is" in printed
    assert "real: 12 of 16 images" in printed


def test_sets_with_hardly_a_common_range_stay_as_they_are(tmp_path, capsys):
    flags = make_ranges(tmp_path, [1000] * 3 + [3000] * 9, [1000] * 9 + [5000] * 3)
    report = evaluate(*flags, out=tmp_path / "means.json")
    assert report["sets"]["spectrum"]["n"] == [12, 12]
    assert (
        "not matched in range: the images left in each set would be 3, 9, and 8"
        in capsys.readouterr().out
    )


def test_real_images_without_ranges_are_told(tmp_path, capsys):
    flags = make_ranges(tmp_path, [1000] * 9, [""] * 9)
    places = dict(zip(flags[::2], flags[1::2], strict=True))
    unknown = write_set(tmp_path / "unknown", scenes("xyz", seed=3))
    sets = ["--set", "a", places["--fake"], "--set", "b", unknown]
    rest = ["--real", places["--real"], "--labels", places["--labels"], "--match_range", 500]
    report = evaluate(*sets, *rest, out=tmp_path / "means.json")
    assert report["rows"]["a"]["sets"]["spectrum"]["n"] == [9, 9]
    printed = capsys.readouterr().out
    assert "not matched in range: no range of the real images is known" in printed
    assert "b: no range is known, compared as it is" in printed and "are needed" not in printed


def test_sets_without_common_ranges_stay_as_they_are(tmp_path, capsys):
    fake, real = (write_set(tmp_path / n, scenes([n[0]])) for n in ("fake", "real"))
    table = write_labels(tmp_path / "labels.csv", [{"file": "real/r.png", "range_m": 1000}])
    flags = ["--fake", fake, "--real", real, "--labels", table, "--match_range", 500]
    assert evaluate(*flags, out=tmp_path / "means.json")["sets"]["spectrum"]["n"] == [1, 1]
    printed = capsys.readouterr().out
    assert "fake_B: no range is known" in printed or "not matched in range" in printed


TRUE = "run/images/real_B"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--fake", "run/images/fake_B"], "nothing to be compared with; add --real"),
        (["--fake", "nowhere", "--real", TRUE], "no folder nowhere; check --fake"),
        (["--fake", "run", "--real", "nowhere"], "no folder nowhere; check --real"),
        (["--fake", "run", "--real", TRUE, "--source", "nowhere"], "check --source"),
        (["--results", "run", "--fake", "run"], "several kinds of input"),
        (["--results", "run", "--source", "run"], "--source belongs to --fake"),
        (["--set", "a", "run/images/fake_B"], "--set a has nothing to be compared with"),
        (["--real", TRUE, "--set", "a", "run", "--set", "a", "run"], "--set a is given twice"),
        (["--results", "run", "--match_range", "500"], "--match_range needs --real"),
        (["--results", "run", "--against", "run"], "--against run: .*one row alone"),
        (["--set", "a", "run", "--set", "b", "run", "--against", "c"], "--against c: .*: a, b"),
        (["--results", "run", "--boxes", "nowhere.csv"], r"no table nowhere\.csv"),
        (
            ["--results", "run", "--weights_dir", "nowhere"],
            "no folder nowhere; check --weights_dir",
        ),
        (["--results", "run", "--report", "file"], "file is a file; name a folder"),
    ],
)
def test_input_that_does_not_fit_is_one_sentence(tmp_path, monkeypatch, flags, words):
    monkeypatch.chdir(tmp_path)
    make_results(Path("run"))
    Path("file").touch()
    with pytest.raises(UserError, match=words):
        main(flags)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "run"]


def test_the_report_says_how_it_was_made(tmp_path, classifier_file):
    results = make_results(tmp_path / "run")
    flags = ["--results", results, "--classifier", classifier_file]
    report = evaluate(*flags, out=tmp_path / "means.json")
    protocol = report["protocol"]
    assert protocol["versions"]["torch"] == importlib.metadata.version("torch")
    assert protocol["versions"]["scikit-image"] == skimage.__version__
    own = digest(load_classifier(classifier_file).net.state_dict())
    assert protocol["weights_digest"] == {"classifier": own}
    assert len(report["files_sha256"]) == 64
    first = report["files_sha256"]
    write_image(
        results / "images" / "fake_B" / "x.png",
        255 - read_image(results / "images" / "fake_B" / "x.png"),
    )
    assert evaluate(*flags, out=tmp_path / "means.json")["files_sha256"] != first


def test_noise_of_counts_on_radiometric_images_moves_psnr_by_12_db(shared_data, tmp_path):
    """4, 16 and 64 counts of 65,536: an 8-bit path could not see the first two."""
    random, means = np.random.default_rng(0), []
    images = {p.stem: read_image(p) for p in shared_data("radiometric16").glob("*.png")}
    real = write_set(tmp_path / "real", images)
    for sigma in (4, 16, 64):
        noisy = {
            name: np.rint(image + random.normal(0, sigma, image.shape)).clip(0, 65535)
            for name, image in images.items()
        }
        fake = write_set(tmp_path / f"{sigma}", {n: i.astype(np.uint16) for n, i in noisy.items()})
        report = evaluate("--fake", fake, "--real", real, out=tmp_path / "means.json")
        means.append(report["fake_B_vs_real_B"]["psnr"]["mean"])
        expected = 20 * math.log10(65535 / math.hypot(sigma, math.sqrt(1 / 12)))
        assert means[-1] == pytest.approx(expected, abs=0.05)
    assert np.diff(means) == pytest.approx(-20 * math.log10(4), abs=0.05)


@pytest.mark.parametrize(
    ("module", "package"),
    [("dominate", "dominate"), ("matplotlib", "matplotlib"), ("sklearn", "scikit-learn")],
)
def test_a_package_that_the_report_needs_is_missed_before_anything_is_measured(
    tmp_path, classifier_file, monkeypatch, module, package
):
    results = make_results(tmp_path / "run")
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(
        "metrics.measured_sets.Evaluation.measure", lambda *_: pytest.fail("measured")
    )
    flags = ["--results", results, "--classifier", classifier_file, "--report", tmp_path / "report"]
    with pytest.raises(UserError, match=f"pip install {package}"):
        evaluate(*flags, out=tmp_path / "means.json")
    assert not (tmp_path / "report").exists() and not (tmp_path / "means.json").exists()


@pytest.mark.parametrize("separator", [", ", ";", "\t"])
def test_boxes_of_spreadsheets_are_read(tmp_path, capsys, separator):
    fake = write_set(tmp_path / "fake", scenes("abc"))
    table = tmp_path / "boxes.csv"
    lines = ["File,Class,Box_X,box_y,box_w,box_h", *(f"fake\\{n}.png,T72,9,9,6,6" for n in "abc")]
    table.write_text("\n".join(lines).replace(",", separator), encoding="utf-16")
    report = evaluate("--fake", fake, "--real", fake, "--boxes", table, out=tmp_path / "m.json")
    assert report["fake_B"]["contrast"]["n"] == 3
    assert "have a box" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ("file,x,y,w,h\nfake/a.png,9,9,6,6\n", "no table has a box in the columns box_x, box_y"),
        ("file,box_x,box_y,box_w,box_h\nc.png,9,9,6,6\n", "the tables have 1, of other names"),
    ],
)
def test_why_no_image_has_a_box_is_said(tmp_path, capsys, table, why):
    fake = write_set(tmp_path / "fake", scenes("ab"))
    (tmp_path / "boxes.csv").write_text(table)
    flags = ["--fake", fake, "--real", fake, "--boxes", tmp_path / "boxes.csv"]
    evaluate(*flags, out=tmp_path / "m.json")
    assert f"0 of 2 images have a box: {why}" in capsys.readouterr().out


BEATEN = re.compile(r"gan does not beat fit, a sensor fitted in closed form, in (.*)\.")


def record_of(model):
    return json.dumps({"paired": True, "model": model, "dataroot": "data", "phase": "test"})


@pytest.mark.parametrize(
    ("fitted", "lost"),
    [
        (5, ["PSNR, SSIM, MAE", "grey levels"]),
        (20, ["PSNR, SSIM, MAE", "grey levels"]),  # equal is not better
        (25, []),
    ],
)
def test_what_does_not_beat_the_fitted_sensor_is_said(tmp_path, fitted, lost):
    """20 counts from the target against `fitted`; both have the target's spectrum, but for noise
    in the last digit.
    """
    sets = []
    for name, model, offset in (("gan", "cut", 20), ("fit", "sensor_fit", fitted)):
        results = make_results(tmp_path / name, offsets=(29 - offset, offset))
        (results / "result.json").write_text(record_of(model))
        sets += ["--set", name, results]
    report = evaluate(*sets, out=tmp_path / "means.json")
    found = [n for note in report["notes"] for n in BEATEN.findall(note)]
    parts = [part.split(" (")[0] for names in found for part in names.split("; ")]
    names = [part.replace("spectrum", "").strip(", ") for part in parts]
    assert [name for name in names if name] == lost
    # Three metrics of images and two of sets, the spectrum among them.
    counted = "fit, a sensor fitted in closed form, is beaten by gan in [01] of 5 metrics."
    assert not lost or re.fullmatch(counted, report["notes"][0])


def test_differences_between_rows_stand_in_all_files(tmp_path, capsys):
    """10 counts nearer to the target, in two recordings of two images."""
    sets, names = [], "wxyz"
    for name, offset in (("new", 10), ("old", 20)):
        results = make_results(tmp_path / name, names=names, offsets=(29 - offset, offset))
        sets += ["--set", name, results]
    rows = [{"file": f"{n}.png", "group": n in "wx"} for n in names]
    table = write_labels(tmp_path / "labels.csv", rows)
    flags = [*sets, "--against", "old", "--labels", table, "--report", tmp_path / "report"]
    report = evaluate(*flags, out=tmp_path / "means.json")
    (found,) = report["differences"]
    facts = {key: found[key] for key in ("row", "baseline", "images", "recordings")}
    assert facts == {"row": "new", "baseline": "old", "images": 4, "recordings": 2}
    cell = found["fake_B_vs_real_B"]["mae"]
    assert cell["mean"] == pytest.approx(-10) and cell["ci95"] == pytest.approx([-10, -10])
    assert cell["verdict"] == "better" and "real_A_vs_fake_B" not in found
    printed = capsys.readouterr().out
    assert "fake_B vs real_B, less old" in printed and "-10.0 better" in printed
    assert "intervals of differences are over 2 recordings: too narrow" in printed
    assert max(map(len, printed.split(report["notes"][0])[0].splitlines())) <= 100
    listed = rows_of(tmp_path / "report" / "table.csv")
    (mae,) = (
        r
        for r in listed
        if r["set"] == "new less old" and r["metric"] == "mae" and r["group"] == "fake_B_vs_real_B"
    )
    assert float(mae["value"]) == pytest.approx(-10)
    page = (tmp_path / "report" / "report.html").read_text()
    assert '<span class="better" title="better">−10.0</span>' in page


@pytest.mark.parametrize("shared", [False, True])
def test_distances_to_other_real_images_are_neither_ranked_nor_subtracted(tmp_path, shared):
    """Two trainings beside a fitted sensor, of the same sources, each with targets of its own."""
    sets = []
    for place, name in enumerate(("fit", "new, seed 1", "new, seed 2")):
        results = make_results(tmp_path / f"r{place}", offsets=(5 + place, 9 + place))
        model = "cut" if place else "sensor_fit"
        (results / "result.json").write_text(record_of(model))
        sets += ["--set", name, results]
    if shared:
        sets += ["--real", tmp_path / "r0" / "images" / "real_B"]
    report = evaluate(*sets, "--report", tmp_path / "report", out=tmp_path / "m.json")
    (found,) = report["design_differences"]
    assert ("sets" in found) == shared
    told = " ".join(report["notes"])
    assert ("compared with different real images" in told) is not shared
    assert "the rows have different targets" in told
    assert len({row["targets_sha256"] for row in report["rows"].values()}) == 3


def test_designs_stand_in_all_files(tmp_path, capsys):
    """MAE of 10 and 12, of 18 and 18 counts to the target, and of 20 of a fitted sensor."""
    sets, offsets = [], {"new, seed 1": 10, "old, seed 1": 18, "new, seed 2": 12, "old, seed 2": 18}
    for place, (name, offset) in enumerate([("fit", 20), *offsets.items()]):
        results = make_results(tmp_path / f"r{place}", offsets=(29 - offset, offset))
        model = "sensor_fit" if name == "fit" else "cut"
        (results / "result.json").write_text(record_of(model))
        sets += ["--set", name, results]
    real = tmp_path / "r0" / "images" / "real_B"
    flags = [*sets, "--real", real, "--against", "old", "--report", tmp_path / "report"]
    report = evaluate(*flags, out=tmp_path / "means.json")
    assert list(report["designs"]) == ["fit", "new", "old"]
    new = report["designs"]["new"]
    assert new["rows"] == ["new, seed 1", "new, seed 2"]
    mae = new["fake_B_vs_real_B"]["mae"]
    assert mae["mean"] == pytest.approx(11) and mae["n"] == 2
    assert mae["ci95"] == pytest.approx([11 - 12.706, 11 + 12.706], abs=1e-3)
    found = {(f["row"], f["baseline"]): f for f in report["design_differences"]}
    assert list(found) == [("new", "fit"), ("old", "fit"), ("new", "old")]
    assert found["new", "old"]["pairs"] == [
        [f"{n}, seed {s}" for n in ("new", "old")] for s in "12"
    ]
    old = found["old", "fit"]["fake_B_vs_real_B"]["mae"]
    assert old["mean"] == pytest.approx(-2) and old["verdict"] == "better"
    assert found["new", "old"]["sets"]["grey_levels"]["mean"] == pytest.approx(-7)
    assert len(report["differences"]) == 4, "of each training less the fitted sensor"
    printed = capsys.readouterr().out
    for words in (
        "fake_B vs real_B, means  trainings",
        "fake_B vs real_B, less old  trainings",
        "95 % intervals of designs are over 2 trainings",
    ):
        assert words in printed
    # SSIM alone, and the spectrum, which differs by noise in the last digit.
    beaten = "fit, a sensor fitted in closed form, is beaten by new in [12] of 5"
    assert re.search(beaten, printed)
    lost = r"new does not beat fit, .* in PSNR, MAE, .*grey levels \(differences over 2 trainings, "
    assert re.search(lost, printed) and "new, seed 1 does not beat" not in printed
    assert "fake_B vs real_B, less fit  n" not in printed and "recordings" not in printed
    lines = {(r["set"], r["group"], r["metric"]): r for r in rows_of(tmp_path / "report/table.csv")}
    line = lines["new less old", "fake_B_vs_real_B", "mae"]
    assert (float(line["value"]), line["n"], line["over"]) == (pytest.approx(-7), "2", "trainings")
    assert lines["new", "fake_B_vs_real_B", "mae"]["over"] == "trainings"
    assert lines["old, seed 1 less fit", "fake_B_vs_real_B", "mae"]["over"] == "recordings"
    assert lines["fit", "fake_B_vs_real_B", "mae"]["over"] == "images"
    tables = (tmp_path / "report" / "table.md").read_text()
    assert "## set against real images, less fit\n\n| set | trainings |" in tables
    page = (tmp_path / "report" / "report.html").read_text()
    assert "<h2>Means over trainings</h2>" in page and "<h2>Differences between rows" not in page
    assert '<span class="better" title="better">−2.0' in page


@pytest.mark.parametrize("name", ["a", "real"])
def test_a_design_is_not_taken_for_a_row(tmp_path, name):
    results = make_results(tmp_path / "r")
    names = [f"{name}, seed 1", f"{name}, seed 2", "a"]
    sets = [word for found in names for word in ("--set", found, results)]
    flags = [*sets, "--real", results / "images" / "real_B"]
    words = f"{name} would be taken for the mean over {name}, seed 1, {name}, seed 2"
    with pytest.raises(UserError, match=words):
        main([str(word) for word in flags])


def test_rows_of_other_images_have_no_differences(tmp_path, capsys):
    sets = [["--set", n, make_results(tmp_path / n, names=n)] for n in ("abc", "xyz")]
    report = evaluate(*sets[0], *sets[1], "--against", "abc", out=tmp_path / "means.json")
    assert report["differences"] == []
    assert "no differences between abc and xyz" in capsys.readouterr().out


@pytest.mark.parametrize("set_too", [False, True])
def test_of_a_results_folder_the_translations_alone_count(tmp_path, set_too):
    results = make_results(tmp_path / "r")
    real = make_results(tmp_path / "other") / "images" / "real_B"
    found = []
    for folder in (results, results / "images", results / "images" / "fake_B"):
        words = ["--set", "ours", folder, real] if set_too else ["--fake", folder, "--real", real]
        evaluate(*words, out=tmp_path / "means.json")
        found.append(rows_of(tmp_path / "means.csv"))
    assert {row["image"] for row in found[0]} == {"x", "y", "z"}
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("flag", ["--real", "--source"])
def test_results_are_no_real_images(tmp_path, flag):
    results = make_results(tmp_path / "r")
    kinds = {"--fake": "fake_B", "--real": "real_B", "--source": "real_A"}
    folders = {name: results / "images" / kind for name, kind in kinds.items()} | {flag: results}
    with pytest.raises(UserError, match=r"holds results of test\.py"):
        main([str(word) for pair in folders.items() for word in pair])


def test_rows_that_share_a_sentence_are_named_before_it_together(tmp_path, capsys):
    for name in ("one", "two", "real"):
        write_set(tmp_path / name, scenes("ab"))
    sets = [f for name in ("one", "two") for f in ("--set", name, tmp_path / name)]
    table = write_labels(tmp_path / "labels.csv", [{**box_of("a.png"), "class": "T72"}])
    evaluate(*sets, "--real", tmp_path / "real", "--boxes", table, out=tmp_path / "m.json")
    said = capsys.readouterr().out
    assert "one, two: 1 of 2 images have a box." in said
    assert "one: 1 of 2" not in said


def test_the_judge_looks_once_at_what_rows_share(tmp_path, classifier_file, monkeypatch):
    sets = [
        ["--set", n, make_results(tmp_path / n, offsets=(o, 90 - o))]
        for n, o in (("a", 5), ("b", 9))
    ]
    counts, stages = [], ResNet18Classifier.stages
    monkeypatch.setattr(
        ResNet18Classifier, "stages", lambda *args: counts.append(len(args[1])) or stages(*args)
    )
    flags = [*sets[0], *sets[1], "--classifier", classifier_file]
    evaluate(*flags, out=tmp_path / "m.json")
    assert sum(counts) == 3 * (2 + 2)  # two kinds of translations; sources and targets are equal
