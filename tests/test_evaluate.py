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


@pytest.fixture(scope="module")
def classifier_file(tmp_path_factory):
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("classifier") / "classifier.pth"
    torch.save(Classifier(classes=("a", "b")).export(), file)
    return file


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
    assert report["bits"] == 16
    near = report["real_A_vs_fake_B"]["psnr"]["mean"]
    assert near == pytest.approx(20 * math.log10(65535 / 3))


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

    def read(kind, name):
        return read_image(results / "images" / kind / f"{name}.png").astype(np.float32)

    targets = [read("real_B", name) for name in names]
    low = 0 if dtype == np.uint8 else min(t.min() for t in targets)
    high = 255 if dtype == np.uint8 else max(t.max() for t in targets)
    classifier = load_classifier(classifier_file)
    assert [row["image"] for row in rows] == names
    for place in (0, 3, 4, BATCH_SIZE):
        name, row = names[place], rows[place]
        for comparison, kind in (("fake_B_vs_real_B", "real_B"), ("real_A_vs_fake_B", "real_A")):
            pair = [
                torch.from_numpy((read(k, name) - low) / (high - low) * 2 - 1)[None, None]
                for k in ("fake_B", kind)
            ]
            a, b = (maps[0] for maps in attention_maps(classifier, *pair))
            expected = {"gcss": gcss(a, b), "cc": correlation(a, b), "cam_cosine": cam_cosine(a, b)}
            measured = {metric: float(row[f"{comparison}_{metric}"]) for metric in ATTENTION}
            assert measured == pytest.approx(expected, abs=1e-4)


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
