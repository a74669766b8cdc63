"""The vehicle's box in every frame of one video, from nothing but that it moves."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from datasets.tracking.background import Background, find_background
from datasets.tracking.detection import (
    NOTHING,
    Candidates,
    Look,
    find_candidates,
    hotter,
    measure,
)
from datasets.tracking.track import confidence, link, smooth

MINIMUM_FRAMES = 8
SAMPLE_FRAMES = 100  # that background, size and sign are taken from
SAMPLE_PIXELS = 40_000_000  # in all of them: two float32 copies of it are the memory in use
FIRST_LOOK = (1 / 20, 1 / 28)  # of the frame's width and height
LOOK_ROUNDS = 3
SMALLEST = (3.0, 2.0)  # width and height that noise does not have, pixels
# What differs from the background is this share of a known box, or more: boxes have margins.
LEAST_SHARE = 0.7
SURE = 0.5  # confidence of the places that tell whether anything moved at all
SURE_SHARE = 0.3  # of the frames, that must be so
WHOLE_SWEEP = (10, 90)  # percentiles of the places between which it has moved


class NoTrack(Exception):
    """Why no vehicle is found in a video; the sentence goes on after the video's name."""


@dataclass(frozen=True)
class Sighting:
    """box: centre x, centre y, width, height, pixels of the frame; confidence: 0..1."""

    box: tuple[float, float, float, float]
    confidence: float


def locate_vehicle(
    frames: Sequence[np.ndarray],
    times: np.ndarray,
    box_size: tuple[float, float] | None = None,
) -> list[Sighting]:
    """Where the vehicle is in each frame.

    frames: (H, W) of counts, whose rounding is the least noise that there is, of any number type,
    read one by one where the sequence is lazy; times: (T,) increasing, such as frame numbers;
    box_size: width and height of its box, pixels, where known, else what differs from the
    background gives the size. Raises NoTrack.
    """
    if len(frames) < MINIMUM_FRAMES:
        raise NoTrack(f"has {len(frames)} frames; {MINIMUM_FRAMES} or more are needed.")
    count = max(MINIMUM_FRAMES, min(SAMPLE_FRAMES, SAMPLE_PIXELS // frames[0].size))
    sample = np.unique(np.linspace(0, len(frames) - 1, count).round().astype(int))
    background = _background(np.stack([frames[i] for i in sample]))
    seen = [background.residual(frames[i]) for i in sample]
    look = _learn_look(seen, background, times[sample], box_size)
    candidates, shifts = [], np.zeros((len(frames), 2))
    for i, frame in enumerate(frames):
        residual = background.residual(frame)
        candidates.append(NOTHING)
        if residual is not None:
            candidates[i] = find_candidates(residual[0], background.noise, look)
            shifts[i] = residual[1]
    path = link(candidates, times, look.size)
    track = _smoothed(candidates, path, times, look)
    sure = confidence(candidates, path, track, look.size)
    _require_motion(track, sure, look)
    width, height = box_size or (look.width, look.height)
    return [
        Sighting((float(x), float(y), float(width), float(height)), float(share))
        for (x, y), share in zip(track + shifts, sure, strict=True)
    ]


def _background(frames: np.ndarray) -> Background:
    try:
        return find_background(frames)
    except ValueError:
        raise NoTrack(
            "does not show one picture throughout; a camera that pans is not supported, so split "
            "the video where the camera stands still."
        ) from None


def _learn_look(
    seen: Sequence[tuple[np.ndarray, np.ndarray] | None],
    background: Background,
    times: np.ndarray,
    box_size: tuple[float, float] | None,
) -> Look:
    """Size and sign of what moves, from the frames that show it best."""
    good = [i for i, residual in enumerate(seen) if residual is not None]
    residuals, times = [seen[i][0] for i in good], times[good]
    height, width = background.level.shape
    look = Look(width * FIRST_LOOK[0], height * FIRST_LOOK[1])
    for _ in range(LOOK_ROUNDS):
        found = [find_candidates(residual, background.noise, look) for residual in residuals]
        path = link(found, times, look.size)
        score = np.array([one.score[chosen] for one, chosen in zip(found, path, strict=True)])
        best = np.flatnonzero(score >= np.median(score))
        places = [found[i].centre[path[i]] for i in best]
        sign = sum(hotter(residuals[i], look, at) for i, at in zip(best, places, strict=True))
        sizes = [
            measure(residuals[i], background.noise, look, at)
            for i, at in zip(best, places, strict=True)
        ]
        size = np.maximum(np.median(sizes, axis=0), SMALLEST)
        if box_size is not None:
            size = np.clip(size, LEAST_SHARE * np.array(box_size), box_size)
        look = Look(*(float(length) for length in size), 1 if sign >= 0 else -1)
    return look


def _smoothed(
    candidates: Sequence[Candidates], path: np.ndarray, times: np.ndarray, look: Look
) -> np.ndarray:
    """The path's places, smoothed; weak ones say less."""
    rows = np.arange(len(path))
    score = np.stack([one.score for one in candidates])[rows, path]
    centre = np.stack([one.centre for one in candidates])[rows, path]
    strength = np.minimum(score / max(float(np.median(score)), 1e-6), 1.0)
    return smooth(centre, times, look.size, strength)


def _require_motion(track: np.ndarray, sure: np.ndarray, look: Look) -> None:
    """Raises NoTrack where less than a vehicle's size lies between the places."""
    certain = track[sure >= SURE]
    if len(certain) >= SURE_SHARE * len(track):
        first, last = np.percentile(certain, WHOLE_SWEEP, axis=0)
        if np.max((last - first) / look.size) >= 1:
            return
    raise NoTrack("shows nothing that moves by more than its own size before a still background.")
