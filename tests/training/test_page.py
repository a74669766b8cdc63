"""The training page: its rows are the sample images that lie beside it."""

import re
import sys
import time
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from data.images import read_image, write_image
from training.display import RUNNING, Standing
from training.loss_log import LossLog
from training.page import TrainingPage
from training.position import Position

RUNS = Standing(RUNNING, written=1e9, silence=300, facts={"epoch": "1 of 9"})
ENDED = Standing("finished", written=1e9, silence=300, facts={})
GREY = np.arange(16, dtype=np.uint8).reshape(4, 4)


class Sources(HTMLParser):
    """Files of the images and text of the headings, in their order on the page."""

    def __init__(self) -> None:
        super().__init__()
        self.images: list[str] = []
        self.headings: list[str] = []
        self.in_heading = False
        self.refresh: str | None = None

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.in_heading = tag == "h2"
        if tag == "img":
            self.images.append(attributes["src"])
        if tag == "meta" and attributes.get("http-equiv") == "refresh":
            self.refresh = attributes["content"]

    def handle_data(self, data):
        if self.in_heading:
            self.headings.append(data)
            self.in_heading = False


def read(page: TrainingPage) -> tuple[Sources, str]:
    html = (page.folder / "index.html").read_text(encoding="utf-8")
    found = Sources()
    found.feed(html)
    return found, unescape(html)


def at(epoch: int, images: int) -> Position:
    return Position(epoch, images=images)


@pytest.fixture
def page(tmp_path) -> TrainingPage:
    return make(tmp_path / "web")


def make(folder: Path, *, behind: int = 0) -> TrainingPage:
    facts = {"model": "cut"}
    logs = {"Losses": folder / "loss_log.csv", "Validation": folder / "none.csv"}
    details = {"Command": "python train.py"}
    given = {"facts": facts, "details": details, "logs": logs}
    return TrainingPage(folder, title="x: training", **given, behind=behind)


def test_a_page_before_the_first_sample(page):
    page.update(RUNS)
    found, html = read(page)
    assert found.images == [] and "x: training" in html and "cut" in html


def test_a_page_without_curves_and_samples_says_when_they_come(page):
    page.update(RUNS)
    assert "--display_freq" in read(page)[1]
    page.samples(at(1, 4), [{"real_A": np.zeros((4, 4), np.uint8)}])
    page.update(RUNS)
    assert "--display_freq" not in read(page)[1]


def test_samples_are_written_as_they_are(page):
    colour = np.dstack([GREY] * 3)
    page.samples(at(1, 400), [{"real_A": GREY, "fake_B": colour}])
    page.update(RUNS)
    found, _ = read(page)
    assert len(found.images) == 2
    images = [read_image(page.folder / src) for src in found.images]
    np.testing.assert_array_equal(images[0], GREY)
    np.testing.assert_array_equal(images[1], colour)


def test_the_newest_row_is_on_top_and_images_have_their_order(page):
    names = ("real_B", "zz", "attention", "real_A", "fake_B")
    for epoch, seen in ((9, 900), (2, 200), (10, 1000), (10, 1200), (1000, 12000)):
        page.samples(at(epoch, seen), [dict.fromkeys(names, GREY)])
    page.update(RUNS)
    found, _ = read(page)
    rows = ((1000, 12000), (10, 1200), (10, 1000), (9, 900), (2, 200))
    assert found.headings == [f"epoch {epoch}, {seen} images" for epoch, seen in rows]
    order = [re.search(r"_sample0_(\w+)\.png", src)[1] for src in found.images[:5]]
    assert order == ["real_A", "fake_B", "real_B", "attention", "zz"]
    assert all((page.folder / src).is_file() for src in found.images)


