"""Several processes beside one, for longer than a test may take: weights after 20 steps.

    python tests/soak/several.py --processes 4

Every case of tests/several.py runs in one process and in so many, on batches of 4, 3 and 1 images,
so that some processes have none. Gradients, losses and weights must agree to 1e-9, and between the
processes bit for bit. Exit code 1 where they do not.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests import several

TOLERANCE = 1e-9


def main() -> None:
    """Run, compare, print the largest difference of each case."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5, help="of four steps")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="several_") as name:
        folder = Path(name)
        several.save_classifier(folder)
        for count in (1, args.processes):
            totals = several.TOTALS * args.repeats
            ended = several.Started(count, folder, several.run_cases, folder, totals).finish()
            if any(code for code, _ in ended):
                raise SystemExit("\n".join(errors for _, errors in ended))
        alone, *found = (
            torch.load(folder / f"{file}.pth")
            for file in ("1_0", *(f"{args.processes}_{rank}" for rank in range(args.processes)))
        )
    failed = False
    for case in alone:
        beside = several.largest_difference(alone[case], found[0][case])
        between = max(several.largest_difference(found[0][case], other[case]) for other in found)
        print(f"{case}: {beside:.1e} from one process, {between:.1e} between processes", flush=True)
        failed |= beside >= TOLERANCE or between > 0
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
