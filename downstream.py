"""Measure what images are worth: train the classifier on each set, test it on real images.

    python downstream.py --set real DATA/real \\
        --set translated results/mwir_pix2pix/train_latest/images/fake_B \\
        --set simulator-like datasets/mwir_pix2pix/train_A \\
        --test DATA/real --out results/downstream -- --n_epochs 5 --load_size 128

Each set is a folder of labelled images as `train.py --model classifier` takes it: with labels.csv
in it or above it, or with class folders. The first set is the reference: the real one. What follows
the lone `--` are flags of train.py for the classifier, the same for every set.

Writes

    OUT/downstream.md               the table
    OUT/downstream.csv              one row a trained classifier
    OUT/downstream.json             everything, with confusion matrices
    OUT/checkpoints/SET_seedN       the runs

A finished run is not trained again and an interrupted one goes on, so sets and seeds can be added.
docs/METRICS.md defines the table.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from models import MODEL_OPTIONS
from options import TrainConfig, parse_train
from util.cli import Parser
from util.errors import UserError, run_main

# The last state alone is tested, and a kept one of every fifth epoch would take gigabytes.
DEFAULTS = ("--model", "classifier", "--save_epoch_freq", str(10**9))
# What this program decides for each run.
OWN_FLAGS = frozenset(
    {"name", "checkpoints_dir", "dataroot", "seed", "epoch", "like", "continue_train", "resume"}
    | {"epoch_count", "pretrained_name"}
)

LIGHTER = "give a smaller --batch_size or --load_size behind the lone --"


def main(argv: Sequence[str] | None = None) -> None:
    """Parse, then train what is not trained yet, test, and write the table."""
    args, flags = parse(argv)
    config = common_config(flags)
    # Only now, as torch takes seconds: --help and a wrong flag are answered without.
    from training.downstream import compare

    compare(
        args.set,
        args.test,
        config,
        test_phase=args.phase,
        seeds=args.seeds,
        out=args.out,
        flags=flags,
    )


def parse(argv: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """Own arguments, and the flags of train.py after `--`. Raises UserError."""
    words = sys.argv[1:] if argv is None else list(argv)
    place = words.index("--") if "--" in words else len(words)
    flags = words[place + 1 :]
    parser = Parser(__doc__)
    add = parser.add_argument
    pair = {"nargs": 2, "action": "append", "metavar": ("NAME", "DIR")}
    add("--set", **pair, required=True, help="images to train on; again for each further set")
    add("--test", type=Path, required=True, metavar="DIR", help="labelled real images")
    add("--phase", default="test", help="which of them: split or sub-folder (default: test)")
    add("--seeds", type=int, default=3, help="runs a set, seeds 0, 1, ... (default: 3)")
    add("--out", type=Path, required=True, metavar="DIR", help="folder of all that is written")
    args, unknown = parser.parse_known_args(words[:place])
    if unknown:
        raise UserError(
            f"{unknown[0]} is not a flag of downstream.py; flags for the classifier's training "
            "stand behind all others, after a lone --."
        )
    if args.seeds < 1:
        raise UserError(f"--seeds is {args.seeds}; it must be 1 or more.")
    names = [name for name, _ in args.set]
    strange = next((n for n in names if not n.strip() or "/" in n or not n.isprintable()), None)
    if strange is not None:
        raise UserError(f"--set {strange!r}: give the set a plain name, without '/'.")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"two sets are called {twice}; give each --set its own name.")
    return args, flags


def common_config(flags: Sequence[str]) -> TrainConfig:
    """What all runs share. Raises UserError for a flag that is not the user's to give."""
    config = parse_train([*DEFAULTS, *flags], MODEL_OPTIONS)
    if config.run.model != "classifier":
        raise UserError(f"--model {config.run.model} is no classifier; leave the flag out.")
    taken = sorted(config.given & OWN_FLAGS)
    if taken:
        raise UserError(f"downstream.py decides on --{taken[0]} for each run; leave it out.")
    return config


if __name__ == "__main__":
    run_main(main, patient=True, lighter=LIGHTER)
