"""List all runs and results, and write a page that links them and compares any two results.

python runs.py                                    checkpoints/ and results/
python runs.py --checkpoints_dir DIR --results_dir DIR
"""

from collections.abc import Sequence
from pathlib import Path

from util.cli import Parser
from util.errors import run_main

NAME_WIDTH = 30  # what is longer is cut, so that a table fits into 100 columns


def main(argv: Sequence[str] | None = None) -> None:
    """Parse, find, print, write `results/index.html`."""
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--checkpoints_dir", default="checkpoints", type=Path, metavar="DIR", help="of the runs")
    add("--results_dir", default="results", type=Path, metavar="DIR", help="and of the page")
    args = parser.parse_args(argv)
    from overview.found import find_all_results, find_runs
    from overview.page import metric_words, moment, size, write_overview
    from util.columns import aligned

    runs, results = find_runs(args.checkpoints_dir), find_all_results(args.results_dir)
    lines = [["run", "state", "model", "epoch", "best", "size", "changed"]]
    for run in runs:
        facts = run.state, run.model, run.epoch, run.best, size(run.size), moment(run.when)
        lines.append([_cut(run.name), *facts])
    print(aligned(lines) if runs else f"no runs in {args.checkpoints_dir}")
    lines = [["result", "model", "data", "images", "size", "changed"]]
    for result in results:
        data = _cut(Path(result.data).name)
        facts = result.model, data, str(result.count), size(result.size), moment(result.when)
        lines.append([_cut(result.name), *facts])
    print("\n" + (aligned(lines) if results else f"no results in {args.results_dir}"))
    for result in results:
        if words := metric_words(result):
            print(f"{result.name}: {', '.join(words)}")
    if runs or results:
        write_overview(args.results_dir / "index.html", runs, results)
        print(f"\nall of them, and any two results side by side: {args.results_dir / 'index.html'}")


def _cut(name: str) -> str:
    """Both ends tell results apart: translated/…pix2pix/test_latest."""
    head = NAME_WIDTH // 3
    return name if len(name) <= NAME_WIDTH else f"{name[:head]}…{name[head + 1 - NAME_WIDTH :]}"


if __name__ == "__main__":
    run_main(main)
