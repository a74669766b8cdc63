"""Figures of a classifier and its baselines, counted by hand."""

import math

import numpy as np
import pytest

from metrics.bootstrap import confidence_intervals
from metrics.classifier_report import (
    Aim,
    Contender,
    HeldOutImages,
    markdown,
    plain,
    report_of,
    sentences,
    terminal,
)

CLASSES = ("BTR70", "SUV", "T72", "ZSU23")


def held_out(labels, *, ranges=math.nan, recordings=None, classes=CLASSES):
    labels = np.array(labels)
    recordings = recordings or [f"video{i}" for i in range(len(labels))]
    return HeldOutImages(classes, labels, np.broadcast_to(ranges, labels.shape) + 0.0, recordings)


def contender(predicted, name="classifier"):
    return Contender(name, np.array(predicted))


def mean(row, figure, of="classifier"):
    return row.figures[of][figure].mean


def test_accuracy_of_each_range_and_of_kinds():
    images = held_out([0, 1, 2, 3, 2, 3], ranges=[3000, 1500, 1500, 1500, 3000, 3000])
    report = report_of(images, contender([1, 1, 3, 3, 2, 0]))
    everything, near, far = report.rows
    assert [row.name for row in report.rows] == ["all", "1,500 m", "3,000 m"]
    assert [row.images for row in report.rows] == [6, 3, 3]
    assert mean(everything, "accuracy") == pytest.approx(3 / 6)
    assert (mean(near, "accuracy"), mean(far, "accuracy")) == pytest.approx((2 / 3, 1 / 3))
    # A T72 that is taken for a ZSU23 is a tracked vehicle still.
    assert (mean(near, "kind"), mean(far, "kind")) == pytest.approx((1, 1 / 3))
    assert report.balanced_accuracy["classifier"] == pytest.approx((0 + 1 + 1 / 2 + 1 / 2) / 4)
    assert report.confusion.tolist() == [[0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1], [1, 0, 0, 1]]
    assert report.kinds == ("tracked", "wheeled armour", "civil")
    assert report.kind_confusion.tolist() == [[3, 1, 0], [0, 0, 1], [0, 0, 1]]


def test_classes_of_unknown_kind_are_left_out_of_the_kinds_and_named():
    images = held_out([0, 1, 2, 2], classes=("T72", "SUV", "boat"))
    report = report_of(images, contender([0, 2, 2, 0]))
    assert mean(report.rows[0], "kind") == pytest.approx(1 / 2)  # a boat is no civil vehicle
    assert report.rows[0].figures["classifier"]["kind"].n == 2
    assert any("known for boat: left out" in note for note in report.notes)
    strange = report_of(held_out([0, 1], classes=("cat", "dog")), contender([0, 1]))
    assert "kind" not in strange.rows[0].figures["classifier"] and not strange.notes


def test_intervals_are_over_recordings():
    random = np.random.default_rng(0)
    labels, predicted = random.integers(0, 4, (2, 60))
    recordings = [f"video{i // 10}" for i in range(60)]
    (row,) = report_of(held_out(labels, recordings=recordings), contender(predicted)).rows
    hits = (labels == predicted).astype(float)[:, None]
    expected = confidence_intervals(hits, groups=recordings)[0]
    assert row.units == 6
    assert row.figures["classifier"]["accuracy"].ci95 == pytest.approx(expected)


def test_where_a_range_is_one_recording_each_of_its_classes_is_taken_for_one():
    labels, ranges = [0, 0, 1, 1] * 2, np.repeat([1500.0, 3000.0], 4)
    images = held_out(labels, ranges=ranges, recordings=[f"scenario{r:.0f}" for r in ranges])
    report = report_of(images, contender(labels))
    assert [row.units for row in report.rows] == [4, 2, 2]
    assert report.units == "classes of recordings"


def test_many_ranges_are_put_together_and_no_image_is_lost():
    ranges = np.random.default_rng(0).uniform(800, 4100, 50)
    report = report_of(held_out([0] * 50, ranges=ranges), contender([0] * 50))
    everything, *bins = report.rows
    assert 2 < len(bins) <= 8
    assert sum(row.images for row in bins) == everything.images == 50
    assert bins[0].name == "500 to 1,000 m"
    assert bins[0].images == ((ranges >= 500) & (ranges < 1000)).sum()


def test_ranges_of_an_image_each_are_put_together():
    ranges = [766.5, 773.0, 801.2, 1004.0]
    report = report_of(held_out([0] * 4, ranges=ranges), contender([0] * 4))
    assert [(row.name, row.images) for row in report.rows[1:]] == [
        ("750 to 1,000 m", 3),
        ("1,000 to 1,250 m", 1),
    ]


def test_an_image_without_a_range_stands_among_all_alone():
    report = report_of(held_out([0, 0, 1], ranges=[1000, np.nan, 1000]), contender([0, 1, 1]))
    assert [row.images for row in report.rows] == [3, 2]
    assert any("the range of 1 of 3 images is unknown" in note for note in report.notes)


def aim(over_chance, pointing, empty=None):
    zeros = np.zeros(len(pointing)) if empty is None else np.array(empty, float)
    return Aim(np.array(over_chance, float), np.array(pointing, float), zeros)


