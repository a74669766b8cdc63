import csv
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data.images import read_image
from data.label_index import LabelIndex
from datasets import frames, make_demo
from datasets.scene import COARSE_CLASSES, VEHICLES
from util.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
SIZE = 48
VIDEO = f"--video 3 --num_frames 5 --frame_step 30 --size {SIZE} --seed 5 --num_threads 1".split()
ARGUMENTS = f"--num_train 10 --num_test 8 --size {SIZE} --seed 5 --num_threads 1".split()


def make(out: Path, *arguments: str) -> Path:
    make_demo.main(["--out", str(out), *ARGUMENTS, *arguments])
    return out


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def labels(folder: Path) -> list[dict[str, str]]:
    with (folder / "labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return make(tmp_path_factory.mktemp("made") / "demo")


def test_folders_hold_the_counts_asked_for(demo):
    for domain in ("real", "sim"):
        assert len(list(demo.glob(f"{domain}/train/*/*.png"))) == 10
        assert len(list(demo.glob(f"{domain}/test/*/*.png"))) == 8
    names = [{path.name for path in (demo / "truth" / side).iterdir()} for side in "AB"]
    assert names[0] == names[1]
    assert len(names[0]) == 8
    for file in demo.rglob("*.png"):
        image = read_image(file)
        assert (image.shape, image.dtype) == ((SIZE, SIZE), np.uint8)


def test_labels_list_every_file_once(demo):
    rows = labels(demo)
    assert tuple(rows[0]) == make_demo.COLUMNS
    assert sorted(row["file"] for row in rows) == sorted(
        path.relative_to(demo).as_posix() for path in demo.rglob("*.png")
    )
    for row in rows:
        parts = row["file"].split("/")
        assert row["class"] in VEHICLES
        assert 300 < float(row["range_m"]) < 4000
        assert 0 <= float(row["aspect_deg"]) <= 360
        x, y, width, height = (float(row[f"box_{name}"]) for name in ("x", "y", "w", "h"))
        assert -0.01 <= x <= x + width <= SIZE + 0.01  # two digits are kept
        assert -0.01 <= y <= y + height <= SIZE + 0.01
        if parts[0] == "truth":
            assert (row["split"], row["domain"]) == ("truth", {"A": "sim", "B": "real"}[parts[1]])
        else:
            assert parts[:3] == [row["domain"], row["split"], row["class"]]


def test_groups_are_disjoint_and_hold_every_class(demo):
    rows = labels(demo)
    sets_of = {}
    for row in rows:
        home = "truth" if row["split"] == "truth" else (row["domain"], row["split"])
        sets_of.setdefault(row["group"], set()).add(home)
    assert all(len(homes) == 1 for homes in sets_of.values())
    first = [row["class"] for row in rows if row["group"] == "real-train-0000"]
    assert sorted(first) == sorted(VEHICLES)


def test_truth_pairs_share_the_scene(demo):
    rows = {row["file"]: row for row in labels(demo) if row["split"] == "truth"}
    for file in (file for file in rows if file.startswith("truth/A/")):
        a, b = dict(rows[file]), dict(rows[file.replace("/A/", "/B/")])
        for row in (a, b):
            del row["file"], row["domain"]
        assert a == b
        simulated, sensed = read_image(demo / file), read_image(demo / file.replace("/A/", "/B/"))
        assert not np.array_equal(simulated, sensed)
        # Both mappings are monotonic in the same radiance, so ranks agree up to noise and blur.
        ranks = [np.argsort(np.argsort(image.ravel())) for image in (simulated, sensed)]
        assert np.corrcoef(*ranks)[0, 1] > 0.5


def test_truth_scenes_are_in_no_other_set(demo):
    poses = [(row["range_m"], row["aspect_deg"]) for row in labels(demo) if row["domain"] == "sim"]
    assert len(set(poses)) == len(poses)


def test_same_seed_gives_the_same_bytes_in_any_number_of_processes(demo, tmp_path):
    again = make(tmp_path / "again", "--num_threads", "2")
    assert contents(again) == contents(demo)


def test_another_seed_gives_other_images(demo, tmp_path):
    other = contents(make(tmp_path / "other", "--seed", "6"))
    shared = [name for name in contents(demo).keys() & other.keys() if name.endswith(".png")]
    assert shared
    assert all(contents(demo)[name] != other[name] for name in shared)


def test_a_longer_set_begins_with_the_shorter_one(demo, tmp_path):
    longer = make(tmp_path / "longer", "--num_train", "12")
    for file in demo.glob("real/train/*/*.png"):
        assert (longer / file.relative_to(demo)).read_bytes() == file.read_bytes()


def test_sixteen_bits(tmp_path):
    make(tmp_path / "deep", "--bits", "16", "--size", "96")
    for side, most in (("A", 2**16 - 1), ("B", 2**14 - 1)):
        images = [read_image(path) for path in (tmp_path / "deep/truth" / side).iterdir()]
        assert all(image.dtype == np.uint16 for image in images)
        assert max(image.max() for image in images) <= most
        assert np.unique(images[0]).size > 256


def test_a_finished_set_is_left_alone(demo, capsys):
    before = {path: path.stat().st_mtime_ns for path in demo.rglob("*")}
    make(demo, "--num_threads", "2")
    assert "already" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in demo.rglob("*")} == before


