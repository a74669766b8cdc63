"""Names of the database's videos, and names that only resemble them."""

import csv

import pytest

from data.dsiac import VideoName


def test_the_parts_of_a_name():
    name = VideoName.parse("cegr01923_0011")
    assert (name.camera, name.scenario, name.vehicle) == ("cegr", "01923", "0011")
    assert (name.class_name, name.range_m, name.night) == ("T72", 1000.0, True)
    visible = VideoName.parse("i1co02003_0002")
    assert (visible.camera, visible.scenario, visible.vehicle) == ("i1co", "02003", "0002")
    assert (visible.class_name, visible.range_m, visible.night) == ("SUV", 1000.0, False)


@pytest.mark.parametrize(
    ("number", "vehicle"),
    [
        *(("0001", "PICKUP"), ("0002", "SUV"), ("0005", "BTR70"), ("0006", "BRDM2")),
        *(("0009", "BMP2"), ("0010", "T62"), ("0011", "T72"), ("0012", "ZSU23"), ("0013", "2S3")),
        # Disputed and unknown ones.
        *(("0014", "0014"), ("0003", "0003"), ("9999", "9999"), ("0000", "0000")),
    ],
)
def test_each_vehicle_number_is_a_class(number, vehicle):
    assert VideoName.parse(f"cegr01923_{number}").class_name == vehicle


def test_range_grows_by_500_m_with_each_second_scenario():
    ranges = {s: VideoName.parse(f"cegr{s:05d}_0001").range_m for s in range(1900, 2050)}
    known = {s: metres for s, metres in ranges.items() if metres is not None}
    night = [1923, 1925, 1927, 1929, 1931, 1933, 1935, 1937, 1939]
    assert list(known) == night + [s + 80 for s in night]
    assert list(known.values()) == [1000.0 + 500 * i for i in range(9)] * 2
    assert known[1939] == known[2019] == 5000.0


@pytest.mark.parametrize(
    ("scenario", "night"), [("01900", True), ("01999", True), ("02000", False), ("02100", None)]
)
def test_night_and_day(scenario, night):
    assert VideoName.parse(f"cegr{scenario}_0001").night is night


@pytest.mark.parametrize(
    "stem",
    [
        *("", "video", "cegr01923", "cegr01923_11", "cegr1923_0011", "cegr01923_0011_a"),
        *(
            "01923_0011",
            "cegr01923-0011",
            "cegr01923_00110001",
            "cegr 01923_0011",
            "cegr01923_0011\n",
        ),
        "cegr٠١٩٢٣_0011",
    ],
)
def test_other_names_tell_nothing_and_stay_usable(stem):
    name = VideoName.parse(stem)
    assert name == VideoName()
    assert (name.class_name, name.range_m, name.night) == ("", None, None)


def test_real_names_agree_with_their_labels(shared_data):
    with (shared_data("mwir") / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = [VideoName.parse(row["file"].split("/")[-1][: len("cegr01923_0011")]) for row in rows]
    told = [(name.class_name, name.scenario, name.range_m, name.night) for name in names]
    assert told == [(r["class"], r["scenario"], float(r["range_m"]), True) for r in rows]
