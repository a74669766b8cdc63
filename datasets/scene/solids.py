"""Convex solids as lists of flat polygons, each with its outward normal.

Vehicle frame, metres: x forward, y to the left, z up, the ground at z = 0.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull

CYLINDER_SIDES = 12


@dataclass(frozen=True)
class Facet:
    """A convex planar polygon."""

    vertices: np.ndarray  # (N, 3) metres, counter-clockwise seen from outside
    normal: np.ndarray  # (3,) unit, outward


def convex_solid(points: np.ndarray) -> list[Facet]:
    """The facets of the convex hull of `points` (N, 3); coplanar triangles become one polygon."""
    hull = ConvexHull(points)
    _, plane_of = np.unique(hull.equations.round(6), axis=0, return_inverse=True)
    plane_of = plane_of.ravel()
    facets = []
    for plane in range(plane_of.max() + 1):
        triangles = np.flatnonzero(plane_of == plane)
        normal = hull.equations[triangles[0], :3]
        corners = hull.points[np.unique(hull.simplices[triangles])]
        facets.append(Facet(_counter_clockwise(corners, normal), normal))
    return facets


def _counter_clockwise(corners: np.ndarray, normal: np.ndarray) -> np.ndarray:
    arms = corners - corners.mean(axis=0)
    side = np.cross(normal, arms[0])
    return corners[np.argsort(np.arctan2(arms @ side, arms @ arms[0] * np.linalg.norm(normal)))]


def frustum(
    bottom: tuple[float, float, float, float],
    top: tuple[float, float, float, float],
    z: tuple[float, float],
) -> np.ndarray:
    """Corners (8, 3) of a tapered block; bottom and top are (x0, x1, y0, y1), z is (low, high)."""
    return np.array(
        [
            (x, y, height)
            for (x0, x1, y0, y1), height in ((bottom, z[0]), (top, z[1]))
            for x in (x0, x1)
            for y in (y0, y1)
        ]
    )


def box(x: tuple[float, float], y: tuple[float, float], z: tuple[float, float]) -> np.ndarray:
    """Corners (8, 3) of a block given by its extent along each axis."""
    return frustum((*x, *y), (*x, *y), z)


def extrusion(profile: list[tuple[float, float]], y: tuple[float, float]) -> np.ndarray:
    """Corners (2N, 3) of a convex side profile [(x, z), …] drawn out across y."""
    return np.array([(x, across, z) for across in y for x, z in profile])


def cylinder(
    start: tuple[float, float, float],
    end: tuple[float, float, float],
    radius: float,
    end_radius: float | None = None,
) -> np.ndarray:
    """Corners (24, 3) of a twelve-sided cylinder, or of a truncated cone, between two points."""
    start, end = np.array(start, dtype=float), np.array(end, dtype=float)
    axis = (end - start) / np.linalg.norm(end - start)
    helper = np.eye(3)[np.abs(axis).argmin()]
    first = np.cross(axis, helper)
    first /= np.linalg.norm(first)
    second = np.cross(axis, first)
    angle = 2 * np.pi * (np.arange(CYLINDER_SIDES) + 0.5) / CYLINDER_SIDES
    ring = np.cos(angle)[:, None] * first + np.sin(angle)[:, None] * second
    end_radius = radius if end_radius is None else end_radius
    return np.concatenate([start + radius * ring, end + end_radius * ring])
