"""prepare_dsiac.py: which frames go where, with which values and labels, and what is refused."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from data.folders import ImageFile, find_images
from data.images import read_image, write_image
from data.label_index import LabelIndex
from data.labels import read_labels
from data.transforms import resize
from datasets import make_unpaired, prepare_dsiac, prepare_sim
from tests.data.dsiac_files import agt_text, arf_bytes, box_metrics_line
from util.errors import UserError, run_main

ROOT = Path(__file__).resolve().parents[2]
T72, UNKNOWN, FAR = "cegr01923_0011", "cegr01923_0014", "cegr01927_0011"
ROWS, COLUMNS = 24, 32


def counts(seed: int, count: int = 7, *, low: int = 3000, high: int = 9000) -> np.ndarray:
    """Frames of 14-bit counts at random, (count, ROWS, COLUMNS)."""
    return np.random.default_rng(seed).integers(low, high, (count, ROWS, COLUMNS))


def write_video(folder: Path, name: str, frames: np.ndarray, image_type: int = 5) -> np.ndarray:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.arf").write_bytes(arf_bytes(frames, image_type))
    return frames


def write_truth(
    folder: Path, name: str, centres: dict[int, tuple[int, int]], *, box: tuple[int, int] = (8, 6)
) -> None:
    """AGT and box metrics of one target, by frame; its box is `box` pixels wide and high."""
    folder.mkdir(parents=True, exist_ok=True)
    updates, lines = [], []
    for frame, (x, y) in centres.items():
        target = {"TgtType": '"T72"', "PlyId": '"11"', "Range": "1020.5"}
        target |= {"Aspect": f"{frame * 10}", "PixLoc": f"{x} {y}"}
        time = (2006, 270, 4, 8, 46, 100 * frame)
        updates.append({"frame": frame, "time": time, "targets": [target]})
        lines.append(box_metrics_line(frame, "11", x - box[0] // 2, y - box[1] // 2))
    (folder / f"{name}.agt").write_text(agt_text(updates))
    (folder / f"{name}.bbox_met").write_text("".join(lines))


@pytest.fixture
def videos(tmp_path):
    """The frames of three videos in tmp_path/arf, by name."""
    folder = tmp_path / "arf"
    return {
        name: write_video(folder, name, counts(i)) for i, name in enumerate((T72, UNKNOWN, FAR))
    }


@pytest.fixture
def prepare(tmp_path):
    """Run the program on tmp_path/arf; returns tmp_path/out."""

    def run(*flags: object, arf: str = "arf", out: str = "out") -> Path:
        places = ["--arf", tmp_path / arf, "--out", tmp_path / out]
        prepare_dsiac.main([str(flag) for flag in (*places, *flags)])
        return tmp_path / out

    return run


def table(out: Path) -> dict[str, dict[str, str]]:
    with (out / "labels.csv").open(newline="", encoding="utf-8") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def images(out: Path) -> dict[str, np.ndarray]:
    return {p.relative_to(out).as_posix(): read_image(p) for p in out.rglob("*.png")}


def test_frames_are_counted_from_one_and_the_first_is_kept(videos, prepare):
    out = prepare("--frame_step", 3, "--bits", 16)
    classes = {T72: "T72", UNKNOWN: "0014", FAR: "T72"}
    made = images(out)
    assert made.keys() == table(out).keys()
    assert made.keys() == {
        f"{classes[name]}/{name}_{number}.png" for name in videos for number in (1, 4, 7)
    }
    for name, frames in videos.items():
        for number in (1, 4, 7):
            image = made[f"{classes[name]}/{name}_{number}.png"]
            assert image.dtype == np.uint16
            np.testing.assert_array_equal(image, frames[number - 1])


@pytest.mark.parametrize(
    ("image_type", "high"),
    [(0, 255), (1, 1023), (2, 4095), (5, 65535), (3, 32767), (6, 65535), (7, 65535), (8, 65535)],
)
def test_sixteen_bits_keep_the_counts_of_every_type(tmp_path, prepare, image_type, high):
    frames = counts(0, 2, low=0, high=high)
    frames[0, 0, :2] = 0, high
    write_video(tmp_path / "arf", T72, frames, image_type)
    made = images(prepare())
    for number in (1, 2):
        np.testing.assert_array_equal(made[f"T72/{T72}_{number}.png"], frames[number - 1])


@pytest.mark.parametrize(("image_type", "value"), [(3, -1), (6, 65536), (7, 0.5), (8, -0.25)])
def test_what_sixteen_bits_cannot_keep_is_refused_and_a_mapping_scales_it(
    tmp_path, prepare, image_type, value
):
    frames = counts(0, 2).astype(np.float64)
    frames[1, 3, 3] = value
    write_video(tmp_path / "arf", T72, frames, image_type)
    with pytest.raises(UserError, match=r"frame 2 of .*--mapping"):
        prepare()
    assert not list((tmp_path / "out").rglob("*.png"))
    out = prepare("--mapping", "window", -10, 70000, out="scaled")
    share = (frames[1] + 10) / 70010
    np.testing.assert_array_equal(
        images(out)[f"T72/{T72}_2.png"], np.rint(share * 65535).astype(np.uint16)
    )


def in_eight_bits(frames: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.rint(np.clip((frames - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def test_eight_bits_by_a_fixed_window(videos, prepare, capsys):
    out = prepare("--frame_step", 2, "--bits", 8, "--mapping", "window", 4000, 7000)
    made = images(out)
    for name, label in ((T72, "T72"), (UNKNOWN, "0014")):
        for number in (1, 3, 5, 7):
            image = made[f"{label}/{name}_{number}.png"]
            assert image.dtype == np.uint8
            expected = in_eight_bits(videos[name][number - 1], 4000, 7000)
            np.testing.assert_array_equal(image, expected)
    row = table(out)[f"T72/{T72}_1.png"]
    assert (row["window_low"], row["window_high"]) == ("4000", "7000")
    kept = np.stack(list(videos.values()))[:, ::2]
    printed = capsys.readouterr().out
    assert f"{(kept < 4000).mean():.2%} of the pixels lie below" in printed
    assert f"{(kept > 7000).mean():.2%} of the pixels lie above" in printed
    worst = max(videos, key=lambda name: (videos[name][::2] > 7000).mean())
    assert f"{(videos[worst][::2] > 7000).mean():.2%} in {worst}" in printed


def test_percentiles_of_each_video(videos, prepare):
    out = prepare("--frame_step", 2, "--bits", 8, "--mapping", "percentile_video", 5, 90)
    for name in (T72, FAR):
        low, high = np.percentile(videos[name][::2], [5, 90])
        np.testing.assert_array_equal(
            images(out)[f"T72/{name}_3.png"], in_eight_bits(videos[name][2], low, high)
        )
        row = table(out)[f"T72/{name}_3.png"]
        assert float(row["window_low"]) == pytest.approx(low, rel=1e-10)


@pytest.mark.parametrize("test", [[], ["--test", "01927"]])
def test_percentiles_of_the_set_are_those_of_the_training_videos(videos, prepare, test):
    flags = ["--frame_step", 2, "--bits", 8, "--mapping", "percentile_set", 5, 90, *test]
    made = images(prepare(*flags))
    of = [T72, UNKNOWN] if test else list(videos)
    low, high = np.percentile([videos[name][::2] for name in of], [5, 90])
    file = f"{'test/' if test else ''}T72/{FAR}_3.png"
    np.testing.assert_array_equal(made[file], in_eight_bits(videos[FAR][2], low, high))


def test_eight_bits_without_a_mapping(tmp_path, videos, prepare):
    assert set(prepare("--bits", 8).glob("*/*.png"))
    recipe = json.loads((tmp_path / "out/dataset.json").read_text())["recipe"]
    assert recipe["mapping"] == "percentile_set 0.1 99.99"
    frames = write_video(tmp_path / "small", T72, counts(5, low=10, high=99), image_type=0)
    made = images(prepare("--bits", 8, arf="small", out="same"))
    np.testing.assert_array_equal(made[f"T72/{T72}_2.png"], frames[1])


def test_a_constant_video_has_no_percentiles(tmp_path, prepare):
    write_video(tmp_path / "arf", T72, np.full((2, 4, 4), 7))
    with pytest.raises(UserError, match=r"percentiles 1 and 99 of .*both 7"):
        prepare("--bits", 8, "--mapping", "percentile_video", 1, 99)


def test_the_table_has_everything_known(tmp_path, videos, prepare):
    write_truth(tmp_path / "truth", T72, {1: (10, 11), 4: (12, 11)})
    truth = ["--agt", tmp_path / "truth", "--boxes", tmp_path / "truth"]
    out = prepare("--frame_step", 3, "--bits", 16, "--test", "01927", *truth)
    rows = table(out)
    assert rows[f"train/T72/{T72}_4.png"] == {
        "file": f"train/T72/{T72}_4.png",
        "split": "train",
        "class": "T72",
        "group": "01923",
        "video": T72,
        "scenario": "01923",
        "night": "1",
        "range_m": "1020.5",
        "frame": "4",
        "time": "2006-09-27T04:08:46.400",
        "aspect_deg": "40",
        **{"box_x": "8", "box_y": "8", "box_w": "8", "box_h": "6"},
        "box_source": "ground_truth",
        **{"window_low": "", "window_high": ""},
    }
    far = rows[f"test/T72/{FAR}_1.png"]
    assert (far["split"], far["range_m"], far["night"]) == ("test", "2000", "1")
    assert not any(far[c] for c in ("time", "aspect_deg", "box_x", "box_w", "box_source"))
    # Frame 7 of the first video is not in its ground truth.
    assert not rows[f"train/T72/{T72}_7.png"]["box_x"]


def test_the_table_is_read_by_the_project(tmp_path, videos, prepare):
    write_truth(tmp_path / "truth", T72, {1: (10, 11)})
    out = prepare("--agt", tmp_path / "truth", "--boxes", tmp_path / "truth", "--test", FAR)
    labels = read_labels(out)
    assert set(labels) == {p.absolute() for p in out.rglob("*.png")}
    file = out / f"train/T72/{T72}_1.png"
    assert (labels[file].class_name, labels[file].split) == ("T72", "train")
    label = LabelIndex([out / "labels.csv"]).find(ImageFile(file, f"T72/{T72}_1"))
    assert label.corners(ROWS, COLUMNS) == (6, 8, 14, 14)
    assert label.range_m == 1020.5


def test_the_vehicle_of_the_name_is_the_target_among_several(tmp_path, prepare):
    names = [T72, "cegr01923_0005"]
    targets = [
        {"TgtType": f'"{kind}"', "PlyId": f'"{i}"', "PixLoc": f"{10 + i} 11", "Aspect": str(i)}
        for i, kind in enumerate(("SUV", "T72", "PICKUP"))
    ]
    for name in names:
        write_video(tmp_path / "arf", name, counts(0, 1))
        (tmp_path / f"arf/{name}.agt").write_text(agt_text([{"frame": 1, "targets": targets}]))
    rows = table(prepare("--agt", tmp_path / "arf"))
    assert rows[f"T72/{T72}_1.png"]["aspect_deg"] == "1"
    # None of them is this video's vehicle, and which of them is meant cannot be told.
    assert rows[f"BTR70/{names[1]}_1.png"]["aspect_deg"] == ""


def test_a_box_out_of_sight_is_left_out(tmp_path, videos, prepare):
    write_truth(tmp_path / "truth", T72, {1: (COLUMNS + 3, 10), 2: (COLUMNS + 4, 10)})
    truth = ["--agt", tmp_path / "truth", "--boxes", tmp_path / "truth"]
    rows = table(prepare("--classes", "T72", *truth))
    assert rows[f"T72/{T72}_1.png"]["box_x"] == "31"
    assert not rows[f"T72/{T72}_2.png"]["box_x"]


def test_splits_hold_out_whole_recordings(videos, prepare, capsys):
    out = prepare("--test", "01927", UNKNOWN, "02013")
    assert "02013 fits none" in capsys.readouterr().out
    of = {
        split: {row["video"] for row in table(out).values() if row["split"] == split}
        for split in ("train", "test")
    }
    assert of == {"train": {T72}, "test": {UNKNOWN, FAR}}
    assert all(
        file.startswith(f"{row['split']}/{row['class']}/") for file, row in table(out).items()
    )


def test_names_of_another_form_have_their_folder_for_a_class(tmp_path, prepare):
    write_video(tmp_path / "arf/Truck/morning", "run 1", counts(0, 2))
    write_video(tmp_path / "arf", "run2", counts(1, 2))
    out = prepare()
    rows = table(out)
    assert rows.keys() == images(out).keys()
    assert rows.keys() == {f"Truck/run 1_{n}.png" for n in (1, 2)} | {"run2_1.png", "run2_2.png"}
    row = rows["Truck/run 1_1.png"]
    assert (row["class"], row["group"], row["video"]) == ("Truck", "run 1", "run 1")
    assert not any(row[column] for column in ("scenario", "night", "range_m"))


def test_scenarios_and_classes_are_chosen(videos, prepare):
    assert set(images(prepare("--scenarios", "01923", "--classes", "T72", "--frame_step", 7))) == {
        f"T72/{T72}_1.png"
    }
    # Another choice adds to the folder, and the table has all of it.
    out = prepare("--classes", "0014", "--frame_step", 7)
    assert set(images(out)) == {f"T72/{T72}_1.png", f"0014/{UNKNOWN}_1.png"} == table(out).keys()
    for flags, words in (
        (["--classes", "T27"], r"T27 fits none .*0014, T72"),
        (["--scenarios", "1923"], r"1923 fits none .*01923, 01927"),
        (["--scenarios", "01927", "--classes", "0014"], "no video is of both"),
    ):
        with pytest.raises(UserError, match=words):
            prepare(*flags, "--frame_step", 7)


def test_cameras_are_not_mixed(tmp_path, videos, prepare):
    write_video(tmp_path / "arf", "i1co01923_0011", counts(0, 2))
    with pytest.raises(UserError, match="cegr and i1co"):
        prepare()
    assert not (tmp_path / "out").exists()


def test_any_number_of_threads_makes_the_same(videos, prepare):
    flags = ["--bits", 8, "--mapping", "percentile_video", 1, 99]
    one, three = (prepare(*flags, "--num_threads", n, out=str(n)) for n in (1, 3))
    files = {p.relative_to(one) for p in one.rglob("*") if p.is_file()}
    assert files == {p.relative_to(three) for p in three.rglob("*") if p.is_file()}
    assert all((one / file).read_bytes() == (three / file).read_bytes() for file in files)


class Interruption:
    """Stands in for write_image and stops the program at the n-th image."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, path: Path, image: np.ndarray) -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        write_image(path, image)


