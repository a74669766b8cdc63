"""Ground, plants, hills and sky of a scene as radiance at the aperture, W m⁻² sr⁻¹."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

from datasets.scene.noise import lattice_noise, profile_noise
from datasets.scene.thermal import band_radiance, surface_radiance, through_atmosphere
from datasets.scene.world import (
    BUSH_SHAPES,
    GROUND_WAVELENGTHS_M,
    Recording,
    Scene,
)

SOIL_EMISSIVITY = 0.93
PLANT_EMISSIVITY = 0.96
FARTHEST_GROUND_M = 30_000.0
BUSH_SIDE = 96
BUSH_TEXTURE_K = 1.0
HILL_TEXTURE_K = 1.1


@dataclass(frozen=True)
class Grid:
    """Places of an image's samples: `oversample`² to a pixel, fractions of the side, (size·k,)."""

    size: int
    oversample: int = 1

    @property
    def side(self) -> int:
        return self.size * self.oversample

    @property
    def centres(self) -> np.ndarray:
        return (np.arange(self.side) + 0.5) / self.side

    def spread(self, pixels: np.ndarray) -> np.ndarray:
        """One value a pixel (size, size) to its samples (side, side)."""
        return pixels.repeat(self.oversample, axis=0).repeat(self.oversample, axis=1)


def background_radiance(scene: Scene, grid: Grid, texture: float) -> np.ndarray:
    """Everything but the vehicle, (side, side) float64.

    texture: contrast of the surfaces' textures, 1 as they are. Outlines are sampled at every
    sample, textures once a pixel: finer structure would not survive the detector anyway.
    """
    recording = scene.recording
    pixel = Grid(grid.size)
    u, v = pixel.centres[None, :], pixel.centres[:, None]
    bearing = (u - 0.5) * recording.camera.fov + scene.pan
    image = grid.spread(_sky(recording, v) + np.zeros_like(u))
    for ridge in (1, 0):
        outline = _ridge_mask(scene, grid, ridge)
        if outline.any():
            surface = grid.spread(_hills(recording, ridge, bearing, v, texture))
            image = np.where(outline, surface, image)
    below_horizon = grid.centres > recording.camera.horizon_v
    ground = grid.spread(_ground(recording, grid.size, bearing, v, texture))
    image[below_horizon] = ground[below_horizon]
    _paint_bushes(image, scene, grid, texture)
    return image


def _sky(recording: Recording, v: np.ndarray) -> np.ndarray:
    """Opaque air at the horizon, colder windows upwards: a smooth fall towards the top."""
    weather = recording.weather
    elevation = np.maximum(-recording.camera.depression(v), 0.0)
    share = 1 - np.exp(-elevation / 0.006)
    return band_radiance(weather.air_k + (weather.sky_k - weather.air_k) * share)


def _ridge_mask(scene: Scene, grid: Grid, ridge: int) -> np.ndarray:
    """Where the hills of one ridge stand above the horizon, (side, side) bool."""
    recording = scene.recording
    terrain, camera = recording.terrain, recording.camera
    bearing = (grid.centres - 0.5) * camera.fov + scene.pan
    place = bearing * terrain.hill_range_m[ridge]
    height_m = terrain.hill_height_m[ridge]
    # Ridges are some times longer than high, at each of their scales.
    outline = sum(
        profile_noise(terrain.hills[ridge][row:], place / (length * height_m)) * share
        for row, (length, share) in enumerate(((6.0, 0.45), (1.6, 0.12), (0.5, 0.035)))
    )
    height = height_m * np.clip(0.6 + outline, 0.05, None)
    top_v = camera.horizon_v - height / terrain.hill_range_m[ridge] / camera.fov_down
    centres = grid.centres[:, None]
    return (centres > top_v[None, :]) & (centres <= camera.horizon_v)


def _hills(
    recording: Recording, ridge: int, bearing: np.ndarray, v: np.ndarray, texture: float
) -> np.ndarray:
    weather, terrain = recording.weather, recording.terrain
    distance = terrain.hill_range_m[ridge]
    across, up = bearing * distance, -recording.camera.depression(v) * distance
    relief = sum(
        share * lattice_noise(terrain.hills[ridge], across / length + up / length, 3 * up / length)
        for length, share in ((60.0, 0.7), (17.0, 0.5), (6.0, 0.4))
    )
    kelvin = weather.hills_k + texture * HILL_TEXTURE_K * relief
    radiance = surface_radiance(kelvin, SOIL_EMISSIVITY, weather.ambient_k)
    return through_atmosphere(radiance, distance, weather.extinction_per_km, weather.air_k)


def _ground(
    recording: Recording, size: int, bearing: np.ndarray, v: np.ndarray, texture: float
) -> np.ndarray:
    """Radiance of the plain at every pixel, (size, size); rows above the horizon mean nothing."""
    camera, weather = recording.camera, recording.weather
    depression = np.maximum(camera.depression(v), camera.height_m / FARTHEST_GROUND_M)
    distance = camera.height_m / depression
    row_depth = distance**2 * camera.fov_down / (camera.height_m * size)
    x = bearing * distance
    kelvin = weather.ground_k + _zones(recording, x, distance) * weather.scrub_k
    roughness = _soil_texture(recording, x, distance, row_depth, size)
    kelvin = kelvin + texture * weather.ground_contrast_k * roughness
    for track in recording.terrain.tracks:
        kelvin = kelvin - track.cooling_k * track.cover(x, distance, row_depth)
    radiance = surface_radiance(kelvin, SOIL_EMISSIVITY, weather.ambient_k)
    return through_atmosphere(radiance, distance, weather.extinction_per_km, weather.air_k)


