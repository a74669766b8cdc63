"""The page as a browser reads it: one file, everything in it, any text as it is."""

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from data.images import read_image
from metrics.differences import Differences
from metrics.metric_properties import GROUPS
from metrics.report import SetView, write_report
from metrics.values import Difference, Mean
from tests.metrics.report.samples import make_row

VOID = {"meta", "img", "link", "br", "hr"}


class Page(HTMLParser):
    """Elements in their order: tag, attributes, and the text inside, that of children included."""

    def __init__(self, path: Path):
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.open: list[dict] = []
        self.elements: list[dict] = []
        self.feed(self.source)
        self.close()
        assert not self.open, "every element is closed"

    def handle_starttag(self, tag, attrs):
        self.elements.append({"tag": tag, "text": "", **dict(attrs)})
        if tag not in VOID:
            self.open.append(self.elements[-1])

    def handle_startendtag(self, tag, attrs):
        self.elements.append({"tag": tag, "text": "", **dict(attrs)})

    def handle_endtag(self, tag):
        assert self.open.pop()["tag"] == tag, "elements are nested properly"

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, tag: str, **attributes: str) -> list[dict]:
        return [
            e
            for e in self.elements
            if e["tag"] == tag and all(e.get(k) == v for k, v in attributes.items())
        ]

    def texts(self, tag: str, **attributes: str) -> list[str]:
        return [e["text"] for e in self.all(tag, **attributes)]


@pytest.fixture
def write(tmp_path, record, views, reference, scenes):
    """Write the page of the fixtures, with other arguments where some are given."""

    def write(**other) -> Page:
        arguments = {"title": "ablation", "record": record, "rows": views}
        arguments |= {"reference": reference, "scenes": scenes}
        write_report(write.path, **(arguments | other))
        return Page(write.path)

    write.path = tmp_path / "out" / "report.html"
    return write


def rows_of(page: Page) -> list[list[str]]:
    """Texts of the cells of the tables' bodies, row by row."""
    rows: list[list[str]] = []
    for element in page.elements:
        if element["tag"] == "th" and element.get("scope") == "row":
            rows.append([element["text"]])
        elif element["tag"] == "td":
            rows[-1].append(element["text"])
    return rows


def test_the_page_needs_no_other_file_no_network_and_no_script(write, tmp_path):
    page = write()
    assert not page.all("script") and not page.all("link") and not page.all("iframe")
    assert "http" not in page.source and "@import" not in page.source
    addresses = [
        e[name] for e in page.elements for name in ("src", "href", "xlink:href") if name in e
    ]
    assert addresses and all(a.startswith(("data:image/png;base64,", "#")) for a in addresses)
    assert set(re.findall(r"url\((.)", page.source)) == {"#"}
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["report.html"]


def test_names_of_things_in_the_page_are_unique(write):
    ids = [e["id"] for e in write().elements if "id" in e]
    assert ids and len(ids) == len(set(ids))


def test_any_text_is_shown_as_it_is(write, record, views):
    odd = views[1].name
    page = write(title=odd)
    assert page.texts("title") == page.texts("h1") == [odd]
    assert page.texts("li")[:3] == [*record.warnings, *record.notes]
    assert any(text.endswith(odd) for text in page.texts("th", scope="row"))
    assert f"scene {odd}" in page.texts("h2")
    assert f"lowest {odd}" in page.texts("small") and f"less {odd}" in page.texts("small")
    assert f"2{odd}" in page.texts("figcaption")
    assert any(e["alt"] == f"image, {odd}: scene {odd}" for e in page.all("img"))


def test_each_group_has_a_table_with_a_row_a_set_below_the_real_images(write, views):
    page, odd = write(), f"2{views[1].name}"
    assert page.texts("th", scope="col") == [
        *("set", "n", "PSNR [dB] ↑", "SSIM ↑"),
        *("set", "n", "PSNR [dB] ↑"),
        *("set", "n", "FID ↓", "KID ↓"),
        *("set", "n", "noise [counts] ≈"),
    ]
    assert [(e["colspan"], e["text"]) for e in page.all("th", scope="colgroup")] == [
        ("2", "Near the targetfake_B vs real_B"),
        ("1", "Kept of the sourcereal_A vs fake_B"),
        ("2", "Setsfake_B vs the real images"),
        ("1", "Target and thermalfake_B alone"),
    ]
    assert rows_of(page) == [
        ["1simulator", "4", "–", "–"],
        [odd, "4", "16.2315.73 – 16.73", "0.64550.1455 – 1.1455"],
        ["3CUT", "1,234", "15.0014.50 – 15.504 of 5", "0.70000.2000 – 1.2000"],
        ["1simulator", "4", "∞0 of 4"],
        [odd, "4", "21.5021.00 – 22.00"],
        ["3CUT", "1,234", "–"],
        ["1simulator", "4", "210.2†4 : 9", "–"],
        [odd, "4", "95.12†4 : 9", "−0.002000± 0.0031 (2)4 : 9"],
        ["3CUT", "1,234", "undefined†4 : 9", "0.1250± 0.25 (2)4 : 9"],
        ["Rreal", "9", "5.004.50 – 5.50"],
        ["1simulator", "4", "1.501.00 – 2.00"],
        [odd, "4", "4.253.75 – 4.75"],
        ["3CUT", "1,234", "6.005.50 – 6.50"],
    ]


