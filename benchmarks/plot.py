"""Curves over batch size, image size and dataset size, from the files of the other benchmarks.

    python benchmarks/plot.py --steps steps.json --loader 100.json 1000.json --out scaling.png

--steps takes what benchmarks/train_step.py wrote, --loader what benchmarks/loader.py wrote for
several numbers of images. A curve needs two points; what has only one is left out.
"""

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from util.cli import Parser
from util.errors import UserError, run_main

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Measured = dict[str, Any]
Curves = dict[str, list[tuple[float, float]]]


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Arguments, checked. Raises UserError."""
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--steps", type=Path, nargs="+", default=[], help="JSON of train_step.py")
    add("--loader", type=Path, nargs="+", default=[], help="JSON of loader.py")
    add("--out", type=Path, required=True, help="picture to write")
    return parser.parse_args(argv)


def read(path: Path, key: str) -> dict[str, Any]:
    """A benchmark's file, with a list `key`. Raises UserError for one without."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path} ({error}); give a benchmark's JSON file.") from None
    if not isinstance(found, dict) or not isinstance(found.get(key), list):
        raise UserError(f"{path} has no list '{key}'; give the JSON file of that benchmark.")
    return found


def curves(
    rows: Iterable[Measured], x: str, y: Callable[[Measured], float], by: Callable[[Measured], str]
) -> Curves:
    """Points of the rows, sorted, a curve for each value of `by`; those with two points or more."""
    found: Curves = defaultdict(list)
    for row in rows:
        found[by(row)].append((row[x], y(row)))
    return {name: sorted(points) for name, points in found.items() if len(set(points)) > 1}


def step_panels(rows: list[Measured]) -> list[tuple[str, str, str, Curves]]:
    """(title, x label, y label, curves) over batch size at one image size, and the other way."""
    # The size that was timed at most batch sizes, and the batch size at most sizes.
    size, batch = _commonest(rows, "size"), _commonest(rows, "batch_size")

    def name(row: Measured) -> str:
        compiled = ", compiled" if row["compiled"] else ""
        return f"{row['model']}, {row['precision']}{compiled}"

    return [
        (
            f"training, {size} pixels",
            "images in a batch",
            "images/s",
            curves(
                [row for row in rows if row["size"] == size],
                "batch_size",
                lambda row: row["images_per_second"],
                name,
            ),
        ),
        (
            f"training, batch {batch}",
            "image side in pixels",
            "seconds a step",
            curves(
                [row for row in rows if row["batch_size"] == batch],
                "size",
                lambda row: row["seconds_per_step"],
                name,
            ),
        ),
    ]


def _commonest(rows: list[Measured], name: str) -> int:
    return Counter(row[name] for row in rows).most_common(1)[0][0] if rows else 0


def loader_panel(files: list[dict[str, Any]]) -> tuple[str, str, str, Curves]:
    """The same over the number of images: the loader's speed by cache, at its first settings."""
    rows = []
    for found in files:
        first = found["rows"][0]
        for way, speed in first["images_per_second"].items():
            rows.append({"images": 2 * found["images"], "way": way, "speed": speed, **first})
    title = "reading"
    if rows:
        title += f", {rows[0]['size']} pixels, batch {rows[0]['batch_size']}"
    names = {"reference": "Pillow and torchvision"}
    speeds = curves(
        rows,
        "images",
        lambda row: row["speed"],
        lambda row: names.get(row["way"], f"--cache {row['way']}"),
    )
    return title, "images in the dataset", "images/s", speeds


def plot(axes: "Axes", title: str, x: str, y: str, found: Curves) -> None:
    """One panel: doublings are as far apart on its x axis, and y begins at 0."""
    from matplotlib.ticker import NullLocator

    for name, points in found.items():
        axes.plot(*zip(*points, strict=True), marker="o", label=name)
    axes.set(title=title, xlabel=x, ylabel=y, xscale="log")
    axes.set_ylim(
        bottom=0, top=1.1 * max(height for points in found.values() for _, height in points)
    )
    ticks = sorted({point[0] for points in found.values() for point in points})
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point. Raises UserError."""
    args = parse(argv)
    steps = [row for path in args.steps for row in read(path, "steps")["steps"]]
    panels = [*step_panels(steps), loader_panel([read(path, "rows") for path in args.loader])]
    panels = [panel for panel in panels if panel[-1]]
    if not panels:
        raise UserError("no curve has two points; give --steps or --loader files with more rows.")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * len(panels), 3.8), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        plot(axes, *panel)
    try:
        figure.savefig(args.out, dpi=110)
    except (OSError, ValueError) as error:  # ValueError: of a format that is none
        raise UserError(f"cannot write {args.out} ({error}).") from None
    print(f"{args.out}: {len(panels)} panels")


if __name__ == "__main__":
    run_main(main)
