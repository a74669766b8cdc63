"""evaluate.py from its flags to its files, on small images with known distances."""

import csv
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from data.images import read_image, write_image
from evaluate import main
from metrics.attention import attention_maps, cam_cosine, correlation, gcss
from metrics.measure import BATCH_SIZE
from models.networks.classifier import Classifier, load_classifier
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
    torch.save(Classifier(classes=("a", "b"), **facts).export(), file)
    return file


def attention_of(results, name, *, kind, classifier_file, low, high):
    """Attention metrics of one fake_B and its `kind`, file values low and high as -1 and 1."""
    images = [
        read_image(results / "images" / k / f"{name}.png").astype(np.float32)
        for k in ("fake_B", kind)
    ]
    pair = [torch.from_numpy((i - low) / (high - low) * 2 - 1)[None, None] for i in images]
    a, b = (maps[0] for maps in attention_maps(load_classifier(classifier_file), *pair))
    return {"gcss": gcss(a, b), "cc": correlation(a, b), "cam_cosine": cam_cosine(a, b)}


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
    assert f"{far:.4f}" in printed and f"{near:.4f}" in printed
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
    assert f"real_A {real_A} bits, fake_B {fake_B} bits, real_B {real_B} bits" in printed
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
    assert report["cam_value_range"] is None


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
    assert summary == {"mean": None, "n": 0, "infinite": 3, "undefined": 0}
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
    assert report["luma"] is True
    assert report["real_A_vs_fake_B"]["psnr"]["mean"] == pytest.approx(expected)


def test_grey_and_colour_compare_by_luminance_only(tmp_path):
    results = make_results(tmp_path / "run")
    file = results / "images" / "fake_B" / "y.png"
    write_image(file, np.stack([read_image(file)] * 3, axis=2))
    with pytest.raises(UserError, match=r"fake_B/y\.png .* differ in bands .* --luma"):
        main(["--results", str(results)])
    report = evaluate("--results", results, "--luma", out=tmp_path / "means.json")
    assert report["n"] == 3


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
        assert report["cam_layer"] == stage
        a, b = (maps[0] for maps in attention_maps(classifier, *pair, stage=stage))
        # Gradients through later ReLUs jump, so rounding shows in the third digit for layer3.
        measured = report["fake_B_vs_real_B"]["cam_cosine"]["mean"]
        assert measured == pytest.approx(cam_cosine(a, b), abs=5e-3)


def test_constant_maps_are_excluded_and_counted(tmp_path, capsys):
    classifier = Classifier(classes=("a", "b"))
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
        ([], "no results are given"),
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
