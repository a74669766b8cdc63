"""The list of runs and results, and the page that compares two of them."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

import runs
from data.images import write_image
from overview.found import find_all_results, find_runs
from overview.page import size
from util.html import write_gallery
from util.pages import PageScript

OPTIONS = {"run": {"model": "cut"}, "data": {"dataroot": "/x/mwir"}}
SSIM = "SSIM ↑"


def make_run(folder: Path, *marks: str) -> None:
    (folder / "web").mkdir(parents=True)
    (folder / "web" / "index.html").write_text("<p>curves")
    training = {"n_epochs": 5, "n_epochs_decay": 4}
    (folder / "run.json").write_text(json.dumps({"options": {**OPTIONS, "training": training}}))
    (folder / "loss_log.csv").write_text("epoch,step,G\n1,9,1\n3,25,1\n")
    for mark in marks:
        (folder / mark).write_text("")


def make_result(folder: Path, names: list[str], ssim: list[float | None], grey: int) -> None:
    for kind in ("real_A", "fake_B", "real_B"):
        for name in names:
            image = np.full((16, 16), grey if kind == "fake_B" else 50, np.uint8)
            write_image(folder / "images" / kind / f"{name}.png", image)
    (folder / "result.json").write_text(json.dumps({"options": OPTIONS}))
    metrics = [{"title": SSIM, "values": ssim}]
    data = {"rows": None, "measured": {"names": names, "metrics": metrics, "attention": {}}}
    write_gallery(folder / "index.html", "x", {}, [], script=PageScript("results", data))


@pytest.fixture
def work(tmp_path, monkeypatch):
    make_run(tmp_path / "checkpoints" / "done", "finished")
    make_run(tmp_path / "checkpoints" / "group" / "killed", "lock")
    (tmp_path / "checkpoints" / "group" / "killed" / "best.json").write_text(
        json.dumps({"epoch": 2, "values": {"ssim": 0.8123}})
    )
    (tmp_path / "checkpoints" / "broken").mkdir()
    (tmp_path / "checkpoints" / "broken" / "run.json").write_text("{}")
    results = tmp_path / "results"
    make_result(results / "one" / "test_latest", ["a b", "c", "d"], [0.5, 0.5, None], 100)
    make_result(results / "two" / "test_latest", ["c", "a b", "e"], [0.25, 0.75, 0.1], 110)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_runs_have_their_state_epoch_and_best(work):
    found = {run.name: run for run in find_runs(work / "checkpoints")}
    assert found.keys() == {"done", "group/killed"}
    assert (found["done"].state, found["done"].epoch, found["done"].best) == ("finished", "3/9", "")
    assert found["group/killed"].state == "died"
    assert found["group/killed"].best == "ssim 0.812 at 2"


def test_files_of_a_run_at_work_may_go_while_they_are_counted(work, monkeypatch):
    folder = work / "checkpoints" / "done"
    (folder / ".latest.pth.0123abcd.part").write_bytes(bytes(1000))
    there = Path.is_file

    def renamed_meanwhile(path: Path) -> bool:
        found = there(path)
        if path.suffix == ".part":
            path.unlink()
        return found

    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    monkeypatch.setattr(Path, "is_file", renamed_meanwhile)
    found = {run.name: run for run in find_runs(work / "checkpoints")}
    assert found["done"].size == size - 1000


def test_results_have_their_means(work):
    found = {result.name: result for result in find_all_results(work / "results")}
    assert found["one/test_latest"].means() == {SSIM: 0.5}
    assert found["two/test_latest"].values == {SSIM: [0.75, 0.25, 0.1]}, "in the order of names"


def test_the_terminal_lists_all_in_100_columns(work, capsys):
    make_run(work / "checkpoints" / ("long_" * 12), "finished")
    runs.main([])
    text = capsys.readouterr().out
    for words in ("done", "group/killed", "died", "3/9", "ssim 0.812 at 2", f"{SSIM} 0.5"):
        assert words in text
    tables = text.split("\n\n")[:2]
    assert max(len(line) for table in tables for line in table.splitlines()) <= 100


def test_any_two_results_stand_side_by_side(work, browser):
    runs.main([])
    browser.open(work / "results" / "index.html")
    headings = "[...document.querySelectorAll('main section h2')].map(h => h.firstChild.data)"
    assert sorted(browser.run(headings)) == ["a b", "c"]
    sums = "[...document.querySelectorAll('.sums td')].map(cell => cell.textContent)"
    assert browser.run(sums) == [SSIM, "0.5", "0.5", "0", "2"]
    browser.run(
        """(() => { const select = [...document.querySelectorAll("nav select")]
            .find(s => [...s.options].some(o => o.text.startsWith("SSIM")));
        select.value = select.options[1].value; select.dispatchEvent(new Event("change")); })()"""
    )
    left = browser.run("document.querySelector('nav select').selectedOptions[0].text")
    order = ["a b", "c"] if left.startswith("two") else ["c", "a b"]
    assert browser.run(headings) == order, "from the greatest loss to the greatest gain"
    images = "[...document.querySelectorAll('main section')[0].querySelectorAll('img')]"
    assert browser.run(f"{images}.length") == 4
    browser.run("document.querySelector('.images a').click()")
    browser.press("d")
    assert browser.run("document.querySelectorAll('.picture img:not([hidden])').length") == 2
    links = browser.run("[...document.querySelectorAll('td a')].map(link => link.href)")
    assert len(links) == 4
    assert all(Path(link.removeprefix("file://")).is_file() for link in links)


@pytest.mark.parametrize(("paired", "shown"), [(True, True), (None, True), (False, False)])
def test_a_real_image_of_another_scene_is_not_shown_as_the_target(work, paired, shown):
    folder = work / "results" / "one" / "test_latest"
    (folder / "result.json").write_text(json.dumps({"options": OPTIONS, "paired": paired}))
    (found,) = find_all_results(folder.parent)
    assert ("real_B" in found.shown) == shown and {"real_A", "fake_B"} <= found.shown.keys()


def test_the_page_begins_with_results_of_images_of_one_name(work, browser):
    make_result(work / "results" / "other", ["x"], [0.5], 100)
    os.utime(work / "results" / "other" / "index.html", (4e9, 4e9))
    runs.main([])
    browser.open(work / "results" / "index.html")
    shown = "[...document.querySelectorAll('nav select')].map(s => s.selectedOptions[0].text)"
    assert set(browser.run(shown)[:2]) == {"one/test_latest", "two/test_latest"}


def test_sizes_are_told_in_their_unit():
    assert [size(n) for n in (23_000, 4_000_000, 2_500_000_000)] == ["23 kB", "4 MB", "2.5 GB"]


def test_tables_of_long_names_fit_a_desktop(work, browser, monkeypatch):
    name = "comparison_of_all_recipes/simulator_to_pix2pix_gradcam/test_latest"
    place = "/data/projects/infrared/2026/dsiac_and_oktal/datasets/night_mwir_pix2pix_gradcam"
    monkeypatch.setitem(OPTIONS, "data", {"dataroot": place})
    monkeypatch.setitem(OPTIONS, "run", {"model": "pix2pix_gradcam"})
    make_run(work / "checkpoints" / name, "finished")
    best = json.dumps({"epoch": 200, "values": {"balanced_accuracy": 0.8123}})
    (work / "checkpoints" / name / "best.json").write_text(best)
    make_result(work / "results" / name, ["a"], [0.5], 100)
    titles = ["PSNR in box [dB] ↑", "MAE outside [counts] ↓", "target contrast [counts] ≈", SSIM]
    metrics = [{"title": title, "values": [12345.678]} for title in titles]
    data = {"rows": None, "measured": {"names": ["a"], "metrics": metrics, "attention": {}}}
    page = work / "results" / name / "index.html"
    write_gallery(page, "x", {}, [], script=PageScript("results", data))
    runs.main([])
    browser.resize(1300, 800)
    browser.open(work / "results" / "index.html")
    tables = "[document.documentElement, ...document.querySelectorAll('.scroll, .sums')]"
    beyond = browser.run(f"{tables}.map(e => e.scrollWidth - e.clientWidth)")
    assert len(beyond) == 4 and max(beyond) <= 0


def test_nothing_found_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    runs.main([])
    assert "no runs in checkpoints" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
