"""The simulator-like picture: what a rendering engine exports, with a tone mapping of its own.

Two engines. The faithful one knows every temperature and differs from the sensor in tone, texture
and sharpness alone. A coarse one, as real exports are, knows the shapes; its vehicle consists of a
few parts of one temperature each, which may be wrong, its ground is bare, and each condition is
exported through another window and gamma.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from datasets.scene.render import paint_vehicle
from datasets.scene.terrain import Grid, background_radiance
from datasets.scene.thermal import band_radiance, through_atmosphere
from datasets.scene.vehicles import VEHICLES
from datasets.scene.world import Scene, Viewpoint, Weather

# The parts of a coarse model, each with its surfaces (vehicles.SURFACES).
COARSE_PARTS = {
    "hull": ("hull", "underbody", "cab", "bed", "glass"),
    "turret": ("turret", "gun"),
    "engine": ("deck", "grille", "exhaust", "hood"),
    "running gear": ("track", "roadwheel", "tyre", "hub"),
}
# Rise over the air of each part in kelvin, (from, to): one of the spans, each as likely.
COLD_K = (-1.0, 4.0)
RISE_K = {
    "hull": ((2.0, 16.0),),
    "turret": ((2.0, 16.0),),
    "engine": (COLD_K, (15.0, 60.0)),
    "running gear": (COLD_K, (8.0, 30.0)),
}
COARSE_TEXTURE = 0.15
# A coarse engine has few models, and shows them from nearby and above, in the image's middle.
COARSE_CLASSES = ("T72", "BTR70")
COARSE_VIEW = Viewpoint(range_m=(350.0, 900.0), horizon_v=(-1.0, 0.3), pan=0.03)


@dataclass(frozen=True)
class Simulator:
    """What an engine makes of a scene."""

    texture: float  # contrast of the background's textures, over nature's
    window_k: tuple[float, float]  # black bodies that map to black and white
    gamma: float
    bare: bool = False  # whether it leaves out plants, tracks and grass
    part_rise_k: Mapping[str, float] | None = None  # of COARSE_PARTS over the air; None: true heat


# Surfaces of rendering engines carry weaker textures than nature.
FAITHFUL = Simulator(texture=0.45, window_k=(266.0, 321.0), gamma=0.55)


def draw_coarse_simulator(
    weather: Weather, condition: np.random.Generator, frame: np.random.Generator
) -> Simulator:
    """A coarse engine as it exports one frame.

    condition: draws window and gamma; frame: one temperature for each part. Engine and running gear
    are hot or cold, each at random.
    """
    low = weather.air_k - condition.uniform(6.0, 25.0)
    high = weather.air_k + np.exp(condition.uniform(*np.log((12.0, 60.0))))
    gamma = condition.uniform(0.5, 1.3)
    rises = {
        part: frame.uniform(*spans[frame.integers(len(spans))]) for part, spans in RISE_K.items()
    }
    return Simulator(COARSE_TEXTURE, (low, high), gamma, bare=True, part_rise_k=rises)


def simulator_image(
    scene: Scene, size: int, bits: int = 8, simulator: Simulator = FAITHFUL
) -> np.ndarray:
    """One sample a pixel, no blur, no noise; (size, size) uint8 or uint16, white is hot."""
    if simulator.bare:
        recording = replace(scene.recording, terrain=scene.recording.terrain.bare())
        scene = replace(scene, recording=recording)
    grid = Grid(size)
    radiance = background_radiance(scene, grid, simulator.texture)
    rises = simulator.part_rise_k
    paint_vehicle(radiance, scene, grid, None if rises is None else _coarse_facets(scene, rises))
    return window(radiance, bits, simulator)


def _coarse_facets(scene: Scene, part_rise_k: Mapping[str, float]) -> np.ndarray:
    """Radiance at the aperture of each facet, (N,): black bodies at their part's temperature."""
    weather = scene.recording.weather
    part_of = {name: part for part, surfaces in COARSE_PARTS.items() for name in surfaces}
    rise = [part_rise_k[part_of[facet.surface]] for facet in VEHICLES[scene.vehicle].facets]
    radiance = band_radiance(weather.air_k + np.array(rise))
    return through_atmosphere(radiance, scene.range_m, weather.extinction_per_km, weather.air_k)


def window(radiance: np.ndarray, bits: int, simulator: Simulator = FAITHFUL) -> np.ndarray:
    """A window of radiance through a gamma to the full scale of 8 or 16 bits; monotonic."""
    low, high = band_radiance(np.array(simulator.window_k))
    share = np.clip((radiance - low) / (high - low), 0.0, 1.0)
    levels = (2**bits - 1) * share**simulator.gamma
    return np.rint(levels).astype(np.uint8 if bits == 8 else np.uint16)
