"""Randomness follows from its key alone, and different keys give different numbers."""

import itertools
import random

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from util.seeding import generator_for, seed_step

KEYS = st.lists(st.integers(0, 2**40), min_size=1, max_size=3).map(tuple)


@given(KEYS)
def test_a_generator_follows_from_its_key(key):
    first = generator_for(*key)
    np.random.seed(0)  # the global generator plays no part
    generator_for(*key).random(3)
    assert np.array_equal(first.random(4), generator_for(*key).random(4))


def test_keys_differ_even_in_zeros_and_length():
    keys = [k for n in (1, 2, 3) for k in itertools.product((0, 1, 2), repeat=n)]
    numbers = {generator_for(*key).integers(2**63) for key in keys}
    assert len(numbers) == len(keys)


def numbers_of_step(seed: int, step: int) -> tuple:
    seed_step(seed, step)
    return random.random(), float(torch.rand(1, dtype=torch.float64)), int(torch.randperm(99)[0])


def test_a_step_draws_the_same_whatever_came_before():
    first = numbers_of_step(3, 17)
    random.random(), torch.rand(5)
    assert numbers_of_step(3, 17) == first


def test_steps_and_seeds_differ():
    """In each of the generators: one that repeats itself hides behind one that does not."""
    found = [numbers_of_step(seed, step)[:2] for seed in range(4) for step in range(50)]
    assert [len(set(numbers)) for numbers in zip(*found, strict=True)] == [200, 200]