def test_a_set_of_other_arguments_is_refused(demo):
    with pytest.raises(UserError, match="other arguments"):
        make(demo, "--seed", "6")


def test_a_broken_record_is_refused(tmp_path):
    (tmp_path / "demo.json").write_text("{")
    with pytest.raises(UserError, match="delete"):
        make(tmp_path)


def test_an_interrupted_run_is_refused(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(make_demo, "write_table", interrupt)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "demo")
    assert not (tmp_path / "demo/demo.json").exists()
    monkeypatch.undo()
    with pytest.raises(UserError, match=r"not empty.*delete it"):
        make(tmp_path / "demo")


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file/below"):
        with pytest.raises(UserError, match="file"):
            make(out)
    assert (tmp_path / "file").is_file()


def fingerprint(folder: Path) -> str:
    """Of names, grey levels and texts; not of a PNG's bytes, which the zlib decides."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode())
        image = path.suffix == ".png"
        digest.update(read_image(path).tobytes() if image else path.read_bytes())
    return digest.hexdigest()


def test_the_mild_set_is_what_it_was_before_there_was_a_choice(demo, tmp_path):
    recorded = "2b222387a4be8282601f69ad3234b72f2aad250a9fe89e1901c0d039ac0cfe0b"
    assert fingerprint(demo) == recorded
    assert "gap" not in json.loads((demo / "demo.json").read_text())
    assert make_demo.already_made(demo, json.loads((demo / "demo.json").read_text()))


@pytest.fixture(scope="module")
def hard(tmp_path_factory):
    return make(tmp_path_factory.mktemp("made") / "hard", "--gap", "hard")


def test_a_gap_changes_the_simulator_alone(demo, hard):
    mild = contents(demo)
    made = contents(hard)
    sensed = [name for name in mild if name.startswith(("real/", "truth/B/"))]
    assert len(sensed) == 26
    assert all(made[name] == mild[name] for name in sensed)
    exported = [name for name in mild if name.startswith("truth/A/")]
    assert len(exported) == 8
    assert all(made[name] != mild[name] for name in exported)
    rows = [
        [row for row in labels(folder) if row["domain"] == "real" or row["split"] == "truth"]
        for folder in (demo, hard)
    ]
    assert rows[0] == rows[1]


def test_a_hard_simulator_shows_two_classes_nearer(hard):
    rows = [row for row in labels(hard) if row["split"] != "truth"]
    simulated = [row for row in rows if row["domain"] == "sim"]
    for split in ("train", "test"):
        classes = [row["class"] for row in simulated if row["split"] == split]
        assert set(classes) == set(COARSE_CLASSES)
        assert abs(classes.count("T72") - classes.count("BTR70")) <= 1
    assert max(float(row["range_m"]) for row in simulated) < 910
    for row in simulated:  # in the picture, whole
        x, y, width, height = (float(row[f"box_{name}"]) for name in ("x", "y", "w", "h"))
        assert 0 < x < x + width < SIZE
        assert 0 < y < y + height < SIZE
    truth = {row["class"] for row in labels(hard) if row["split"] == "truth"}
    assert truth == set(VEHICLES)


def test_a_hard_recording_does_not_depend_on_the_work_before_it(hard, tmp_path):
    recipe = json.loads((hard / "demo.json").read_text())
    assert recipe["gap"] == "hard"
    *_, truth = make_demo.plan(recipe["num_train"], recipe["num_test"])
    make_demo.make_recording(truth, tmp_path, recipe)
    made = contents(hard)
    again = contents(tmp_path)
    assert len(again) == 16
    assert all(made[name] == again[name] for name in again)


def test_the_gap_is_part_of_the_recipe(demo, hard):
    assert make_demo.already_made(hard, json.loads((hard / "demo.json").read_text()))
    with pytest.raises(UserError, match="other arguments"):
        make(demo, "--gap", "hard")
    with pytest.raises(UserError, match="other arguments"):
        make(hard)


def film(out: Path, *arguments: str) -> Path:
    make_demo.main(["--out", str(out), *VIDEO, *arguments])
    return out


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    return film(tmp_path_factory.mktemp("made") / "videos")


def test_videos_hold_the_frames_asked_for(videos):
    found = {path.relative_to(videos).as_posix() for path in videos.rglob("*.png")}
    assert found == {
        f"frames/{name}/video-{index:04d}_{number}.png"
        for index, name in enumerate(list(VEHICLES)[:3])
        for number in (1, 31, 61, 91, 121)
    }
    for path in videos.rglob("*.png"):
        image = read_image(path)
        assert (image.shape, image.dtype) == ((SIZE, SIZE), np.uint8)


def test_truth_of_videos(videos):
    rows = labels(videos)
    assert tuple(rows[0]) == frames.COLUMNS
    assert sorted(row["file"] for row in rows) == sorted(
        path.relative_to(videos).as_posix() for path in videos.rglob("*.png")
    )
    for row in rows:
        assert row["file"] == f"frames/{row['class']}/{row['video']}_{row['frame']}.png"
        assert row["box_source"] == "ground_truth"
        x, y, width, height = (float(row[f"box_{name}"]) for name in ("x", "y", "w", "h"))
        assert 0 <= x < x + width <= SIZE
        assert 0 <= y < y + height <= SIZE
    aspects = [float(row["aspect_deg"]) for row in rows if row["video"] == "video-0001"]
    turns = (np.diff(aspects) + 180) % 360 - 180
    np.testing.assert_allclose(turns, turns[0], atol=0.02)  # a circle at an even pace
    assert 0.25 * 30 <= abs(turns[0]) <= 0.4 * 30
    LabelIndex([videos / "labels.csv"])  # the project reads it


def test_frames_have_a_table_of_their_own_without_boxes(videos):
    for row, unboxed in zip(labels(videos), labels(videos / "frames"), strict=True):
        assert row["file"] == f"frames/{unboxed.pop('file')}"
        for column, cell in unboxed.items():
            assert cell == ("" if column.startswith("box_") else row[column])


def test_videos_are_the_same_in_any_number_of_processes(videos, tmp_path):
    assert contents(film(tmp_path / "again", "--num_threads", "2")) == contents(videos)


def test_more_videos_and_other_frames_change_no_frame(videos, tmp_path):
    more = film(tmp_path / "more", "--video", "4", "--num_frames", "3", "--frame_step", "60")
    for name in ("T72/video-0000_1", "BMP2/video-0001_61", "BMP2/video-0001_121"):
        file = f"frames/{name}.png"
        assert (more / file).read_bytes() == (videos / file).read_bytes()


def test_dust_changes_images_and_not_the_truth(videos, tmp_path):
    dusty = film(tmp_path / "dusty", "--dust")
    assert (dusty / "labels.csv").read_bytes() == (videos / "labels.csv").read_bytes()
    changed = [
        p.read_bytes() != (dusty / p.relative_to(videos)).read_bytes()
        for p in videos.rglob("*.png")
    ]
    assert all(changed)


def test_videos_of_sixteen_bits(tmp_path):
    made = film(tmp_path / "deep", "--bits", "16", "--video", "1")
    images = [read_image(path) for path in made.rglob("*.png")]
    assert all(image.dtype == np.uint16 for image in images)
    assert 255 < max(image.max() for image in images) < 2**14


def test_finished_videos_are_left_alone_and_others_refused(videos, capsys):
    before = {path: path.stat().st_mtime_ns for path in videos.rglob("*")}
    film(videos, "--num_threads", "2")
    assert "already" in capsys.readouterr().out
    with pytest.raises(UserError, match="other arguments"):
        film(videos, "--dust")
    with pytest.raises(UserError, match="other arguments"):
        make(videos)
    assert {path: path.stat().st_mtime_ns for path in videos.rglob("*")} == before
    recorded = json.loads((videos / "demo.json").read_text())
    assert recorded == {
        **{"video": 3, "num_frames": 5, "frame_step": 30, "dust": False},
        **{"size": SIZE, "seed": 5, "bits": 8},
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--dust"], "--dust needs --video"),
        (["--num_frames", "9"], "--num_frames needs --video"),
        (["--video", "2", "--num_train", "9"], "--num_train does not go with --video"),
        (["--video", "2", "--gap", "hard"], "--gap does not go with --video"),
        (["--video", "0"], "--video is 0"),
        (["--video", "2", "--frame_step", "0"], "--frame_step is 0"),
    ],
)
def test_flags_of_the_other_mode_are_refused(arguments, words, tmp_path):
    with pytest.raises(UserError, match=words):
        make_demo.main(["--out", str(tmp_path / "demo"), *arguments])
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--size", "16"],
        ["--num_train", "0"],
        ["--num_test", "-3"],
        ["--bits", "12"],
        ["--gap", "wide"],
        ["--seed", "-1"],
        ["--num_threads", "0"],
        ["--size", "large"],
        ["--sise", "64"],
    ],
)
def test_bad_arguments_are_one_sentence(arguments, tmp_path):
    with pytest.raises(UserError) as caught:
        make(tmp_path / "demo", *arguments)
    assert arguments[0] in str(caught.value)
    assert not (tmp_path / "demo").exists()


def test_script_runs_from_any_directory(tmp_path):
    script = ROOT / "datasets/make_demo.py"
    command = [sys.executable, str(script), "--out", "demo", *ARGUMENTS[:-2], "--num_threads", "2"]
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "52 images" in made.stdout
    recorded = json.loads((tmp_path / "demo/demo.json").read_text())
    assert recorded == {"num_train": 10, "num_test": 8, "size": SIZE, "seed": 5, "bits": 8}
    command[command.index("5")] = "7"
    refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "Traceback" not in refused.stderr
