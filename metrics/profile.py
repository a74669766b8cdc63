"""What a set of images looks like as a whole, gathered batch by batch, and how two sets differ."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from data.value_map import ValueMap
from metrics.distribution import coral, frechet_distance, kid, mmd_rbf
from metrics.feature_store import FeatureStore
from metrics.judge import LAST_STAGE
from metrics.thermal import GreyLevels, RadialSpectrum, spectral_distance, wasserstein

# Below these numbers of images a Fréchet distance is mostly bias: twice the dimension of MWIR
# features, and the dimension of Inception's.
UNBIASED_FROM = {"fid": 2048, "fid_mwir": 1024}

SetValue = dict[str, Any]  # value, std, n, subset_size, biased: see docs/METRICS.md


class Profile:
    """One set of images of one type. Memory stays flat in their number.

    value_map: of the references; features: "inception" and stages of the judge -> features, as far
    as there are such networks.
    names_and_contents: a hash over all images, for whoever wants the same set again.
    """

    def __init__(self, value_map: ValueMap) -> None:
        self.value_map, self.count = value_map, 0
        self.grey_levels, self.spectrum = GreyLevels(value_map.levels()), RadialSpectrum()
        self.features: dict[str, FeatureStore] = {}
        self._hash = hashlib.sha256()

    def add(self, grey: Tensor, features: Mapping[str, Tensor]) -> None:
        """grey: (B, 1, H, W) in counts; features: network -> (B, D)."""
        self.count += len(grey)
        self.grey_levels.add(grey)
        self.spectrum.add(grey)
        for network, rows in features.items():
            self.features.setdefault(network, FeatureStore()).append(rows)

    def add_name(self, name: str, content: bytes) -> None:
        """One image of the hash, in order; content: a digest of its pixels."""
        # A file name need not be valid Unicode.
        self._hash.update(f"{name}\t{content.hex()}\n".encode(errors="surrogateescape"))

    @property
    def names_and_contents(self) -> str:
        """SHA-256 over the lines "name, tab, digest of the pixels" of all images."""
        return self._hash.hexdigest()

    def features_of(self, network: str) -> np.ndarray | None:
        """(n, D), memory-mapped; None without this network."""
        store = self.features.get(network)
        return store.array() if store else None


def compare_profiles(
    fake: Profile, real: Profile, *, feature_stage: str = LAST_STAGE, seed: int = 0
) -> dict[str, SetValue]:
    """Distances between two sets of one value map; a network that is not there has no keys.

    feature_stage: of the judge, for the modality gap (MMD, CORAL); seed: of KID's subsets.
    """
    n = [fake.count, real.count]
    values: dict[str, SetValue] = {}
    for network, suffix in (("inception", ""), (LAST_STAGE, "_mwir")):
        a, b = fake.features_of(network), real.features_of(network)
        if a is None or b is None:
            continue
        key = f"fid{suffix}"
        distance = frechet_distance(a, b)
        biased = min(n) < UNBIASED_FROM[key] and bool(np.isfinite(distance))
        values[key] = set_value(distance, n, biased=biased)
        estimate = kid(a, b, seed=seed)
        values[f"kid{suffix}"] = set_value(
            estimate.mean, n, std=estimate.std, subset_size=estimate.subset_size
        )
    a, b = fake.features_of(feature_stage), real.features_of(feature_stage)
    if a is not None and b is not None:
        values["mmd"] = set_value(mmd_rbf(a, b), n)
        values["coral"] = set_value(coral(a, b), n)
    spectra = fake.spectrum.mean(), real.spectrum.mean()
    values["spectrum"] = set_value(spectral_distance(*spectra), n)
    levels = fake.grey_levels.histogram(), real.grey_levels.histogram()
    values["grey_levels"] = set_value(wasserstein(*levels) * fake.grey_levels.levels.step, n)
    return values


def set_value(
    value: float,
    n: list[int],
    *,
    std: float | None = None,
    subset_size: int | None = None,
    biased: bool = False,
) -> SetValue:
    """As the JSON file has it: what is not defined is None. n: sizes of the two sets."""
    return {
        "value": _finite(value),
        "std": _finite(std),
        "n": n,
        "subset_size": subset_size,
        "biased": biased,
    }


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None
