"""Two sets as wholes: identical, shifted, scaled and permuted ones have known distances."""

import hashlib
import math

import numpy as np
import pytest
import torch

from data.value_map import EIGHT_BIT
from metrics.profile import Profile, compare_profiles

STAGE = "layer4"


def profile(images, features=None, *, batch=4):
    """images: (n, 16, 16) counts; features: network -> (n, d)."""
    made = Profile(EIGHT_BIT)
    for start in range(0, len(images), batch):
        rows = {
            network: torch.from_numpy(f[start : start + batch])
            for network, f in (features or {}).items()
        }
        grey = torch.from_numpy(images[start : start + batch])[:, None]
        named = [(str(place), b"", "") for place in range(start, start + len(grey))]
        made.add(made.portion(named, grey, rows))
    return made


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(20, 200, (10, 16, 16)).astype(np.float32)


@pytest.fixture
def features():
    return np.random.default_rng(1).normal(size=(10, 6)).astype(np.float32)


def test_identical_sets(images, features):
    networks = {"inception": features, STAGE: features}
    values = compare_profiles(profile(images, networks), profile(images, networks))
    for key in ("fid", "fid_mwir", "coral", "spectrum", "grey_levels"):
        assert values[key].value == pytest.approx(0, abs=1e-5)
    assert values["mmd"].value < 0  # unbiased: below 0 for a set and itself
    assert values["fid"].n == (10, 10)


def test_an_offset_and_a_gain_of_all_images(images):
    real = profile(images)
    louder = compare_profiles(profile(images * 1.2), real)
    assert louder["spectrum"].value == pytest.approx(20 * math.log10(1.2), abs=1e-4)
    brighter = compare_profiles(profile(images + 7), real)
    assert brighter["grey_levels"].value == pytest.approx(7)
    assert brighter["spectrum"].value == pytest.approx(0, abs=1e-5)


def test_shifted_features_are_the_squared_shift_apart(images, features):
    shift = np.float32([3, 0, 4, 0, 0, 0])
    networks = {"inception": features, STAGE: features}
    shifted = {network: f + shift for network, f in networks.items()}
    values = compare_profiles(profile(images, shifted), profile(images, networks))
    assert values["fid"].value == pytest.approx(25, abs=1e-4)
    assert values["fid_mwir"].value == pytest.approx(25, abs=1e-4)
    assert values["coral"].value == pytest.approx(0, abs=1e-8)


def test_the_order_and_the_batches_do_not_matter(images, features):
    order = np.random.default_rng(2).permutation(10)
    a = profile(images[order], {STAGE: features[order]}, batch=3)
    b = profile(images, {STAGE: features}, batch=10)
    other = profile(images + 1, {STAGE: features * 2})
    first, second = (compare_profiles(p, other) for p in (a, b))
    for key in ("fid_mwir", "mmd", "coral", "spectrum", "grey_levels"):
        assert first[key].value == pytest.approx(second[key].value, rel=1e-5)


def test_without_a_network_its_distances_are_left_out(images):
    values = compare_profiles(profile(images), profile(images))
    assert values.keys() == {"spectrum", "grey_levels"}


def test_the_modality_gap_is_measured_at_the_chosen_stage(images, features):
    near = {STAGE: features, "layer2": features}
    far = {STAGE: features, "layer2": features + 5}
    values = compare_profiles(profile(images, far), profile(images, near), feature_stage="layer2")
    assert values["fid_mwir"].value == pytest.approx(0, abs=1e-5)
    assert values["mmd"].value > 0.5


def test_kid_takes_at_most_half_of_the_smaller_set_and_few_images_are_biased(images, features):
    networks = {"inception": features}
    values = compare_profiles(
        profile(images, networks), profile(images[:7], {"inception": features[:7]})
    )
    assert values["kid"].subset_size == 3
    assert values["kid"].std >= 0
    assert values["fid"].biased and not values["kid"].biased


def test_the_smaller_set_decides_on_the_bias_and_the_seed_on_the_subsets(images, features):
    many, few = (profile(images, {STAGE: features[:, :2]}) for _ in range(2))
    many.count = 5000
    values = [compare_profiles(many, few, seed=seed) for seed in (0, 0, 1)]
    assert values[0]["fid_mwir"].biased
    assert values[0]["kid_mwir"] == values[1]["kid_mwir"] != values[2]["kid_mwir"]


def test_a_set_of_one_image_has_no_covariance(images, features):
    one = profile(images[:1], {STAGE: features[:1]})
    values = compare_profiles(one, profile(images, {STAGE: features}))
    assert values["fid_mwir"].value is values["kid_mwir"].value is None


def test_the_hash_is_that_of_names_and_contents():
    made = Profile(EIGHT_BIT)
    for named in (("a/x", b"\x01\x02", "a"), ("y", b"\xff", "y")):
        made.add(made.portion([named], torch.zeros(1, 1, 9, 9), {}))
    assert made.names_and_contents == hashlib.sha256(b"a/x\t0102\ny\tff\n").hexdigest()
