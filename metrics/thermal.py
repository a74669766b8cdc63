"""What makes an image look thermal: noise, target contrast, power spectrum, grey levels.

Images are float tensors (B, 1, H, W) of the files' own counts, or of their luminance.
"""

import math

import numpy as np
import torch
from torch import Tensor

from data.value_map import Levels
from metrics.boxes import inside

# Rings of the radial spectrum: 1/128 cycles/pixel wide, two harmonics of a side of 256 pixels.
RINGS = 64
# Of the squared values of the files: a flat image leaves 1e-30 by rounding, and one of floats that
# differ in their last digit has 1e-19.
NO_POWER = 1e-24


def spatial_noise(images: Tensor) -> Tensor:
    """Standard deviation of the pixel noise, in counts: (B,) float64.

    images: (B, 1, H, W). Immerkær 1996, "Fast noise variance estimation": a mask that is blind to
    linear structure, N = [1, -2, 1]ᵀ [1, -2, 1] of norm 6, and σ = √(π/2) mean |I * N| / 6 over the
    (H - 2)(W - 2) valid pixels. Unbiased for white Gaussian noise on linear ramps; fine texture
    counts as noise, and correlated noise for less than it is. NaN for sides below 3 pixels.
    """
    response = images.diff(n=2, dim=-1).diff(n=2, dim=-2).abs()
    return math.sqrt(math.pi / 2) / 6 * response.mean(dim=(1, 2, 3), dtype=torch.float64)


def target_contrast(images: Tensor, boxes: Tensor) -> Tensor:
    """Contrast of target and background, √((μ_t - μ_b)² + σ_t²) in counts: (B,) float64.

    images: (B, 1, H, W); boxes: (B, 4), see `metrics.boxes`. The root-sum-square contrast of target
    acquisition models (Vollmerhausen and Jacobs 2004, "The Targeting Task Performance (TTP)
    Metric", AMSEL-NV-TR-230): it sees a target of the background's mean by its hot and cold parts.
    μ_t and σ_t are of the pixels in the box, μ_b is of those around it in a box of twice its width
    and height about the same centre, as far as the image goes. NaN where either holds no pixel, so
    without a box.
    """
    size = images.shape[-2:]
    x0, y0, x1, y1 = boxes.unbind(1)
    w, h = x1 - x0, y1 - y0
    outer = torch.stack([x0 - w / 2, y0 - h / 2, x1 + w / 2, y1 + h / 2], dim=1)
    target = inside(boxes, *size)
    background = inside(outer, *size) & ~target
    grey = images[:, 0].double()
    mean = _mean_where(target, grey)
    variance = _mean_where(target, (grey - mean[:, None, None]).square())
    return torch.sqrt((mean - _mean_where(background, grey)).square() + variance)


def vanished(contrast: Tensor, noise: Tensor) -> Tensor:
    """1 where the target has less contrast than the noise, else 0; NaN where one is: (B,) float64.

    contrast: (B,) of `target_contrast`, of which what the noise adds is taken away; noise: (B,), σ
    of `spatial_noise`, in the same counts: √(contrast² - σ²) < σ.
    """
    gone = contrast.square() < 2 * noise.square()
    return gone.double().masked_fill(contrast.isnan() | noise.isnan(), torch.nan)


def _mean_where(mask: Tensor, values: Tensor) -> Tensor:
    """Mean of the values (B, H, W) where mask is True: (B,); NaN where it is nowhere."""
    return (values * mask).sum(dim=(1, 2)) / mask.sum(dim=(1, 2))


