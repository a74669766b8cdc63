"""The table of faults in docs/RELIABILITY.md names tests that exist, and code in docs/DATA.md runs;
links lead to files and headings, and programs that pages name are there."""

import re
from pathlib import Path

import numpy as np
import pytest

from data.images import read_image, write_image

TESTS = Path(__file__).resolve().parent
DOCUMENT = TESTS.parent / "docs" / "RELIABILITY.md"
PAGES = [TESTS.parent / "README.md", *sorted((TESTS.parent / "docs").glob("*.md"))]


def rows() -> list[list[str]]:
    """Cells of the table of faults, without its head."""
    text = DOCUMENT.read_text(encoding="utf-8")
    section = text.partition("## Faults")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][:40])
def test_each_fault_names_tests_that_exist(row):
    named = re.findall(r"`([^`]+)`", row[-1])
    assert len(row) == 4 and named
    for name in named:
        file, _, part = name.partition("::") if ".py" in name else ("test_reliability.py", "", name)
        text = (TESTS / file).read_text(encoding="utf-8")
        functions = re.findall(r"^def (test_\w+)", text, flags=re.MULTILINE)
        assert any(part in function for function in functions) or file.startswith("soak/")


def heading_anchors(page: Path) -> set[str]:
    """Of Markdown, as GitHub makes them: lower case, no punctuation, hyphens for blanks."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page):
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", page.read_text(encoding="utf-8"))
    for name, anchor in links:
        target = page.parent / name if name else page
        assert target.is_file(), name
        assert not anchor or anchor in heading_anchors(target), f"{name}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_program_and_script_that_is_named_is_there(page):
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"(?<![\w/.])(?:python |(?=scripts/|datasets/))([\w/]+\.(?:py|sh))", text)
    theirs = {"datasets/combine_A_and_B.py"}  # of the public code
    for name in {*named} - theirs:
        assert (TESTS.parent / name).is_file() or (TESTS / name).is_file(), name


def test_the_table_is_long():
    assert len(rows()) >= 25


def test_pairs_are_joined_as_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 65536, (4, 6), dtype=np.uint16) for _ in "AB")
    for domain, image in (("A", a), ("B", b)):
        write_image(Path(f"DATA_ROOT/train{domain}/T72/1.png"), image)
    text = (TESTS.parent / "docs" / "DATA.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    exec(code, {})
    joined = read_image(Path("PAIRS/train/T72/1.png"))
    np.testing.assert_array_equal(joined[:, :6], a)
    np.testing.assert_array_equal(joined[:, 6:], b)
