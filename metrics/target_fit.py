"""A fitted sensor made right on the target: curve and controls by what boxes hold in both sets.

Targets are few and hot: what of the pooled grey levels is theirs depends on how near they are, and
a simulator's window saturates on them. So the grey levels in the boxes are compared, each box with
the same weight, after the blur that mixes a target's levels; and the curve has a form that reaches
beyond the background: a power law, since a sensor is linear in radiance and a simulator's window
has a gamma, and a height of its own where the simulator is saturated. Grey levels do not say where
they lie, so the steps from pixel to pixel, which are largest at the edges of hot parts, are
compared, too.

Images are float tensors (1, H, W) in [-1, 1]; their boxes arrays (N, 4) of x0, y0, x1, y1 in pixel
edges.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from metrics.boxes import inside
from models.networks.sensor import KNOTS, SHARES, FittedSensor
from util.errors import UserError

MARGIN = 4  # pixels about a box that its blur reaches into
TARGETS = 400  # that are looked at in a set: they tell its mean grey levels within some percent
STEPS = 200  # of a simplex search, in which the three numbers of the curve settle
# Gain, power and height where searches begin, as one alone may end in a hollow: a flat curve and a
# steep one. The first steps from there.
STARTS = np.array([(0.7, 0.5, 0.5), (2.0, 1.0, 1.0)])
FIRST_STEPS = np.diag([0.4, 0.2, 1.0])
GRID = np.linspace(0, 1, SHARES)
# Shares of the background at which level control may hold an image: the ends are few pixels.
REFERENCES = slice(SHARES // 20, -(SHARES // 20))


@dataclass(frozen=True)
class Target:
    """One box of an image: pixels (h, w) with a margin, which of them the box holds, and image, its
    number.
    """

    pixels: np.ndarray
    rows: slice
    columns: slice
    image: int


@dataclass(frozen=True)
class Scenes:
    """What the fit needs of one set.

    backgrounds: (images, SHARES) quantiles of the pixels outside all boxes.
    """

    backgrounds: np.ndarray
    targets: Sequence[Target]

    @classmethod
    def of(cls, images: Iterable[tuple[Tensor, np.ndarray]], *, what: str) -> "Scenes":
        """images: (1, H, W) and boxes (N, 4); those without background are left out.

        Raises UserError where no box shows a pixel beside background.
        """
        backgrounds: list[np.ndarray] = []
        targets: list[Target] = []
        for image, boxes in images:
            corners = torch.from_numpy(boxes).float()
            masks = inside(corners, *image.shape[-2:])
            outside = image[0][~masks.any(0)] if len(masks) else image[0]
            if outside.numel():
                targets += [_cut_out(image[0], m, len(backgrounds)) for m in masks if m.any()]
                backgrounds.append(np.quantile(outside.numpy(), GRID))
        if not targets:
            raise UserError(
                f"no box of the {what} images shows a pixel beside background, which --fit_target "
                "compares, too; check labels.csv, and give whole frames."
            )
        return cls(np.array(backgrounds), targets[:: -(-len(targets) // TARGETS)])


def _cut_out(image: Tensor, mask: Tensor, number: int) -> Target:
    around, inner = [], []
    for axis in (1, 0):
        places = mask.any(dim=axis).nonzero()
        first, last = int(places.min()), int(places.max()) + 1
        start = max(0, first - MARGIN)
        around.append(slice(start, last + MARGIN))
        inner.append(slice(first - start, last - start))
    return Target(image[tuple(around)].numpy().copy(), *inner, number)


def fit_targets(
    sensor: FittedSensor,
    simulated: Iterable[tuple[Tensor, np.ndarray]],
    real: Iterable[tuple[Tensor, np.ndarray]],
) -> FittedSensor:
    """`sensor`, fitted to two sets, with curve and controls made right on the targets.

    simulated, real: images and their boxes. MTF and noise stay what whole images tell of them:
    targets with less structure than real ones look as if the sensor were sharper. The level that is
    controlled is the one in which real images differ least: that which the sensor holds itself.
    Targets keep the share of their distances by which they differ as real ones do. Raises UserError
    for a set without a box that shows a pixel beside background.
    """
    target = Scenes.of(real, what="real")
    scene = Scenes.of(simulated, what="simulated")
    spread = target.backgrounds.std(axis=0)[REFERENCES]
    reference = REFERENCES.start + int(spread.argmin())
    tone = _Tone(sensor, scene.backgrounds, reference, target.backgrounds[:, reference])
    view = _View(sensor, scene.targets)
    theirs = np.array([_quantiles(t.pixels[t.rows, t.columns]) for t in target.targets])
    edges = np.array([_quantiles(_steps(t.pixels[t.rows, t.columns])) for t in target.targets])
    wanted = [np.quantile(x, GRID) for x in (target.backgrounds, theirs, edges)]

    def misfit(numbers: np.ndarray) -> float:
        """How far background, targets and their edges are from the real ones: quantiles, in sum."""
        shifts = tone.set(*numbers)
        background = sensor.on_curve(tone.backgrounds).numpy() + shifts[:, None]
        found = background.clip(-1, 1), *view.levels_and_edges(shifts)
        distances = [np.abs(np.quantile(x, GRID) - y) for x, y in zip(found, wanted, strict=True)]
        return float(np.sum(distances))

    shifts = tone.set(*_lowest(misfit))
    own, _ = view.levels_and_edges(shifts)
    share = np.sqrt(theirs.var(axis=0).mean() / max(own.var(axis=0).mean(), 1e-12))
    sensor.target_keep.fill_(min(1.0, float(share)))
    sensor.target.copy_(torch.from_numpy(view.levels(shifts).mean(0)))
    return sensor


def _lowest(misfit: Callable[[np.ndarray], float]) -> np.ndarray:
    """The three numbers, all above 0, with the lowest misfit that is found."""
    options = {"maxiter": STEPS, "xatol": 1e-3, "fatol": 1e-3}
    found = [
        minimize(
            misfit,
            start,
            method="Nelder-Mead",
            bounds=[(1e-3, None)] * 3,
            options=options | {"initial_simplex": np.vstack([start, start + FIRST_STEPS])},
        )
        for start in STARTS
    ]
    return min(found, key=lambda end: end.fun).x


class _Tone:
    """Curve and level control of a sensor, as three numbers say.

    backgrounds: (images, SHARES) of the simulated set; reference: which of these shares is
    controlled; held: (real images,) the levels at it that the real sensor holds.
    """

    def __init__(
        self, sensor: FittedSensor, backgrounds: np.ndarray, reference: int, held: np.ndarray
    ) -> None:
        self.sensor, self.backgrounds = sensor, torch.from_numpy(backgrounds).float()
        self.reference, self.mean, self.spread = reference, held.mean(), held.std()
        sensor.reference.fill_(float(GRID[reference]))
        sensor.level.fill_(float(self.mean))

    def set(self, gain: float, power: float, height: float) -> np.ndarray:
        """gain * share ** power, and height more where a simulator is saturated.

        The offset is what brings the controlled levels to the real ones' mean, the share that they
        keep what makes them spread alike. Returns what is then added to each image, (images,).
        """
        grid = np.linspace(0, 1, KNOTS)
        curve = gain * grid**power
        curve[-1] += height
        self.sensor.curve.copy_(torch.from_numpy(curve))
        levels = self.sensor.on_curve(self.backgrounds[:, self.reference]).numpy()
        keep = min(1.0, self.spread / max(levels.std(), 1e-9))
        self.sensor.curve += float(self.mean - levels.mean())
        self.sensor.keep.fill_(keep)
        return (keep - 1) * (levels - levels.mean())


class _View:
    """Simulated targets as a sensor shows them, whose curve changes and whose MTF does not."""

    def __init__(self, sensor: FittedSensor, targets: Sequence[Target]) -> None:
        self.sensor, self.targets = sensor, targets
        self.pixels = torch.from_numpy(np.concatenate([t.pixels.ravel() for t in targets]))
        self.ends = np.cumsum([t.pixels.size for t in targets])[:-1]
        sides = {side for t in targets for side in t.pixels.shape}
        spread = {side: sensor.blur_along(side, self.pixels).numpy() for side in sides}
        # What the box holds is all that is looked at: the rest need not be blurred.
        self.blurs = [
            (spread[t.pixels.shape[0]][t.rows], spread[t.pixels.shape[1]][:, t.columns])
            for t in targets
        ]

    def levels(self, shifts: np.ndarray) -> np.ndarray:
        """(targets, SHARES) quantiles of each before the MTF, with shifts (images,) added."""
        toned = zip(self.targets, self._toned(shifts), strict=True)
        return np.array([_quantiles(chip[target.rows, target.columns]) for target, chip in toned])

    def levels_and_edges(self, shifts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(targets, SHARES) each: quantiles of levels behind the MTF, and of their steps."""
        levels, edges = [], []
        for (down, across), chip in zip(self.blurs, self._toned(shifts), strict=True):
            shown = (down @ chip @ across).clip(-1, 1)
            levels.append(_quantiles(shown))
            edges.append(_quantiles(_steps(shown)))
        return np.array(levels), np.array(edges)

    def _toned(self, shifts: np.ndarray) -> Iterator[np.ndarray]:
        toned = np.split(self.sensor.on_curve(self.pixels).numpy(), self.ends)
        for target, levels in zip(self.targets, toned, strict=True):
            yield levels.reshape(target.pixels.shape) + np.float32(shifts[target.image])


def _steps(levels: np.ndarray) -> np.ndarray:
    """(h, w) -> (n,) from each pixel to the one on its right and to the one below."""
    return np.concatenate([np.abs(np.diff(levels, axis=axis)).ravel() for axis in (0, 1)])


def _quantiles(values: np.ndarray) -> np.ndarray:
    """np.quantile(values, GRID), without most of what that takes for a few hundred values."""
    ordered = np.sort(values, axis=None)
    return np.interp(GRID, np.linspace(0, 1, len(ordered)), ordered)