class RadialSpectrum:
    """Mean radially averaged power spectrum of a set of images, of any sizes; memory stays flat.

    Periodogram with a Hann window (Welch 1967), |FFT|² / Σ window²: white noise of variance v has
    the power v at every frequency, whatever the size. Each image counts by its means over RINGS
    rings of spatial frequency, 0 to 0.5 cycles/pixel, the corners of the plane left out. So are
    the harmonics -1, 0 and 1 of both axes, the only ones that the window spreads an image's mean
    over. `frequencies`: centres of the rings in cycles/pixel.
    """

    def __init__(self) -> None:
        self.frequencies = (np.arange(RINGS) + 0.5) / (2 * RINGS)
        self._sum, self._count = np.zeros(RINGS), np.zeros(RINGS)
        self._rings: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}

    def add(self, images: Tensor) -> None:
        """images: (B, 1, H, W) in counts."""
        self.add_power(*self.power(images))

    def add_power(self, sums: np.ndarray, counts: np.ndarray) -> None:
        """What `power` gives."""
        self._sum += sums
        self._count += counts

    def power(self, images: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Of (B, 1, H, W) in counts, ring by ring: sum of the images' means, number of these."""
        height, width = size = tuple(images.shape[-2:])
        if size not in self._rings:
            self._rings[size] = _rings(height, width)
        ring, share = self._rings[size]
        rows, columns = (torch.hann_window(n, dtype=torch.float64) for n in size)
        window = torch.outer(rows, columns)
        power = torch.zeros(ring.shape, dtype=torch.float64, device=images.device)
        # One by one: the transforms of a batch of large images are large.
        for image in images[:, 0]:
            spectrum = torch.fft.rfft2(image.double() * window.to(image.device))
            power += torch.view_as_real(spectrum).square().sum(dim=-1)
        weighted = power.cpu().numpy() * share / float(window.square().sum())
        counts = np.zeros(RINGS)
        counts[np.unique(ring[ring < RINGS])] = len(images)
        return np.bincount(ring.ravel(), weighted.ravel(), minlength=RINGS + 1)[:RINGS], counts

    def mean(self) -> np.ndarray:
        """(RINGS,) in squared counts: mean over the images that have frequencies in a ring.

        NaN for a ring without any: the first one up to sides of 256 pixels, and gaps between the
        few frequencies of small images.
        """
        filled = self._count > 0
        return np.divide(self._sum, self._count, out=np.full(RINGS, np.nan), where=filled)


def _rings(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Ring of each coefficient of rfft2, RINGS for none, and its share in the mean of its ring."""
    y, x = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    frequency = np.hypot(y, x)
    # The last ring holds its end, 0.5, too.
    ring = np.minimum((frequency * 2 * RINGS).astype(np.int64), RINGS - 1)
    mean_leaks = (np.abs(y * height) < 1.5) & (x * width < 1.5)
    ring[mean_leaks | (frequency > 0.5)] = RINGS
    # Half of the plane is there: all columns but the first, and the middle one, stand for two.
    weight = np.broadcast_to(np.where((x == 0) | (x == 0.5), 1.0, 2.0), ring.shape)
    total = np.bincount(ring.ravel(), weight.ravel(), minlength=RINGS + 1)
    return ring, weight / total[ring]


def spectral_distance(a: np.ndarray, b: np.ndarray, *, largest: float) -> float:
    """Mean of |10 log10 a - 10 log10 b| over the rings, in dB: 0 for equal spectra.

    a, b: `RadialSpectrum.mean` of two sets; rings that one of them lacks are left out, and without
    a common one it is NaN. largest: absolute value that files of the sets hold, in any unit. A gain
    g on all images is 20 log10 g. Chance alone keeps small sets from 0. Infinite where one set only
    has no power at all in a ring.
    """
    common = ~(np.isnan(a) | np.isnan(b))
    none = NO_POWER * largest**2
    a, b = (np.where(power < none, 0.0, power) for power in (a[common], b[common]))
    if not len(a):
        return float("nan")
    with np.errstate(divide="ignore", invalid="ignore"):
        decibels = np.abs(10 * np.log10(a) - 10 * np.log10(b))
    return float(np.where(a == b, 0.0, decibels).mean())


def grey_levels(images: Tensor, levels: Levels) -> np.ndarray:
    """Pixels of each bin, one a count, of floats as the levels say: (levels.count,) int64.

    images: (B, 1, H, W) in file values; luminance goes to the nearest bin.
    """
    places = ((images - levels.first) / levels.step).round()
    bins = places.clamp(0, levels.count - 1).long().flatten()
    return torch.bincount(bins, minlength=levels.count).cpu().numpy()


def wasserstein(a: np.ndarray, b: np.ndarray) -> float:
    """1-Wasserstein distance of two grey-level distributions, in levels; 0 for equal ones.

    a, b: histograms over the same levels, of any numbers of pixels but 0. On a line it is the area
    between the distribution functions (Vallender 1974): Σ |F_a - F_b| over the levels. An offset of
    all pixels by c levels is c.
    """
    return float(np.abs(np.cumsum(a) / a.sum() - np.cumsum(b) / b.sum()).sum())
