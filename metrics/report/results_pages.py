"""What was measured, put into the pages of results that test.py wrote."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from metrics.measure import ImageValues
from metrics.measured_sets import MeasuredSet
from metrics.metric_properties import GROUPS
from metrics.report.html_table import heading
from util.errors import UserError
from util.pages import change_island

PAGE, ISLAND = "index.html", "measured"
SHOWN = ("fake_B_vs_real_B", "fake_B", "real_A_vs_fake_B")  # groups of metrics of one image


def update_results_pages(row: MeasuredSet) -> Iterator[str]:
    """The pages of the folders of a set get the values of their images; yields what to say."""
    several = len(row.images.folders) > 1  # then names begin with their folder
    for folder in row.images.folders:
        page = folder / PAGE
        start = f"{folder.as_posix()}/" if several else ""
        own = [found for found in row.values if found.name.startswith(start)]
        names = [found.name.removeprefix(start) for found in own]
        if page.is_file():
            yield from _update(page, measured(names, own, unpaired=bool(row.pairing.unpaired)))


def _update(page: Path, content: Mapping[str, Any]) -> Iterator[str]:
    try:
        if change_island(page, ISLAND, lambda _: content):
            yield f"values of each image on the page {page}"
    except UserError as error:
        yield f"the page of results is as it was: {error}"


def measured(
    names: list[str], images: Sequence[ImageValues], *, unpaired: bool = False
) -> dict[str, Any]:
    """As the page has it: metrics with their titles, and attention by kind, both by image.

    unpaired: a random target, which is another scene, counts neither for the metrics, as the page
    has no room for notes, nor for the class that the attention is of.
    """
    columns = []
    for group in SHOWN:
        if unpaired and group == "fake_B_vs_real_B":
            continue
        for key, metric in GROUPS[group].metrics.items():
            values = [_plain(image.values.get(group, {}).get(key)) for image in images]
            if any(value is not None for value in values):
                columns.append({"title": heading(metric) + _of(group), "values": values})
    maps = [_attention(image, unpaired=unpaired) for image in images]
    kinds = {kind for found in maps for kind in found}
    attention = {kind: [found.get(kind) for found in maps] for kind in sorted(kinds)}
    return {"names": names, "metrics": columns, "attention": attention}


def _attention(image: ImageValues, *, unpaired: bool) -> dict[str, str]:
    """Kind -> its map, of the class predicted on the first of these kinds that it was made for."""
    found: dict[str, str] = {}
    for of in ("real_A", "fake_B") if unpaired else ("real_B", "real_A", "fake_B"):
        found = image.attention.get(of, {}) | found
    return found


def _of(group: str) -> str:
    return ", to the source" if group == "real_A_vs_fake_B" else ""


def _plain(value: float | None) -> float | str | None:
    """JSON has neither infinity, which scripts read as a word, nor NaN."""
    if value is None or math.isnan(value):
        return None
    return float(f"{value:.5g}") if math.isfinite(value) else "Infinity"