def test_an_interrupted_run_goes_on_with_the_video_it_was_at(videos, prepare, monkeypatch, capsys):
    flags = ["--bits", 8, "--mapping", "percentile_set", 1, 99]
    whole = prepare(*flags, out="whole")
    with monkeypatch.context() as patch:
        patch.setattr(prepare_dsiac, "write_image", Interruption(after=10))
        with pytest.raises(KeyboardInterrupt):
            prepare(*flags, "--num_threads", 1)
    out = whole.with_name("out")
    assert not (out / "labels.csv").exists()
    first = {file: file.stat().st_mtime_ns for file in out.glob(f"T72/{T72}_*.png")}
    assert len(first) == 7
    assert len(list(out.glob(f"0014/{UNKNOWN}_*.png"))) == 3
    (out / f"0014/{UNKNOWN}_1.png").write_bytes(b"of a run that was killed")
    (out / f"0014/.{UNKNOWN}_4.png.1.part").write_bytes(b"half")
    capsys.readouterr()
    prepare(*flags)
    assert "1 of 3 videos are finished" in capsys.readouterr().out
    assert {file: file.stat().st_mtime_ns for file in first} == first
    files = {p.relative_to(whole) for p in whole.rglob("*") if p.is_file()}
    assert files == {p.relative_to(out) for p in out.rglob("*") if p.is_file()}
    assert all((out / file).read_bytes() == (whole / file).read_bytes() for file in files)