def test_a_resumed_run_goes_on_with_its_page(page):
    page.samples(at(1, 400), [{"fake_B": GREY}])
    again = make(page.folder)
    again.samples(at(2, 800), [{"fake_B": GREY}])
    again.samples(at(1, 400), [{"fake_B": 255 - GREY}])  # made anew: one row, not two
    again.update(RUNS)
    found, _ = read(again)
    assert len(found.images) == 2
    np.testing.assert_array_equal(read_image(again.folder / found.images[1]), 255 - GREY)


def test_other_files_in_the_folder_are_left_out(page):
    page.samples(at(1, 400), [{"fake_B": GREY}])
    write_image(page.folder / "images" / "epoch_notes.png", GREY)
    (page.folder / "images" / "notes.txt").write_text("")
    page.update(RUNS)
    assert len(read(page)[0].images) == 1


def test_the_page_reloads_itself_until_training_is_finished(page):
    page.samples(at(1, 400), [{"fake_B": GREY}])
    page.update(RUNS)
    assert read(page)[0].refresh == "30"
    page.update(ENDED)
    assert read(page)[0].refresh is None


def test_the_curves_of_the_log_stand_above_the_samples(page):
    page.samples(at(1, 10), [{"real_A": GREY}])
    log = LossLog(page.folder / "loss_log.csv")
    page.update(RUNS)
    assert "Losses" not in read(page)[0].headings
    for step in (1, 2):
        log.append(1, step, {"G": 1.0, "<D>": 2.0})
    page.update(RUNS)
    found, html = read(page)
    assert found.headings == ["Losses", "epoch 1, 10 images"]
    assert html.count('<svg viewBox="0 0 260 130">') == 2
    assert "<figcaption><D></figcaption>" in html  # unescaped by `read`


def test_curves_are_drawn_anew_once_a_log_has_grown_and_at_the_end(page, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "training.page.read_curves", lambda log: drawn.append(log.stat().st_size) or []
    )
    log = page.folder / "loss_log.csv"
    page.folder.mkdir()
    for size in (1000, 1000, 1010, 1030, 1031):
        log.write_text("x" * size)
        page.update(RUNS)
    assert drawn == [1000, 1030]
    page.update(ENDED)
    page.update(ENDED)
    assert drawn == [1000, 1030, 1031]


def test_rows_follow_the_files(page):
    page.samples(at(1, 10), [{"fake_B": GREY}])
    page.update(RUNS)
    page.samples(at(1, 10), [{"real_A": GREY}])  # of a moment that is on the page already
    page.samples(at(2, 20), [{"real_A": GREY}])
    page.update(RUNS)
    found, _ = read(page)
    assert found.headings == ["epoch 2, 20 images", "epoch 1, 10 images"]
    assert [name.rsplit("_", 2)[-2] for name in found.images] == ["real", "real", "fake"]
    for file in (page.folder / "images").glob("epoch001*"):
        file.unlink()
    page.update(RUNS)
    assert read(page)[0].headings == ["epoch 2, 20 images"]


