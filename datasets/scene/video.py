"""A video: one vehicle driving a circle before a fixed camera, as the field trials recorded it.

The camera neither moves nor zooms; its gain control and offset wander from frame to frame. Frames
count from 1, and any of them can be made without those before it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from datasets.scene.dust import Dust, optical_depth
from datasets.scene.noise import draw_lattice, profile_noise
from datasets.scene.render import paint_vehicle
from datasets.scene.sensor import OVERSAMPLE, sense
from datasets.scene.terrain import Grid, background_radiance
from datasets.scene.thermal import band_radiance, through_atmosphere
from datasets.scene.world import Circle, Recording, Scene, draw_place

RANGES_M = (1000.0, 1500.0, 2000.0, 2500.0, 3000.0, 3500.0)
FIELD_DEG = (3.4, 2.6)  # across and down, of 640×512 pixels; here squashed to a square
FRAMES_PER_SECOND = 30
# The boxes of the database at 1 km lie on circles 29 to 37 m across: 100 m around.
RADIUS_M = 50 / np.pi
STEP_DEG = (0.25, 0.4)  # of aspect from one frame to the next
FRAMES_PER_PUFF = 4
WANDER_FRAMES = 60  # over which gain and offset wander
WANDER, FLICKER = 0.04, 0.01  # standard deviations of the wandering and from frame to frame


@dataclass(frozen=True)
class Video:
    """One drive. Angles in degrees, anticlockwise from the right as seen from above."""

    recording: Recording
    vehicle: str
    centre: tuple[float, float]  # of the circle: to the right, and away from the camera, metres
    start_deg: float  # place on the circle in frame 0
    step_deg: float  # from frame to frame, positive anticlockwise
    turret_deg: float
    load: float
    dust: Dust | None
    control: np.ndarray  # lattice (64, 64) of the gain control's wandering

    def position(self, frame: np.ndarray | float) -> np.ndarray:
        """Where the vehicle's middle is on the ground, (…, 2) metres."""
        angle = np.radians(self.start_deg + self.step_deg * np.asarray(frame))
        return np.stack([np.cos(angle), np.sin(angle)], axis=-1) * RADIUS_M + self.centre

    def scene(self, frame: int) -> Scene:
        """What stands before the camera in a frame, and the gain control's state."""
        x, distance = self.position(frame)
        heading = self.start_deg + self.step_deg * frame + 90 * np.sign(self.step_deg)
        wander = WANDER * profile_noise(self.control, np.array(frame / WANDER_FRAMES))
        flicker = FLICKER * profile_noise(self.control[1:], np.array(float(frame)))
        gain, level = float(1 + wander + flicker), float(1 - 2 * wander + flicker)
        recording = self.recording
        return Scene(
            recording=replace(recording, gain=recording.gain * gain, level=recording.level * level),
            vehicle=self.vehicle,
            range_m=float(distance),
            bearing=float(np.arctan2(x, distance)),
            aspect_deg=float((-90.0 - heading) % 360),
            turret_deg=self.turret_deg,
            load=self.load,
            pan=0.0,
        )

    def radiance(self, scene: Scene, frame: int, background: np.ndarray) -> np.ndarray:
        """The background's samples (side, side) with dust behind, vehicle and dust before it."""
        samples = background.copy()
        grid = Grid(background.shape[0] // OVERSAMPLE, OVERSAMPLE)
        if self.dust is None:
            paint_vehicle(samples, scene, grid)
            return samples
        ages = np.arange(1, 2 * self.dust.life * FRAMES_PER_SECOND, FRAMES_PER_PUFF)
        spacing = RADIUS_M * np.radians(abs(self.step_deg)) * FRAMES_PER_PUFF
        puffs = self.dust.puffs(self.position(frame - ages), ages / FRAMES_PER_SECOND, spacing)
        seconds = frame / FRAMES_PER_SECOND
        behind, before = optical_depth(puffs, self.dust, scene, grid.size, seconds)
        weather = self.recording.weather
        glow = through_atmosphere(
            band_radiance(weather.ground_k + self.dust.offset_k),
            scene.range_m,
            weather.extinction_per_km,
            weather.air_k,
        )
        samples += (glow - samples) * grid.spread(1 - np.exp(-behind))
        paint_vehicle(samples, scene, grid)
        samples += (glow - samples) * grid.spread(1 - np.exp(-before))
        return samples


def draw_video(rng: np.random.Generator, vehicle: str, *, dust: bool) -> Video:
    """A drive of a vehicle at one of the database's ranges."""
    range_m = float(rng.choice(RANGES_M))
    fov = float(np.radians(FIELD_DEG[0]))
    recording = draw_place(rng, range_m, fov, FIELD_DEG[1] / FIELD_DEG[0])
    centre = (range_m * fov * rng.uniform(-0.1, 0.1), range_m)
    ring = Circle(*centre, RADIUS_M, rng.uniform(1.5, 3.0), rng.uniform(1.5, 3.5))
    terrain = recording.terrain
    terrain = replace(terrain, tracks=(ring, *terrain.tracks[1:]))
    return Video(
        recording=replace(recording, terrain=terrain),
        vehicle=vehicle,
        centre=centre,
        start_deg=rng.uniform(0.0, 360.0),
        step_deg=rng.choice((-1.0, 1.0)) * rng.uniform(*STEP_DEG),
        turret_deg=float(np.clip(rng.normal(0.0, 12.0), -40.0, 40.0)),
        load=rng.uniform(0.75, 1.25),
        control=draw_lattice(rng),
        dust=Dust.draw(rng) if dust else None,  # last: all else is the same with it and without
    )


def film(
    video: Video,
    frames: Sequence[int],
    size: int,
    noise: Callable[[int], np.random.Generator],
    bits: int = 8,
) -> Iterator[tuple[Scene, np.ndarray]]:
    """The frames of these numbers as `sensor_image` would see them, one at a time.

    noise: number of a frame -> the generator of its noise.
    """
    background = background_radiance(video.scene(0), Grid(size, OVERSAMPLE), texture=1.0)
    for frame in frames:
        scene = video.scene(frame)
        samples = video.radiance(scene, frame, background)
        yield scene, sense(samples, scene.recording, noise(frame), bits)
