"""AGT files and box metrics: every field, their join, and files that are broken."""

import math
from datetime import datetime

import pytest
from hypothesis import example, given, settings

from data.ground_truth import Target, ground_truth, read_agt, read_box_metrics
from tests.data.dsiac_files import agt_text, box_metrics_line, corrupted, write_anew
from util.errors import UserError

T72 = {
    "TgtType": '"T72"',
    "PlyId": '"0011"',
    "Range": "1000.5",
    "Aspect": "123.45",
    "PixLoc": "-3 197",
    "PixBox": "-13 187 7 208",
    "Comment": '"hot { engine"',
}
TIME = (2006, 270, 23, 59, 58, 999)
ONE = [{"frame": 1, "time": TIME, "targets": [T72]}]


@pytest.fixture
def agt(tmp_path):
    """agt(text): what `read_agt` makes of it."""

    def read(text: str) -> dict[int, list[Target]]:
        path = tmp_path / "cegr01923_0011.agt"
        path.write_text(text, encoding="latin-1", newline="")
        return read_agt(path)

    return read


@pytest.fixture
def boxes(tmp_path):
    """boxes(text): what `read_box_metrics` makes of it."""

    def read(text: str):
        path = tmp_path / "cegr01923_0011.bbox_met"
        path.write_text(text, newline="")
        return read_box_metrics(path)

    return read


@pytest.fixture
def joined(tmp_path):
    """joined(agt, boxes): `ground_truth` of files of these texts, None for no file."""

    def join(agt_content: str | None, box_content: str | None) -> dict[int, list[Target]]:
        paths = []
        for name, content in (("v.agt", agt_content), ("v.bbox_met", box_content)):
            paths.append(None if content is None else tmp_path / name)
            if content is not None:
                paths[-1].write_text(content)
        return ground_truth(*paths)

    return join


def wrapped(content: str) -> str:
    """An AGT file with one target of this content."""
    return f'Agt{{ TgtSect{{ TgtUpd{{ Keyword "Frame# 7" Tgt{{ {content} }} }} }} }}'


def test_every_field_of_a_target(agt):
    assert agt(agt_text(ONE)) == {
        1: [
            Target(
                class_name="T72",
                ply_id="0011",
                range_m=1000.5,
                aspect_deg=123.45,
                centre=(-3.0, 197.0),
                box=(-3.0, 197.5, 20.0, 21.0),
                time=datetime(2006, 9, 27, 23, 59, 58, 999000),
            )
        ]
    }


def test_fields_may_lack(agt):
    assert agt(agt_text([{"frame": 3, "targets": [{}, {"TgtType": '"2S3"'}]}])) == {
        3: [Target(), Target(class_name="2S3")]
    }
    for key in T72:
        rest = {k: v for k, v in T72.items() if k != key}
        (target,) = agt(agt_text([{"frame": 1, "targets": [rest]}]))[1]
        lacking = (
            *(target.class_name == "", target.ply_id == "", target.range_m is None),
            *(target.aspect_deg is None, target.centre is None, target.box is None, False),
        )
        assert lacking == tuple(k == key != "Comment" for k in T72)


def test_several_frames_and_targets_in_any_order(agt):
    updates = [
        {"frame": 12, "targets": [T72, {**T72, "PlyId": '"0002"'}]},
        {"frame": 3, "targets": []},
        {"frame": 4, "targets": [T72]},
        {"frame": 12, "targets": [{**T72, "PlyId": '"0005"'}]},
    ]
    frames = agt(agt_text(updates))
    assert {frame: [t.ply_id for t in targets] for frame, targets in frames.items()} == {
        12: ["0011", "0002", "0005"],
        3: [],
        4: ["0011"],
    }


def test_without_frame_keywords_updates_are_counted(agt):
    updates = [{"frame": 9, "targets": [{"Aspect": str(a)}]} for a in (10, 20, 30)]
    frames = agt(agt_text(updates, keywords=False))
    assert {frame: targets[0].aspect_deg for frame, targets in frames.items()} == {
        1: 10.0,
        2: 20.0,
        3: 30.0,
    }


def test_some_frame_keywords_are_too_few(agt):
    text = agt_text([{"frame": i, "targets": []} for i in (1, 2, 3)])
    with pytest.raises(UserError, match=r"line 17: this TgtUpd has no Keyword"):
        agt(text.replace('"Frame# 2"', '"Frame 2"'))


