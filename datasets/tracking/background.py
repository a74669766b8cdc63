"""What a camera sees when nothing moves, and how far a frame departs from it.

The background is the median over time, taken after each frame's displacement, gain and offset have
been removed: gain control moves the grey level of every pixel by more than most vehicles do.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from datasets.tracking.registration import Registration, align

FIT_PIXELS = 20_000  # that a frame's gain and offset are fitted to
FIT_ROUNDS = 6
OUTLIER = 3.0  # standard deviations
GAINS = (0.2, 5.0)  # outside, a frame shows something else: the shutter, a dropped frame
SAME_PICTURE = 0.1  # share of votes (see Registration) below which it does, too
ROWS_AT_ONCE = 32
# Times the common noise: restless leaves reach it, and the road, where vehicle and dust pass, too.
RESTLESS = 3.0
QUANTISATION = 12**-0.5  # standard deviation of rounding to integers
MAD_TO_STD = 1.4826  # of normal values
QUARTER_TO_STD = 3.1383  # likewise from the quarter of the values nearest the median


@dataclass(frozen=True)
class Background:
    """level: (H, W) float32, in units of one of the frames; noise: its robust deviation over time.

    The noise is large where leaves move. origin: (2,) displacement x, y of the level against the
    frame of `registration`, pixels.
    """

    level: np.ndarray
    noise: np.ndarray
    registration: Registration
    origin: np.ndarray

    def residual(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """What a frame (H, W) has beyond the background, (H, W) float32, and its displacement.

        The residual lies on the level's pixels, in its units: without displacement, gain and
        offset. The displacement (2,) x, y leads back to the frame. None for a frame that shows
        something else.
        """
        shift, votes = self.registration.shift(frame)
        shift = shift - self.origin
        aligned = align(frame, shift)
        gain, offset = fit_gain_offset(aligned, self.level)
        if votes < SAME_PICTURE or not GAINS[0] < gain < GAINS[1]:
            return None
        residual = (aligned - np.float32(offset)) / np.float32(gain) - self.level
        return _inside(residual, shift), shift


def _inside(residual: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Nothing is known beyond the frame's edges: 0 there."""
    for axis, by in enumerate(shift[::-1]):
        width = int(np.ceil(abs(by))) if abs(by) >= 1 else 0
        lines = (
            np.arange(width)
            if by < 0
            else np.arange(residual.shape[axis] - width, residual.shape[axis])
        )
        residual[(slice(None),) * axis + (lines,)] = 0
    return residual


def fit_gain_offset(frame: np.ndarray, level: np.ndarray) -> tuple[float, float]:
    """(gain, offset) of frame ≈ gain · level + offset by least squares, trimmed of what differs.

    frame, level: (H, W). A level without any structure says nothing of the gain, which is then 1.
    """
    stride = max(1, int((frame.size / FIT_PIXELS) ** 0.5))
    y = frame[::stride, ::stride].ravel().astype(np.float64)
    x = level[::stride, ::stride].ravel().astype(np.float64)
    kept = np.ones(x.size, dtype=bool)
    gain, offset = 1.0, 0.0
    for _ in range(FIT_ROUNDS):
        spread = x[kept].var()
        if spread > QUANTISATION**2:
            gain = float(np.mean((x[kept] - x[kept].mean()) * y[kept]) / spread)
        offset = float(y[kept].mean() - gain * x[kept].mean())
        error = np.abs(y - gain * x - offset)
        deviation = max(MAD_TO_STD * float(np.median(error)), QUANTISATION)
        kept = error < OUTLIER * deviation
    return gain, offset


def find_background(frames: np.ndarray) -> Background:
    """The background of frames (T, H, W) of any number type, spread over the video.

    Memory is that of the frames and of their float32 copy. Raises ValueError where most frames do
    not show one picture.
    """
    registration = Registration(frames[len(frames) // 2])
    found = [registration.shift(frame) for frame in frames]
    same = np.array([votes >= SAME_PICTURE for _, votes in found])
    if same.sum() <= len(frames) / 2:
        raise ValueError("the frames do not show one picture")
    shifts = np.stack([shift for shift, _ in found])
    # The middle between the extremes: what moves should stay inside.
    origin = (shifts[same].min(axis=0) + shifts[same].max(axis=0)) / 2
    stack = np.stack(
        [align(f, s - origin) for f, s, ok in zip(frames, shifts, same, strict=True) if ok]
    )
    level = stack[len(stack) // 2]
    for _ in range(2):
        fits = np.array([fit_gain_offset(frame, level) for frame in stack])
        good = (fits[:, 0] > GAINS[0]) & (fits[:, 0] < GAINS[1])
        level, deviation = _median_over_time(stack[good], fits[good])
    # Fine noise of the deviation itself would make detections of its dips.
    common = max(float(np.median(deviation)), QUANTISATION)
    local = np.minimum(ndimage.median_filter(deviation, 5), RESTLESS * common)
    return Background(level, np.sqrt(local**2 + common**2), registration, origin)


def _median_over_time(frames: np.ndarray, fits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median and robust deviation of the frames without gain and offset, (H, W) float32 each."""
    level = np.empty(frames.shape[1:], dtype=np.float32)
    deviation = np.empty_like(level)
    gains, offsets = fits.astype(np.float32).T[:, :, None, None]
    for start in range(0, len(level), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        strip = (frames[:, rows] - offsets) / gains
        level[rows] = np.median(strip, axis=0)
        deviation[rows] = QUARTER_TO_STD * np.percentile(np.abs(strip - level[rows]), 25, axis=0)
    return level, deviation
