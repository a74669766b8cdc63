"""Which columns a table has, and which rows are best in each."""

import math
from dataclasses import replace

import pytest

from metrics.metric_properties import GROUPS, METRICS
from metrics.record import Record, ReferenceRecord
from metrics.report.columns import Column, best_rows, measured_columns
from metrics.values import Distance, Mean
from tests.metrics.report.samples import make_record, make_row

SSIM = Column("fake_B_vs_real_B", "ssim")
FID = Column("sets", "fid")
KID = Column("sets", "kid")
NOISE = Column("fake_B", "noise")


def cell(column: Column, value: float, *, n: int = 4, biased: bool = False):
    """inf counts as infinite, NaN as undefined; of a set there is no infinity."""
    finite = value if math.isfinite(value) else None
    if column.group == "sets":
        return Distance(finite, None, (n, 9), None, biased)
    return Mean(finite, None, n, infinite=3 * (value == math.inf), undefined=3 * (value != value))


def means(column: Column, *values: float | None, real: float | None = None) -> Record:
    """A record with one column: a row named 0, 1, ... for each value."""
    cells = [{column.key: cell(column, v)} if v is not None else {} for v in values]
    rows = [make_row(str(i), 4, **{column.group: found}) for i, found in enumerate(cells)]
    reference = None
    if real is not None:
        reference = ReferenceRecord(9, {column.key: cell(column, real)}, [], "")
    return make_record(rows, reference=reference)


def test_columns_without_a_measurement_are_dropped_and_groups_have_their_order(record):
    found = [(column.group, column.key) for column in measured_columns(record)]
    assert found == [
        ("fake_B_vs_real_B", "psnr"),
        ("fake_B_vs_real_B", "ssim"),
        ("real_A_vs_fake_B", "psnr"),
        ("sets", "fid"),
        ("sets", "kid"),
        ("fake_B", "noise"),
    ]


def test_what_only_the_real_images_have_is_a_column():
    assert list(measured_columns(means(NOISE, None, real=4.0))) == [NOISE]
    assert list(measured_columns(means(NOISE, None))) == []


@pytest.mark.parametrize(
    ("column", "values", "real", "best"),
    [
        (SSIM, (0.5, 0.7, 0.6), None, {"1"}),
        (FID, (50.0, 70.0, 60.0), None, {"0"}),
        (NOISE, (1.0, 4.5, 9.0), 5.0, {"1"}),
        (NOISE, (1.0, 6.5, 9.0, 3.5), 5.0, {"1", "3"}),  # on either side of the real images
        (KID, (-0.3, -0.1, 0.2), None, {"0", "1"}),  # below 0 is chance
        (KID, (0.1, math.nan, 0.2), None, {"0"}),
        (NOISE, (1.0, 4.5), None, set()),  # near to what?
        (SSIM, (0.5, None, math.nan, 0.6), None, {"3"}),
        (SSIM, (0.5, math.inf), None, {"1"}),
        (SSIM, (0.7, 0.7, 0.6), None, {"0", "1"}),
        (SSIM, (0.7, 0.7), None, set()),  # no one is better
        (SSIM, (0.7,), None, set()),
        (SSIM, (None, math.nan), None, set()),
        (SSIM, (), None, set()),
    ],
)
def test_the_best_of_a_column_follows_its_direction(column, values, real, best):
    assert best_rows(means(column, *values, real=real), column) == best


@pytest.mark.parametrize(
    "column", [Column("real_A_vs_fake_B", "ssim"), Column("fake_B", "box_share")]
)
def test_what_cannot_be_ranked_has_no_best(column):
    assert best_rows(means(column, 0.5, 0.7, real=0.6), column) == set()


def test_biased_values_are_ranked_between_sets_of_one_size_only():
    def best(first, second):
        rows = [
            make_row(str(n), n, sets={"fid": cell(FID, value, n=n, biased=True)})
            for n, value in (first, second)
        ]
        return best_rows(make_record(rows), FID)

    assert best((50, 3.0), (60, 2.0)) == set()
    rows = [
        make_row(name, 50, sets={"fid": cell(FID, value, n=50, biased=True)})
        for name, value in (("a", 3.0), ("b", 2.0))
    ]
    assert best_rows(make_record(rows), FID) == {"b"}


@pytest.mark.parametrize(("equal", "best"), [(True, {"1"}), (False, set())])
def test_rows_are_ranked_among_those_of_the_same_real_images_and_targets_alone(equal, best):
    for column in (SSIM, FID):
        value = {SSIM: (0.5, 0.7), FID: (70.0, 50.0)}[column]
        record = means(column, *value, None)
        known = ["a", "a" if equal else "b", "c"]  # the last has nothing in this column
        rows = [
            replace(row, real=ReferenceRecord(9, {}, [], digest), targets_sha256=digest)
            for row, digest in zip(record.rows, known, strict=True)
        ]
        assert best_rows(replace(record, rows=rows), column) == best


def test_every_metric_is_in_a_group():
    assert {key for group in GROUPS.values() for key in group.metrics} == METRICS.keys()


@pytest.mark.parametrize(("above_chance", "best"), [(False, set()), (True, {"1"}), (None, {"1"})])
def test_a_judge_that_guesses_ranks_nothing(above_chance, best):
    def ranked(column):
        record = means(column, 0.5, 0.9)
        protocol = replace(record.protocol, classifier_above_chance=above_chance)
        return best_rows(replace(record, protocol=protocol), column)

    assert ranked(Column("fake_B_vs_real_B", "gcss")) == best
    assert ranked(SSIM) == {"1"}, "which needs no judge"


@pytest.mark.parametrize(
    ("frames", "own", "chips", "best"),
    [
        (None, True, False, set()),
        (False, True, True, {"1"}),
        (False, False, None, set()),  # which then judges chips, too
        (True, False, None, {"1"}),
    ],
)
def test_a_judge_of_chips_that_guesses_ranks_nothing(frames, own, chips, best):
    record = means(Column("fake_B", "class_kept"), 0.5, 0.9)
    protocol = replace(
        record.protocol,
        classifier_above_chance=frames,
        chip_classifier="chips.pth" if own else None,
        chip_classifier_above_chance=chips,
    )
    record = replace(record, protocol=protocol)
    assert best_rows(record, Column("fake_B", "class_kept")) == best
