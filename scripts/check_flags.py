"""Refuse flags that train.py would refuse, before stages that take days.

    python scripts/check_flags.py --model pix2pix FLAGS...

says nothing where train.py knows all of them. What only images tell is not looked at.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from models import MODEL_OPTIONS
from options import parse_train
from util.errors import run_main


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point. Raises UserError."""
    parse_train(argv, MODEL_OPTIONS)


if __name__ == "__main__":
    run_main(main)