def test_a_finished_folder_is_left_alone(videos, prepare):
    out = prepare("--frame_step", 3)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    prepare("--frame_step", 3)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.png")} == before


def test_images_that_are_gone_are_made_again(videos, prepare, capsys):
    out = prepare("--frame_step", 3)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    (out / f"T72/{T72}_4.png").unlink()
    (out / f"0014/{UNKNOWN}_4.png").unlink()
    # A video that this run leaves out cannot be made again: its table is of what is there.
    prepare("--frame_step", 3, "--classes", "T72")
    assert table(out).keys() == images(out).keys()
    printed = capsys.readouterr().out
    assert "1 of 2 videos are finished: skipped" in printed
    assert f"{out}: 8 images of 3 videos (0014 2, T72 6)" in printed
    prepare("--frame_step", 3)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_video_that_changed_is_made_anew(tmp_path, videos, prepare, monkeypatch):
    out = prepare()
    frames = write_video(tmp_path / "arf", T72, counts(9, 4))
    with monkeypatch.context() as patch:  # a run that is stopped in between does not mix the two
        patch.setattr(prepare_dsiac, "write_image", Interruption(after=2))
        with pytest.raises(KeyboardInterrupt):
            prepare("--num_threads", 1)
    made = images(prepare())
    assert table(out).keys() == made.keys()
    assert sum(T72 in file for file in made) == 4
    for number in range(1, 5):
        np.testing.assert_array_equal(made[f"T72/{T72}_{number}.png"], frames[number - 1])
    np.testing.assert_array_equal(made[f"T72/{FAR}_7.png"], videos[FAR][6])


