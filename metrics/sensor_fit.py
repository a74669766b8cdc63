"""Fit a sensor to two unpaired sets in closed form: what a learnt translation has to beat.

The fit goes over the real images once and over the simulated ones three times, image by image, and
keeps a histogram, a spectrum and a few numbers an image. Nothing in it is drawn at random.
Images are float tensors (1, H, W) in [-1, 1].
"""

from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from metrics.thermal import RadialSpectrum
from models.networks.sensor import KNOTS, FittedSensor, levels_below
from util.errors import UserError

SMALLEST_SIDE = 32  # pixels: below, the spectrum has too few frequencies to tell blur from content
# Share of the pixels at either end of the grey levels that is too rare to trust: there the curve
# goes on as a straight line, so that saturation and single hot objects do not shape it.
TAIL = 0.002
SMOOTHING = 64  # knots, 4 of 8-bit grey levels: a sensor's curve has no steps, but quantiles do
LEVEL_STEPS = 10  # curve and level control depend on one another: they are fitted in turn
MEDIANS = 256  # bins of the medians
# Cycles a pixel between which blur is told by the spectra: lower ones are the scenes' own, higher
# ones hold the simulator's aliasing.
MTF_BAND = (0.05, 0.3)
BLOCK = 8  # pixels a side, of the places whose flatness is compared


class Survey:
    """What the fit needs to know of one set, gathered image by image.

    spectrum: mean radial power.
    """

    def __init__(self) -> None:
        self.spectrum = RadialSpectrum()
        self._counts = np.zeros((MEDIANS, KNOTS), np.int64)
        self._numbers: list[tuple[float, ...]] = []

    def add(self, image: Tensor) -> None:
        """image: (1, H, W) in [-1, 1]. Raises UserError for colour and for small sides."""
        bands, height, width = image.shape
        if bands != 1:
            raise UserError("the sensor fit takes images of one band; convert the colour ones.")
        if min(height, width) < SMALLEST_SIDE:
            raise UserError(
                f"an image of {width}x{height} pixels is too small for the sensor fit, which needs "
                f"{SMALLEST_SIDE} a side; give larger ones."
            )
        image = image.double()
        knot = ((image + 1) * ((KNOTS - 1) / 2)).round().long().clamp(0, KNOTS - 1)
        counts = torch.bincount(knot.flatten(), minlength=KNOTS).cpu().numpy()
        total = counts.cumsum()
        low, middle, high = np.searchsorted(total, np.array([0.1, 0.5, 0.9]) * total[-1])
        self._counts[round(middle * (MEDIANS - 1) / (KNOTS - 1))] += counts
        width_of_levels = np.log(max(high - low, 1) * 2 / (KNOTS - 1))
        median = levels_below(image[None], 0.5).item()
        noise = white_variance(image), line_variance(image), line_variance(image.mT)
        self._numbers.append((median, width_of_levels, *noise))
        self.spectrum.add(image[None])

    def counts(self) -> np.ndarray:
        """(MEDIANS, KNOTS) pixels of each grey level in the images of each median."""
        return self._counts

    def numbers(self) -> np.ndarray:
        """(images, 5): median, logarithm of the range that holds the middle 80 % of the pixels,
        and variances of white noise, of row and of column offsets.
        """
        return np.array(self._numbers)


def survey(images: Iterable[Tensor], *, what: str) -> Survey:
    """Survey of (1, H, W) images. Raises UserError where there is none of them, `what` they are."""
    found = Survey()
    for image in images:
        found.add(image)
    if not len(found.numbers()):
        raise UserError(f"there are no {what} images to fit a sensor to; check the folder.")
    return found


def fit_sensor(
    simulated: Iterable[Tensor], real: Iterable[Tensor], *, step: float = 0.0
) -> FittedSensor:
    """The sensor that makes real images of simulated ones, from two unpaired sets.

    simulated, real: (1, H, W) images of any sizes; the simulated ones are gone through three times.
    step: distance of two grey levels of the real files, in [-1, 1]; their rounding is no noise of
    the sensor's. Raises UserError for a set without images, for colour and for small sides.
    """
    target = survey(real, what="real")
    scene = survey(simulated, what="simulated")
    sensor = FittedSensor()
    curve, level, keep = fit_tone(scene, target)
    sensor.curve.copy_(torch.from_numpy(curve))
    sensor.level.fill_(level)
    sensor.keep.fill_(keep)
    toned = RadialSpectrum()
    for image in simulated:
        toned.add(sensor.toned(image[None].float()))
    white = float(np.median(target.numbers()[:, 2]))
    frequencies = toned.frequencies
    sensor.blur.fill_(fit_blur(frequencies, toned.mean(), target.spectrum.mean(), floor=white))
    clean = survey((sensor(image[None])[0] for image in simulated), what="simulated").numbers()
    own, without = (np.median(found[:, 2:], axis=0) for found in (target.numbers(), clean))
    variance = own - without - np.array([step**2 / 12, 0.0, 0.0])
    sensor.noise.copy_(torch.from_numpy(np.sqrt(np.maximum(variance, 0.0))))
    (offset, gain), (had_offset, had_gain) = target.numbers().var(0)[:2], clean.var(0)[:2]
    between = np.array([gain - had_gain, offset - had_offset])
    sensor.spread.copy_(torch.from_numpy(np.sqrt(np.maximum(between, 0.0))))
    return sensor


