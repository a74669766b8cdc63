"""prepare_sim.py: one band of the same depth, conditions from names, splits by condition."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest

from data.folders import ImageFile
from data.images import read_image, write_image
from data.label_index import LabelIndex
from data.labels import group_of, read_labels
from datasets import prepare_sim
from util.errors import UserError, run_main

NAMES = [
    f"{weather}_fall_{hour}hr_{aspect}deg_500m_24bit"
    for weather in ("fine", "rain")
    for hour in (10, 20)
    for aspect in (0, 70)
]


def grey(value: int, dtype: type = np.uint8) -> np.ndarray:
    image = np.full((6, 8), value, dtype)
    image[1, 2] = 7
    return image


def in_three_bands(image: np.ndarray) -> np.ndarray:
    return np.repeat(image[..., None], 3, axis=2)


@pytest.fixture
def exports(tmp_path):
    """24-bit exports of two weathers, hours and aspects, each of a value of its own."""
    for value, name in enumerate(NAMES):
        write_image(tmp_path / f"sim/{name}.png", in_three_bands(grey(value)))
    return tmp_path / "sim"


@pytest.fixture
def prepare(tmp_path):
    """Run the program on tmp_path/sim; returns tmp_path/out."""

    def run(*flags: object, sim: str = "sim", out: str = "out") -> Path:
        places = ["--sim", tmp_path / sim, "--out", tmp_path / out]
        prepare_sim.main([str(flag) for flag in (*places, *flags)])
        return tmp_path / out

    return run


def table(out: Path) -> dict[str, dict[str, str]]:
    with (out / "labels.csv").open(newline="", encoding="utf-8") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def test_three_equal_bands_become_one(exports, prepare):
    out = prepare()
    assert {p.name for p in out.glob("*.png")} == {f"{name}.png" for name in NAMES}
    for value, name in enumerate(NAMES):
        np.testing.assert_array_equal(read_image(out / f"{name}.png"), grey(value))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_one_band_keeps_its_depth(tmp_path, prepare, suffix, dtype):
    image = grey(np.iinfo(dtype).max, dtype)
    write_image(tmp_path / f"sim/T72/a{suffix}", image)
    made = read_image(prepare() / "T72/a.png")
    assert made.dtype == dtype
    np.testing.assert_array_equal(made, image)


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("rain_fall_20hr_70deg_500m_24bit", ["rain", "fall", "20", "70", "500"]),
        ("rain_fall_05hr_007deg_1500m_16bit_v2", ["rain", "fall", "5", "7", "1500"]),
        ("Fine_Summer_6.5hr_-12.25deg_0.5m", ["Fine", "Summer", "6.5", "-12.25", "0.5"]),
        ("rain_fall_20hr_70deg_0m_24bit", [""] * 5),
        ("rain_20hr_70deg_500m_24bit", [""] * 5),
        ("rain_fall_20hr_70deg_500mm", [""] * 5),
        ("frame_0001", [""] * 5),
    ],
)
def test_conditions_are_read_from_the_name(tmp_path, prepare, capsys, name, cells):
    write_image(tmp_path / f"sim/{name}.png", grey(1))
    row = table(prepare())[f"{name}.png"]
    columns = ("weather", "season", "hour", "aspect_deg", "range_m")
    assert [row[column] for column in columns] == cells
    assert bool(row["group"]) == bool(cells[0])
    told = f"the names of 1 tell no conditions, such as {name}.png"
    assert (told in capsys.readouterr().out) == (cells[0] == "")


def test_the_table_is_read_by_the_project(exports, prepare):
    out = prepare("--test", "hour", "20")
    labels = read_labels(out)
    assert set(labels) == {p.absolute() for p in out.rglob("*.png")}
    index = LabelIndex([out / "labels.csv"])
    groups = {}
    for file in prepare_sim.find_images(out):
        label = labels[file.path]
        assert index.find(file).range_m == 500
        assert label.class_name == ""
        aspects = groups.setdefault(group_of(file, "", label, "group"), set())
        aspects.add(label.row["aspect_deg"])
    # The aspects of one scene are never split between training and validation.
    assert len(groups) == 4
    assert all(aspects == {"0", "70"} for aspects in groups.values())


@pytest.mark.parametrize(
    ("condition", "held_out"),
    [
        (["hour", "20"], "_20hr_"),
        (["weather", "rain"], "rain_"),
        (["aspect_deg", "70.0", "140"], "_70deg_"),
    ],
)
def test_whole_conditions_are_held_out(exports, prepare, capsys, condition, held_out):
    out = prepare("--test", *condition)
    for name in NAMES:
        split = "test" if held_out in name else "train"
        assert (out / split / f"{name}.png").is_file()
        assert table(out)[f"{split}/{name}.png"]["split"] == split
    assert "8 images (test 4, train 4)" in (printed := capsys.readouterr().out)
    assert ("4 scenes are in both" in printed) == (condition[0] == "aspect_deg")


def test_images_of_unknown_conditions_are_for_training(exports, prepare):
    write_image(exports / "frame_0001.png", grey(1))
    assert table(prepare("--test", "hour", "20"))["train/frame_0001.png"]["split"] == "train"


def test_folders_that_split_already_are_kept(tmp_path, prepare):
    for folder in ("train/T72", "test/BMP2/run 1", "train"):
        write_image(tmp_path / f"sim/{folder}/{NAMES[0]}.png", grey(1))
    rows = table(prepare())
    found = {file: (row["split"], row["class"]) for file, row in rows.items()}
    assert found == {
        f"train/T72/{NAMES[0]}.png": ("train", "T72"),
        f"test/BMP2/run 1/{NAMES[0]}.png": ("test", "BMP2"),
        f"train/{NAMES[0]}.png": ("train", ""),
    }
    with pytest.raises(UserError, match=r"split the images already; leave --test out"):
        prepare("--test", "hour", "20", out="other")


def test_a_run_goes_on_and_follows_changes(exports, prepare, monkeypatch):
    made = []

    def write(path: Path, image: np.ndarray, *, unit: str) -> None:
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(path)
        write_image(path, image, unit=unit)

    with monkeypatch.context() as patch:
        patch.setattr(prepare_sim, "write_image", write)
        with pytest.raises(KeyboardInterrupt):
            prepare("--num_threads", 1)
    before = {path: path.stat().st_mtime_ns for path in made}
    out = prepare()
    assert {path: path.stat().st_mtime_ns for path in made} == before
    assert len(table(out)) == len(list(out.glob("*.png"))) == len(NAMES)
    changed = exports / f"{NAMES[0]}.png"
    write_image(changed, in_three_bands(grey(99)))
    later = (out / changed.name).stat().st_mtime_ns + 10**9
    os.utime(changed, ns=(later, later))
    prepare()
    np.testing.assert_array_equal(read_image(out / changed.name), grey(99))


def export(folder: Path, values: dict[str, int]) -> None:
    """Images with a vehicle of these values, as of long ago: archives and copies keep times."""
    for name, value in values.items():
        write_image(folder / f"{name}.png", with_vehicle(value))
        os.utime(folder / f"{name}.png", ns=(10**18, 10**18))


def test_a_second_export_adds_to_the_first(tmp_path, prepare, capsys):
    export(tmp_path / "first", {"10deg": 150, "20deg": 160, "30deg": 170})
    export(tmp_path / "second", {"40deg": 180, "50deg": 190})
    first = table(prepare(sim="first"))
    (tmp_path / "out/30deg.png").unlink()
    rows = table(prepare(sim="second"))
    assert rows.keys() == {f"{angle}deg.png" for angle in (10, 20, 40, 50)}
    assert all(rows[name] == first[name] for name in ("10deg.png", "20deg.png"))
    printed = capsys.readouterr().out
    assert "4 images; 2 of them are of earlier runs" in printed
    assert "4 of 4 images have a box (4 by segmentation)" in printed


@pytest.mark.parametrize("sim", ["first", "second"])
def test_an_older_file_of_the_name_replaces_image_and_box(tmp_path, prepare, sim):
    export(tmp_path / "first", {"10deg": 150})
    prepare(sim="first")
    (tmp_path / "first/10deg.png").unlink()
    image = np.roll(with_vehicle(180), 5, axis=0)
    write_image(tmp_path / sim / "10deg.png", image)
    os.utime(tmp_path / sim / "10deg.png", ns=(10**17, 10**17))
    out = prepare(sim=sim)
    np.testing.assert_array_equal(read_image(out / "10deg.png"), image)
    assert box_of(table(out)["10deg.png"])[:4] == ["33", "35", "16", "8"]


def test_two_exports_of_one_name_are_refused(tmp_path, prepare):
    export(tmp_path / "first", {"10deg": 150, "20deg": 160})
    export(tmp_path / "second", {"10deg": 180, "40deg": 190})
    out = prepare(sim="first")
    content = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    words = r"1 images .*second/10deg\.png that of .*first/10deg\.png; rename"
    with pytest.raises(UserError, match=words):
        prepare(sim="second")
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == content
    # The same folder by another name is no other export.
    (tmp_path / "link").symlink_to("first")
    assert table(prepare(sim="link")).keys() == {"10deg.png", "20deg.png"}


def test_what_cannot_be_converted_any_more_keeps_image_and_line(tmp_path, prepare):
    export(tmp_path / "sim", {"10deg": 150, "20deg": 160})
    write_image(tmp_path / "masks/10deg.png", np.zeros((64, 80), np.uint8))
    first = table(prepare())
    with pytest.raises(UserError, match=r"1 of 2 images .*20deg\.png has no mask"):
        prepare("--masks", tmp_path / "masks")
    rows = table(tmp_path / "out")
    assert rows["20deg.png"] == first["20deg.png"]
    assert box_of(rows["10deg.png"]) == [""] * 5


def test_other_splits_do_not_mix_in_one_folder(exports, prepare):
    prepare("--test", "hour", "20")
    with pytest.raises(UserError, match=r"made with --test hour 20, and this run has no --test"):
        prepare()
    (exports.parent / "mine").mkdir()
    (exports.parent / "mine/notes.txt").write_text("")
    with pytest.raises(UserError, match=r"not made by prepare_sim\.py"):
        prepare(out="mine")


def test_colour_and_broken_images_are_told_of_when_the_others_are_done(
    tmp_path, exports, prepare, capsys
):
    colour = in_three_bands(grey(100))
    colour[2, 3, 1] = 140
    write_image(exports / "colour.png", colour)
    (exports / "broken.png").write_bytes(b"\x89PNG no image")
    with pytest.raises(SystemExit) as left:
        run_main(prepare)
    assert left.value.code == 2
    (line,) = capsys.readouterr().err.strip().split("\n")
    assert line.startswith("error: 2 of 10 images could not be converted")
    assert "colour.png is in colour (its bands differ by up to 40)" in line
    assert "broken.png" in line
    out = tmp_path / "out"
    assert table(out).keys() == {p.name for p in out.glob("*.png")} == {f"{n}.png" for n in NAMES}


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--test", "color", "red"], "--test color red is no condition"),
        (["--test", "hour"], "--test hour is no condition"),
        (["--test", "hour", "21"], r"holds out 0 of 8 .* have hour 10, 20\."),
        (["--test", "hour", "10", "20"], "holds out 8 of 8"),
        (["--num_threads", "0"], "--num_threads is 0"),
    ],
)
def test_bad_flags_are_refused(exports, prepare, flags, words):
    with pytest.raises(UserError, match=words):
        prepare(*flags)
    assert not (exports.parent / "out").exists()


def test_places_that_do_not_fit_are_refused(tmp_path, exports, prepare):
    with pytest.raises(UserError, match="among the images"):
        prepare(out="sim/out")
    exports.rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"there is no folder .*; check --sim"):
        prepare()


def test_real_exports_have_the_conditions_of_their_table(tmp_path, shared_data):
    folder = shared_data("mwir")
    with (folder / "sim_labels.csv").open(newline="") as file:
        known = {row["file"].removeprefix("sim/"): row for row in csv.DictReader(file)}
    rows = {
        row["file"]: row
        for row in prepare_sim.plan(prepare_sim.find_images(folder / "sim"), None, {})
    }
    assert rows.keys() == known.keys()
    for file, row in rows.items():
        for column in ("split", "weather", "season", "hour", "aspect_deg", "range_m"):
            assert row[column] == known[file][column]


def with_vehicle(value: int) -> np.ndarray:
    image = np.full((64, 80), 50, np.uint8)
    image[30:38, 33:49] = value
    return image


BOX_CELLS = ("box_x", "box_y", "box_w", "box_h")


def box_of(row: dict[str, str]) -> list[str]:
    return [row[column] for column in (*BOX_CELLS, "box_source")]


def test_what_stands_out_is_the_vehicle(tmp_path, prepare, capsys):
    write_image(tmp_path / "sim/a.png", with_vehicle(180))
    write_image(tmp_path / "sim/T72/b.png", np.full((64, 80), 50, np.uint8))
    out = prepare()
    rows = table(out)
    assert box_of(rows["a.png"]) == ["33", "30", "16", "8", "segmentation"]
    assert float(rows["a.png"]["box_confidence"]) > 0.9
    assert box_of(rows["T72/b.png"]) == [""] * 5
    sheet = tmp_path / "out_boxes.png"
    told = f"1 of 2 images have a box (1 by segmentation); look at {sheet}"
    assert told in capsys.readouterr().out
    # The only image, enlarged 3 times, with a line around the vehicle.
    shown = read_image(sheet)
    assert shown.shape == (3 * 64, 3 * 80)
    assert (shown[3 * 30 - 1, 3 * 33 : 3 * 49] == 255).all()
    assert LabelIndex([out / "labels.csv"]).find(named("a", out)).box == (33, 30, 16, 8)


def named(name: str, folder: Path) -> ImageFile:
    return ImageFile(folder / f"{name}.png", name)


def test_an_unsure_vehicle_gets_no_box(tmp_path, prepare):
    image = with_vehicle(180)
    image[5:13, 5:21] = 180
    write_image(tmp_path / "sim/a.png", image)
    row = table(prepare("--min_confidence", 0.6))["a.png"]
    assert box_of(row) == [""] * 5
    assert float(row["box_confidence"]) == pytest.approx(0.5, abs=0.02)
    with pytest.raises(UserError, match=r"--min_confidence is 2\.0; it lies between 0 and 1"):
        prepare("--min_confidence", 2)


def test_masks_go_before_what_stands_out(tmp_path, prepare, monkeypatch):
    for name in ("a", "b"):
        write_image(tmp_path / f"sim/images/{name}.png", with_vehicle(180))
    mask = np.zeros((64, 80), np.uint8)
    write_image(tmp_path / "sim/masks/images/b.png", mask)
    mask[1:4, 2:7] = 1
    mask[10:14, 20:26] = 2
    write_image(tmp_path / "sim/masks/images/a.png", mask)
    monkeypatch.chdir(tmp_path)  # the masks may be named in another way than the images
    out = prepare("--masks", "sim/masks")
    with (out / "labels.csv").open(newline="") as file:
        lines = [(row["file"], *box_of(row)) for row in csv.DictReader(file)]
    # Masks are no images of the dataset; each vehicle has a line.
    assert lines == [
        ("images/a.png", "2", "1", "5", "3", "mask"),
        ("images/a.png", "20", "10", "6", "4", "mask"),
        ("images/b.png", "", "", "", "", ""),
    ]
    write_image(tmp_path / "sim/images/c.png", with_vehicle(180))
    with pytest.raises(UserError, match=r"1 of 3 images .*c\.png has no mask of its name"):
        prepare("--masks", tmp_path / "sim/masks")
    with pytest.raises(UserError, match=r"--sim \S+ lies in --masks \.; name"):
        prepare("--masks", ".")


def test_a_line_without_a_box_beside_one_with_it(tmp_path, prepare, capsys):
    for name in ("a", "b"):
        write_image(tmp_path / f"sim/{name}.png", with_vehicle(180))
    lines = ["file,class,box_x,box_y,box_w,box_h", "a.png,,30,28,20,8", "a.png,T72,,,,"]
    lines += ["b.png,T72,,,,", "b.png,,30,28,20,8"]
    (tmp_path / "sim/labels.csv").write_text("\n".join(lines))
    prepare()
    assert "2 of 2 images have a box (2 by table)" in capsys.readouterr().out


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize("boxes", ["", ",30,28,20,8,0.7"])
def test_what_a_table_says_travels_along(tmp_path, prepare, masks, boxes):
    name = "rain_fall_20hr_70deg_500m_24bit"
    for file in (name, "b"):
        write_image(tmp_path / f"sim/T72/{file}.png", with_vehicle(180))
        write_image(tmp_path / f"masks/T72/{file}.png", with_vehicle(180) - 50)
    header = "file,class,group,range_m,split,crew" + (boxes and ",box_x,box_y,box_w,box_h")
    header += boxes and ",box_confidence"
    lines = [header, f"T72/{name}.png,BMP2,scene 1,1500,Test,3{boxes}"]
    (tmp_path / "sim/labels.csv").write_text("\n".join(lines))
    rows = table(prepare(*(["--masks", tmp_path / "masks"] if masks else [])))
    row = rows[f"T72/{name}.png"]
    told = {"class": "BMP2", "group": "scene 1", "range_m": "1500", "split": "test", "crew": "3"}
    told |= {"weather": "rain", "aspect_deg": "70"}
    assert {column: row[column] for column in told} == told
    source = "mask" if masks else "table" if boxes else "segmentation"
    assert box_of(row)[-1] == source
    assert (row["box_confidence"] == "0.7") == (source == "table")
    assert [rows["T72/b.png"][column] for column in ("class", "split", "crew")] == ["T72", "", ""]


def test_conditions_of_a_table_are_held_out(tmp_path, prepare):
    lines = ["file,split,hour"]
    for name, hour in (("a", "20.0"), ("b", "10")):
        write_image(tmp_path / f"sim/{name}.png", grey(1))
        lines.append(f"{name}.png,val,{hour}")
    (tmp_path / "sim/labels.csv").write_text("\n".join(lines))
    rows = table(prepare("--test", "hour", 20))
    assert {file: row["split"] for file, row in rows.items()} == {
        "test/a.png": "test",
        "train/b.png": "train",
    }


def test_each_vehicle_keeps_its_own_cells(tmp_path, prepare):
    write_image(tmp_path / "sim/a.png", with_vehicle(180))
    lines = ["file,class,crew,group,box_x,box_y,box_w,box_h", "a.png,T72,3,g,1,2,3,4"]
    lines += ["a.png,BMP2,,,5,6,7,8"]
    (tmp_path / "sim/labels.csv").write_text("\n".join(lines))
    with (prepare() / "labels.csv").open(newline="") as file:
        columns = ("class", "crew", "group", "box_x")
        found = [[row[column] for column in columns] for row in csv.DictReader(file)]
    assert found == [["T72", "3", "g", "1"], ["BMP2", "", "g", "5"]]


def test_tables_go_before_what_stands_out(tmp_path, prepare):
    for name in ("a", "b", "c"):
        write_image(tmp_path / f"sim/images/{name}.png", with_vehicle(180))
    (tmp_path / "sim/labels").mkdir()
    (tmp_path / "sim/labels/a.txt").write_text("0 0.5 0.5 0.25 0.125\n")
    (tmp_path / "sim/labels/b.txt").write_text("")
    (tmp_path / "sim/classes.txt").write_text("T72\n")
    out = prepare()
    rows = table(out)
    assert box_of(rows["images/a.png"]) == ["30", "28", "20", "8", "table"]
    assert rows["images/a.png"]["class"] == "T72"
    assert box_of(rows["images/b.png"]) == [""] * 5  # an empty file: there is no vehicle
    assert box_of(rows["images/c.png"])[-1] == "segmentation"
    # For results of these images, which go out as the boxes came.
    record = json.loads((out / "dataset.json").read_text())
    assert record["boxes"] == {"": {"format": "yolo", "classes": {"0": "T72"}}}
