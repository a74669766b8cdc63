"""Vehicle classes as convex solids with their heat: silhouettes and hot spots differ by class.

Dimensions follow published data sheets to about a decimetre. Temperatures are rises over the air of
a vehicle that has driven for half an hour at night.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from datasets.scene.solids import Facet, box, convex_solid, cylinder, extrusion, frustum

# Upward faces look at the cold sky and cool; every facet departs a little from its part's mean.
SKY_COOLING_K = 2.5
FACET_SPREAD_K = 0.8


@dataclass(frozen=True)
class Surface:
    """What a part is made of and how warm it runs."""

    rise_k: float  # over the air
    emissivity: float


SURFACES = {
    "hull": Surface(8.5, 0.93),
    "turret": Surface(6.5, 0.93),
    "gun": Surface(3.0, 0.90),
    "track": Surface(17.0, 0.92),
    "roadwheel": Surface(23.0, 0.94),
    "tyre": Surface(13.0, 0.95),
    "hub": Surface(22.0, 0.85),
    "deck": Surface(26.0, 0.92),
    "grille": Surface(42.0, 0.92),
    "exhaust": Surface(95.0, 0.88),
    "hood": Surface(19.0, 0.88),
    "cab": Surface(6.0, 0.88),
    "bed": Surface(3.0, 0.88),
    "glass": Surface(1.5, 0.85),
    "underbody": Surface(11.0, 0.92),
}


@dataclass(frozen=True)
class Part:
    """One convex solid: corner points (N, 3) in metres, a key of SURFACES, and what it rides on."""

    points: np.ndarray
    surface: str
    on_turret: bool = False


@dataclass(frozen=True)
class HeatedFacet:
    """A facet with its rise over the air when the vehicle is at its nominal load."""

    facet: Facet
    surface: str
    rise_k: float
    on_turret: bool


@dataclass(frozen=True)
class Vehicle:
    """A class of vehicle in its own frame: x forward, y left, z up, the ground at z = 0."""

    name: str
    parts: tuple[Part, ...]
    turret_axis: tuple[float, float] | None = None  # (x, y) about which turret parts turn

    @cached_property
    def facets(self) -> list[HeatedFacet]:
        """All facets; the departures are fixed by the class's name, so every copy is alike."""
        rng = np.random.default_rng(zlib.crc32(self.name.encode()))
        heated = []
        for part in self.parts:
            for facet in convex_solid(part.points):
                cooling = SKY_COOLING_K * max(facet.normal[2], 0.0)
                rise = SURFACES[part.surface].rise_k - cooling
                rise += FACET_SPREAD_K * rng.uniform(-1, 1)
                heated.append(HeatedFacet(facet, part.surface, rise, part.on_turret))
        return heated


def _both_sides(build: Callable[[int], list[Part]]) -> list[Part]:
    """The parts that `build(side)` makes for side = +1 (left) and −1 (right)."""
    return [part for side in (1, -1) for part in build(side)]


def _across(side: int, inner: float, outer: float) -> tuple[float, float]:
    return tuple(sorted((side * inner, side * outer)))


def _tracks(length: float, inner: float, outer: float, wheels: int, top: float) -> list[Part]:
    """A pair of tracks, raised at sprocket and idler, with road wheels showing outside."""
    half = length / 2
    outline = [
        (-half, 0.55),
        (-half + 0.65, 0.0),
        (half - 0.65, 0.0),
        (half, 0.55),
        (half - 0.2, top),
        (-half + 0.2, top),
    ]
    stations = np.linspace(-half + 0.85, half - 0.85, wheels)
    radius = min(0.38, 0.46 * (stations[1] - stations[0]))

    def one_side(side: int) -> list[Part]:
        discs = [
            Part(
                cylinder((x, side * outer, radius), (x, side * (outer + 0.06), radius), radius),
                "roadwheel",
            )
            for x in stations
        ]
        return [Part(extrusion(outline, _across(side, inner, outer)), "track"), *discs]

    return _both_sides(one_side)


