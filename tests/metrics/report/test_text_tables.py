"""The record of an evaluation as text tables."""

import csv
import io

import pytest

from metrics.measure import ImageValues
from metrics.metric_properties import IMAGE_METRICS, PAIR_METRICS
from metrics.record import ReferenceRecord
from metrics.report.text_tables import (
    images_csv,
    markdown_tables,
    table_csv,
    terminal_notes,
    terminal_tables,
)
from metrics.values import Distance, Mean
from tests.metrics.report.samples import make_record, make_row


def mean(value, low=None, high=None, *, infinite=0):
    interval = None if low is None else (low, high)
    return Mean(value, interval, n=3, infinite=infinite, undefined=0)


def distance(value, *, std=None, biased=False):
    return Distance(value, std, (3, 7), None, biased)


@pytest.fixture
def record():
    cells = {
        "real_A_vs_fake_B": {"psnr": mean(20.0, 19.5, 20.5), "ssim": mean(0.5)},
        "fake_B": {"noise": mean(1.25)},
        "sets": {"fid": distance(50.0, biased=True), "kid": distance(0.25, std=0.125)},
    }
    kept = {"psnr": mean(None, infinite=3), "ssim": mean(1.0)}
    rows = [
        make_row("one", 3, **cells),
        make_row("two|<b>", 3, **(cells | {"real_A_vs_fake_B": kept})),
    ]
    reference = ReferenceRecord(7, {"noise": mean(2.5)}, [], "")
    return make_record(rows, reference=reference, notes=["FID is <biased>."])


def test_the_terminal_shows_means_and_below_them_intervals(record):
    lines = [line.split() for line in terminal_tables(record).splitlines()]
    assert lines[1] == ["one", "3", "20.00", "0.5000"]
    assert lines[2] == ["19.50–20.50"]
    assert lines[3] == ["two|<b>", "3", "inf", "1.0000"]
    assert ["one", "3", ":", "7", "50.00†", "0.2500"] in lines
    assert ["±", "0.1250"] in lines
    assert ["real", "7", "2.50", "(3)"] in lines  # of 3 of the 7 images


def test_columns_stand_below_each_other(record):
    table = terminal_tables(record).split("\n\n")[0].splitlines()
    assert len({len(line) for line in (table[0], table[1], table[3])}) == 1


def test_what_is_wider_than_a_terminal_goes_on_below():
    cells = {key: mean(20.0, 19.5, 20.5) for key in PAIR_METRICS}
    rows = [make_row(name, 3, fake_B_vs_real_B=cells) for name in ("sensor fit", "two")]
    parts = [part.splitlines() for part in terminal_tables(make_record(rows)).split("\n\n")]
    assert len(parts) > 1 and max(len(line) for part in parts for line in part) <= 100
    assert all(part[1].split()[:2] == ["sensor", "fit"] for part in parts)
    titles = [line[0].split("  ") for line in parts]
    shown = [title.strip() for line in titles for title in line if title.strip()]
    repeated = ["fake_B vs real_B", "n"]
    expected = [metric.title for metric in PAIR_METRICS.values()]
    assert [title for title in shown if title not in repeated] == expected


def test_what_matters_most_is_said_before_the_other_notes(record):
    two = make_record([], notes=["b", "c"], warnings=["a"])
    assert terminal_notes(two) == "What matters most:\n- a\n\nNotes:\n- b\n- c"
    assert terminal_notes(record) == "Notes:\n- FID is <biased>."
    assert markdown_tables(two) == "- a\n- b\n- c\n"


def test_markdown_has_tables_that_names_cannot_break(record):
    text = markdown_tables(record)
    assert "| one | 3 | 20.00 (19.50–20.50) | 0.5000 |" in text
    assert r"| two\|&lt;b> | 3 | inf | 1.0000 |" in text
    assert "- FID is &lt;biased>." in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    header = rows[0].count("|")
    assert rows[3].replace(r"\|", "").count("|") == header


def test_csv_has_a_row_each_number(record):
    rows = list(csv.DictReader(io.StringIO(table_csv(record))))
    found = {(r["set"], r["group"], r["metric"]): r for r in rows}
    psnr = found["one", "real_A_vs_fake_B", "psnr"]
    assert [psnr[c] for c in ("value", "low", "high", "n")] == ["20.0", "19.5", "20.5", "3"]
    kid = found["one", "sets", "kid"]
    assert [kid[c] for c in ("value", "std", "n")] == ["0.25", "0.125", "3"]
    assert found["real", "real_B", "noise"]["value"] == "2.5"
    assert len(rows) == 2 * (2 + 1 + 2) + 1


def test_images_csv_has_always_the_same_columns():
    values = [
        ImageValues("a,b/x", {"real_A_vs_fake_B": {"psnr": float("inf"), "ssim": 1 / 3}}, {}, ""),
        ImageValues("y", {"fake_B": {"noise": float("nan")}}, {}, ""),
    ]
    first, second = csv.DictReader(io.StringIO(images_csv({"set one": values})))
    assert first["image"] == "a,b/x" and first["set"] == "set one"
    assert float(first["real_A_vs_fake_B_psnr"]) == float("inf")
    assert float(first["real_A_vs_fake_B_ssim"]) == 1 / 3
    assert first["fake_B_vs_real_B_psnr"] == first["real_A_vs_fake_B_gcss"] == ""
    assert second["fake_B_noise"] == "nan"
    assert len(first) == 2 + 2 * len(PAIR_METRICS) + 2 * len(IMAGE_METRICS)
