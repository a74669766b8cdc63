"""Which images may be compared, and the figures of the table against scikit-learn and scipy."""

import csv
import os
import shutil

import numpy as np
import pytest
import torch
from scipy import stats

from data.images import write_image
from metrics.downstream import (
    LabelledSet,
    as_markdown,
    common_classes,
    estimate,
    left_out,
    refuse_overlap,
    set_worth,
    shared_recordings,
    table,
)
from util.errors import UserError


def make_set(folder, files, *, name="x", phase="train", seed=0):
    """Images of noise at these paths, found as a set."""
    rng = np.random.default_rng((seed, len(folder.name)))
    for file in files:
        write_image(folder / f"{file}.png", rng.integers(0, 256, (8, 8)).astype(np.uint8))
    return LabelledSet.find(name, folder, phase=phase)


def test_the_interval_is_that_of_students_t():
    values = [0.52, 0.61, 0.55]
    found = estimate(values, least=0.0)
    # t of 97.5 % with two degrees of freedom is 4.303 in every table.
    half = 4.302653 * np.std(values, ddof=1) / np.sqrt(3)
    assert (found.low, found.high) == pytest.approx((found.mean - half, found.mean + half))
    interval = stats.ttest_1samp(values, 0.5).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.std == pytest.approx(stats.tstd(values))


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    found = [estimate(rng.normal(0.5, 0.05, 3).tolist(), least=0.0) for _ in range(2000)]
    covered = np.mean([one.low <= 0.5 <= one.high for one in found])
    assert covered == pytest.approx(0.95, abs=0.015)


def test_the_interval_stays_where_values_can_be():
    assert estimate([0.1, 0.9], least=0.0).low == 0.0
    assert estimate([0.1, 0.9], least=0.0).high == 1.0
    assert estimate([-0.9, 0.9], least=-1.0).low == -1.0


def test_one_value_has_no_interval():
    found = estimate([0.7], least=0.0)
    assert (found.mean, found.std, found.low, found.high) == (0.7, None, None, None)


def test_classes_that_all_sets_teach(tmp_path):
    real = make_set(tmp_path / "real", ["A/1", "B/1", "C/1", "D/1"], name="real")
    few = make_set(tmp_path / "few", ["A/1", "C/1", "D/1"], name="few")
    test = make_set(tmp_path / "test", ["C/1", "C/2", "B/1", "A/1", "E/1"])
    assert common_classes(test, [real, few]) == ("A", "C")
    assert left_out(test, [real, few], ("A", "C")) == [
        "B (1 images; not in few)",
        "E (1 images; not in real, few)",
    ]
    shown = test.only(("A", "C"))
    assert shown.counts == {"A": 1, "C": 2}
    assert len(shown.digests) == 3
    with pytest.raises(UserError, match=r"in common \(A\)"):
        common_classes(test, [real, few, make_set(tmp_path / "one", ["A/1", "B/1"])])


@pytest.mark.parametrize("way", [shutil.copy, os.link, os.symlink])
def test_a_test_image_in_training_is_refused_however_it_came_there(tmp_path, way):
    test = make_set(tmp_path / "test", ["A/1", "A/2", "B/1"])
    own = make_set(tmp_path / "own", ["A/1", "A/2", "B/1"], name="own", seed=1)
    refuse_overlap(test, [own])
    way(tmp_path / "test" / "A" / "2.png", tmp_path / "own" / "B" / "other name.png")
    own = LabelledSet.find("own", tmp_path / "own", phase="train")
    with pytest.raises(UserError, match=r"1 test images are in the set own too \(A/2\)"):
        refuse_overlap(test, [own])


