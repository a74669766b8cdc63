"""The page of all runs and results, which sets any two results side by side."""

import os
import re
from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from overview.found import Result, Run
from util.files import write_text
from util.html import new_page
from util.pages import PageScript

if TYPE_CHECKING:
    from dominate.tags import html_tag

MEANS = 4  # metrics that a list of results has room for
LONG = {"run", "result", "data", "best", "mean of"}  # columns whose texts may take several lines


def write_overview(path: Path, runs: Sequence[Run], results: Sequence[Result]) -> None:
    """Links to all pages, and what the script needs to compare. Raises UserError."""
    compared = [_plain(result, path.parent) for result in results if result.names]
    facts = {"runs": f"{len(runs):,}", "results": f"{len(results):,}"}
    page = new_page("Runs and results", facts, script=PageScript("runs", {"results": compared}))
    from dominate import tags

    heads = ("run", "state", "model", "data", "epoch", "best", "size", "changed")
    lines = [
        (
            *(_link(r, path), r.state, r.model, _folder(r.data), r.epoch, r.best),
            *(size(r.size), moment(r.when)),
        )
        for r in runs
    ]
    page.add(_table("Runs", heads, lines))
    heads = ("result", "model", "data", "images", "mean of", "size", "changed")
    lines = [
        (
            *(_link(r, path), r.model, _folder(r.data), f"{r.count:,}"),
            *(", ".join(metric_words(r)), size(r.size), moment(r.when)),
        )
        for r in results
    ]
    page.add(_table("Results", heads, lines), tags.main())
    write_text(path, page.render(pretty=False) + "\n")


def metric_words(result: Result) -> list[str]:
    """The first means with their titles; the comparison of two results shows all."""
    return [f"{title} {value:.4g}" for title, value in islice(result.means().items(), MEANS)]


def size(count: int) -> str:
    """Of bytes, for people."""
    if count >= 1e9:
        return f"{count / 1e9:,.1f} GB"
    return f"{count / 1e6:,.0f} MB" if count >= 1e6 else f"{count / 1e3:,.0f} kB"


def moment(seconds: float) -> str:
    """Of local time, to the minute."""
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")


def _table(title: str, heads: Sequence[str], lines: Sequence[Sequence[Any]]) -> "html_tag":
    from dominate import tags

    looks = [{"cls": "long"} if head in LONG else {} for head in heads]
    body = [
        tags.tr(tags.td(cell, **look) for cell, look in zip(line, looks, strict=True))
        for line in lines
    ]
    table = tags.table(tags.thead(tags.tr(tags.th(head) for head in heads)), tags.tbody(body))
    return tags.section(tags.h2(title), tags.div(table, cls="scroll"))


def _link(item: Run | Result, path: Path) -> "html_tag":
    from dominate import tags

    if item.page is None:
        return tags.span(_breakable(item.name))
    return tags.a(_breakable(item.name), href=_address(item.page, path.parent))


def _folder(data: str) -> "html_tag":
    """Its end tells it from others; the whole is shown where the mouse rests on it."""
    from dominate import tags

    end = "/".join(Path(data).as_posix().split("/")[-2:])
    return tags.span(_breakable(end), title=data)


def _breakable(name: str) -> list[Any]:
    """The text, which may go on in another line behind each of its words."""
    from dominate import tags

    return [part for word in re.split(r"(?<=[/_])", name) for part in (word, tags.wbr())][:-1]


def _address(path: Path, start: Path) -> str:
    return quote(os.fsencode(Path(os.path.relpath(path, start)).as_posix()), safe="/")


def _plain(result: Result, start: Path) -> dict[str, Any]:
    """names: percent-encoded, as they stand in addresses."""
    values = {
        title: [None if v is None else (v if abs(v) < float("inf") else "Infinity") for v in column]
        for title, column in result.values.items()
    }
    return {
        "title": result.name,
        "page": _address(result.page, start) if result.page else None,
        "names": [quote(os.fsencode(name), safe="/") for name in result.names],
        "shown": {kind: _address(folder, start) for kind, folder in result.shown.items()},
        "values": values,
    }
