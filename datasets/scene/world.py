"""What there is to see: weather and terrain of a recording, and the vehicle in each of its frames.

A *recording* is what one video of a field trial is: one place, one night, one range, one setting of
the sensor. Its frames differ in the vehicle and in where the camera points. Lengths are in metres,
temperatures in kelvin, angles in radians unless a name says otherwise. The camera stands at the
origin above a plain; x runs to the right, y away from the camera. Positions in the image are
fractions of its side: u from the left, v from the top.
"""

from dataclasses import dataclass, fields, replace

import numpy as np

from datasets.scene.noise import draw_lattice, profile_noise
from datasets.scene.vehicles import VEHICLES

# (longest range, full field of view): the operator takes the next lens as the target gets far.
FIELDS_OF_VIEW = ((900.0, 0.038), (1650.0, 0.021), (np.inf, 0.0115))
# Wavelengths of the ground's texture, metres, each with its own lattice.
GROUND_WAVELENGTHS_M = (1.3, 4.0, 12.0, 40.0, 130.0, 420.0)
BUSH_COUNTS = {"foreground": 60, "treeline": 150, "scattered": 160}
BUSH_SHAPES = 16


@dataclass(frozen=True)
class Viewpoint:
    """Where a camera is put up. Each pair holds the ends that are drawn from."""

    range_m: tuple[float, float]  # to the vehicle, evenly in its logarithm
    horizon_v: tuple[float, float]  # image height of the horizon; the higher up, the steeper
    pan: float  # at most so many image widths beside the vehicle


FIELD_TRIAL = Viewpoint(range_m=(500.0, 3000.0), horizon_v=(0.08, 0.3), pan=0.2)


@dataclass(frozen=True)
class Weather:
    """A clear or overcast night, and what it does to each kind of surface."""

    air_k: float
    ground_k: float  # mean of bare soil
    ground_contrast_k: float  # standard deviation of the soil's texture
    scrub_k: float  # soil under dry grass, over bare soil
    vegetation_k: float
    hills_k: float
    sky_k: float  # apparent temperature at the top of the sky
    extinction_per_km: float

    @property
    def ambient_k(self) -> float:
        """What diffuse surfaces reflect: half sky, half surroundings at air temperature."""
        return 0.5 * (self.air_k + self.sky_k)

    @staticmethod
    def draw(rng: np.random.Generator) -> "Weather":
        """A night of the temperate season; a clear sky cools the ground and deepens contrasts."""
        clearness = rng.uniform(0.2, 1.0)
        air = rng.uniform(285.0, 290.0)
        return Weather(
            air_k=air,
            ground_k=air - 1.5 - 3.0 * clearness,
            ground_contrast_k=rng.uniform(0.7, 1.0) + 0.7 * clearness,
            scrub_k=rng.uniform(0.5, 1.5),
            vegetation_k=air - rng.uniform(-0.8, 0.6),
            hills_k=air - rng.uniform(-2.0, 1.0),
            sky_k=air - 1.5 - 5.0 * clearness,
            extinction_per_km=rng.uniform(0.07, 0.2),
        )


@dataclass(frozen=True)
class Track:
    """A band of churned, colder soil along y = distance + slope x + a sine of x."""

    distance_m: float
    half_depth_m: float  # along y
    slope: float
    sway_m: float
    period_m: float
    phase: float
    cooling_k: float

    def distance_at(self, x: np.ndarray | float) -> np.ndarray | float:
        """Distance y of the band's middle at the lateral place x, metres."""
        sway = self.sway_m * np.sin(2 * np.pi * x / self.period_m + self.phase)
        return self.distance_m + self.slope * x + sway

    def cover(self, x: np.ndarray, distance: np.ndarray, row_depth: np.ndarray) -> np.ndarray:
        """Share of each pixel that the track covers, 0..1.

        x, distance: the pixel's middle on the ground; row_depth: its depth there, all in metres.
        """
        away = np.abs(distance - self.distance_at(x))
        inside = np.clip((self.half_depth_m - away) / row_depth + 0.5, 0.0, 1.0)
        return inside * np.minimum(1.0, 2 * self.half_depth_m / row_depth)


@dataclass(frozen=True)
class Circle:
    """A ring of churned, colder soil: what a vehicle leaves that drives round and round."""

    x_m: float
    distance_m: float
    radius_m: float
    half_width_m: float
    cooling_k: float

    def cover(self, x: np.ndarray, distance: np.ndarray, row_depth: np.ndarray) -> np.ndarray:
        """As Track.cover: the pixel's column of ground, less what of it lies inside the ring."""
        near, far = distance - row_depth / 2, distance + row_depth / 2

        def within(radius: float) -> np.ndarray:
            half_chord = np.sqrt(np.maximum(radius**2 - (x - self.x_m) ** 2, 0.0))
            start = np.maximum(near, self.distance_m - half_chord)
            return np.maximum(np.minimum(far, self.distance_m + half_chord) - start, 0.0)

        ring = within(self.radius_m + self.half_width_m) - within(self.radius_m - self.half_width_m)
        return ring / row_depth


