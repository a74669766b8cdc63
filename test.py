"""Translate images with a trained generator: `python test.py --dataroot DIR --name NAME`."""

import sys
from collections.abc import Sequence

from models import MODEL_OPTIONS
from options import parse_test
from util.errors import run_main, telling_once
from util.packages import require


def main(argv: Sequence[str] | None = None) -> None:
    """Load the generator, translate every image, write files and page."""
    with telling_once():
        config = parse_test(argv, MODEL_OPTIONS)
        require("the page of results", "dominate")
        if sys.stdout.isatty():
            print(f"{config.run.name}: loading torch ...", flush=True)
    # Only now, as torch takes seconds: --help and a wrong flag are answered without.
    from translating.start import begin
    from util.distributed import joined

    with joined():
        begin(config).run()


if __name__ == "__main__":
    run_main(main, patient=True, alone=False)