def test_the_best_of_each_column_is_marked(write):
    marked = write().texts("span", **{"class": "best"})
    # By tables; the last one is the sign in the key. None where doing nothing would be best.
    assert marked == ["16.23", "0.7000", "95.12†", "−0.002000", "4.25", "Bold"]


def test_the_key_explains_the_signs_of_the_table_and_no_others(write, record):
    (key,) = write().texts("p", **{"class": "key"})
    signs = ("Bold", "49 of 50", "±", "50 : 60", "†")
    assert all(sign in key for sign in (*signs, "↑", "↓", "≈", "95 %", "–"))
    row = record.rows[2]
    pairs = {"ssim": row.cells["fake_B_vs_real_B"]["ssim"]}
    alone = replace(row, cells=row.cells | {"sets": {}, "fake_B_vs_real_B": pairs})
    alone = replace(record, rows=[alone], reference=None)
    (key,) = write(record=alone, rows=[], scenes=[]).texts("p", **{"class": "key"})
    assert not any(sign in key for sign in (*signs, "↓")) and "↑" in key


def test_images_are_in_the_page_without_loss(write, scenes, tmp_path):
    page = write()
    strips = [strip for scene in scenes for strip in scene.strips]
    shown = [picture.pixels for strip in strips for picture in strip.pictures if picture]
    assert len(page.all("img")) == len(shown) == 8
    for element, image in zip(page.all("img"), shown, strict=True):
        assert (element["width"], element["height"]) == ("4", "3")
        file = tmp_path / "image.png"
        file.write_bytes(base64.b64decode(element["src"].partition(",")[2]))
        found = read_image(file)
        if found.ndim < image.ndim:  # equal bands are kept once
            found = np.dstack([found] * 3)
        np.testing.assert_array_equal(found, image)


def test_every_kind_of_drawing_is_there(write):
    captions = write().texts("figcaption")
    for start in ("PSNR", "SSIM", "FID", "noise", "Power spectra", "Grey levels, 8 bits", "PCA"):
        assert any(caption.startswith(start) for caption in captions), start
    assert "t-SNE of the judge's features" in captions


def test_pale_bars_stand_where_values_of_images_are_known(write):
    page = write()
    starts = [place for place, e in enumerate(page.elements) if e["tag"] == "figure"]
    bars = {}
    for start, end in zip(starts, [*starts[1:], len(page.elements)], strict=True):
        styles = [e.get("style", "") for e in page.elements[start:end] if e["tag"] == "path"]
        caption = page.elements[start + 1]["text"]
        bars.setdefault(caption, []).append(sum("opacity: 0.2" in style for style in styles))
    assert bars["PSNR [dB] ↑"] == [2, 0], "of two sets with targets, and not of their sources"
    assert bars["noise [counts] ≈"] == [3] and bars["FID ↓"] == [0]


def test_the_table_comes_first_what_matters_most_behind_it_and_the_rest_is_folded(write, record):
    page = write()
    order = [e["tag"] for e in page.elements if e["tag"] in ("table", "li", "details", "img")]
    assert order.index("table") < order.index("li") < order.index("details") < order.index("img")
    (box,) = page.all("div", role="note")
    (folded,) = (e for e in page.all("details") if "notes" in e["text"])
    assert "open" not in folded and folded["text"] == "2 more notes" + "".join(record.notes)
    assert box["text"] == record.warnings[0] + folded["text"]
    alone = write(record=replace(record, warnings=[]))
    assert alone.texts("summary")[0] == "2 notes"


def test_facts_and_protocol_are_shown(write):
    page = write()
    facts = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert facts["sets"] == "3"
    assert facts["images a set"] == "4 to 1,234"
    assert facts["real images"] == "9"
    assert facts["judge"] == facts["classifier"] == "judge.pth"
    assert facts["bits"] == "8 and 16"
    assert facts["luma"] == "no"
    assert facts["versions"] == "torch 2.11, lpips none"


