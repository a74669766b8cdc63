"""What a set of images looks like as a whole, gathered batch by batch, and how two sets differ."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from data.value_map import ValueMap
from metrics.distribution import (
    Kid,
    coral,
    density_and_coverage,
    frechet_distance,
    kid,
    mmd_rbf,
    novelty,
)
from metrics.feature_store import FeatureStore
from metrics.judge import LAST_STAGE
from metrics.metric_properties import SET_METRICS, Metric
from metrics.thermal import RadialSpectrum, grey_levels, spectral_distance, wasserstein
from metrics.two_sample import Accuracy, two_sample_test
from metrics.values import Distance, Distances

# Whose features -> the metrics that are a Fréchet and a kernel distance of them.
NETWORKS = {
    "inception": ("fid", "kid"),
    LAST_STAGE: ("fid_mwir", "kid_mwir"),
    "lite0": ("fd_lite0", "kid_lite0"),
    "lite0_chips": ("fd_lite0_chips", "kid_lite0_chips"),
}


@dataclass(frozen=True)
class Portion:
    """What some images add to the `Profile` of their set, in arrays: another process can add it.

    named: of each image its name, a digest of its pixels and its recording; histogram, power: as of
    `grey_levels` and `RadialSpectrum.power`; features: network -> (B, D), of chips perhaps fewer.
    """

    named: Sequence[tuple[str, bytes, str]]
    histogram: np.ndarray
    power: tuple[np.ndarray, np.ndarray]
    features: Mapping[str, np.ndarray]


class Profile:
    """One set of images of one type. Memory stays flat in their number.

    value_map: of the references; histogram: pixels of each of its levels; features: extractors and
    stages of the judge -> features, as far as there are such networks, and "lite0_chips" of the
    chips about targets; recordings: of each image, see `ImageValues`.
    names_and_contents: a hash over all images, for whoever wants the same set again.
    """

    def __init__(self, value_map: ValueMap) -> None:
        self.value_map, self.levels, self.count = value_map, value_map.levels(), 0
        self.histogram = np.zeros(self.levels.count, np.int64)
        self.spectrum = RadialSpectrum()
        self.features: dict[str, FeatureStore] = {}
        self.recordings: list[str] = []
        self._hash = hashlib.sha256()

    def portion(
        self,
        named: Sequence[tuple[str, bytes, str]],
        grey: Tensor,
        features: Mapping[str, Tensor],
    ) -> Portion:
        """What these images would add. named: as in `Portion`; grey: (B, 1, H, W) in counts."""
        return Portion(
            named,
            grey_levels(grey, self.levels),
            self.spectrum.power(grey),
            {network: rows.float().cpu().numpy() for network, rows in features.items()},
        )

    def add(self, portion: Portion) -> None:
        """The next images of the set."""
        self.count += len(portion.named)
        self.histogram += portion.histogram
        self.spectrum.add_power(*portion.power)
        for network, rows in portion.features.items():
            self.features.setdefault(network, FeatureStore()).append(rows)
        for name, content, recording in portion.named:
            self.recordings.append(recording)
            self._hash.update(line_of(name, content))

    @property
    def names_and_contents(self) -> str:
        """SHA-256 over the lines "name, tab, digest of the pixels" of all images."""
        return self._hash.hexdigest()

    def features_of(self, network: str) -> np.ndarray | None:
        """(n, D), memory-mapped; None without this network."""
        store = self.features.get(network)
        return store.array() if store else None


def line_of(name: str, content: bytes) -> bytes:
    """Of an image and a digest of its pixels, in hashes over all images of a set."""
    # A file name need not be valid Unicode.
    return f"{name}\t{content.hex()}\n".encode(errors="surrogateescape")


def compare_profiles(
    fake: Profile,
    real: Profile,
    *,
    training: Profile | None = None,
    feature_stage: str = LAST_STAGE,
    seed: int = 0,
) -> Distances:
    """Distances between two sets of one value map; a network that is not there leaves its keys out.

    training: of the real images that were trained on, where they are known; feature_stage: of the
    judge, for the modality gap (MMD, CORAL); seed: of KID's subsets.
    """
    spectra = fake.spectrum.mean(), real.spectrum.mean()
    largest = max(abs(fake.value_map.low), abs(fake.value_map.high))
    values: dict[str, float | Kid | Accuracy] = {
        "spectrum": spectral_distance(*spectra, largest=largest),
        "grey_levels": wasserstein(fake.histogram, real.histogram) * fake.levels.step,
    }
    counts: dict[str, tuple[int, int]] = {}
    for network, (frechet, kernel) in NETWORKS.items():
        a, b = fake.features_of(network), real.features_of(network)
        if a is not None and b is not None:
            values[frechet] = frechet_distance(a, b)
            values[kernel] = kid(a, b, seed=seed)
            counts |= dict.fromkeys((frechet, kernel), (len(a), len(b)))
    a, b = fake.features_of("lite0"), real.features_of("lite0")
    if a is not None and b is not None:
        values["c2st"] = two_sample_test(a, b, (fake.recordings, real.recordings))
        values["density"], values["coverage"] = density_and_coverage(a, b)
        if training is not None:
            values["novelty"] = novelty(a, b, training.features_of("lite0"))
    a, b = fake.features_of(feature_stage), real.features_of(feature_stage)
    if a is not None and b is not None:
        values |= {"mmd": mmd_rbf(a, b), "coral": coral(a, b)}
    n = fake.count, real.count
    return {
        key: _distance(value, counts.get(key, n), SET_METRICS[key]) for key, value in values.items()
    }


def _distance(found: float | Kid | Accuracy, n: tuple[int, int], metric: Metric) -> Distance:
    """n: sizes of the two sets."""
    if isinstance(found, Accuracy):
        return Distance(_finite(found.value), None, n, None, biased=False, ci95=found.ci95)
    spread = found if isinstance(found, Kid) else None
    value = _finite(spread.mean if spread else found)
    return Distance(
        value,
        std=_finite(spread.std) if spread else None,
        n=n,
        subset_size=spread.subset_size if spread else None,
        biased=value is not None and min(n) < metric.biased_below,
    )


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
