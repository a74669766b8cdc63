"""One smooth path through the candidates of all frames, and how sure each of its places is."""

from collections.abc import Sequence

import numpy as np

from datasets.tracking.detection import Candidates

# Cost of a change of course by one vehicle's size between frames, against twice the logarithm of
# the score; a jump costs no more than JUMP, so that one bad frame does not bend the path.
COURSE = 1.0
JUMP = 9.0
NEIGHBOURS = 3  # on each side that a place is smoothed with
ROUNDS = 4
OUTLIER = 1.5  # vehicle sizes from the path, at which a place has lost its weight
LEAST = 0.03
CLEAR = 4.0  # score, well over the 2 to 3 that the highest noise of a frame reaches
DEVIATION = 0.3  # in vehicle sizes, at which agreement with the path has fallen to exp(−½)


def link(candidates: Sequence[Candidates], times: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Index of the candidate in each frame, (T,), along the path of least cost.

    A second-order Viterbi search: a path pays for weak candidates and for changes of velocity.
    times: (T,) increasing, in any unit; size: (2,) of the vehicle, pixels. Needs 2 frames or more.
    """
    centre = np.stack([found.centre for found in candidates])
    weakness = -2 * np.log(np.stack([found.score for found in candidates]) + 1e-3)
    cost = weakness[0][:, None] + weakness[1][None, :]
    came_from = []
    for t in range(2, len(candidates)):
        before, between, after = centre[t - 2 : t + 1]
        first = (between[None, :] - before[:, None]) / (times[t - 1] - times[t - 2])
        second = (after[None, :] - between[:, None]) / (times[t] - times[t - 1])
        change = (second[None] - first[:, :, None]) * (times[t] - times[t - 2]) / 2
        bend = COURSE * np.sum((change / size) ** 2, axis=-1)
        total = cost[:, :, None] + np.minimum(bend, JUMP)
        came_from.append(total.argmin(axis=0))
        cost = total.min(axis=0) + weakness[t][None, :]
    path = list(np.unravel_index(cost.argmin(), cost.shape))[::-1]
    for table in reversed(came_from):
        path.append(table[path[-1], path[-2]])
    return np.array(path[::-1])


def smooth(
    places: np.ndarray, times: np.ndarray, size: np.ndarray, strength: np.ndarray
) -> np.ndarray:
    """Robust local parabolas through places (T, 2), as LOESS fits them (Cleveland 1979); (T, 2).

    Each uses the NEIGHBOURS before and after; places far from the path lose their weight
    (Tukey's biweight, with the vehicle's size as the scale). strength: (T,) weight from the start.
    """
    # Never 0: a stretch of bad places still has a path.
    strength = np.maximum(strength, LEAST)
    weight, fitted = strength, places
    for _ in range(ROUNDS):
        fitted = np.stack([_parabola(places, times, weight, t) for t in range(len(places))])
        away = np.sum(((places - fitted) / size) ** 2, axis=1)
        weight = strength * np.maximum(1 - away / OUTLIER**2, LEAST) ** 2
    return fitted


def _parabola(places: np.ndarray, times: np.ndarray, weight: np.ndarray, t: int) -> np.ndarray:
    near = slice(max(0, t - NEIGHBOURS), t + NEIGHBOURS + 1)
    since = times[near] - times[t]
    since = since / np.abs(since).max()
    tricube = (1 - np.abs(since / 1.15) ** 3) ** 3
    root = np.sqrt(weight[near] * tricube)[:, None]
    powers = np.stack([np.ones_like(since), since, since**2], axis=1)
    solution, *_ = np.linalg.lstsq(powers * root, places[near] * root, rcond=None)
    return solution[0]


def confidence(
    candidates: Sequence[Candidates], path: np.ndarray, track: np.ndarray, size: np.ndarray
) -> np.ndarray:
    """How sure each place of a track is, (T,) in 0..1.

    A product of three: the chosen candidate's share in the fine structure of itself and its
    strongest rival; its agreement with the smoothed track (T, 2); how far it rises over noise.
    """
    sure = np.empty(len(path))
    for t, (found, chosen) in enumerate(zip(candidates, path, strict=True)):
        apart = np.abs((found.centre - found.centre[chosen]) / size).max(axis=1) > 1
        rival = found.score[apart].max(initial=0.0)
        share = found.score[chosen] ** 2 / (found.score[chosen] ** 2 + rival**2 + 1e-9)
        away = np.sum(((found.centre[chosen] - track[t]) / size) ** 2)
        clear = 1 - np.exp(-((found.score[chosen] / CLEAR) ** 2))
        sure[t] = share * clear * np.exp(-away / (2 * DEVIATION**2))
    return sure
