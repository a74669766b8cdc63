"""The pages: what a browser would read from them, whatever the names are."""

import os
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

import pytest

from util.errors import UserError
from util.html import GalleryRow, write_gallery

ODD_NAMES = [
    "with space.png",
    "a#b.png",
    "what?b=1&c.png",
    "quo\"te'd.png",
    "50%25.png",
    "scheme:name.png",
    "<script>alert(1)</script>",
    "back\\slash.png",
    "new\nline.png",
    "적외선 é.png",
    os.fsdecode(b"not utf-8 \xff.png"),
]


class Page(HTMLParser):
    """The elements of a page, with their text, as a browser's parser sees them."""

    VOID = ("meta", "img", "link", "br", "hr")

    def __init__(self, path: Path):
        super().__init__()
        self.open: list[dict] = []
        self.elements: list[dict] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert not self.open, "every element is closed"

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "text": "", **dict(attrs)}
        self.elements.append(element)
        if tag not in self.VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open.pop()["tag"] == tag, "elements are nested properly"

    def handle_data(self, data):
        if self.open:
            self.open[-1]["text"] += data

    def all(self, tag: str) -> list[dict]:
        return [element for element in self.elements if element["tag"] == tag]


def write_one(folder: Path, rows=(), title="run", facts=None, **options) -> Page:
    write_gallery(folder / "index.html", title, facts or {}, rows, **options)
    return Page(folder / "index.html")


def target(address: str, folder: Path) -> bytes:
    """The file that a browser opens for a link on the page index.html of a folder."""
    parts = urlsplit(urljoin((folder / "index.html").as_uri(), address))
    assert parts.scheme == "file" and not parts.query and not parts.fragment
    return unquote_to_bytes(parts.path)


def test_rows_facts_and_images_are_in_the_order_given(tmp_path):
    rows = [
        GalleryRow("second", [("real_A", Path("images/b.png")), ("fake_B", Path("images/c.png"))]),
        GalleryRow("first", [("real_A", Path("images/a.png"))]),
        GalleryRow("nothing to show", []),
    ]
    page = write_one(tmp_path, rows, "mwir", {"epoch": "400", "images": "50 of 920"})

    assert [e["text"] for e in page.all("title")] == ["mwir"]
    assert [e["text"] for e in page.all("h1")] == ["mwir"]
    assert [e["text"] for e in page.all("dt")] == ["epoch", "images"]
    assert [e["text"] for e in page.all("dd")] == ["400", "50 of 920"]
    assert [e["text"] for e in page.all("h2")] == ["second", "first", "nothing to show"]
    assert [e["text"] for e in page.all("figcaption")] == ["real_A", "fake_B", "real_A"]
    sources = [e["src"] for e in page.all("img")]
    assert sources == ["images/b.png", "images/c.png", "images/a.png"]
    assert [e["href"] for e in page.all("a")] == sources, "a click opens the image itself"
    assert all(e["loading"] == "lazy" for e in page.all("img"))


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_file_name_is_linked_exactly(tmp_path, name):
    page = write_one(tmp_path, [GalleryRow("row", [("caption", Path("sub folder") / name)])])
    for address in (page.all("img")[0]["src"], page.all("a")[0]["href"]):
        assert address.isascii() and address.isprintable() and " " not in address
        assert target(address, tmp_path) == os.fsencode(tmp_path / "sub folder" / name)


def test_files_above_the_page_are_linked(tmp_path):
    page = write_one(tmp_path / "web", [GalleryRow("row", [("caption", Path("../images/a.png"))])])
    assert target(page.all("img")[0]["src"], tmp_path / "web") == os.fsencode(
        tmp_path / "images/a.png"
    )


@pytest.mark.parametrize(
    "text", ["</title></h1><script>alert(1)</script>", "\"'> & &amp; <b", "é 적"]
)
def test_text_is_shown_as_it_is(tmp_path, text):
    page = write_one(tmp_path, [GalleryRow(text, [(text, Path("a.png"))])], text, {text: text})
    for tag in ("title", "h1", "h2", "dt", "dd", "figcaption"):
        assert [e["text"] for e in page.all(tag)] == [text]
    assert page.all("img")[0]["alt"] == f"{text}: {text}"
    assert not page.all("script")


def test_the_page_needs_no_network_and_no_script(tmp_path):
    page = write_one(tmp_path, [GalleryRow("row", [("caption", Path("a.png"))])])
    assert not page.all("script") and not page.all("link")
    style = page.all("style")[0]["text"]
    assert "url(" not in style and "@import" not in style


def test_only_a_page_of_a_running_training_reloads_itself(tmp_path):
    def refresh(page: Page) -> list[str]:
        return [e["content"] for e in page.all("meta") if e.get("http-equiv") == "refresh"]

    assert refresh(write_one(tmp_path, refresh_seconds=30)) == ["30"]
    assert refresh(write_one(tmp_path)) == []


def test_a_page_is_replaced_in_one_step(tmp_path):
    write_one(tmp_path, title="old")
    with (tmp_path / "index.html").open(encoding="utf-8") as reader:
        page = write_one(tmp_path, title="new")
        assert "<h1>old</h1>" in reader.read(), "whoever reads the old page reads all of it"
    assert page.all("h1")[0]["text"] == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["index.html"]


def test_a_page_that_cannot_be_finished_leaves_the_old_one(tmp_path, monkeypatch):
    write_one(tmp_path, title="old")

    def fail(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(UserError, match="No space left"):
        write_gallery(tmp_path / "index.html", "new", {}, [])
    assert Page(tmp_path / "index.html").all("h1")[0]["text"] == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["index.html"]


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "dominate", None)
    with pytest.raises(UserError, match="pip install dominate"):
        write_gallery(tmp_path / "index.html", "run", {}, [])
    assert not list(tmp_path.iterdir())


def test_every_row_of_a_large_result_is_there_and_the_page_stays_light(tmp_path):
    rows = [
        GalleryRow(f"{i}.png", [(c, Path(f"images/{c}/{i}.png")) for c in ("real_A", "fake_B")])
        for i in range(2000)
    ]
    page = write_one(tmp_path, rows)
    assert [e["text"] for e in page.all("h2")] == [row.heading for row in rows]
    assert len(page.all("img")) == 4000
    assert (tmp_path / "index.html").stat().st_size < 2000 * 1000
