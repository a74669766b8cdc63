"""A physics-based generator of MWIR night scenes, seen by a simulator and by a sensor."""

from datasets.scene.render import Rendering, render, vehicle_box
from datasets.scene.sensor import SENSOR, Sensor, sensor_image
from datasets.scene.simulator import simulator_image
from datasets.scene.vehicles import VEHICLES
from datasets.scene.world import Recording, Scene, Weather, draw_recording, draw_scene

__all__ = [
    "SENSOR",
    "VEHICLES",
    "Recording",
    "Rendering",
    "Scene",
    "Sensor",
    "Weather",
    "draw_recording",
    "draw_scene",
    "render",
    "sensor_image",
    "simulator_image",
    "vehicle_box",
]
