"""Train one stage: `python train.py --dataroot DIR --name NAME --model cut`; see --help."""

import sys
from collections.abc import Sequence

from models import MODEL_OPTIONS
from options import parse_train
from util.errors import run_main, telling_once

LIGHTER = "start again with a smaller --batch_size, --crop_size or --load_size"


def main(argv: Sequence[str] | None = None) -> None:
    """Parse, then train until the last epoch is done."""
    with telling_once():
        config = parse_train(argv, MODEL_OPTIONS)
        if sys.stdout.isatty():
            print(f"{config.run.name}: loading torch ...", flush=True)
    # Not at the top: torch takes seconds to load, and --help and a wrong flag need none of it.
    from training.start import train

    train(config)


if __name__ == "__main__":
    run_main(main, patient=True, alone=False, lighter=LIGHTER)