def test_a_page_of_sets_without_anything_but_a_table(write, record):
    rows = [SetView(row.name, {}, None, None, None, None, None) for row in record.rows]
    bare = replace(record, reference=None, notes=[], warnings=[])
    page = write(rows=rows, reference=None, record=bare, scenes=[])
    assert page.texts("h2") == ["Metrics", "Values and their uncertainty"]
    assert not page.all("img") and not page.all("div", role="note")
    assert len(rows_of(page)) == 4 * 3


def test_a_report_without_any_measurement(write, record):
    rows = [replace(row, cells={"fake_B": {}, "sets": {}}) for row in record.rows]
    bare = replace(record, rows=rows, reference=None)
    page = write(record=bare, rows=[], reference=None, scenes=[])
    assert page.texts("h2") == ["Metrics"]
    assert [len(row) for row in rows_of(page)] == [2, 2, 2]


def test_small_images_are_enlarged_by_a_whole_number(write):
    page = write()
    widths = [re.search(r"--width: (\d+)px", e.get("style", "")) for e in page.all("div")]
    widths = [int(found[1]) for found in widths if found]
    assert len(widths) == 2 and all(width % 4 == 0 and width > 256 for width in widths)
    assert all(e["class"] == "enlarged" for e in page.all("img"))


def test_a_scene_has_a_column_a_set_with_its_pictures_level_and_its_boxes(write, scenes, browser):
    write()
    page = write.path
    browser.resize(1300, 800)
    browser.open(page)
    rects = browser.run(
        """[...document.querySelector(".side").children].map(figure =>
            [...figure.querySelectorAll("img, i")].map(e => {
                const { x, y, width, height } = e.getBoundingClientRect();
                return [e.tagName, x, y, width, height]; }))"""
    )
    assert [[tag for tag, *_ in column] for column in rects] == [
        ["IMG", "I"],
        *[["IMG", "I"] * 3] * 2,
    ]
    source, one, two = rects
    assert source[0][2] == one[0][2] == two[0][2], "images are level"
    assert [r[2] for r in one] == [r[2] for r in two] and one[0][1] < two[0][1]
    for column in rects:
        for (_, x, y, width, height), box in zip(column[::2], column[1::2], strict=True):
            expected = [x + width / 4 - 1, y - 1, width / 2 + 2, height / 2 + 2]
            assert box[1:] == pytest.approx(expected, abs=0.1)


# What A4 leaves on its side between margins of 10 mm, at 96 pixels an inch.
PAPER = 277 / 25.4 * 96


def test_no_column_is_cut_off_on_paper(write, record, browser):
    """The widest tables there can be: every metric, with long intervals, and a long name."""
    long = Mean(-12345.678, (-12345.678, -12345.678), 4, 1, 0)
    cells = {
        group: dict.fromkeys(kind.metrics, long)
        for group, kind in GROUPS.items()
        if group != "sets"
    }
    name = "pseudo-pairs → Pix2Pix+Grad-CAM of a_long_name_without_a_break"
    rows = [make_row(n, 12345, **cells) for n in (name, "other")]
    differences = {
        group: {key: Difference(-12345.678, long.ci95, 4, 1, 0, "worse") for key in found}
        for group, found in cells.items()
    }
    record = replace(record, rows=rows, differences=[Differences(name, "other", 9, 9, differences)])
    views = [SetView(row.name, {}, None, None, None, None, None) for row in rows]
    write(record=record, rows=views, scenes=[])
    browser.resize(int(PAPER), 700)
    browser.call("Emulation.setEmulatedMedia", media="print")
    browser.open(write.path)
    try:
        tables = "[document.documentElement, ...document.querySelectorAll('.scroll')]"
        beyond = browser.run(f"{tables}.map(e => e.scrollWidth - e.clientWidth)")
        notes = browser.run("[...document.querySelectorAll('li')].map(e => e.checkVisibility())")
        pdf = base64.b64decode(browser.call("Page.printToPDF", preferCSSPageSize=True)["data"])
    finally:
        browser.call("Emulation.setEmulatedMedia", media="")
    assert len(beyond) > 6 and max(beyond) <= 0
    assert len(notes) > 2 and all(notes), "nothing is folded on paper"
    sheets = re.findall(rb"/MediaBox \[0 0 (\d+) (\d+)\]", pdf)
    assert sheets and all(int(width) > int(height) for width, height in sheets)