@pytest.mark.parametrize(
    "text",
    [
        wrapped('TgtType "T72" Range 1000 PixLoc 3 4'),
        wrapped("TgtType T72 Range 1000 PixLoc 3 4"),
        wrapped("TgtType\n'T72'\nRange\n1000\nPixLoc\n3\n4".replace("'", '"')),
        wrapped("TgtType T72\r\n\tRange 1.0E3\r\n\tPixLoc +3 4.").replace(" ", "\r\n ", 1),
        wrapped('Comment "\x85 } \x0b } \x1c }" TgtType "T72" Range 1000 PixLoc 3 4'),
        wrapped('PLATFORM_LAT 6.5 N Other{ Range 5 Deep{} } TgtType"T72"Range 1000 PixLoc 3 4'),
        wrapped(
            'Comment "a } brace" TgtType "T72" Range "1000" PixLoc 3 4 Comment "never closed\n'
        ),
        wrapped('Comment "30 ° C"\rRange 1000\rRange 7\rPixLoc 3 4\rTgtType T72'),
    ],
)
def test_layout_does_not_matter(agt, text):
    assert agt(text) == {7: [Target(class_name="T72", range_m=1000.0, centre=(3.0, 4.0))]}


def test_a_key_without_a_value_does_not_take_the_next_line(agt):
    assert agt(wrapped("Comment\nRange 1000\nTgtType\nAspect 5")) == {
        7: [Target(range_m=1000.0, aspect_deg=5.0)]
    }


@pytest.mark.parametrize(
    ("content", "target"),
    [
        ('TgtType "BTR 70" PlyId "VA-ZYE-7636"', Target("BTR 70", "VA-ZYE-7636")),
        ("Range 0", Target()),
        ("Range -5", Target()),
        ("PixBox 10 20 10 30", Target()),
        ("PixBox 10 20 9 30", Target()),
        ("Aspect -12.5", Target(aspect_deg=-12.5)),
    ],
)
def test_values_that_say_nothing_are_unknown(agt, content, target):
    assert agt(wrapped(content)) == {7: [target]}


@pytest.mark.parametrize(
    "time",
    [
        *((0, 0, 0, 0, 0, 0), (2006, 0, 1, 2, 3, 4), (2006, 367, 1, 2, 3, 4)),
        *((2006, 1, 24, 0, 0, 0), (2006, 1, 0, 0, 0, 1000), (10**20, 1, 1, 1, 1, 1)),
    ],
)
def test_a_time_that_is_no_date_is_unknown(agt, time):
    assert agt(agt_text([{"frame": 1, "time": time, "targets": [{}]}]))[1][0].time is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Range far", "line 1: Range is 'far', not a number"),
        ("Range", "line 1: Range is '', not a number"),
        ("Range 1 2", "line 1: Range is '1 2', not a number"),
        ("\nRange nan", "line 2: Range is 'nan'"),
        ("Range 1e999", "Range is '1e999'"),
        ("Range 1_000", "Range is '1_000'"),
        ("Aspect 12,5", "Aspect is '12,5'"),
        ("PixLoc 12", "PixLoc is '12', not 2 numbers"),
        ("PixLoc 1 2 3", "PixLoc is '1 2 3', not 2 numbers"),
        ("PixBox 1 2 3", "PixBox is '1 2 3', not 4 numbers"),
        ("PixLoc 1 -inf", "PixLoc is '1 -inf'"),
        ("Tgt { Range 5", "'Agt' is never closed"),
        ("} } } } } Range 5", "line 1: this brace closes nothing"),
        ("{ Range 5 }", "line 1: this brace opens a block without a name"),
        ('"Range" 5', "line 1: 'Range' has no key"),
        ("Range 5 { }", "line 1: this brace opens a block without a name"),
        ("\0", "line 1: this is no text"),
        ("\n\n\0", "line 3: this is no text"),
    ],
)
def test_what_is_broken_is_refused_with_its_line(agt, content, message):
    with pytest.raises(UserError) as error:
        agt(wrapped(content))
    assert message in str(error.value) and "cegr01923_0011.agt" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "Agt{}", "TgtSect{}", "PrjSect{ TgtSect{} }", "Agt", "\n"])
def test_a_file_without_targets_section_is_refused(agt, text):
    with pytest.raises(UserError, match="has no TgtSect"):
        agt(text)