def test_the_fingerprint_follows_content_and_class_but_not_the_place(tmp_path):
    first = make_set(tmp_path / "a", ["A/1", "B/1"])
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    second = LabelledSet.find("y", tmp_path / "b", phase="train")
    assert first.fingerprint == second.fingerprint
    (tmp_path / "b" / "A" / "1.png").rename(tmp_path / "b" / "B" / "2.png")
    moved = LabelledSet.find("y", tmp_path / "b", phase="train")
    assert moved.fingerprint != first.fingerprint
    shutil.copy(tmp_path / "a" / "B" / "1.png", tmp_path / "a" / "A" / "1.png")
    changed = LabelledSet.find("x", tmp_path / "a", phase="train")
    assert changed.fingerprint != first.fingerprint


def test_recordings_by_name(tmp_path):
    train = make_set(tmp_path / "train", ["A/v1_001", "A/v2_001", "B/v1_001", "B/v3_001"])
    test = make_set(tmp_path / "test", ["A/v1_002", "A/v4_001", "B/v2_001", "B/v3_009"])
    assert shared_recordings(train, test, split_by="group") == ["A/v1_", "B/v3_"]
    numbers = make_set(tmp_path / "numbers", ["A/001", "A/002", "B/001"])
    again = make_set(tmp_path / "again", ["A/003", "B/001"])
    assert shared_recordings(numbers, again, split_by="group") == []


def test_recordings_by_the_table_of_both(tmp_path):
    rows = [("A/1", "train", "s1"), ("A/2", "test", "s2"), ("B/1", "train", "s1")]
    rows += [("B/2", "test", "s1")]
    names = [name for name, _, _ in rows]
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "split", "class", "scenario"])
        writer.writerows((f"real/{n}.png", split, n[0], s) for n, split, s in rows)
    train = make_set(tmp_path / "real", names)
    test = LabelledSet.find("test", tmp_path / "real", phase="test")
    assert train.counts == test.counts == {"A": 1, "B": 1}
    assert shared_recordings(train, test, split_by="scenario") == ["B/s1"]


def test_an_unreadable_image_is_named(tmp_path):
    (tmp_path / "A").mkdir()
    (tmp_path / "A" / "1.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(UserError, match=r"A/1\.png cannot be read"):
        LabelledSet.find("x", tmp_path, phase="train")


@pytest.fixture
def rows():
    """The reference recognises 8 and 6 of 10, the other set 5 and 5."""
    good = [torch.tensor([[4, 1], [1, 4]]), torch.tensor([[5, 0], [4, 1]])]
    poor = [torch.tensor([[5, 0], [5, 0]]), torch.tensor([[0, 5], [0, 5]])]
    facts = {"training_images": [320, 320], "steps": [40, 40]}
    first = set_worth("real", good, **facts, reference=None)
    facts = {"training_images": [288, 320], "steps": [36, 40]}
    return [first, set_worth("a|b", poor, **facts, reference=first)]


def test_the_difference_is_taken_seed_by_seed(rows):
    assert rows[0].difference is None
    assert rows[0].balanced_accuracy.values == pytest.approx([0.8, 0.6])
    assert rows[1].difference.values == pytest.approx([-0.3, -0.1])
    assert rows[1].difference.mean == pytest.approx(-0.2)
    interval = stats.ttest_rel([0.5, 0.5], [0.8, 0.6]).confidence_interval(0.95)
    assert rows[1].difference.low == max(-1, interval.low)


def test_the_table_shows_chance_steps_and_differences(rows):
    lines = table(rows, chance=0.5)
    assert lines[0][5] == "difference to real"
    assert lines[1][:4] == ["real", "320", "40", "0.700 ± 0.141"]
    assert lines[1][5:7] == ["–", "–"]
    assert lines[2][:3] == ["a|b", "288–320", "36–40"]
    assert lines[2][5] == "-0.200 ± 0.141"
    assert lines[3][0] == "(chance)"
    assert lines[3][3] == "0.500"


def test_markdown_has_as_many_cells_in_each_line(rows):
    lines = as_markdown(table(rows, chance=0.5)).split("\n")
    assert lines[1].startswith("| --- | ---: |")
    assert "a\\|b" in lines[3]
    assert {line.replace("\\|", "").count("|") for line in lines} == {9}
