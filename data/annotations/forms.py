"""How boxes were written before a dataset of links put them into its labels.csv.

dataset.json keeps it, so that results can have them in the format in which they came.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from data.annotations.find import find_annotations
from data.folders import MARKER
from data.tables import Table

KEY = "boxes"  # of dataset.json: letter of the domain, or "", -> format and class numbers


def form_of(root: Path, letter: str = "") -> dict[str, Any] | None:
    """Of the labels of a folder, or of a domain of a dataset of links; None for labels.csv."""
    table = find_annotations(root)
    table = table and as_it_came(table, letter)
    if table is None or table.format == "csv":
        return None
    return {"format": table.format, "classes": {str(n): name for n, name in table.classes.items()}}


def record_of(forms: Mapping[str, dict[str, Any] | None]) -> dict[str, Any]:
    """What dataset.json says of forms by domain, "" for all; {} where all are labels.csv."""
    known = {letter: form for letter, form in forms.items() if form is not None}
    return {KEY: known} if known else {}


def as_it_came(table: Table, letter: str) -> Table:
    """A table with the format and classes that a domain had, where dataset.json tells them."""
    try:
        record = json.loads((table.path.parent / MARKER).read_text(encoding="utf-8"))
        form = record[KEY][letter if letter in record[KEY] else ""]
        classes = {int(number): str(name) for number, name in form["classes"].items()}
        known = form["format"] in ("coco", "yolo", "voc")
        return replace(table, format=form["format"], classes=classes) if known else table
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return table