@dataclass(frozen=True)
class Bushes:
    """Shrubs and small trees, far ones first; all arrays have one entry a plant."""

    bearing: np.ndarray
    range_m: np.ndarray
    height_m: np.ndarray
    width_m: np.ndarray
    shape: np.ndarray  # index of the silhouette
    offset_k: np.ndarray  # over the mean of the vegetation

    def only(self, chosen: np.ndarray) -> "Bushes":
        """Those of these indices, in their order."""
        return Bushes(*(getattr(self, column.name)[chosen] for column in fields(self)))


@dataclass(frozen=True)
class Terrain:
    """The place: textures as lattices (64, 64), the bare field's bounds, hills, tracks, plants."""

    ground: tuple[np.ndarray, ...]  # one lattice for each of GROUND_WAVELENGTHS_M
    field_edge: np.ndarray
    field_m: tuple[float, float]  # distances of the near and far edge of the bare field
    hills: tuple[np.ndarray, np.ndarray]  # lattices of the near and the far ridge
    hill_range_m: tuple[float, float]
    hill_height_m: tuple[float, float]
    tracks: tuple[Track | Circle, ...]  # the vehicle drives on the first
    bushes: Bushes

    def bare(self) -> "Terrain":
        """The same land without anything that grows on it or was driven into it."""
        nothing = self.bushes.only(np.arange(0))
        return replace(self, field_m=(0.0, np.inf), tracks=(), bushes=nothing)


@dataclass(frozen=True)
class Camera:
    """A pinhole; the image plane stays upright, the lens is shifted.

    fov: across the image; squash: the field of view down the image over that across. Images are
    square, so a frame of another shape is squashed to a square.
    """

    fov: float
    height_m: float
    horizon_v: float
    squash: float = 1.0

    @property
    def fov_down(self) -> float:
        return self.fov * self.squash

    def depression(self, v: np.ndarray | float) -> np.ndarray | float:
        """Angle below the horizon at image height v."""
        return (v - self.horizon_v) * self.fov_down

    def row_of(
        self, range_m: np.ndarray | float, height_m: np.ndarray | float = 0.0
    ) -> np.ndarray | float:
        """Image height v of a point so far away and so high above the ground."""
        return self.horizon_v + (self.height_m - height_m) / (range_m * self.fov_down)


@dataclass(frozen=True)
class Recording:
    """One place, night, range and sensor setting, shared by several frames."""

    weather: Weather
    terrain: Terrain
    camera: Camera
    range_m: float
    gain: float  # of the sensor's gain control, about 1
    level: float  # likewise
    pattern_seed: int  # of the sensor's fixed pattern


@dataclass(frozen=True)
class Scene:
    """One frame: a recording with a vehicle at a place, as the camera points there.

    aspect_deg: 0 with the nose to the sensor, 90 with the nose to the left of the image (clockwise
    seen from above), 180 from behind. load: how hard the vehicle has worked, about 1.
    """

    recording: Recording
    vehicle: str  # a key of vehicles.VEHICLES
    range_m: float
    bearing: float
    aspect_deg: float
    turret_deg: float
    load: float
    pan: float  # bearing of the image's middle


def draw_recording(rng: np.random.Generator, view: Viewpoint = FIELD_TRIAL) -> Recording:
    """A recording at one of the viewpoint's ranges, through the lens that goes with it."""
    range_m = float(np.exp(rng.uniform(*np.log(view.range_m))))
    fov = next(fov for longest, fov in FIELDS_OF_VIEW if range_m <= longest)
    return draw_place(rng, range_m, fov, horizon_v=view.horizon_v)


def draw_place(
    rng: np.random.Generator,
    range_m: float,
    fov: float,
    squash: float = 1.0,
    horizon_v: tuple[float, float] = FIELD_TRIAL.horizon_v,
) -> Recording:
    """A recording at a given range through a given lens (see Camera and Viewpoint)."""
    weather = Weather.draw(rng)
    vehicle_v, horizon_v = rng.uniform(0.47, 0.62), rng.uniform(*horizon_v)
    height_m = (vehicle_v - horizon_v) * fov * squash * range_m
    camera = Camera(fov, height_m, horizon_v, squash)
    return Recording(
        weather=weather,
        terrain=_draw_terrain(rng, camera, range_m),
        camera=camera,
        range_m=range_m,
        # A gain control that follows each video would hide the radiometry; this spread is enough
        # to keep a network from relying on absolute grey levels.
        gain=rng.uniform(0.92, 1.08),
        level=rng.uniform(0.92, 1.08),
        pattern_seed=int(rng.integers(2**31)),
    )


