"""A physics-based generator of MWIR night scenes, seen by a simulator and by a sensor."""

from datasets.scene.render import Rendering, render, vehicle_box
from datasets.scene.sensor import SENSOR, Sensor, sensor_image
from datasets.scene.simulator import (
    COARSE_CLASSES,
    COARSE_VIEW,
    FAITHFUL,
    Simulator,
    draw_coarse_simulator,
    simulator_image,
)
from datasets.scene.vehicles import VEHICLES
from datasets.scene.world import (
    FIELD_TRIAL,
    Recording,
    Scene,
    Viewpoint,
    Weather,
    draw_recording,
    draw_scene,
)

__all__ = [
    "COARSE_CLASSES",
    "COARSE_VIEW",
    "FAITHFUL",
    "FIELD_TRIAL",
    "SENSOR",
    "VEHICLES",
    "Recording",
    "Rendering",
    "Scene",
    "Sensor",
    "Simulator",
    "Viewpoint",
    "Weather",
    "draw_coarse_simulator",
    "draw_recording",
    "draw_scene",
    "render",
    "sensor_image",
    "simulator_image",
    "vehicle_box",
]