@pytest.fixture
def beaten():
    """40 images of 20 recordings: better than HOG near and worse far; than DoG it looks better."""
    labels = np.tile([0, 1], 20)
    ranges = np.repeat([1000.0, 3000.0], 20)
    images = held_out(labels, ranges=ranges, recordings=[f"v{i // 2}" for i in range(40)])
    near = ranges < 2000
    own = Contender(
        "classifier",
        np.where(near, labels, 1 - labels),
        aim([8.0] * 40, [1] * 40, [1] + [0] * 39),
    )
    hog = Contender("HOG", np.where(near, 1 - labels, labels))
    dog = Contender("DoG", aim=aim([2.0] * 40, [0] * 40))
    return report_of(images, own, [hog, dog])


def test_differences_are_image_by_image(beaten):
    everything, near, far = beaten.rows
    assert [row.differences["HOG"]["accuracy"].mean for row in beaten.rows] == [0, 1, -1]
    assert near.differences["HOG"]["accuracy"].ci95 == (1, 1)
    assert far.differences["DoG"].keys() == {"over_chance", "pointing"}
    assert everything.differences["DoG"]["over_chance"].mean == 6
    assert mean(everything, "empty") == pytest.approx(1 / 40)


def test_sentences_say_where_a_baseline_is_not_beaten(beaten):
    first, *others = sentences(beaten)
    assert first.startswith("balanced accuracy 0.500 on 40 held-out images (chance 0.250, HOG 0.50")
    assert not first.endswith("no better than chance")
    (accuracy,) = [text for text in others if "does not beat HOG in accuracy" in text]
    assert "3,000 m (-1.000, -1.000 to -1.000)" in accuracy and "all (" in accuracy
    assert "1,000 m" not in accuracy
    assert not any("DoG" in text for text in others)
    assert any("over 10 to 20 recordings: too narrow" in text for text in others)


def test_ranges_are_counted_where_a_baseline_is_not_beaten_over_all():
    labels, ranges = np.tile([0, 1], 30), np.repeat([1000.0, 2000.0, 3000.0], 20)
    images = held_out(labels, ranges=ranges)
    own = contender(np.where(ranges < 1500, labels, 1 - labels))
    report = report_of(images, own, [contender(labels, "HOG")])
    (said,) = [text for text in sentences(report) if "does not beat HOG in accuracy" in text]
    assert said.endswith("), 3 of 3 ranges") and said.count("(") == 1


def test_a_guesser_is_called_one():
    random = np.random.default_rng(0)
    labels, predicted = random.integers(0, 4, (2, 80))
    first = next(iter(sentences(report_of(held_out(labels), contender(predicted)))))
    assert first.endswith(": no better than chance")


def test_without_intervals_the_values_decide():
    """One recording and one class: nothing to draw from."""
    images = held_out([0, 0], recordings=["one", "one"])
    report = report_of(images, contender([0, 1]), [contender([1, 1], "HOG")])
    assert report.rows[0].differences["HOG"]["accuracy"].ci95 is None
    assert not any("does not beat" in text for text in sentences(report))
    worse = report_of(images, contender([1, 1]), [contender([1, 1], "HOG")])
    assert any("does not beat HOG in accuracy: all (0.000)" in text for text in sentences(worse))


def test_images_without_boxes_are_counted():
    nan = np.nan
    images = held_out([0, 1, 0])
    some = Contender(
        "classifier", np.array([0, 1, 0]), aim([2, nan, nan], [1, nan, nan], [0, 0, 1])
    )
    assert any("1 of 3 images have no box" in note for note in report_of(images, some).notes)
    none = Contender("classifier", np.array([0, 1, 0]), aim([nan] * 3, [nan] * 3))
    assert any("no image has a box" in note for note in report_of(images, none).notes)


def test_tables_fit_a_terminal_and_show_all_figures(beaten):
    text = terminal(beaten)
    assert max(map(len, text.splitlines())) <= 100
    lines = [line.split() for line in text.splitlines()]
    (own, *_), (hog, *_), (dog, *_) = (
        [line for line in lines if line[:1] == [name]] for name in ("classifier", "HOG", "DoG")
    )
    assert own[1] == "0.500" and own[-3:] == ["8.00", "1.000", "0.025"]
    assert hog[1] == "0.500" and hog[-3:] == ["-", "-", "-"]
    assert dog[1] == "-" and dog[-3:-1] == ["2.00", "0.000"]


def test_what_nobody_measured_has_no_column():
    text = terminal(report_of(held_out([0, 1]), contender([0, 1])))
    assert "accuracy" in text and "pointing" not in text and "empty" not in text


def test_markdown_and_plain_values_hold_the_same(beaten):
    text = markdown(beaten)
    assert "| 3,000 m | 20 | HOG | 1.000 (1.000–1.000) |" in text
    found = plain(beaten)
    assert found["rows"]["3,000 m"]["figures"]["HOG"]["accuracy"]["mean"] == 1
    assert found["rows"]["3,000 m"]["less"]["HOG"]["accuracy"]["ci95"] == [-1, -1]
    assert found["confusion"] == beaten.confusion.tolist()
    assert found["sentences"] == list(sentences(beaten))
    assert found["in_short"].startswith("all, 40 images: accuracy 0.500 (HOG 0.500), ")
    assert "energy/chance 8.00 (DoG 2.00), pointing 1.000 (DoG 0.000)" in found["in_short"]