def test_a_video_that_was_spoilt_since_keeps_its_images(tmp_path, videos, prepare):
    out = prepare()
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    (tmp_path / f"arf/{T72}.arf").write_bytes(b"no video")
    with pytest.raises(UserError, match=f"1 of 3 videos .*{T72}"):
        prepare()
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_videos_are_added_in_the_window_of_the_first_run(tmp_path, videos, prepare):
    flags = ["--bits", 8, "--mapping", "percentile_set", 5, 90]
    prepare(*flags, "--classes", "0014")
    write_video(tmp_path / "arf", FAR, 2 * videos[FAR])
    made = images(prepare(*flags))
    low, high = np.percentile(videos[UNKNOWN], [5, 90])
    expected = in_eight_bits(2 * videos[FAR][1], low, high)
    np.testing.assert_array_equal(made[f"T72/{FAR}_2.png"], expected)


@pytest.mark.parametrize(
    ("flags", "before", "now"),
    [
        (["--mapping", "window", "4000", "7001"], "--mapping window 4000 7000", "window 4000 7001"),
        (
            ["--mapping", "percentile_set", "1", "99"],
            "--mapping window",
            "--mapping percentile_set",
        ),
        (["--bits", "16"], "--bits 8", "--bits 16"),
        (["--frame_step", "2"], "--frame_step 3", "--frame_step 2"),
        (["--test", "01927"], "no --test", "--test 01927"),
        (["--chip", "8", "--agt", "truth"], "no --chip no --agt", "--chip 8 --agt"),
    ],
)
def test_two_recipes_do_not_mix_in_one_folder(
    tmp_path, videos, prepare, monkeypatch, flags, before, now
):
    monkeypatch.chdir(tmp_path)
    write_truth(tmp_path / "truth", T72, {1: (10, 11)})
    first = ["--frame_step", "3", "--bits", "8", "--mapping", "window", "4000", "7000"]
    out = prepare(*first, "--classes", "0014")
    content = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=f"made with {before}.* this run has .*{now}"):
        prepare(*first, *flags)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == content