@pytest.mark.parametrize("number", ["0", "-1", "", "x", "1.5", "9" * 5000, "1 2"])
def test_frames_count_from_1(agt, boxes, number):
    with pytest.raises(UserError, match="numbered 1, 2, 3"):
        agt(wrapped("").replace("Frame# 7", f"Frame# {number}"))
    with pytest.raises(UserError, match="numbered 1, 2, 3"):
        boxes(box_metrics_line(1, "1", 2, 3) + box_metrics_line(number, "1", 2, 3))


def test_deep_nesting_is_no_crash(agt):
    deep = "A{" * 20_000
    with pytest.raises(UserError, match="never closed"):
        agt(deep)
    assert agt(deep + "}" * 20_000 + wrapped("")) == {7: [Target()]}


def test_files_that_are_none_are_refused(tmp_path, monkeypatch):
    for read in (read_agt, read_box_metrics):
        with pytest.raises(UserError, match="there is no file"):
            read(tmp_path / "lost")
        with pytest.raises(UserError, match="cannot be read"):
            read(tmp_path)
    monkeypatch.setattr("data.ground_truth.MAX_BYTES", 3)
    (tmp_path / "big").write_text("Agt{}")
    with pytest.raises(UserError, match="too big"):
        read_agt(tmp_path / "big")


def test_box_metrics_by_frame_and_target(boxes):
    lines = [
        *(box_metrics_line(1, "0011", 10, 20), box_metrics_line(2, " 11 ", 10.5, -20.25)),
        *(box_metrics_line(2, "0", 1, 2), box_metrics_line(2, "VA-7", 3, 4), "\n", " \r\n"),
    ]
    assert boxes("".join(lines)) == {
        1: {"11": (10.0, 20.0)},
        2: {"11": (10.5, -20.25), "0": (1.0, 2.0), "VA-7": (3.0, 4.0)},
    }
    assert boxes("") == {}


def test_a_line_may_come_twice_or_end_in_a_comma(boxes):
    line = box_metrics_line(1, "11", 10, 20)
    assert boxes(line + line.replace("\n", ",\n")) == {1: {"11": (10.0, 20.0)}}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,2,3\n", "line 2: there are 3 columns, not 18"),
        (box_metrics_line(1, "11", 10, 20)[:-6], "line 2: there are 17 columns"),
        (box_metrics_line(1, "11", 10, 20).replace("\n", ",5\n"), "line 2: there are 19 columns"),
        (box_metrics_line(1, "11", "NULL", 20), "the upper left corner is 'NULL 20', not 2"),
        (box_metrics_line(1, "11", 10, "nan"), "the upper left corner is '10 nan'"),
        (
            box_metrics_line(5, "011", 10, 20),
            "line 2: this is another box of target '011' in",
        ),
        (box_metrics_line(1, "11", '"1\n0"', 20), "the upper left corner is '1\\n0 20'"),
        ("\0", "line 2: this is no text"),
        ('"' + "a" * 200_000, "not readable as CSV"),
    ],
)
def test_broken_box_metrics_are_refused_with_their_line(boxes, line, message):
    with pytest.raises(UserError) as error:
        boxes(box_metrics_line(5, "11", 1, 2) + line)
    assert message in str(error.value) and "cegr01923_0011.bbox_met" in str(error.value)
    assert "\n" not in str(error.value)


def located(frame: int, *targets: tuple[str, int, int]) -> dict:
    """An update of targets with PlyId and PixLoc."""
    return {
        "frame": frame,
        "targets": [{"PlyId": f'"{p}"', "PixLoc": f"{x} {y}"} for p, x, y in targets],
    }


def box_by_id(targets: list[Target]) -> dict:
    return {target.ply_id: target.box for target in targets}


def test_boxes_reach_from_their_corner_as_far_beyond_the_centre(joined):
    agt_content = agt_text(
        [located(1, ("0011", 100, 50), ("2", 300, 60)), located(2, ("11", 9, 9))]
    )
    metrics = [
        *(box_metrics_line(1, "2", 310, 55), box_metrics_line(1, "11", 80, 40)),
        box_metrics_line(2, "0011", 8.5, 9.75),
    ]
    frames = joined(agt_content, "".join(metrics))
    assert box_by_id(frames[1]) == {"0011": (100, 50, 40, 20), "2": (300, 60, 20, 10)}
    assert box_by_id(frames[2]) == {"11": (9, 9, 1, 1.5)}


