"""Finds the vehicle that drives before a fixed camera: background, candidates, track."""

from datasets.tracking.locate import NoTrack, Sighting, locate_vehicle

__all__ = ["NoTrack", "Sighting", "locate_vehicle"]
