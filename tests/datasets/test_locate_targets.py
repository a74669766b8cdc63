"""From frames and a table without boxes to a table with them."""

import csv
import re
import shutil

import numpy as np
import pytest

from data.folders import find_images
from data.images import read_image, write_image
from data.label_index import LabelIndex
from data.labeled_images import find_labeled
from data.labels import group_of
from datasets import make_demo, make_unpaired
from datasets.locate_targets import compare, find_videos, locate, main
from datasets.sheets import draw_boxes, tile
from tests.datasets.tracking.test_locate import BOX, drive
from util.errors import UserError


@pytest.fixture
def videos(tmp_path):
    """Two videos of a class at 1,000 m; the first frame of one has a box."""
    rows, centres = [], {}
    for name, metres in (("near", 1000), ("other", 1000)):
        frames, centres[name] = drive(seed=len(name))
        for number, frame in enumerate(frames):
            file = f"T72/{name}_{number}.png"
            write_image(tmp_path / "images" / file, frame)
            row = {"file": file, "class": "T72", "video": name, "range_m": metres}
            rows.append({**row, **dict.fromkeys(("box_x", "box_y", "box_w", "box_h"), "")})
    rows[0] |= {"box_x": 1, "box_y": 2, "box_w": BOX[0], "box_h": BOX[1]}
    with (tmp_path / "images" / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return tmp_path / "images", centres


def test_boxes_are_filled_in_and_known_ones_kept(tmp_path, videos):
    images, centres = videos
    main(["--images", str(images), "--out", str(tmp_path / "out")])
    table = tmp_path / "out" / "labels.csv"
    with table.open(newline="") as file:
        rows = {row["file"].rpartition("/")[2]: row for row in csv.DictReader(file)}
    assert [rows["near_0.png"][f"box_{c}"] for c in "xywh"] == ["1", "2", *map(str, BOX)]
    assert rows["near_0.png"]["box_source"] == ""
    sizes = {(row["box_w"], row["box_h"]) for name, row in rows.items() if "other" in name}
    assert sizes <= {("12.0", "8.0"), ("", "")}  # of its class, at this range
    located = [row for row in rows.values() if row["box_source"] == "motion"]
    assert len(located) > 0.8 * len(rows)
    away = []
    for row in located:
        name, _, number = row["file"].rpartition("/")[2].removesuffix(".png").partition("_")
        corner, size = ([float(row[f"box_{c}"]) for c in pair] for pair in ("xy", "wh"))
        centre = np.array(corner) + np.array(size) / 2
        away.append(np.hypot(*(centre - centres[name][int(number)])))
    assert np.median(away) < 2
    assert read_image(tmp_path / "out" / "near.png").shape == (3 * 480, 4 * 480)
    LabelIndex([table])  # the project reads it


@pytest.mark.parametrize("unit", [1e-6, 0.1])
def test_vehicles_of_floats_are_found_in_any_unit(tmp_path, unit):
    """Of radiances a whole picture differs by less than a count."""
    images, centres = drive()
    for number, image in enumerate(images):
        write_image(tmp_path / f"a_{number}.tif", image * np.float32(unit))
    found = locate(find_videos(tmp_path)["a"], {})
    away = np.array([sighting.box[:2] for sighting in found]) - centres
    assert np.median(np.hypot(*away.T)) < 1.5


@pytest.mark.parametrize("dust", [[], ["--dust"]])
def test_vehicles_of_demo_videos_are_found(tmp_path, capsys, dust):
    """As near as 3.5 pixels of 256 (median), 89 % of the centres inside the true box."""
    demo, out = tmp_path / "demo", tmp_path / "out"
    few = "--video 2 --num_frames 24 --frame_step 37 --size 128 --num_threads 1 --seed 1".split()
    make_demo.main(["--out", str(demo), *few, *dust])
    truth = demo / "labels.csv"
    main(["--images", str(demo / "frames"), "--out", str(out), "--truth", str(truth)])
    said = capsys.readouterr().out.splitlines()[-1]
    away, inside, frames = map(float, re.findall(r"[\d.]+(?= pixels| ?%| frames)", said))
    assert away < 3.5 / 2
    assert inside >= 89
    assert frames >= 0.9 * 48
    # The sentence is about these boxes.
    boxes, true_boxes = (LabelIndex([table]) for table in (out / "labels.csv", truth))
    distances = []
    for file in find_images(demo / "frames"):
        found, true = boxes.find(file), true_boxes.find(file)
        if found.box:
            x0, y0, x1, y1 = found.corners(128, 128)
            u0, v0, u1, v1 = true.corners(128, 128)
            distances.append(np.hypot(x0 + x1 - u0 - u1, y0 + y1 - v0 - v1) / 2)
    assert len(distances) == frames
    assert np.median(distances) == pytest.approx(away, abs=0.006)


def test_the_sheet_frames_the_box_from_outside():
    """A bright rectangle of 6 by 4 pixels, enlarged 5 times, stays whole within its white line."""
    shown = np.zeros((96, 96), np.uint8)
    shown[40:44, 30:36] = 100
    shown[0, 0] = 255
    drawn = draw_boxes(shown, [(30.0, 40.0, 6.0, 4.0)], 5)
    assert (drawn[200:220, 150:180] == 100).all()
    ring = drawn[199:221, 149:181].copy()
    ring[1:-1, 1:-1] = 255
    assert (ring == 255).all()
    assert not drawn[190:198, 140:190].any()


@pytest.mark.parametrize(("low", "high"), [(0, 1e-3), (290, 310), (7, 7)])
def test_a_tile_has_the_contrast_of_its_image(low, high):
    """Also where that is less than 1, as of radiances; of one value it is black."""
    image = np.full((20, 20), low, np.float32)
    image[5:15] = high
    assert tile(image, [], side=20)[[0, 10], 0].tolist() == [0, 255 * (high > low)]


def test_boxes_of_phase_folders_come_into_the_datasets_of_cut(tmp_path, capsys):
    """By the copy that docs/DATA.md names."""
    for number, image in enumerate(drive()[0]):
        write_image(tmp_path / f"real/train/T72/rec1/{number:04}.png", image)
    write_image(tmp_path / "sim/train/a.png", np.zeros((8, 8), np.uint8))
    places = {name: str(tmp_path / name) for name in ("real", "sim", "located", "sets")}
    main(["--images", places["real"], "--out", places["located"]])
    with (tmp_path / "located/labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["split"], row["class"]) for row in rows} == {("train", "T72")}
    shutil.copy(tmp_path / "located/labels.csv", tmp_path / "real/labels.csv")
    capsys.readouterr()
    flags = [f"--{name}={places[name]}" for name in ("real", "sim")]
    make_unpaired.main([*flags, "--out", places["sets"]])
    boxed = sum(row["box_source"] == "motion" for row in rows)
    assert boxed > 0.8 * len(rows)
    told = f"{len(rows)} of {len(rows) + 1} with a class (1 classes), {boxed} with boxes"
    assert told in capsys.readouterr().out
    found = find_labeled(tmp_path / "real", "train")
    assert {(name, group_of(f, name, label, "group")) for f, name, label in found} == {
        ("T72", "rec1")
    }


@pytest.mark.parametrize(
    ("name", "split", "class_name"),
    [
        ("T72/a_1", "", "T72"),
        ("a_1", "", ""),
        ("train_1", "", ""),
        ("test/a_1", "test", ""),
        ("trainA/BMP2/x/1", "train", "BMP2"),
    ],
)
def test_split_and_class_by_folders(tmp_path, name, split, class_name):
    write_image(tmp_path / f"{name}.png", np.zeros((8, 8), np.uint8))
    ((frame,),) = find_videos(tmp_path).values()
    assert frame.row == {"split": split, "class": class_name}


def test_a_truth_of_other_images_says_so(tmp_path, videos):
    images, _ = videos
    table = tmp_path / "other.csv"
    table.write_text("file,box_x,box_y,box_w,box_h\nx.png,1,2,3,4\n")
    assert "no frame with both" in compare(find_videos(images)["near"], LabelIndex([table]))


def test_a_video_without_motion_is_named_and_the_others_are_done(tmp_path, videos):
    images, _ = videos
    still = read_image(images / "T72" / "near_3.png")
    for number in range(12):
        write_image(images / "T72" / f"still_{number}.png", still)
    with pytest.raises(UserError, match="1 videos: T72/still shows nothing that moves"):
        main(["--images", str(images), "--out", str(tmp_path / "out")])
    assert (tmp_path / "out" / "other.png").exists()


def test_recordings_in_folders_of_their_own_are_videos_of_their_own(tmp_path):
    for recording in ("one", "two"):
        write_image(tmp_path / "T72" / recording / "0001.png", np.zeros((8, 8), np.uint8))
    assert sorted(find_videos(tmp_path)) == ["T72/one", "T72/two"]


def test_a_table_with_words_for_numbers_is_one_sentence(tmp_path):
    write_image(tmp_path / "in" / "T72" / "a_1.png", np.zeros((8, 8), np.uint8))
    (tmp_path / "in" / "labels.csv").write_text("file,range_m\nT72/a_1.png,far\n")
    with pytest.raises(UserError, match=r"a_1\.png: range_m is 'far', which is no number"):
        main(["--images", str(tmp_path / "in"), "--out", str(tmp_path / "out")])


def test_bad_flags_are_one_sentence(tmp_path):
    for flags, words in (
        (["--images", tmp_path, "--out", tmp_path], "name another folder"),
        (["--images", tmp_path / "none", "--out", tmp_path], "no folder"),
        (["--images", tmp_path, "--out", "x", "--min_confidence", "2"], "between 0 and 1"),
    ):
        with pytest.raises(UserError, match=words):
            main([str(flag) for flag in flags])


def test_further_objects_of_a_frame_are_handed_on(tmp_path):
    lines = ["file,class,box_x,box_y,box_w,box_h"]
    for name, left in (("v_0", 1), ("v_0", 5), ("v_1", 2)):
        write_image(tmp_path / f"images/{name}.png", np.zeros((8, 9), np.uint8))
        lines.append(f"{name}.png,T72,{left},1,3,2")
    (tmp_path / "images/labels.csv").write_text("\n".join(lines))
    main(["--images", str(tmp_path / "images"), "--out", str(tmp_path / "out")])
    with (tmp_path / "out/labels.csv").open(newline="") as file:
        found = [(row["file"], row["box_x"]) for row in csv.DictReader(file)]
    places = ("../images/v_0.png", "../images/v_0.png", "../images/v_1.png")
    assert found == list(zip(places, "152", strict=True))