def test_the_only_box_is_the_only_targets_whatever_its_id(joined):
    updates = [located(1, ("T72-3", 100, 50)), located(2, ("7", 5, 5), ("8", 6, 6))]
    metrics = box_metrics_line(1, "11", 80, 40) + box_metrics_line(2, "11", 4, 4)
    frames = joined(agt_text(updates), metrics)
    assert box_by_id(frames[1]) == {"T72-3": (100, 50, 40, 20)}
    assert box_by_id(frames[2]) == {"7": None, "8": None}


def test_targets_without_an_id_share_no_box(joined):
    updates = [located(1, ("", 5, 5), ("", 6, 6)), located(2, ("", 5, 5))]
    metrics = box_metrics_line(1, "", 4, 4) + box_metrics_line(2, "", 4, 4)
    frames = joined(agt_text(updates), metrics)
    assert [target.box for target in frames[1]] == [None, None]
    assert [target.box for target in frames[2]] == [(5, 5, 2, 2)]


def test_what_has_no_partner_stays_without_a_box(joined):
    updates = [located(1, ("11", 100, 50)), located(2, ("11", 100, 50)), located(3)]
    metrics = [
        *(box_metrics_line(1, "11", 80, 40), box_metrics_line(3, "11", 80, 40)),
        box_metrics_line(1800, "11", 80, 40),
    ]
    frames = joined(agt_text(updates), "".join(metrics))
    assert list(frames) == [1, 2, 3] and frames[3] == []
    assert box_by_id(frames[1]) == {"11": (100, 50, 40, 20)}
    assert box_by_id(frames[2]) == {"11": None}


def test_boxes_of_the_metrics_go_before_those_of_the_agt_file(joined):
    agt_content = agt_text([{"frame": i, "targets": [T72]} for i in (1, 2, 3)])
    # The corner of frame 2 is the centre: a box of no extent.
    metrics = box_metrics_line(1, "11", -8, 190) + box_metrics_line(2, "11", -3, 190)
    frames = joined(agt_content, metrics)
    assert [frames[i][0].box for i in (1, 2, 3)] == [
        (-3, 197, 10, 14),
        *[(-3, 197.5, 20, 21)] * 2,
    ]


def test_either_file_may_lack(joined):
    assert joined(agt_text([located(1, ("11", 100, 50))]), None) == {
        1: [Target(ply_id="11", centre=(100.0, 50.0))]
    }
    assert joined(None, box_metrics_line(1, "11", 80, 40)) == {}
    assert joined(None, None) == {}
    assert joined(agt_text([located(1, ("11", 100, 50))]), "")[1][0].box is None


def test_files_of_different_videos_are_refused(joined):
    updates = [located(1, ("11", 100, 50), ("12", 1, 1)), located(2, ("11", 100, 50))]
    metrics = box_metrics_line(1, "2", 80, 40) + box_metrics_line(3, "11", 80, 40)
    with pytest.raises(UserError, match="give files of the same video"):
        joined(agt_text(updates), metrics)


AGT = agt_text([{"frame": i, "time": TIME, "targets": [T72, T72]} for i in (1, 2)]).encode()
METRICS = "".join(box_metrics_line(i, "0011", 10 * i, 20.5) for i in (1, 2, 3)).encode()


def is_finite(value: object) -> bool:
    values = value if isinstance(value, tuple) else (value,)
    return all(v is None or math.isfinite(v) for v in values)


@settings(max_examples=1000, deadline=None, derandomize=True)
@given(content=corrupted([AGT], head=len(AGT)))
@example(content=AGT)
def test_corrupted_agt_files_are_refused_or_hold_targets(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "corrupted.agt"
    write_anew(path, content)
    try:
        frames = read_agt(path)
    except UserError as error:
        assert content != AGT and "\n" not in str(error)
        return
    assert all(frame >= 1 for frame in frames)
    for target in (target for targets in frames.values() for target in targets):
        assert target.range_m is None or target.range_m > 0
        assert all(map(is_finite, (target.range_m, target.aspect_deg, target.centre, target.box)))


@settings(max_examples=1000, deadline=None, derandomize=True)
@given(content=corrupted([METRICS], head=len(METRICS)))
@example(content=METRICS)
def test_corrupted_box_metrics_are_refused_or_hold_corners(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "corrupted.bbox_met"
    write_anew(path, content)
    try:
        frames = read_box_metrics(path)
    except UserError as error:
        assert content != METRICS and "\n" not in str(error)
        return
    assert all(frame >= 1 for frame in frames)
    assert all(map(is_finite, (c for corners in frames.values() for c in corners.values())))
