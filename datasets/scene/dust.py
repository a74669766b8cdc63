"""The dust behind a vehicle on dry ground: puffs that drift, grow and thin out.

A warm cloud is lit by the ground and the exhaust, a cool one is soil from the night's cold surface.
Both are semi-transparent: L = L₀ exp(−τ) + L_dust (1 − exp(−τ)), τ the optical depth along the line
of sight (Beer–Lambert, the cloud at one temperature).
"""

from dataclasses import dataclass

import numpy as np

from datasets.scene.noise import draw_lattice, lattice_noise
from datasets.scene.render import project
from datasets.scene.world import Scene

PUFF_SPREADS = 3.0  # a puff is drawn out to so many standard deviations
GRAIN_M = (4.0, 2.5)  # size of the cloud's billows across and up


@dataclass(frozen=True)
class Puffs:
    """Balls of dust at one moment; all arrays have one entry a puff, lengths in metres."""

    place: np.ndarray  # (N, 3) in the camera's frame
    spread_m: np.ndarray  # (N, 2) standard deviations across and up
    depth: np.ndarray  # optical depth through the middle


@dataclass(frozen=True)
class Dust:
    """How the ground of a recording raises dust. Speeds in metres per second, times in seconds."""

    offset_k: float  # of the cloud over bare soil; negative for a cool cloud
    depth: float  # optical depth of a fresh trail seen from the side, about
    life: float  # after which a cloud has thinned out by e, beside its growth
    wind: tuple[float, float]  # to the right, and away from the camera
    jitter: np.ndarray  # (64, 3) unit normal: where puffs leave the trail's middle
    billows: np.ndarray  # lattice (64, 64)

    @staticmethod
    def draw(rng: np.random.Generator) -> "Dust":
        """Warm or cool dust and a light wind."""
        return Dust(
            offset_k=rng.choice((-8.0, 4.0)) * rng.uniform(0.6, 1.0),
            depth=rng.uniform(1.0, 3.5),
            life=rng.uniform(5.0, 12.0),
            wind=(rng.uniform(-2.0, 2.0), rng.uniform(-1.0, 1.0)),
            jitter=rng.standard_normal((64, 3)),
            billows=draw_lattice(rng),
        )

    def puffs(self, sources: np.ndarray, ages: np.ndarray, spacing_m: float) -> Puffs:
        """What became of the dust raised at `sources` (N, 2), metres on the ground, `ages` ago.

        spacing_m: between neighbouring sources; it makes the trail as dense for any spacing.
        """
        number = np.arange(len(ages)) % len(self.jitter)
        drift = np.asarray(self.wind) * ages[:, None]
        width, height = 0.8 + 0.5 * ages, 0.5 + 0.3 * ages
        ground = sources + drift + 0.3 * width[:, None] * self.jitter[number, :2]
        lift = 0.6 + 0.3 * ages + 0.15 * height * self.jitter[number, 2]
        # A row of Gaussians of width σ every d metres adds up to √(2π) σ/d of one of them.
        overlap = np.sqrt(2 * np.pi) * width[0] / spacing_m
        thinning = width[0] * height[0] / (width * height) * np.exp(-ages / self.life)
        place = np.column_stack([ground, lift])
        return Puffs(place, np.column_stack([width, height]), self.depth / overlap * thinning)


def optical_depth(
    puffs: Puffs, dust: Dust, scene: Scene, size: int, seconds: float
) -> tuple[np.ndarray, np.ndarray]:
    """Optical depth of the dust behind the vehicle and before it, (size, size) each."""
    layers = np.zeros((2, size, size))
    camera = scene.recording.camera
    u, v = project(puffs.place, scene)
    angle = puffs.spread_m / puffs.place[:, 1:2]
    spread = angle / (camera.fov, camera.fov_down) * size
    for x, y, (across, down), depth, distance in zip(
        u * size, v * size, spread, puffs.depth, puffs.place[:, 1], strict=True
    ):
        columns = _window(x, across, size)
        rows = _window(y, down, size)
        shape = np.exp(-(((rows + 0.5 - y) / down) ** 2) / 2)[:, None]
        shape = shape * np.exp(-(((columns + 0.5 - x) / across) ** 2) / 2)
        layers[int(distance < scene.range_m)][np.ix_(rows, columns)] += depth * shape
    return tuple(layers * _billowing(dust, scene, size, seconds))


def _window(middle: float, spread: float, size: int) -> np.ndarray:
    """Pixels along one axis that a puff reaches."""
    reach = PUFF_SPREADS * spread
    first, last = np.clip([np.floor(middle - reach), np.ceil(middle + reach)], 0, size)
    return np.arange(int(first), int(last))


def _billowing(dust: Dust, scene: Scene, size: int, seconds: float) -> np.ndarray:
    """Uneven density, mean about 1, (size, size); it drifts with the wind and rises."""
    camera = scene.recording.camera
    place = (np.arange(size) + 0.5) / size * scene.recording.range_m
    across = (place[None, :] * camera.fov - dust.wind[0] * seconds) / GRAIN_M[0]
    up = (place[:, None] * camera.fov_down + 0.3 * seconds) / GRAIN_M[1]
    return np.maximum(1 + 0.5 * lattice_noise(dust.billows, across, up), 0.0)
