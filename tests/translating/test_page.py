"""The page of results in a browser: sorted, filtered, selected, and seen large."""

import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from data.images import write_image
from data.value_map import EIGHT_BIT, Stored
from metrics.measure import ImageValues
from metrics.report.results_pages import measured
from tests.browser import Browser
from translating.page import ResultsPage
from util.pages import as_digits, change_island

NAMES = ["a/<b>1", "a/2", "b/3"]
KINDS = ("real_A", "fake_B", "real_B")
TABLE = """file,class,range_m,box_x,box_y,box_w,box_h
testA/a/<b>1.png,T72,1000,4,4,8,4
testA/a/2.png,BMP2,2000,,,,
testA/b/3.png,T72,3000,0,0,16,16
"""
SSIM = [0.5, 0.9, float("nan")]


def make_page(folder: Path, *, paired: bool = True) -> Path:
    (folder / "data").mkdir()
    (folder / "data" / "labels.csv").write_text(TABLE)
    files = [SimpleNamespace(name=n, path=folder / "data" / "testA" / f"{n}.png") for n in NAMES]
    dataset = SimpleNamespace(
        files=files,
        domains={"A": SimpleNamespace(half=None)},
        selection=SimpleNamespace(root=folder / "data"),
    )
    page = ResultsPage(dataset, dict.fromkeys(KINDS, Stored(EIGHT_BIT, EIGHT_BIT)), paired=paired)
    rows = []
    for name in NAMES:
        shown = {}
        for grey, kind in zip((40, 100, 120), KINDS, strict=True):
            file = Path("images", kind, f"{name}.png")
            image = np.full((16, 32), grey, np.uint8)
            write_image(folder / file, image)
            shown[kind] = file, image
        rows.append(page.row(name, shown, window=None))
    page.write(folder / "index.html", "x: test", {"images": "3"}, rows)
    assert page.note == "" and not any(row.note for row in rows)
    images = [
        ImageValues(name, {"fake_B_vs_real_B": {"ssim": value, "psnr": float("inf")}}, {}, "")
        for name, value in zip(NAMES, SSIM, strict=True)
    ]
    corner = np.zeros((16, 16))
    corner[:8, :8] = 1
    for image in images:
        image.attention["real_B"] = {"fake_B": as_digits(corner)}
    assert change_island(folder / "index.html", "measured", lambda _: measured(NAMES, images))
    return folder / "index.html"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return make_page(tmp_path_factory.mktemp("results"))


@pytest.fixture
def page(browser, path):
    browser.open(path)
    return browser


NAMES_SHOWN = """[...document.querySelectorAll("main section")].filter(s => !s.hidden)
    .sort((a, b) => a.style.order - b.style.order).map(s => s.querySelector("h2").textContent)"""


def enter(page: Browser, selector: str, value: str) -> None:
    page.run(
        f"""for (const e of document.querySelectorAll({selector!r})) {{
            e.value = {value!r};
            e.dispatchEvent(new Event(e.tagName === "SELECT" ? "change" : "input"));
        }}"""
    )


def shot(page: Browser, folder: Path) -> np.ndarray:
    content = page.screenshot(folder / "shot.png")
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def sort_by(page: Browser, title: str) -> None:
    page.run(
        f"""(() => {{
        const option = [...document.querySelectorAll("nav option")].find(o => o.text === {title!r});
        option.selected = true;
        option.parentElement.dispatchEvent(new Event("change"));
    }})()"""
    )


def test_rows_are_sorted_by_what_was_measured(page):
    assert page.run(NAMES_SHOWN) == NAMES
    sort_by(page, "SSIM ↑")
    assert page.run(NAMES_SHOWN) == ["a/<b>1", "a/2", "b/3"], "what has no value is last"
    page.run("document.querySelector('nav select ~ button, nav button').click()")
    assert page.run(NAMES_SHOWN) == ["a/2", "a/<b>1", "b/3"]
    facts = "document.querySelector('main section h2').dataset.facts"
    assert page.run(facts) == "T72 · 1,000 m · SSIM ↑ 0.5"


def test_rows_are_filtered_by_text_class_and_range(page):
    enter(page, "input[type=search]", "A/")
    assert page.run(NAMES_SHOWN) == NAMES[:2]
    sort_by(page, "T72")
    assert page.run(NAMES_SHOWN) == NAMES[:1]
    enter(page, "input[type=search]", "")
    enter(page, "input[placeholder=nearest]", "1500")
    assert page.run(NAMES_SHOWN) == NAMES[2:]
    assert page.run("document.querySelector('output').textContent") == "1 of 3 rows"