def _wheels(stations: list[float], radius: float, inner: float, outer: float) -> list[Part]:
    """Tyres with hubs at the given x, on both sides."""

    def one_side(side: int) -> list[Part]:
        parts = []
        for x in stations:
            axle, face = (x, side * inner, radius), (x, side * outer, radius)
            cap = (x, side * (outer + 0.04), radius)
            parts.append(Part(cylinder(axle, face, radius), "tyre"))
            parts.append(Part(cylinder(face, cap, 0.45 * radius), "hub"))
        return parts

    return _both_sides(one_side)


def _t72() -> Vehicle:
    hull = [(-3.2, 0.5), (2.6, 0.5), (3.45, 0.85), (2.3, 1.35), (-3.35, 1.35), (-3.45, 0.9)]
    parts = [
        *_tracks(6.5, 1.25, 1.79, wheels=6, top=1.0),
        Part(extrusion(hull, (-1.25, 1.25)), "hull"),
        Part(box((-3.2, 2.4), (-1.75, 1.75), (1.02, 1.32)), "hull"),
        Part(box((-3.3, -1.75), (-1.2, 1.2), (1.3, 1.42)), "deck"),
        Part(box((-3.5, -3.4), (-0.9, 0.9), (0.75, 1.25)), "grille"),
        Part(box((-2.6, -1.9), (1.7, 1.95), (1.0, 1.3)), "exhaust"),
        Part(cylinder((0.0, 0, 1.35), (0.0, 0, 1.85), 1.55, 1.25), "turret", on_turret=True),
        Part(cylinder((-0.05, 0, 1.85), (-0.1, 0, 2.2), 1.25, 0.65), "turret", on_turret=True),
        Part(cylinder((1.2, 0, 1.7), (5.9, 0, 1.85), 0.11), "gun", on_turret=True),
        Part(cylinder((-0.3, 0.5, 2.1), (-0.3, 0.5, 2.4), 0.35), "turret", on_turret=True),
    ]
    return Vehicle("T72", tuple(parts), turret_axis=(0.0, 0.0))


def _bmp2() -> Vehicle:
    hull = [(-3.3, 0.45), (2.2, 0.45), (3.4, 1.05), (1.2, 1.65), (-3.3, 1.75), (-3.4, 1.0)]
    parts = [
        *_tracks(6.0, 1.15, 1.55, wheels=6, top=0.95),
        Part(extrusion(hull, (-1.5, 1.5)), "hull"),
        Part(
            frustum((1.0, 3.0, -1.45, -0.1), (0.9, 1.6, -1.4, -0.1), z=(1.15, 1.7)),
            "deck",
        ),
        Part(box((0.6, 1.3), (-1.62, -1.2), (1.5, 1.8)), "exhaust"),
        Part(cylinder((-0.4, 0, 1.7), (-0.4, 0, 2.25), 1.1, 0.75), "turret", on_turret=True),
        Part(cylinder((0.4, 0, 2.0), (3.0, 0, 2.15), 0.06), "gun", on_turret=True),
        Part(box((-1.0, 0.0), (-0.15, 0.15), (2.25, 2.5)), "turret", on_turret=True),
    ]
    return Vehicle("BMP2", tuple(parts), turret_axis=(-0.4, 0.0))


def _btr70() -> Vehicle:
    lower = [(-3.7, 1.2), (-3.3, 0.5), (2.7, 0.5), (3.75, 1.2)]
    parts = [
        *_wheels([-2.75, -1.25, 0.6, 2.1], 0.55, 1.0, 1.4),
        Part(extrusion(lower, (-1.1, 1.1)), "hull"),
        Part(
            frustum((-3.7, 3.75, -1.4, 1.4), (-3.5, 2.0, -0.95, 0.95), z=(1.15, 1.9)),
            "hull",
        ),
        Part(box((-3.4, -1.6), (-0.85, 0.85), (1.9, 2.0)), "deck"),
        *_both_sides(
            lambda side: [
                Part(cylinder((-3.5, side * 1.3, 1.5), (-2.2, side * 1.3, 1.5), 0.17), "exhaust")
            ]
        ),
        Part(cylinder((1.1, 0, 1.9), (1.1, 0, 2.3), 0.75, 0.45), "turret", on_turret=True),
        Part(cylinder((1.6, 0, 2.1), (3.0, 0, 2.2), 0.06), "gun", on_turret=True),
    ]
    return Vehicle("BTR70", tuple(parts), turret_axis=(1.1, 0.0))


