"""A scene's radiance at the aperture, sampled on a pixel grid: terrain, then the vehicle.

The vehicle's facets are projected through the pinhole and depth-buffered. Each facet has one
temperature, so its samples are exactly equal.
"""

from dataclasses import dataclass

import numpy as np

from datasets.scene.solids import Facet
from datasets.scene.terrain import Grid, background_radiance
from datasets.scene.thermal import surface_radiance, through_atmosphere
from datasets.scene.vehicles import SURFACES, VEHICLES, HeatedFacet, Vehicle
from datasets.scene.world import Scene


@dataclass(frozen=True)
class Rendering:
    """radiance: (side, side) float64, W m⁻² sr⁻¹; vehicle: (side, side) bool, where it is seen."""

    radiance: np.ndarray
    vehicle: np.ndarray


def render(scene: Scene, size: int, oversample: int = 1, texture: float = 1.0) -> Rendering:
    """Sample the scene's radiance, oversample² samples to each of size² pixels (side = size·k).

    With an odd oversample the middle sample of a pixel is the one that oversample 1 takes.
    texture: contrast of the background's textures, 1 as they are, 0 flat.
    """
    grid = Grid(size, oversample)
    radiance = background_radiance(scene, grid, texture)
    return Rendering(radiance, paint_vehicle(radiance, scene, grid))


def paint_vehicle(
    radiance: np.ndarray, scene: Scene, grid: Grid, facets: np.ndarray | None = None
) -> np.ndarray:
    """Put the vehicle into `radiance` (side, side), in place; returns where it is seen, bool.

    facets: radiance at the aperture of each of the class's facets; None: what they truly send.
    """
    facet_of = _depth_buffer(_facing_facets(scene), scene, grid)
    vehicle = facet_of >= 0
    facets = _facet_radiance(scene) if facets is None else facets
    radiance[vehicle] = facets[facet_of[vehicle]]
    return vehicle


def vehicle_box(scene: Scene, size: int) -> tuple[float, float, float, float]:
    """The vehicle's bounding box in pixels: centre x, centre y, width, height.

    From the projected corners, so the same for every rendering; the image's upper left corner is
    (0, 0) and the middle of its first pixel (0.5, 0.5). Cut at the image's edges.
    """
    corners = np.concatenate([facet.vertices for facet, _ in _posed_facets(scene)])
    u, v = project(corners, scene)
    left, right = np.clip([u.min(), u.max()], 0, 1) * size
    top, bottom = np.clip([v.min(), v.max()], 0, 1) * size
    return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top


def _turn(points: np.ndarray, degrees: float) -> np.ndarray:
    """Rotate (…, 3) about the vertical, counter-clockwise seen from above."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    return np.stack([cosine * x - sine * y, sine * x + cosine * y, z], axis=-1)


def _pose(heated: HeatedFacet, vehicle: Vehicle, scene: Scene) -> Facet:
    """From the vehicle's frame to the camera's: x right, y away, z up from the ground."""
    vertices, normal = heated.facet.vertices, heated.facet.normal
    if heated.on_turret:
        axis = np.array([*vehicle.turret_axis, 0.0])
        vertices = _turn(vertices - axis, scene.turret_deg) + axis
        normal = _turn(normal, scene.turret_deg)
    # Aspect 0 drives towards the camera, along −y; clockwise from there.
    heading = -90.0 - scene.aspect_deg
    place = np.array([scene.range_m * np.tan(scene.bearing), scene.range_m, 0.0])
    return Facet(_turn(vertices, heading) + place, _turn(normal, heading))


def _posed_facets(scene: Scene) -> list[tuple[Facet, int]]:
    """All facets in the camera's frame, each with its index in the class's list."""
    vehicle = VEHICLES[scene.vehicle]
    return [(_pose(heated, vehicle, scene), index) for index, heated in enumerate(vehicle.facets)]


def _facing_facets(scene: Scene) -> list[tuple[Facet, int]]:
    camera = np.array([0.0, 0.0, scene.recording.camera.height_m])
    return [
        (facet, index)
        for facet, index in _posed_facets(scene)
        if facet.normal @ (facet.vertices[0] - camera) < 0
    ]


def project(points: np.ndarray, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Image fractions u, v of points (N, 3) in the camera's frame."""
    camera = scene.recording.camera
    u = (points[:, 0] / points[:, 1] - np.tan(scene.pan)) / camera.fov + 0.5
    return u, camera.row_of(points[:, 1], points[:, 2])


def _depth_buffer(facets: list[tuple[Facet, int]], scene: Scene, grid: Grid) -> np.ndarray:
    """Index of the nearest facet at every sample, (side, side); −1 where there is none."""
    nearest = np.zeros((grid.side, grid.side))  # of 1/y, which is linear in the image of a plane
    facet_of = np.full((grid.side, grid.side), -1)
    camera = scene.recording.camera
    for facet, index in facets:
        u, v = project(facet.vertices, scene)
        x, y = u * grid.side - 0.5, v * grid.side - 0.5
        rows = slice(max(0, int(np.ceil(y.min()))), min(grid.side, int(y.max()) + 1))
        columns = slice(max(0, int(np.ceil(x.min()))), min(grid.side, int(x.max()) + 1))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            continue
        row, column = np.mgrid[rows, columns]
        inside = _inside_polygon(column, row, x, y)
        # The plane n·P = n·P0 along the ray P = (0, 0, h) + y (s, 1, t).
        s = ((column + 0.5) / grid.side - 0.5) * camera.fov + np.tan(scene.pan)
        t = -camera.depression((row + 0.5) / grid.side)
        to_plane = facet.normal @ (facet.vertices[0] - [0.0, 0.0, camera.height_m])
        closeness = (facet.normal[0] * s + facet.normal[1] + facet.normal[2] * t) / to_plane
        front = inside & (closeness > nearest[rows, columns])
        nearest[rows, columns][front] = closeness[front]
        facet_of[rows, columns][front] = index
    return facet_of


def _inside_polygon(
    column: np.ndarray, row: np.ndarray, x: np.ndarray, y: np.ndarray
) -> np.ndarray:
    """Which samples lie in the convex polygon x, y (N,), given in sample coordinates."""
    inside = np.ones(column.shape, dtype=bool)
    # Counter-clockwise from outside is clockwise in the image, where y grows downwards.
    for x0, y0, x1, y1 in zip(x, y, np.roll(x, -1), np.roll(y, -1), strict=True):
        inside &= (x1 - x0) * (row - y0) - (y1 - y0) * (column - x0) <= 0
    return inside


def _facet_radiance(scene: Scene) -> np.ndarray:
    """Radiance at the aperture of each of the vehicle's facets, (N,)."""
    weather = scene.recording.weather
    facets = VEHICLES[scene.vehicle].facets
    kelvin = weather.air_k + scene.load * np.array([heated.rise_k for heated in facets])
    emissivity = np.array([SURFACES[heated.surface].emissivity for heated in facets])
    radiance = surface_radiance(kelvin, emissivity, weather.ambient_k)
    return through_atmosphere(radiance, scene.range_m, weather.extinction_per_km, weather.air_k)