def test_names_of_selected_rows_are_copied(page):
    copied = """(() => { const heads = document.querySelectorAll("main h2");
        heads[0].click(); heads[2].click(); heads[1].click(); heads[1].click();
        let text; document.execCommand = () => { text = document.activeElement.value; };
        [...document.querySelectorAll("nav button")].find(b => /^copy/.test(b.textContent)).click();
        return text; })()"""
    assert page.run(copied) == "a/<b>1\nb/3"


def test_the_zoomed_view_shows_pixels_difference_and_attention(page, tmp_path):
    page.run("document.querySelector('.images a').focus()")
    page.press("Enter")
    page.settle()
    style = "getComputedStyle(document.querySelector('.picture img')).imageRendering"
    assert page.run(style) == "pixelated"
    x, y, width, height = page.run(
        """(r => [r.x, r.y, r.width, r.height])(
            document.querySelector(".picture").getBoundingClientRect())"""
    )
    assert (width % 32, height / width) == (0, 0.5)

    def grey(right: float = 0.9, down: float = 0.9) -> list[int]:
        return shot(page, tmp_path)[int(y + down * height), int(x + right * width)].tolist()

    assert grey() == [40] * 3
    page.press("2")
    assert grey() == [100] * 3
    page.press("3")
    assert grey() == [120] * 3
    page.press("d")
    assert grey() == [4 * 20] * 3, "fake_B and real_B, four times as bright"
    page.press("2")
    page.press("c")
    red, green, blue = grey(0.2, 0.1)
    assert red > green > blue and grey() == [100] * 3
    page.press("ArrowRight")
    assert page.run("document.querySelector('dialog h2').textContent") == "a/2"
    assert page.run("document.querySelector('.picture .box').hidden"), "it has none"
    page.press("ArrowLeft")
    assert not page.run("document.querySelector('.picture .box').hidden")
    text = page.run("document.querySelector('dialog header p').textContent")
    assert text == "1 of 3 · T72 · 1,000 m · PSNR [dB] ↑ ∞ · SSIM ↑ 0.5"
    assert page.run("document.querySelectorAll('.histogram polyline').length") == 3


def test_palette_and_window_change_all_images(page, tmp_path):
    place = "document.querySelectorAll('.images img')[1].getBoundingClientRect()"
    x, y = map(int, page.run(f"(r => [r.x + 20, r.y + 20])({place})"))
    assert shot(page, tmp_path)[y, x].tolist() == [100] * 3
    enter(page, "nav .window input:first-of-type", "50")
    enter(page, "nav .window input:last-of-type", "150")
    assert np.abs(shot(page, tmp_path)[y, x] - (100 - 50) / 100 * 255).max() <= 2
    sort_by(page, "black-hot")
    enter(page, "nav .window input:first-of-type", "0")
    enter(page, "nav .window input:last-of-type", "255")
    assert np.abs(shot(page, tmp_path)[y, x] - 155).max() <= 2
    sort_by(page, "ironbow")
    red, green, blue = shot(page, tmp_path)[y, x]
    assert red > blue > green


def test_three_images_stay_in_one_row_on_a_phone(page):
    page.resize(360, 700)
    page.settle()
    images = "[...document.querySelectorAll('section')[0].querySelectorAll('img')]"
    tops = page.run(f"{images}.map(i => Math.round(i.getBoundingClientRect().y))")
    assert len(set(tops)) == 1
    assert page.run("document.documentElement.scrollWidth") <= 360
    page.resize(800, 700)


def test_without_scripts_all_rows_are_there(tmp_path):
    html = make_page(tmp_path).read_text(encoding="utf-8")
    assert html.count("<section") == 3 and html.count("<img") == 9
    assert html.index('id="rows"') < html.index("<section"), "or it opens slowly"


def test_labels_that_cannot_be_read_cost_a_line(tmp_path):
    (tmp_path / "labels.csv").write_text("file,range_m\na.png,far\n")
    dataset = SimpleNamespace(
        files=[],
        domains={"A": SimpleNamespace(half=None)},
        selection=SimpleNamespace(root=tmp_path),
    )
    note = ResultsPage(dataset, {}, paired=False).note
    assert "labels are not on the page of results" in note and "'far'" in note