def test_a_folder_of_something_else_is_left_alone(tmp_path, videos, prepare):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"was not made by prepare_dsiac\.py"):
        prepare()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["notes.txt"]


def test_bad_videos_are_told_of_when_the_others_are_done(tmp_path, videos, prepare, capsys):
    whole = (tmp_path / f"arf/{UNKNOWN}.arf").read_bytes()
    (tmp_path / f"arf/{UNKNOWN}.arf").write_bytes(whole[:-1])
    frames = counts(0, 3).astype(float)
    frames[2, 0, 0] = np.nan
    write_video(tmp_path / "arf", "cegr01929_0012", frames, image_type=7)
    flags = ["--arf", tmp_path / "arf", "--out", tmp_path / "out"]
    with pytest.raises(SystemExit) as left:
        run_main(lambda: prepare_dsiac.main([str(flag) for flag in flags]))
    assert left.value.code == 2
    (line,) = capsys.readouterr().err.strip().split("\n")
    assert line.startswith("error: 2 of 4 videos could not be converted")
    assert f"{UNKNOWN}.arf" in line
    assert "frame 3 of" in line
    out = tmp_path / "out"
    assert {row["video"] for row in table(out).values()} == {T72, FAR}
    assert images(out).keys() == table(out).keys()
    assert not (out / "ZSU23").exists()
    (tmp_path / f"arf/{UNKNOWN}.arf").write_bytes(whole)
    write_video(tmp_path / "arf", "cegr01929_0012", frames[:2], image_type=7)
    prepare()
    assert {row["video"] for row in table(out).values()} == {*videos, "cegr01929_0012"}


