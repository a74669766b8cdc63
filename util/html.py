"""Pages that show images in rows: the results of a test, the samples of a training run.

A page links to image files beside it and needs nothing else: no server, no network.
`new_page` gives other pages the same look, `util.pages` what they do in a browser.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from util.files import write_text
from util.packages import require
from util.pages import PageScript

if TYPE_CHECKING:
    from dominate import document
    from dominate.tags import html_tag

# Rows out of sight are neither laid out nor painted (content-visibility), and their images are not
# loaded: a page of ten thousand rows opens as fast as a short one. The square aspect ratio holds
# only until an image is loaded; without it rows would be flat, and all images near the window.
STYLE = """
:root {
  color-scheme: light dark;
  --ground: #f6f6f4; --card: #ffffff; --line: #e3e3df;
  --ink: #1c1d1f; --quiet: #6b6d72; --accent: #b4451f;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ground: #17181a; --card: #202225; --line: #303338;
    --ink: #e6e6e3; --quiet: #9a9ca1; --accent: #f0936c;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2rem clamp(0.75rem, 3vw, 2.5rem); max-width: 110rem;
  background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, sans-serif;
}
h1 { margin: 0 0 1rem; font-size: 1.6rem; line-height: 1.2; overflow-wrap: anywhere; }
dl { display: flex; flex-wrap: wrap; gap: 0.75rem 2.25rem; margin: 0 0 2rem; }
dt, figcaption { color: var(--quiet); font-size: 0.8rem; }
dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
section {
  margin: 0 0 1rem; padding: 0 1rem 1rem; border: 1px solid var(--line); border-radius: 10px;
  background: var(--card); content-visibility: auto; contain-intrinsic-size: auto 24rem;
}
h2 {
  position: sticky; top: 0; z-index: 1; margin: 0; padding: 0.6rem 0 0.4rem;
  background: var(--card); font-size: 0.95rem; font-weight: 600; overflow-wrap: anywhere;
}
.images {
  display: grid; gap: 0.75rem; max-width: calc(var(--columns) * 30rem);
  grid-template-columns: repeat(
    auto-fill, minmax(max(min(9rem, 100% / 3 - 0.75rem), 100% / var(--columns) - 0.75rem), 1fr)
  );
}
figure { display: flex; flex-direction: column; justify-content: end; margin: 0; min-width: 0; }
figcaption { padding: 0 0 0.25rem; overflow-wrap: anywhere; }
img {
  display: block; width: 100%; height: auto; aspect-ratio: auto 1; border-radius: 4px;
  background: var(--line); image-rendering: auto;
}
.drawings {
  display: grid; gap: 0.75rem 1.5rem;
  grid-template-columns: repeat(auto-fill, minmax(min(15rem, 100%), 1fr));
}
.drawings figure { justify-content: start; max-width: 26rem; }
figure svg { display: block; width: 100%; overflow: visible; }
svg text { font-family: inherit !important; font-variant-numeric: tabular-nums; }
details { margin: 0 0 1rem; }
summary { cursor: pointer; font-weight: 600; font-size: 0.95rem; }
pre { overflow-x: auto; font-size: 0.8rem; line-height: 1.45; }
a { border-radius: 4px; }
a:hover, a:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
"""


@dataclass(frozen=True)
class GalleryRow:
    """One row of a page: images of the same thing, side by side.

    heading: what the row shows, such as the input's name or the moment of training.
    images: (caption, file) from left to right; file is relative to the folder of the page.
    columns: how many stand beside each other, None for all.
    """

    heading: str
    images: Sequence[tuple[str, Path]]
    columns: int | None = None

    @cached_property
    def html(self) -> str:
        """A section: the heading, and the images in their columns.

        Text, as ten thousand rows of live elements take far more memory; kept, as the page of a
        training run is written again and again.
        """
        from dominate import tags

        figures = [_figure(self.heading, caption, file) for caption, file in self.images]
        columns = f"--columns: {self.columns or max(1, len(figures))}"
        section = tags.section(
            tags.h2(self.heading), tags.div(figures, cls="images", style=columns)
        )
        return section.render(pretty=False) + "\n"


@dataclass(frozen=True)
class Drawing:
    """A small drawing of a page. svg: of util.drawing, which goes into the page as it is."""

    caption: str
    svg: str


def write_gallery(
    path: Path,
    title: str,
    facts: Mapping[str, str],
    rows: Sequence[GalleryRow],
    *,
    drawings: Mapping[str, Sequence[Drawing]] | None = None,
    details: Mapping[str, str] | None = None,
    refresh_seconds: int | None = None,
    script: PageScript | None = None,
) -> None:
    """Write a page of images in rows, which opens from a file:// address without a network.

    path: the page; its folder is made when missing, and a page already there is replaced in one
        step, so that a browser never reads half of one.
    facts: name -> value, shown under the title in this order.
    rows: from top to bottom. The image files are linked, neither read nor checked.
    drawings: by their heading, above the rows; a heading without any is left out.
    details: by their heading, below the facts and closed at first; lines stay lines.
    refresh_seconds: without scripts, the page reloads itself this often; None for a page that is
        finished.
    script: of the page, None for one that is only looked at.

    Any text and any file name will do: text is escaped, addresses are percent-encoded. Raises
    UserError where the package dominate is missing.
    """
    page = new_page(title, facts, script=script)
    from dominate import tags
    from dominate.util import raw

    if refresh_seconds is not None:
        refresh = tags.meta(http_equiv="refresh", content=str(refresh_seconds))
        page.head.add(tags.noscript(refresh))
    for heading, text in (details or {}).items():
        page.add(tags.details(tags.summary(heading), tags.pre(text)))
    for heading, found in (drawings or {}).items():
        if found:
            figures = [tags.figure(tags.figcaption(d.caption), raw(d.svg)) for d in found]
            page.add(tags.section(tags.h2(heading), tags.div(figures, cls="drawings")))
    page.add(raw("\n"), tags.main(raw("\n"), *(raw(row.html) for row in rows)), raw("\n"))
    write_text(path, page.render(pretty=False) + "\n")


def new_page(
    title: str, facts: Mapping[str, str], *, style: str = "", script: PageScript | None = None
) -> "document":
    """A page in the look of all pages, with its title and its facts (name -> value) on top.

    style: CSS, added to that of all pages; script: with its data and style. Raises UserError
    where the package dominate is missing.
    """
    require("a page of images", "dominate")
    from dominate import document, tags
    from dominate.util import raw

    page = document(title=title, lang="en")
    page.head.add(
        tags.meta(charset="utf-8"),
        tags.meta(name="viewport", content="width=device-width, initial-scale=1"),
    )
    if script is not None:
        page.head.add(script.policy())
        style += script.style
    page.head.add(tags.style(raw(STYLE + style)))
    page.add(tags.h1(title))
    if facts:
        page.add(tags.dl(tags.div(tags.dt(name), tags.dd(facts[name])) for name in facts))
    if script is not None:
        page.add(raw(script.html))
    return page


def _figure(heading: str, caption: str, file: Path) -> "html_tag":
    """An image under its caption; a click opens the file itself."""
    from dominate import tags

    # Bytes, because a file name need not be valid Unicode; "/" alone separates in an address.
    address = quote(os.fsencode(file.as_posix()), safe="/")
    image = tags.img(src=address, alt=f"{caption}: {heading}", loading="lazy", decoding="async")
    return tags.figure(tags.figcaption(caption), tags.a(image, href=address, target="_blank"))