def _brdm2() -> Vehicle:
    lower = [(-2.7, 0.9), (-2.3, 0.5), (1.8, 0.5), (2.85, 1.25), (2.6, 1.5), (-2.8, 1.5)]
    parts = [
        *_wheels([-1.6, 1.5], 0.62, 0.75, 1.17),
        Part(extrusion(lower, (-1.0, 1.0)), "hull"),
        Part(
            frustum((-1.3, 1.7, -1.1, 1.1), (-0.9, 1.1, -0.65, 0.65), z=(1.45, 2.05)),
            "hull",
        ),
        Part(frustum((-2.8, -1.2, -1.0, 1.0), (-2.7, -1.2, -0.8, 0.8), z=(1.5, 1.7)), "deck"),
        Part(box((-2.88, -2.78), (-0.7, 0.7), (0.95, 1.45)), "grille"),
        Part(box((-2.75, -2.3), (-1.15, -0.95), (1.25, 1.5)), "exhaust"),
        Part(cylinder((0.1, 0, 2.0), (0.1, 0, 2.45), 0.6, 0.35), "turret", on_turret=True),
        Part(cylinder((0.4, 0, 2.25), (1.7, 0, 2.3), 0.05), "gun", on_turret=True),
    ]
    return Vehicle("BRDM2", tuple(parts), turret_axis=(0.1, 0.0))


def _zsu23() -> Vehicle:
    hull = [(-3.2, 0.45), (2.4, 0.45), (3.2, 0.95), (2.3, 1.35), (-3.2, 1.35)]
    barrels = [
        Part(cylinder((1.5, y, z), (3.4, y, z + 0.35), 0.07), "gun", on_turret=True)
        for y in (-0.45, 0.45)
        for z in (1.75, 2.0)
    ]
    parts = [
        *_tracks(6.2, 1.1, 1.5, wheels=6, top=0.95),
        Part(extrusion(hull, (-1.45, 1.45)), "hull"),
        Part(box((-3.1, -1.7), (-1.1, 1.1), (1.33, 1.45)), "deck"),
        Part(box((-1.9, -1.2), (-1.62, -1.4), (1.0, 1.3)), "exhaust"),
        Part(
            frustum((-1.9, 1.6, -1.4, 1.4), (-1.7, 1.2, -1.2, 1.2), z=(1.35, 2.3)),
            "turret",
            on_turret=True,
        ),
        Part(box((-1.5, -0.9), (0.2, 0.9), (2.3, 2.42)), "grille", on_turret=True),
        Part(box((-1.75, -1.55), (-0.12, 0.12), (2.3, 3.0)), "gun", on_turret=True),
        Part(cylinder((-1.55, 0, 3.1), (-1.35, 0, 3.1), 0.5), "turret", on_turret=True),
        *barrels,
    ]
    return Vehicle("ZSU23", tuple(parts), turret_axis=(-0.2, 0.0))


