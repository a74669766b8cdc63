import numpy as np
import pytest

from datasets.scene.solids import CYLINDER_SIDES, box, convex_solid, cylinder, extrusion, frustum
from datasets.scene.vehicles import SURFACES, VEHICLES

SOLIDS = {
    "box": (box((0, 2), (-1, 1), (0, 3)), 6),
    "frustum": (frustum((-1, 1, -1, 1), (-0.5, 0.5, -0.5, 0.5), z=(0, 1)), 6),
    "wedge": (extrusion([(0, 0), (2, 0), (0, 1)], (-1, 1)), 5),
    "cylinder": (cylinder((0, 0, 0), (1, 2, 3), 0.5), CYLINDER_SIDES + 2),
}


def area_vector(facet) -> np.ndarray:
    """Twice the polygon's area along its normal, from the order of its corners."""
    corners = facet.vertices - facet.vertices[0]
    return np.cross(corners[1:-1], corners[2:]).sum(axis=0)


@pytest.mark.parametrize("name", SOLIDS)
def test_solid_is_closed_with_outward_counter_clockwise_facets(name):
    points, count = SOLIDS[name]
    facets = convex_solid(points)
    assert len(facets) == count
    middle = points.mean(axis=0)
    for facet in facets:
        area = area_vector(facet)
        assert facet.normal @ (facet.vertices.mean(axis=0) - middle) > 0
        np.testing.assert_allclose(area / np.linalg.norm(area), facet.normal, atol=1e-9)
    # The area vectors of a closed surface add up to nothing.
    np.testing.assert_allclose(sum(map(area_vector, facets)), 0, atol=1e-9)


def test_areas_follow_the_closed_forms():
    total = sum(np.linalg.norm(area_vector(facet)) / 2 for facet in convex_solid(SOLIDS["box"][0]))
    assert total == pytest.approx(2 * (2 * 2 + 2 * 3 + 2 * 3))
    side = 2 * 0.5 * np.sin(np.pi / CYLINDER_SIDES)
    caps = 2 * 0.5 * CYLINDER_SIDES * 0.5**2 * np.sin(2 * np.pi / CYLINDER_SIDES)
    mantle = CYLINDER_SIDES * side * np.sqrt(14)
    facets = convex_solid(SOLIDS["cylinder"][0])
    total = sum(np.linalg.norm(area_vector(facet)) / 2 for facet in facets)
    assert total == pytest.approx(caps + mantle)


@pytest.mark.parametrize("name", VEHICLES)
def test_vehicle_stands_on_the_ground_and_has_hot_spots(name):
    vehicle = VEHICLES[name]
    corners = np.concatenate([part.points for part in vehicle.parts])
    assert corners[:, 2].min() == pytest.approx(0.0, abs=0.03)
    assert 4.0 < np.ptp(corners[:, 0]) < 10.0
    assert 1.5 < np.ptp(corners[:, 1]) < 4.0
    surfaces = {part.surface for part in vehicle.parts}
    assert surfaces <= SURFACES.keys()
    assert "exhaust" in surfaces
    assert surfaces & {"deck", "hood"}  # the engine
    assert surfaces & {"track", "tyre"}
