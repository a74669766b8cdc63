"""Scripts of pages: what stands in a page for them, and what they can and cannot do there."""

import json
import re

import numpy as np
import pytest

from util.errors import UserError
from util.html import GalleryRow, write_gallery
from util.pages import PageScript, as_digits, change_island, island

ODD = "</script><script>alert(1)</script><!-- \\ \u2028 \udcff é"


def content(html: str, name: str):
    return json.loads(re.search(f'id="{name}">(.*?)</script>', html)[1])


def test_no_text_leaves_an_island():
    html = island("names", [ODD])
    assert content(html, "names") == [ODD]
    assert html.count("<") == 2


def test_digits_are_64_levels():
    values = np.linspace(0, 1, 64)
    assert as_digits(values) == "".join(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    )


def test_an_island_is_changed_and_nothing_else(tmp_path):
    page = tmp_path / "index.html"
    script = PageScript("results", {"rows": [ODD], "measured": None})
    write_gallery(page, "x", {}, [GalleryRow(ODD, [])], script=script)
    before = page.read_text(encoding="utf-8")
    assert change_island(page, "measured", lambda value: [value, ODD])
    after = page.read_text(encoding="utf-8")
    assert content(after, "measured") == [None, ODD]
    assert content(after, "rows") == [ODD]
    assert change_island(page, "measured", lambda _: None)
    assert page.read_text(encoding="utf-8") == before


def test_a_page_without_the_island_is_left_alone(tmp_path):
    page = tmp_path / "index.html"
    page.write_text("<p>of an earlier version")
    assert not change_island(page, "measured", lambda _: 1)
    assert page.read_text() == "<p>of an earlier version"
    with pytest.raises(UserError, match=r"none.html cannot be read"):
        change_island(tmp_path / "none.html", "measured", lambda _: 1)