def _soil_texture(
    recording: Recording, x: np.ndarray, distance: np.ndarray, row_depth: np.ndarray, size: int
) -> np.ndarray:
    """Multi-scale texture of unit order: a pixel sees the mean over its footprint.

    The mean of N independent cells has 1/√N of their spread: fine scales fade with range, and
    mostly along the line of sight, which leaves the horizontal streaks of grazing views.
    """
    column_width = distance * recording.camera.fov / size
    total = np.zeros(np.broadcast_shapes(x.shape, distance.shape))
    for wavelength, lattice in zip(GROUND_WAVELENGTHS_M, recording.terrain.ground, strict=True):
        cells = (1 + row_depth / wavelength) * (1 + column_width / wavelength)
        amplitude = 0.75 * (wavelength / GROUND_WAVELENGTHS_M[-1]) ** 0.12 / np.sqrt(cells)
        total += amplitude * lattice_noise(lattice, x / wavelength, distance / wavelength)
    return total


def _zones(recording: Recording, x: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """0 on the bare field, 1 in the scrub around it, with a ragged border."""
    near, far = recording.terrain.field_m
    edge = recording.terrain.field_edge
    reach = 0.08 * distance * lattice_noise(edge, x / 25.0, distance / 300.0)
    bare = (distance + reach > near) & (distance + reach < far)
    return 1.0 - bare


@lru_cache(maxsize=1)
def _bush_shapes() -> list[tuple[np.ndarray, np.ndarray]]:
    """Silhouettes and textures of plants, each (96, 96): where there are leaves; unit texture."""
    rng = np.random.default_rng(20_08)
    return [_grow_bush(rng) for _ in range(BUSH_SHAPES)]


def _grow_bush(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A crown of overlapping leaf clumps with a ragged outline, standing on the lower edge."""
    y, x = np.mgrid[0:BUSH_SIDE, 0:BUSH_SIDE] / (BUSH_SIDE - 1.0)
    ragged = ndimage.gaussian_filter(rng.standard_normal((BUSH_SIDE, BUSH_SIDE)), 1.5)
    ragged = 0.05 * ragged / ragged.std()
    leaves = np.zeros((BUSH_SIDE, BUSH_SIDE), dtype=bool)
    warmth = np.zeros((BUSH_SIDE, BUSH_SIDE))
    for _ in range(rng.integers(9, 16)):
        height = rng.uniform(0.12, 0.95)
        middle = 0.5 + rng.uniform(-0.34, 0.34) * (1.15 - height)
        radius = rng.uniform(0.1, 0.22)
        clump = np.hypot(x - middle, (1 - y) - height) + ragged < radius
        clump &= (1 - y) < 1.0
        leaves |= clump
        warmth[clump] = rng.normal(0, 0.8) - 0.8 * (height - 0.5)
    stem = (np.abs(x - 0.5) + ragged < 0.3) & (y > 0.75)
    leaves |= stem
    grain = ndimage.gaussian_filter(rng.standard_normal((BUSH_SIDE, BUSH_SIDE)), 2.5)
    return leaves, warmth + 0.5 * grain / grain.std()


def _paint_bushes(image: np.ndarray, scene: Scene, grid: Grid, texture: float) -> None:
    """Stand every plant in view on the ground, far ones first, in place."""
    weather, bushes = scene.recording.weather, scene.recording.terrain.bushes
    left, right, top, bottom = _bush_frames(scene)
    distance = np.zeros(image.shape)
    kelvin = np.empty(image.shape)
    for plant in np.flatnonzero((right > 0) & (left < 1) & (top < 1)):
        rows, row_cells = _cells(top[plant], bottom[plant], grid.side)
        columns, column_cells = _cells(left[plant], right[plant], grid.side)
        cells = np.ix_(row_cells, column_cells)
        leaves, warmth = _bush_shapes()[bushes.shape[plant]]
        leaves, warmth = leaves[cells], warmth[cells]
        warm = weather.vegetation_k + bushes.offset_k[plant] + texture * BUSH_TEXTURE_K * warmth
        np.copyto(kelvin[rows, columns], warm, where=leaves)
        np.copyto(distance[rows, columns], bushes.range_m[plant], where=leaves)
    covered = distance > 0
    radiance = surface_radiance(kelvin[covered], PLANT_EMISSIVITY, weather.ambient_k)
    image[covered] = through_atmosphere(
        radiance, distance[covered], weather.extinction_per_km, weather.air_k
    )


def _bush_frames(scene: Scene) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Left, right, top and bottom of every plant as fractions of the image, (N,) each."""
    bushes, camera = scene.recording.terrain.bushes, scene.recording.camera
    middle = (bushes.bearing - scene.pan) / camera.fov + 0.5
    half_width = bushes.width_m / (2 * bushes.range_m * camera.fov)
    top = camera.row_of(bushes.range_m, bushes.height_m)
    return middle - half_width, middle + half_width, top, camera.row_of(bushes.range_m)


def _cells(start: float, stop: float, side: int) -> tuple[slice, np.ndarray]:
    """Samples whose centres lie in [start, stop) of the unit side, and the shape's cell of each."""
    first = max(0, int(np.ceil(start * side - 0.5)))
    last = min(side, int(np.ceil(stop * side - 0.5)))
    centres = (np.arange(first, max(first, last)) + 0.5) / side
    cells = ((centres - start) / (stop - start) * BUSH_SIDE).astype(int)
    return slice(first, max(first, last)), np.minimum(cells, BUSH_SIDE - 1)
