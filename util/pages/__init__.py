"""What pages do in a browser: scripts and styles of our own that go into the page as they are.

Each is NAME.js and NAME.css in this folder. A page works from a file:// address, where a browser
reads no file but images; so what a script knows stands in the page too, as JSON. A page that is
read without scripts shows all it shows otherwise.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from util.errors import UserError
from util.files import write_text

if TYPE_CHECKING:
    from dominate.tags import html_tag

FOLDER = Path(__file__).parent
SHARED = "page"  # what all scripts use
DIGITS = np.frombuffer(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", np.uint8
)


@dataclass(frozen=True)
class PageScript:
    """A script of a page. name: of its files in this folder; data: name -> plain values."""

    name: str
    data: Mapping[str, Any]

    @property
    def style(self) -> str:
        """CSS for the head."""
        return self._read("css")

    @property
    def html(self) -> str:
        """Data and code, for a place before all that it works on: it waits for the whole page.

        Behind ten thousand rows, megabytes of data would take a browser seconds, as it draws
        these again and again meanwhile.
        """
        islands = "".join(island(name, value) + "\n" for name, value in self.data.items())
        return f"{islands}<script>{self.code}</script>\n"

    def policy(self) -> "html_tag":
        """Forbids any other script, and any talk to a server, whatever comes into the page."""
        from dominate import tags

        digest = base64.b64encode(hashlib.sha256(self.code.encode()).digest()).decode()
        allowed = f"script-src 'sha256-{digest}'; connect-src 'none'; object-src 'none'"
        content = f"{allowed}; base-uri 'none'; form-action 'none'; frame-src 'none'"
        return tags.meta(http_equiv="Content-Security-Policy", content=content)

    @property
    def code(self) -> str:
        """What the browser runs."""
        return f"\n(() => {{\n{self._read('js')}}})();\n"

    def _read(self, suffix: str) -> str:
        files = (FOLDER / f"{name}.{suffix}" for name in (SHARED, self.name))
        return "".join(file.read_text(encoding="utf-8") for file in files)


def island(name: str, value: Any) -> str:
    """JSON in a page, where its script finds it by name; no text in it can be taken for markup."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>'


def read_island(path: Path, name: str) -> Any:
    """A value that a page has; None where it has none. Raises UserError for what is no page."""
    return _split(path, name)[1]


def change_island(path: Path, name: str, change: Callable[[Any], Any]) -> bool:
    """Put `change(value)` in the place of a value that a page has; False where it has none.

    Raises UserError for a page that cannot be read, WriteError for one that cannot be written.
    """
    before, value, after = _split(path, name)
    if after is None:
        return False
    write_text(path, before + island(name, change(value)) + after)
    return True


def _split(path: Path, name: str) -> tuple[str, Any, str | None]:
    """What stands before an island, its value, and what comes after; None where it is not there."""
    try:
        page = path.read_text(encoding="utf-8")
        place = re.search(f'<script type="application/json" id="{name}">(.*)</script>', page)
        if place is None:
            return page, None, None
        return page[: place.start()], json.loads(place[1]), page[place.end() :]
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); make the page again.") from None


def as_digits(values: np.ndarray) -> str:
    """Numbers in [0, 1] as a text of one character each, in 64 levels; scripts read it back."""
    return DIGITS[np.rint(values.ravel() * 63).astype(np.intp)].tobytes().decode()