def test_what_draws_is_loaded_before_training(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib.backends.backend_svg", raising=False)
    make(tmp_path)
    assert "matplotlib.backends.backend_svg" in sys.modules


# --- in a browser


@pytest.fixture
def shown(browser, page):
    """shown(standing): the browser at the page of a run of two moments and two samples."""
    log = LossLog(page.folder / "loss_log.csv")
    for step in range(1, 11):
        log.append(1, step, {"G": 10.0**-step})
    for epoch in (1, 2):
        sample = {"real_A": GREY, "fake_B": GREY + epoch, "real_B": GREY}
        page.samples(at(epoch, 400 * epoch), [sample, sample])

    def show(standing: Standing):
        page.update(standing)
        browser.open(page.folder / "index.html")
        return browser

    return show


STATE = "document.querySelector('dd').textContent"


@pytest.mark.parametrize(("behind", "kept"), [(0, []), (400, [400]), (900, [400, 800])])
def test_samples_that_a_run_has_yet_to_come_to_are_none_of_it(page, behind, kept):
    """Of one that was killed after its last save, or that failed under this name."""
    for seen in (400, 800):
        page.samples(at(1, seen), [{"fake_B": GREY}])
    own = page.folder / "images" / "mine.png"
    own.write_bytes(b"")
    again = make(page.folder, behind=behind)
    again.update(RUNS)
    assert read(again)[0].headings == [f"epoch 1, {seen} images" for seen in reversed(kept)]
    assert own.exists()


def test_a_run_that_says_nothing_for_long_is_thought_dead(shown):
    now = time.time()
    assert shown(Standing(RUNNING, now - 100, 300, {})).run(STATE) == "running"
    assert shown(Standing(RUNNING, now - 301, 300, {})).run(STATE).startswith("died? no word since")
    assert shown(Standing("stopped", now - 301, 300, {})).run(STATE) == "stopped"


def test_the_slider_goes_through_the_moments_in_place(shown):
    browser = shown(ENDED)
    browser.run(
        """(() => { const slider = document.querySelector(".moments input");
        slider.value = 0; slider.dispatchEvent(new Event("input")); })()"""
    )
    newest = "[...document.querySelector('main section').querySelectorAll('img')].map(i => i.src)"
    names = [source.rsplit("/", 1)[1] for source in browser.run(newest)]
    assert len(names) == 6 and all(name.startswith("epoch001_images00000400_") for name in names)
    heading = "document.querySelector('main section h2').textContent"
    assert browser.run(heading) == "epoch 1, 400 images"


def test_arrow_keys_follow_a_sample_through_time(shown):
    browser = shown(ENDED)
    browser.run("document.querySelectorAll('main section .images a')[4].click()")
    picture = "document.querySelector('.picture img:not([hidden])').src.split('/').at(-1)"
    assert browser.run(picture) == "epoch002_images00000800_sample1_fake_B.png"
    browser.press("ArrowLeft")
    assert browser.run(picture) == "epoch001_images00000400_sample1_fake_B.png"


def drag(browser, first: float, last: float) -> None:
    """Over the first plot, from one share of its width to another."""
    browser.run(
        f"""(() => {{ const plot = document.querySelector(".plot");
        const {{ x, width }} = plot.getBoundingClientRect();
        const at = (type, share) => plot.dispatchEvent(
            new PointerEvent(type, {{ clientX: x + ((38 + 212 * share) / 260) * width }}));
        at("pointerdown", {first}); at("pointerup", {last}); }})()"""
    )


def test_curves_tell_values_and_have_a_log_axis(shown):
    browser = shown(ENDED)
    over = """(() => { const plot = document.querySelector(".plot");
        const { x, width } = plot.getBoundingClientRect();
        plot.dispatchEvent(new PointerEvent("pointermove", { clientX: x + width }));
        return document.querySelector(".drawings output").textContent; })()"""
    assert browser.run(over) == "1e-10 at step 10"
    points = "document.querySelector('.plot .line').getAttribute('points').split(' ')"
    heights = f"{points}.map(p => Number(p.split(',')[1]))"
    assert np.ptp(browser.run(heights)[2:]) < 2, "eight values far below the first"
    browser.run("document.querySelector('nav input[type=checkbox]').click()")
    assert np.diff(browser.run(heights)) == pytest.approx([104 / 9] * 9, abs=0.11)
    drag(browser, 3.9 / 9, 1)
    assert len(browser.run(points)) == 6, "steps 5 to 10"
    drag(browser, 0.08, 0.15)
    assert browser.run(points) == [""], "between two steps"
    assert not re.search("Infinity|NaN", browser.run("document.querySelector('.plot').innerHTML"))
    browser.run("sessionStorage.clear()")


def test_without_scripts_the_page_reloads_itself_and_has_its_facts(page):
    page.update(RUNS)
    _, html = read(page)
    assert re.search(r'<noscript><meta [^>]*http-equiv="refresh"', html)
    assert "<dt>epoch</dt><dd>1 of 9</dd>" in html and "python train.py" in html
