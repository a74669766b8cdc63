import numpy as np
import pytest

from datasets.scene.noise import LATTICE_SIZE, draw_lattice, lattice_noise, profile_noise


def test_same_place_has_the_same_value_whatever_the_grid():
    lattice = draw_lattice(np.random.default_rng(0))
    fine = np.linspace(-3, 9, 121)
    coarse = fine[::5]
    whole = lattice_noise(lattice, fine[None, :], fine[:, None])
    np.testing.assert_array_equal(
        whole[::5, ::5], lattice_noise(lattice, coarse[None, :], coarse[:, None])
    )


def test_field_is_periodic_smooth_and_of_unit_variance():
    lattices = [draw_lattice(np.random.default_rng(seed)) for seed in range(8)]
    place = np.linspace(0, LATTICE_SIZE, 640, endpoint=False)
    fields = [lattice_noise(lattice, place[None, :], place[:, None]) for lattice in lattices]
    period_on = lattice_noise(lattices[0], place[None, :] + LATTICE_SIZE, place[:, None])
    np.testing.assert_allclose(fields[0], period_on, atol=1e-3)
    # A tenth of a cell changes a value by a small share of its spread.
    assert np.abs(np.diff(fields[0], axis=1)).max() < 1.2
    # 8 × 64² independent cells: the variance is known to about 1 %.
    assert np.var(fields) == pytest.approx(1.0, abs=0.05)


def test_profile_has_unit_variance():
    profiles = [
        profile_noise(draw_lattice(np.random.default_rng(seed)), np.linspace(0, 64, 6400))
        for seed in range(60)
    ]
    assert np.var(profiles) == pytest.approx(1.0, abs=0.1)
