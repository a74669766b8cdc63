"""Held-out images share no recording with the training images."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.folders import ImageFile
from data.labeled_images import LabeledImage
from data.labels import Label
from data.splits import (
    hold_out_ranges,
    split_by_group,
    split_by_order,
    split_recordings,
    spread,
)
from options.groups import ClassifierOptions
from util.errors import UserError


def recordings(table: dict[str, list[tuple[str, int]]]) -> tuple[list[str], list[str]]:
    """{class: [(group, images)]} -> (groups, classes) image by image."""
    rows = [(group, name) for name, parts in table.items() for group, n in parts for _ in range(n)]
    return [group for group, _ in rows], [name for _, name in rows]


def found(*rows: tuple[str, str, dict[str, str] | None]):
    """(file name, class, row of the table) as `find_labeled` gives them."""
    return [
        (ImageFile(Path("/d", f"{n}.png"), n), c, None if row is None else Label(c, "", row))
        for n, c, row in rows
    ]


EVEN = {name: [(f"{name} video {v}", 10) for v in range(5)] for name in ("BMP2", "T72", "ZSU")}


@pytest.mark.parametrize("seed", range(5))
def test_whole_recordings_of_every_class_are_held_out(seed):
    groups, classes = recordings(EVEN)
    train, held = split_by_group(groups, classes, fraction=0.2, seed=seed)
    assert sorted(train + held) == list(range(150))
    assert Counter(classes[i] for i in held) == {"BMP2": 10, "T72": 10, "ZSU": 10}
    assert len({groups[i] for i in held}) == 3


def test_the_seed_decides_which():
    groups, classes = recordings(EVEN)
    splits = [split_by_group(groups, classes, fraction=0.2, seed=seed) for seed in range(20)]
    assert splits[3] == split_by_group(groups, classes, fraction=0.2, seed=3)
    assert len({tuple(held) for _, held in splits}) > 5


def test_a_recording_with_all_images_of_a_class_stays_in_training():
    groups, classes = recordings({"T72": [("a", 10), ("b", 10)], "rare": [("c", 2)]})
    for seed in range(20):
        train, held = split_by_group(groups, classes, fraction=0.3, seed=seed)
        assert {groups[i] for i in train} >= {"c"} and held


def test_recordings_that_cannot_be_held_out_are_an_error_in_a_sentence():
    groups, classes = recordings({"T72": [("a", 10)], "ZSU": [("b", 10)]})
    with pytest.raises(UserError, match=r"20 images form 2 group.*--split_by"):
        split_by_group(groups, classes, fraction=0.2, seed=0)


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)), min_size=1, max_size=60),
    st.floats(0.001, 0.999),
    st.integers(0, 5),
)
@settings(max_examples=300, deadline=None)
def test_no_split_shares_a_recording_or_loses_a_class(images, fraction, seed):
    groups, classes = [f"g{g}" for g, _ in images], [f"c{c}" for _, c in images]
    try:
        train, held = split_by_group(groups, classes, fraction=fraction, seed=seed)
    except UserError:
        # Only where each recording is too large, or holds the last images of a class.
        assert all(needed_or_large(group, groups, classes, fraction) for group in set(groups))
        return
    assert sorted(train + held) == list(range(len(images))) and train and held
    assert not {groups[i] for i in train} & {groups[i] for i in held}
    assert {classes[i] for i in train} == set(classes)
    assert len(held) <= max(2 * max(1, round(fraction * len(images))), len(images) / 2)


def needed_or_large(group, groups, classes, fraction) -> bool:
    inside = Counter(c for g, c in zip(groups, classes, strict=True) if g == group)
    total = Counter(classes)
    limit = max(2 * max(1, round(fraction * len(groups))), len(groups) / 2)
    return any(total[c] == n for c, n in inside.items()) or inside.total() > limit


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=60), st.floats(0.001, 0.999))
@settings(max_examples=200, deadline=None)
def test_by_order_the_end_of_each_class_is_held_out(classes, fraction):
    train, held = split_by_order(classes, fraction=fraction)
    assert sorted(train + held) == list(range(len(classes)))
    for name in set(classes):
        kept = [i for i in train if classes[i] == name]
        out = [i for i in held if classes[i] == name]
        assert kept and (not out or max(kept) < min(out))
        assert len(out) == min(
            max(1, round(fraction * (len(kept) + len(out)))), len(kept + out) - 1
        )


def test_the_column_of_the_table_decides():
    rows = [
        (f"f{i:03d}", "ab"[i % 2], {"video": f"v{i // 4}", "range_m": str(i // 10 * 1000)})
        for i in range(40)
    ]
    options = ClassifierOptions(split_by="range", val_fraction=0.25)
    train, held, note = split_recordings(found(*rows), options, seed=0)
    assert {i // 10 for i in held}.isdisjoint({i // 10 for i in train}) and len(held) == 10
    assert note == f"by column range_m: {held[0] // 10 * 1000}"
    _, held, note = split_recordings(found(*rows), ClassifierOptions(), seed=0)
    assert note.startswith("by column video: ") and len(held) == 8


def test_file_names_decide_without_a_column():
    rows = [(f"{c}/v{v}_{i:03d}", c, None) for c in "ab" for v in range(4) for i in range(5)]
    train, held, note = split_recordings(found(*rows), ClassifierOptions(), seed=0)
    assert note.startswith("by file name less frame number: v")
    names = [name.split("/")[1][:3] for name, _, _ in rows]
    assert {names[i] for i in train}.isdisjoint({names[i] for i in held})


@pytest.mark.parametrize("stem", ["", "frame_", "{c}_"], ids=["numbers", "one word", "class"])
def test_names_of_one_recording_a_class_are_split_by_their_order(stem):
    rows = [(f"{c}/{stem.format(c=c)}{i:03d}", c, None) for c in "ab" for i in range(10)]
    train, held, note = split_recordings(found(*rows), ClassifierOptions(), seed=0)
    assert held == [8, 9, 18, 19] and len(train) == 16
    assert "end of each class" in note


def test_a_few_indices_are_spread_over_all():
    indices = [3 * i for i in range(10)]
    assert spread(indices, 4) == [0, 6, 15, 21]
    assert spread(indices, None) == spread(indices, 99) == indices


def at_ranges(*told: tuple[str, float | None]) -> list[LabeledImage]:
    """Images of (class, range)."""
    return [
        LabeledImage(ImageFile(Path("/d", f"{i}.png"), str(i)), name, range_m=range_m)
        for i, (name, range_m) in enumerate(told)
    ]


FAR = at_ranges(*((name, r) for r in (1000.0, 1500.0, 2000.5) for name in ("BMP2", "T72")))


def test_all_images_of_a_range_are_held_out_and_no_others():
    assert hold_out_ranges(FAR, (1500.0,)) == ([0, 1, 4, 5], [2, 3], "by range: 1500 m")
    train, held, note = hold_out_ranges(FAR, (2000.5, 1000.0, 1000.0))
    assert (train, held, note) == ([2, 3], [0, 1, 4, 5], "by range: 1000, 2000.5 m")


@pytest.mark.parametrize(
    ("images", "ranges", "words"),
    [
        (FAR, (1600.0,), r"--hold_out_range 1600: no image is 1600 m .* 1000, 1500, 2000\.5\."),
        (at_ranges(("T72", 1000.0), ("T72", None)), (1000.0,), r"1 of 2 have none \(/d/1\.png\)"),
        (at_ranges(("T72", None)), (1000.0,), "1 of 1 have none .* column range_m"),
        (FAR[:2], (1000.0,), "holds out all images: no other ranges are there than 1000"),
        ([*FAR, *at_ranges(("ZSU", 1500.0))], (1500.0,), "no training image of ZSU; hold out few"),
    ],
    ids=["no such range", "some unknown", "all unknown", "one range", "a class of one range"],
)
def test_ranges_that_cannot_be_held_out_are_an_error_in_a_sentence(images, ranges, words):
    with pytest.raises(UserError, match=words):
        hold_out_ranges(images, ranges)
