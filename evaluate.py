"""Measure translations against real images: see --help and docs/METRICS.md.

python evaluate.py --results DIR [DIR ...]                 what test.py wrote, pooled
python evaluate.py --fake DIR --real DIR [--source DIR]    any folders, pairs by name
python evaluate.py --real DIR --set NAME DIR --set ...     a table with one row a set
"""

import sys
from collections.abc import Sequence

from options import parse_evaluate
from util.errors import run_main, telling_once

LIGHTER = "measure smaller images, or on the CPU (--gpu_ids -1)"


def main(argv: Sequence[str] | None = None) -> None:
    """Parse, then measure, print and write."""
    with telling_once():
        options = parse_evaluate(argv)
        if sys.stdout.isatty():
            print("loading torch ...", flush=True)
    # Only now, as torch takes seconds: --help and a wrong flag are answered without.
    from metrics.evaluate import evaluate

    for text in evaluate(options):
        print(text, flush=True)


if __name__ == "__main__":
    run_main(main, patient=True, alone=False, lighter=LIGHTER)