def fit_tone(scene: Survey, target: Survey) -> tuple[np.ndarray, float, float]:
    """Curve (KNOTS,), level and keep of a FittedSensor, by which the pooled grey levels agree.

    A monotone curve between quantiles, and the share of the medians' distances from their mean that
    makes them spread as the target's do. Spreads of a single image are not known: it keeps all.
    """
    grid = np.linspace(-1, 1, KNOTS)
    goal = Distribution(grid, target.counts().sum(0))
    pooled = scene.counts().sum(0)
    row, knot = np.nonzero(scene.counts())
    weights = scene.counts()[row, knot]
    median, wanted = scene.numbers()[:, 0], target.numbers()[:, 0].std()
    known = min(len(median), len(target.numbers())) > 1
    of_row = np.linspace(-1, 1, MEDIANS)[row]
    curve = regular(goal.quantile(Distribution(grid, pooled).share(grid)), pooled)
    level, keep = float(np.interp(median, grid, curve).mean()), 1.0
    for _ in range(LEVEL_STEPS if known else 0):
        after = np.interp(median, grid, curve)
        level, spread = float(after.mean()), after.std()
        keep = float(min(1.0, wanted / spread)) if spread > 0 else 1.0
        shift = (keep - 1) * (np.interp(of_row, grid, curve) - level)
        curve = goal.quantile(Distribution(curve[knot] + shift, weights).share(curve))
        curve = regular(curve, pooled)
    return curve, level, keep


class Distribution:
    """Grey levels and their weights: shares below a level, and levels below which a share lies.

    Both are linear between the levels that occur. A level itself has half of its weight below it,
    so that coarse levels, ties of many pixels, are matched by their middles.
    """

    def __init__(self, levels: np.ndarray, weights: np.ndarray) -> None:
        """levels, weights: (N,) each, in any order, weights not all 0."""
        occur = weights > 0
        self.levels, place = np.unique(levels[occur], return_inverse=True)
        mass = np.bincount(place, weights[occur])
        self.shares = (np.cumsum(mass) - mass / 2) / mass.sum()

    def share(self, levels: np.ndarray) -> np.ndarray:
        """Share of the weight below each level, of the same shape."""
        return np.interp(levels, self.levels, self.shares)

    def quantile(self, shares: np.ndarray) -> np.ndarray:
        """Level below which each share lies, of the same shape."""
        return np.interp(shares, self.shares, self.levels)


def regular(curve: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The curve (KNOTS,), smooth, and straight beyond what holds all but TAIL of the weight.

    The slope of its ends is the mean one between TAIL and 8 TAIL. weights: (KNOTS,) of the levels.
    """
    curve = curve.copy()
    share = np.cumsum(weights) / weights.sum()
    low, lower, upper, high = np.searchsorted(share, [TAIL, 8 * TAIL, 1 - 8 * TAIL, 1 - TAIL])
    knots = np.arange(KNOTS)
    if high > upper:
        slope = (curve[high] - curve[upper]) / (high - upper)
        curve[high:] = curve[high] + slope * (knots[high:] - high)
    if lower > low:
        slope = (curve[lower] - curve[low]) / (lower - low)
        curve[:low] = curve[low] + slope * (knots[:low] - low)
    beyond = 4 * SMOOTHING
    longer = np.pad(curve, beyond, mode="reflect", reflect_type="odd")
    return gaussian_filter1d(longer, SMOOTHING)[beyond:-beyond]


def fit_blur(
    frequencies: np.ndarray, sharp: np.ndarray, blurred: np.ndarray, *, floor: float
) -> float:
    """Standard deviation, in pixels, of the Gaussian blur between two mean power spectra.

    A least-squares line through ln(blurred / sharp) over f² in MTF_BAND: its slope is -4 π² σ². Its
    height is free, as two sets of other scenes differ in contrast. 0 where the second is no more
    blurred. frequencies: cycles a pixel; floor: power of the blurred set's noise, removed; rings
    where it is half of all or more are left out.
    """
    low, high = MTF_BAND
    # NaN, for a ring without frequencies, compares as False.
    usable = (frequencies > low) & (frequencies < high) & (blurred > 2 * floor) & (sharp > 0)
    if usable.sum() < 3:
        return 0.0
    ratio = np.log((blurred[usable] - floor) / sharp[usable])
    slope, _ = np.polyfit(frequencies[usable] ** 2, ratio, 1)
    return float(np.sqrt(max(-slope, 0.0)) / (2 * np.pi))


def white_variance(image: Tensor) -> float:
    """Variance of the white noise in (1, H, W): a mean over the flattest quarter of its blocks.

    The mask of `metrics.thermal.spatial_noise`, blind to linear structure and to row and column
    patterns, on blocks chosen by the slope of the smoothed image: what decides holds little of the
    noise that is measured.
    """
    response = image.diff(n=2, dim=-1).diff(n=2, dim=-2).square() / 36
    smooth = F.avg_pool2d(image, 5, stride=1)
    down, across = smooth.diff(dim=-2)[..., 1:], smooth.diff(dim=-1)[..., 1:, :]
    # One pixel of the response is lost to each side, and three of the slope's.
    slope = F.avg_pool2d(down.square() + across.square(), BLOCK).flatten()
    height, width = (side - 5 for side in image.shape[-2:])
    power = F.avg_pool2d(response[..., 2 : 2 + height, 2 : 2 + width], BLOCK).flatten()
    flat = slope.argsort(stable=True)[: max(1, len(slope) // 4)]
    return power[flat].mean().item()


def line_variance(image: Tensor) -> float:
    """Variance of the offsets of whole rows in (1, H, W); below 0 by chance, where there is none.

    The covariance of the left and the right third, each averaged along its rows: an offset is in
    both, white noise is not, nor is what a scene has on one side. Differences of fourth order
    (1, -4, 6, -4, 1: 70 times the variance) take out what changes slowly from row to row.
    """
    third = image.shape[-1] // 3
    left, right = image[0, :, :third].mean(1), image[0, :, -third:].mean(1)
    return (left.diff(n=4) * right.diff(n=4)).mean().item() / 70
