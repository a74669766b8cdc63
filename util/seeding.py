"""Randomness keyed to what it is for, never to how many numbers were drawn before.

Data order follows from (seed, epoch), augmentation from (seed, epoch, sample), everything inside a
training step from (seed, step): a resumed run draws what the interrupted one would have drawn.
"""

import random

import numpy as np


def generator_for(*key: int) -> np.random.Generator:
    """A NumPy generator that depends on the non-negative numbers of `key` alone."""
    # NumPy takes (1, 2) and (1, 2, 0) for the same key; with its length in front they differ.
    return np.random.default_rng((len(key), *key))


def seed_step(seed: int, step: int) -> None:
    """Set Python's and torch's global generators (all devices) for one training step."""
    import torch  # here, as programs without networks use `generator_for` and start at once

    words = np.random.SeedSequence((seed, step)).generate_state(2, np.uint64)
    random.seed(int(words[0]))
    torch.manual_seed(int(words[1]))