def test_nothing_is_left_of_a_run_whose_only_video_is_bad(tmp_path, prepare):
    (tmp_path / "arf").mkdir()
    (tmp_path / f"arf/{T72}.arf").write_bytes(b"no video")
    for flags in ([], ["--bits", 8]):
        with pytest.raises(UserError, match=f"{T72}.arf"):
            prepare(*flags)
        assert not (tmp_path / "out").exists()


@pytest.fixture
def truth(tmp_path, videos):
    """Ground truth of T72's frames 1, 5 and, at borders, 4 and 6; the other videos have none."""
    write_truth(tmp_path / "truth", T72, {1: (16, 12), 4: (2, 21), 5: (17, 10), 6: (29, 1)})
    return ["--agt", tmp_path / "truth", "--boxes", tmp_path / "truth", "--classes", "T72"]


def test_chips_are_pixels_of_the_frame(videos, truth, prepare):
    out = prepare("--chip", 10, "--scenarios", "01923", *truth)
    made, rows, frames = images(out), table(out), videos[T72]
    # At the border the square is moved inside.
    places = {1: (11, 7), 4: (0, 14), 5: (12, 5), 6: (22, 0)}
    assert made.keys() == {f"T72/{T72}_{number}.png" for number in places}
    for number, (left, top) in places.items():
        file = f"T72/{T72}_{number}.png"
        chip = frames[number - 1][top : top + 10, left : left + 10]
        np.testing.assert_array_equal(made[file], chip)
        x, y = {1: (16, 12), 4: (2, 21), 5: (17, 10), 6: (29, 1)}[number]
        box = [float(rows[file][f"box_{axis}"]) for axis in "xywh"]
        assert box == [x - left - 4, y - top - 3, 8, 6]


def test_chips_with_a_margin_show_the_target_at_one_size(videos, truth, prepare):
    out = prepare("--chip", 32, "--margin", 1.5, "--scenarios", "01923", *truth)
    file = f"T72/{T72}_1.png"
    square = torch.from_numpy(videos[T72][0][6:18, 10:22].astype(np.float64))[None]
    expected = resize(square, (32, 32))[0].round().numpy()
    np.testing.assert_array_equal(images(out)[file], expected)
    box = [float(table(out)[file][f"box_{axis}"]) for axis in "xywh"]
    width, height = 32 / 1.5, 6 / 8 * 32 / 1.5
    corner = 16 - width / 2, 16 - height / 2
    assert box == pytest.approx([*corner, width, height], abs=0.006)


def test_a_margin_beyond_the_frame_shows_all_that_fits(videos, truth, prepare):
    out = prepare("--chip", ROWS, "--margin", 100, "--scenarios", "01923", *truth)
    chip = images(out)[f"T72/{T72}_5.png"]
    np.testing.assert_array_equal(chip, videos[T72][4][:, 5 : 5 + ROWS])


def test_percentiles_of_chips_are_those_of_their_pixels(videos, truth, prepare):
    mapping = ["--bits", 8, "--mapping", "percentile_video", 10, 90]
    out = prepare("--chip", 10, "--scenarios", "01923", "--frame_step", 3, *mapping, *truth)
    chips = [videos[T72][0][7:17, 11:21], videos[T72][3][14:24, 0:10]]
    expected = in_eight_bits(chips[0], *np.percentile(chips, [10, 90]))
    np.testing.assert_array_equal(images(out)[f"T72/{T72}_1.png"], expected)


