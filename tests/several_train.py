"""train.py, of which torchrun's process 1 kills itself before a step.

torchrun --nproc_per_node=2 tests/several_train.py STEP FLAGS...
"""

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import train
from training import loop
from util.errors import run_main
from util.ranks import rank

if __name__ == "__main__":
    script, fatal, *flags = sys.argv
    seed_step = loop.seed_step

    def meet(seed: int, step: int) -> None:
        if (step, rank()) == (int(fatal), 1):
            os.kill(os.getpid(), signal.SIGKILL)
        seed_step(seed, step)

    loop.seed_step = meet
    sys.argv = [script, *flags]
    run_main(train.main, patient=True, alone=False)
