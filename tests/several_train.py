"""train.py, which a signal meets on its way.

    torchrun --nproc_per_node=2 tests/several_train.py STEP RANK SIGNAL FLAGS...

Before this step the process of this rank sends the signal: SIGKILL to itself, others to torchrun.
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
    script, when, victim, name, *flags = sys.argv
    seed_step, number = loop.seed_step, signal.Signals[name]

    def meet(seed: int, step: int) -> None:
        if (step, rank()) == (int(when), int(victim)):
            os.kill(os.getpid() if number == signal.SIGKILL else os.getppid(), number)
        seed_step(seed, step)

    loop.seed_step = meet
    sys.argv = [script, *flags]
    run_main(train.main, patient=True, alone=False)