def test_chips_need_ground_truth(tmp_path, videos, truth, prepare, capsys):
    with pytest.raises(UserError, match=rf"1 of 2 videos .*{FAR}\.arf has no ground truth"):
        prepare("--chip", 10, *truth)
    assert {row["video"] for row in table(tmp_path / "out").values()} == {T72}
    printed = capsys.readouterr().out
    assert f"{T72}: 4 images, 3 frames without a target left out" in printed
    assert f"--agt has no file for {FAR}" in printed
    with pytest.raises(UserError, match="--chip needs --agt"):
        prepare("--chip", 10)
    with pytest.raises(UserError, match=f"--chip 25 does not fit into the {COLUMNS}×{ROWS}"):
        prepare("--chip", 25, *truth, out="large")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--frame_step", "0"], "--frame_step is 0"),
        (["--num_threads", "0"], "--num_threads is 0"),
        (["--bits", "12"], "--bits"),
        (["--chip", "0", "--agt", "."], "--chip is 0"),
        (["--margin", "1.5"], "--margin needs --boxes and --chip"),
        (["--chip", "8", "--agt", ".", "--boxes", ".", "--margin", "nan"], "--margin is nan"),
        (["--boxes", "."], "--boxes needs --agt"),
        (["--agt", "nowhere"], "there is no nowhere; check --agt"),
        (["--mapping", "window", "1", "x"], "two numbers"),
        (["--mapping", "window", "1", "1"], "must rise"),
        (["--mapping", "window", "1", "inf"], "must rise"),
        (["--mapping", "percentile_video", "1", "101"], "between 0 and 100"),
        (["--mapping", "minmax", "1", "2"], "percentile_set"),
    ],
)
def test_bad_flags_are_refused(tmp_path, videos, prepare, monkeypatch, flags, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=words):
        prepare(*flags)
    assert not (tmp_path / "out").exists()


def test_places_without_videos_are_refused(tmp_path, prepare):
    with pytest.raises(UserError, match=r"there is no .*nowhere; check --arf"):
        prepare(arf="nowhere")
    (tmp_path / "arf").mkdir()
    (tmp_path / "arf" / f"._{T72}.arf").write_bytes(b"of a foreign disk")
    with pytest.raises(UserError, match=r"no \.arf file"):
        prepare()
    for folder in "ab":
        write_video(tmp_path / "arf" / folder, T72, counts(0, 1))
    with pytest.raises(UserError, match="have one name"):
        prepare()


def test_one_video_by_its_name_from_the_shell(tmp_path, videos):
    file, out = tmp_path / f"arf/{FAR}.arf", tmp_path / "out"
    program = [sys.executable, str(ROOT / "datasets/prepare_dsiac.py")]
    flags = ["--arf", str(file), "--out", str(out), "--frame_step", "6", "--bits", "16"]
    done = subprocess.run(program + flags, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert set(images(out)) == {f"T72/{FAR}_1.png", f"T72/{FAR}_7.png"}


def test_from_videos_and_exports_to_the_datasets_of_cut(tmp_path, videos, prepare):
    real = prepare("--frame_step", 3, "--test", "01927", out="data/real")
    for name in ("fine_fall_10hr_70deg_500m_24bit", "fine_fall_20hr_70deg_500m_24bit"):
        write_image(tmp_path / f"export/{name}.png", np.zeros((8, 8, 3), np.uint8))
    sim = tmp_path / "data/sim"
    places = ["--sim", str(tmp_path / "export"), "--out", str(sim)]
    prepare_sim.main([*places, "--test", "hour", "20"])
    make_unpaired.main(["--real", str(real), "--sim", str(sim), "--out", str(tmp_path / "sets")])
    dataset = tmp_path / "sets/mwir_real2cut"
    for folder, count in (("train_A", 6), ("test_A", 3), ("train_B", 1), ("test_B", 1)):
        assert len(find_images(dataset / folder)) == count
    labels = read_labels(dataset)
    label = labels[dataset / f"test_A/T72/{FAR}_4.png"]
    assert (label.class_name, label.row["scenario"], label.row["frame"]) == ("T72", "01927", "4")
    assert labels[dataset / "test_B/fine_fall_20hr_70deg_500m_24bit.png"].row["hour"] == "20"


def test_torch_is_not_loaded():
    """It takes 500 MB, and these programs stream files of gigabytes in a fraction of that."""
    code = (
        "import sys, datasets.prepare_dsiac, datasets.prepare_sim; sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert done.returncode == 0


def test_a_video_in_a_recycle_bin_is_none(videos, tmp_path, prepare):
    for folder in ("$RECYCLE.BIN", "#recycle", "x/@eaDir"):
        write_video(tmp_path / "arf" / folder, T72, counts(7))
    assert len(table(prepare("--bits", 16))) == sum(map(len, videos.values()))