def draw_scene(
    rng: np.random.Generator, recording: Recording, vehicle: str, view: Viewpoint = FIELD_TRIAL
) -> Scene:
    """The vehicle somewhere on the recording's first track, at any aspect."""
    if vehicle not in VEHICLES:
        raise ValueError(f"vehicle '{vehicle}' is not one of {', '.join(VEHICLES)}")
    fov = recording.camera.fov
    bearing = rng.uniform(-0.45, 0.45) * fov
    track = recording.terrain.tracks[0]
    return Scene(
        recording=recording,
        vehicle=vehicle,
        range_m=float(track.distance_at(bearing * recording.range_m)),
        bearing=bearing,
        aspect_deg=rng.uniform(0.0, 360.0),
        turret_deg=float(np.clip(rng.normal(0.0, 12.0), -40.0, 40.0)),
        load=rng.uniform(0.75, 1.25),
        pan=bearing - rng.uniform(-view.pan, view.pan) * fov,
    )


def _draw_terrain(rng: np.random.Generator, camera: Camera, range_m: float) -> Terrain:
    nearest = camera.height_m / camera.depression(1.0)
    near_edge = rng.uniform(nearest, 0.85 * range_m)
    far_edge = range_m * rng.uniform(1.2, 2.0)
    return Terrain(
        ground=tuple(draw_lattice(rng) for _ in GROUND_WAVELENGTHS_M),
        field_edge=draw_lattice(rng),
        field_m=(near_edge, far_edge),
        hills=(draw_lattice(rng), draw_lattice(rng)),
        hill_range_m=(rng.uniform(4e3, 7e3), rng.uniform(9e3, 15e3)),
        hill_height_m=(rng.uniform(8.0, 30.0), rng.uniform(30.0, 110.0)),
        tracks=_draw_tracks(rng, camera, range_m),
        bushes=_draw_bushes(rng, camera, range_m, far_edge),
    )


def _draw_tracks(rng: np.random.Generator, camera: Camera, range_m: float) -> tuple[Track, ...]:
    """The vehicle's own track and two to five others, each about as wide in the image."""
    others = np.exp(rng.uniform(*np.log((0.6 * range_m, 3.0 * range_m)), rng.integers(2, 6)))

    def track(distance: float, steepness: float) -> Track:
        # Distance on the ground that one image height spans there.
        depth = distance**2 * camera.fov_down / camera.height_m
        width = distance * camera.fov
        return Track(
            distance_m=distance,
            half_depth_m=depth * rng.uniform(0.004, 0.014),
            slope=steepness * rng.uniform(-1, 1) * depth / width,
            sway_m=depth * rng.uniform(0.003, 0.02),
            period_m=width * rng.uniform(0.7, 2.5),
            phase=rng.uniform(0, 2 * np.pi),
            cooling_k=rng.uniform(1.5, 3.5),
        )

    return (track(range_m, 0.02), *(track(distance, 0.15) for distance in others))


def _draw_bushes(
    rng: np.random.Generator, camera: Camera, range_m: float, far_edge: float
) -> Bushes:
    """Plants before and behind the bare field; none hides the vehicle from the camera."""
    # Places are drawn evenly in image height, which keeps every band of the image populated.
    foreground_v = rng.uniform(camera.row_of(range_m) + 0.1, 1.25, BUSH_COUNTS["foreground"])
    far_v = camera.row_of(far_edge)
    treeline_v = far_v - np.abs(rng.normal(0, 0.012, BUSH_COUNTS["treeline"]))
    scattered_v = rng.uniform(camera.horizon_v + 0.008, far_v, BUSH_COUNTS["scattered"])
    v = np.concatenate([foreground_v, treeline_v, scattered_v])
    distance = camera.height_m / np.maximum(camera.depression(v), 2e-4)
    bearing = rng.uniform(-1.2, 1.2, v.size) * camera.fov
    # Plants come in clumps: keep those where a slow noise over the bearing is high.
    clump = profile_noise(draw_lattice(rng), 9 * bearing / camera.fov + 100 * v)
    height = rng.uniform(0.9, 3.6, v.size) * np.where(v > far_v, 1.0, 1.3)
    # The line of sight to the vehicle's wheels, with a margin, must pass above what stands nearer.
    clear = camera.height_m - distance * (camera.height_m / range_m + 0.035 * camera.fov_down)
    height = np.where(distance < range_m, np.minimum(height, clear), height)
    keep = (height > 0.4) & (clump > -0.5)
    farthest_first = np.flatnonzero(keep)[np.argsort(-distance[keep])]
    width = height * rng.uniform(0.8, 1.7, v.size)
    shape, offset = rng.integers(BUSH_SHAPES, size=v.size), rng.normal(0, 0.5, v.size)
    return Bushes(bearing, distance, height, width, shape, offset).only(farthest_first)
