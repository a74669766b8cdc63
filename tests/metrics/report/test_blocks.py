"""The tables of a record."""

from dataclasses import replace

import pytest

from metrics.designs import Design, DesignDifferences, Designs
from metrics.differences import Differences
from metrics.record import ReferenceRecord
from metrics.report.blocks import blocks_of
from metrics.values import Difference, Distance, Mean, TrainingMean
from tests.metrics.report.samples import make_record, make_row

TARGET = "fake_B_vs_real_B"
NAMES = ("fit", "a, seed 1", "a, seed 2")


def cells(mean):
    return {TARGET: {"psnr": mean}, "fake_B": {"noise": mean}}


@pytest.fixture
def record():
    """A design of two trainings beside a fitted sensor, all less this one."""
    mean = Mean(20.0, (19.0, 21.0), n=1500, infinite=0, undefined=0)
    distance = {"sets": {"fid": Distance(9.0, None, (1500, 7), None, biased=True)}}
    rows = [make_row(name, 1500, **cells(mean), **distance) for name in NAMES]
    less = cells(Difference(1.0, (0.5, 1.5), 1500, 0, 0, "better"))
    over = [
        TrainingMean(20.0, interval, n, 0, 0, False) for n, interval in ((1, None), (2, (1, 39)))
    ]
    designs = Designs(
        [Design("fit", NAMES[:1], cells(over[0])), Design("a", NAMES[1:], cells(over[1]))],
        [DesignDifferences("a", "fit", [(n, "fit") for n in NAMES[1:]], less)],
    )
    reference = ReferenceRecord(7, {"noise": replace(mean, n=7)}, [], "")
    return replace(
        make_record(rows, reference=reference),
        differences=[Differences(name, "fit", 1500, 9, less) for name in NAMES[1:]],
        designs=designs,
    )


def shown(record):
    """Title, head of the second column -> name and n of each line."""
    return {
        (block.title, block.counted): [(line.name, line.n) for line in block.lines]
        for block in blocks_of(record)
    }


def test_designs_come_after_rows_in_the_same_order_and_stand_for_their_trainings(record):
    rows = [(name, "1,500") for name in NAMES]
    designs, less = [("fit", "-"), ("a", "2")], [("a", "2")]
    assert list(shown(record).items()) == [
        (("fake_B vs real_B", "n"), rows),
        (("set against real images", "n"), [(name, "1,500 : 7") for name in NAMES]),
        (("single images", "n"), [("real", "7"), *rows]),
        (("fake_B vs real_B, means", "trainings"), designs),
        (("single images, means", "trainings"), [("real", "-"), *designs]),
        (("fake_B vs real_B, less fit", "trainings"), less),
        (("single images, less fit", "trainings"), less),
    ]


def test_without_designs_rows_are_compared(record):
    titles = list(shown(replace(record, designs=Designs())).items())[3:]
    rows = [(name, "1,500") for name in NAMES[1:]]
    assert titles == [
        (("fake_B vs real_B, less fit", "n"), rows),
        (("single images, less fit", "n"), rows),
    ]


def test_intervals_over_images_do_not_stand_beside_those_over_trainings(record):
    block = next(b for b in blocks_of(record) if b.title == "single images, means")
    found = {line.name: line.cells["noise"] for line in block.lines}
    assert {name: cell.mean for name, cell in found.items()} == dict.fromkeys(found, 20.0)
    assert {name: cell.ci95 for name, cell in found.items()} == {
        "real": None,
        "fit": None,
        "a": (1, 39),
    }


def test_only_what_was_measured_has_a_column(record):
    metrics = {block.title: list(block.metrics) for block in blocks_of(record)}
    assert metrics["fake_B vs real_B"] == ["psnr"]
    assert metrics["set against real images"] == ["fid"]
    assert metrics["single images"] == ["noise"]