def _2s3() -> Vehicle:
    hull = [(-3.4, 0.5), (2.8, 0.5), (3.45, 1.0), (2.0, 1.75), (-3.4, 1.75)]
    parts = [
        *_tracks(6.7, 1.15, 1.6, wheels=6, top=1.0),
        Part(extrusion(hull, (-1.55, 1.55)), "hull"),
        Part(
            frustum((1.3, 2.9, -1.5, 0.1), (1.2, 1.8, -1.4, 0.1), z=(1.3, 1.85)),
            "deck",
        ),
        Part(box((0.9, 1.7), (-1.75, -1.5), (1.35, 1.7)), "exhaust"),
        Part(
            frustum((-3.3, 0.6, -1.55, 1.55), (-3.0, 0.0, -1.2, 1.2), z=(1.75, 2.85)),
            "turret",
            on_turret=True,
        ),
        Part(cylinder((-1.6, 0.6, 2.85), (-1.6, 0.6, 3.1), 0.4), "turret", on_turret=True),
        Part(cylinder((0.2, 0, 2.2), (3.9, 0, 2.4), 0.14), "gun", on_turret=True),
        Part(cylinder((3.7, 0, 2.39), (4.4, 0, 2.43), 0.22), "gun", on_turret=True),
    ]
    return Vehicle("2S3", tuple(parts), turret_axis=(-1.4, 0.0))


def _pickup() -> Vehicle:
    cabin = [(-0.6, 1.05), (1.1, 1.05), (0.45, 1.75), (-0.5, 1.78)]
    parts = [
        *_wheels([-1.65, 1.75], 0.38, 0.62, 0.92),
        Part(box((-2.6, 2.55), (-0.8, 0.8), (0.42, 0.62)), "underbody"),
        Part(box((-0.7, 1.15), (-0.93, 0.93), (0.5, 1.08)), "cab"),
        Part(frustum((1.0, 2.65, -0.93, 0.93), (1.0, 2.5, -0.85, 0.85), z=(0.5, 1.1)), "hood"),
        Part(box((2.62, 2.7), (-0.65, 0.65), (0.55, 0.95)), "grille"),
        Part(extrusion(cabin, (-0.78, 0.78)), "glass"),
        Part(box((-0.5, 0.45), (-0.72, 0.72), (1.74, 1.84)), "cab"),
        Part(box((-2.65, -0.65), (0.83, 0.93), (0.6, 1.08)), "bed"),
        Part(box((-2.65, -0.65), (-0.93, -0.83), (0.6, 1.08)), "bed"),
        Part(box((-2.7, -2.6), (-0.93, 0.93), (0.6, 1.08)), "bed"),
        Part(box((-2.65, -0.65), (-0.9, 0.9), (0.56, 0.68)), "bed"),
        Part(cylinder((-2.85, -0.5, 0.38), (-2.2, -0.5, 0.38), 0.08), "exhaust"),
    ]
    return Vehicle("PICKUP", tuple(parts))


def _suv() -> Vehicle:
    cabin = [(-2.35, 1.0), (1.0, 1.0), (0.35, 1.72), (-2.15, 1.75)]
    parts = [
        *_wheels([-1.4, 1.4], 0.39, 0.66, 0.96),
        Part(box((-2.3, 2.2), (-0.8, 0.8), (0.4, 0.6)), "underbody"),
        Part(box((-2.4, 0.95), (-0.96, 0.96), (0.5, 1.05)), "cab"),
        Part(frustum((0.9, 2.35, -0.96, 0.96), (0.9, 2.2, -0.88, 0.88), z=(0.5, 1.08)), "hood"),
        Part(box((2.32, 2.4), (-0.65, 0.65), (0.55, 0.92)), "grille"),
        Part(extrusion(cabin, (-0.84, 0.84)), "glass"),
        *[Part(box((x, x + 0.16), (-0.86, 0.86), (1.03, 1.76)), "cab") for x in (-2.2, -1.1, 0.0)],
        Part(box((-2.2, 0.35), (-0.84, 0.84), (1.72, 1.9)), "cab"),
        Part(cylinder((-2.5, 0.5, 0.36), (-1.9, 0.5, 0.36), 0.07), "exhaust"),
    ]
    return Vehicle("SUV", tuple(parts))


VEHICLES: dict[str, Vehicle] = {
    vehicle.name: vehicle
    for vehicle in (
        _t72(),
        _bmp2(),
        _btr70(),
        _brdm2(),
        _zsu23(),
        _2s3(),
        _pickup(),
        _suv(),
    )
}
