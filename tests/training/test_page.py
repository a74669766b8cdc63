"""The training page: its rows are the sample images that lie beside it."""

import re
import sys
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from data.images import read_image, write_image
from training.loss_log import LossLog
from training.page import TrainingPage
from util.errors import UserError

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


@pytest.fixture
def page(tmp_path) -> TrainingPage:
    return make(tmp_path / "web")


def make(folder: Path) -> TrainingPage:
    facts = {"model": "cut"}
    logs = {"Losses": folder / "loss_log.csv", "Validation": folder / "none.csv"}
    return TrainingPage(folder, title="x: training", facts=facts, logs=logs)


def test_a_page_before_the_first_sample(page):
    page.update()
    found, html = read(page)
    assert found.images == [] and "x: training" in html and "cut" in html


def test_samples_are_written_as_they_are(page):
    colour = np.dstack([GREY] * 3)
    page.add(1, 400, {"real_A": GREY, "fake_B": colour})
    page.update()
    found, _ = read(page)
    assert len(found.images) == 2
    images = [read_image(page.folder / src) for src in found.images]
    np.testing.assert_array_equal(images[0], GREY)
    np.testing.assert_array_equal(images[1], colour)


def test_the_newest_row_is_on_top_and_images_have_their_order(page):
    names = ("real_B", "zz_attention", "idt_B", "real_A", "fake_B")
    for epoch, seen in ((9, 900), (2, 200), (10, 1000), (10, 1200), (1000, 12000)):
        page.add(epoch, seen, dict.fromkeys(names, GREY))
    page.update()
    found, _ = read(page)
    rows = ((1000, 12000), (10, 1200), (10, 1000), (9, 900), (2, 200))
    assert found.headings == [f"epoch {epoch}, {seen} images" for epoch, seen in rows]
    order = [re.search(r"_images\d+_(\w+)\.png", src)[1] for src in found.images[:5]]
    assert order == ["real_A", "fake_B", "real_B", "idt_B", "zz_attention"]
    assert all((page.folder / src).is_file() for src in found.images)


def test_a_resumed_run_goes_on_with_its_page(page):
    page.add(1, 400, {"fake_B": GREY})
    again = make(page.folder)
    again.add(2, 800, {"fake_B": GREY})
    again.add(1, 400, {"fake_B": 255 - GREY})  # made anew: one row, not two
    again.update()
    found, _ = read(again)
    assert len(found.images) == 2
    np.testing.assert_array_equal(read_image(again.folder / found.images[1]), 255 - GREY)


def test_other_files_in_the_folder_are_left_out(page):
    page.add(1, 400, {"fake_B": GREY})
    write_image(page.folder / "images" / "epoch_notes.png", GREY)
    (page.folder / "images" / "notes.txt").write_text("")
    page.update()
    assert len(read(page)[0].images) == 1


def test_the_page_reloads_itself_until_training_is_finished(page):
    page.add(1, 400, {"fake_B": GREY})
    page.update()
    assert read(page)[0].refresh == "30"
    page.update(finished=True)
    assert read(page)[0].refresh is None


def test_the_curves_of_the_log_stand_above_the_samples(page):
    page.add(1, 10, {"real_A": GREY})
    log = LossLog(page.folder / "loss_log.csv")
    page.update()
    assert "Losses" not in read(page)[0].headings
    for step in (1, 2):
        log.append(1, step, {"G": 1.0, "<D>": 2.0})
    page.update()
    found, html = read(page)
    assert found.headings == ["Losses", "epoch 1, 10 images"]
    assert html.count("<svg") == 2
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
        page.update()
    assert drawn == [1000, 1030]
    page.update(finished=True)
    page.update(finished=True)
    assert drawn == [1000, 1030, 1031]


def test_rows_follow_the_files(page):
    page.add(1, 10, {"fake_B": GREY})
    page.update()
    page.add(1, 10, {"real_A": GREY})  # of a moment that is on the page already
    page.add(2, 20, {"real_A": GREY})
    page.update()
    found, _ = read(page)
    assert found.headings == ["epoch 2, 20 images", "epoch 1, 10 images"]
    assert [name.rsplit("_", 2)[-2] for name in found.images] == ["real", "real", "fake"]
    for file in (page.folder / "images").glob("epoch001*"):
        file.unlink()
    page.update()
    assert read(page)[0].headings == ["epoch 2, 20 images"]


def test_a_missing_package_is_noticed_before_training(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match=r"--no_html leaves out.*pip install matplotlib"):
        make(tmp_path)


def test_what_draws_is_loaded_before_training(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib.backends.backend_svg", raising=False)
    make(tmp_path)
    assert "matplotlib.backends.backend_svg" in sys.modules
