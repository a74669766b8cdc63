"""From the values of a recording to those of image files: counts as they are, or a window."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from util.errors import UserError

Kind = Literal["window", "percentile_video", "percentile_set"]

# Percentiles need no more values than these; a longer recording gives as many from each of some
# frames spread over it.
MOST_VALUES = 2**20
MOST_FRAMES = 64


@dataclass(frozen=True)
class Window:
    """Linear map of the values low..high to 0..2^bits - 1; what lies beyond is clipped."""

    low: float
    high: float

    def apply(self, image: np.ndarray, *, bits: int) -> np.ndarray:
        """(H, W) of any real type -> (H, W) uint8 or uint16, rounded; bits: 8 or 16."""
        share = (image.astype(np.float64) - self.low) / (self.high - self.low)
        levels = np.rint(share.clip(0, 1) * (2**bits - 1))
        return levels.astype(np.uint8 if bits == 8 else np.uint16)

    def clipped(self, image: np.ndarray) -> tuple[float, float]:
        """Shares of the pixels below and above the window."""
        return float((image < self.low).mean()), float((image > self.high).mean())


@dataclass(frozen=True)
class WindowRule:
    """How the window is found.

    kind: "window": low and high are its values. "percentile_video", "percentile_set": they are
    percentages of the values of one video, or of all videos together.
    """

    kind: Kind
    low: float
    high: float

    @classmethod
    def parse(cls, words: Sequence[str]) -> "WindowRule":
        """From the three words of --mapping. Raises UserError."""
        kind, *limits = words
        try:
            low, high = map(float, limits)
        except ValueError:
            raise UserError(
                f"--mapping {' '.join(words)}: {' and '.join(limits)} must be two numbers."
            ) from None
        if kind not in get_args(Kind):
            kinds = ", ".join(get_args(Kind))
            raise UserError(f"--mapping {kind} is unknown; choose one of {kinds}.")
        bottom, top = (-np.inf, np.inf) if kind == "window" else (0, 100)
        if not (np.isfinite([low, high]).all() and bottom <= low < high <= top):
            limit = "" if kind == "window" else " and lie between 0 and 100"
            raise UserError(f"--mapping {' '.join(words)}: the numbers must rise{limit}.")
        return cls(kind, low, high)

    def __str__(self) -> str:
        return f"{self.kind} {self.low:.12g} {self.high:.12g}"

    def window(self, values: np.ndarray, *, source: str) -> Window:
        """Between the percentiles of these values; source: where they come from, for people.

        Raises UserError where the percentiles coincide.
        """
        low, high = map(float, np.percentile(values, [self.low, self.high]))
        if low == high:
            raise UserError(
                f"the percentiles {self.low:g} and {self.high:g} of {source} are both {low:g}; "
                "there is no window between them: use wider ones or --mapping window LO HI."
            )
        return Window(low, high)


def sample(
    numbers: Sequence[int], image: Callable[[int], np.ndarray], *, most: int = MOST_VALUES
) -> np.ndarray:
    """At most `most` values of a recording, the same ones each time: all where there are fewer.

    numbers: of its images; image: number -> array of one size and type.
    Returns a flat array of that type.
    """
    size = image(numbers[0]).size
    if len(numbers) * size > most:
        places = np.linspace(0, len(numbers) - 1, min(len(numbers), MOST_FRAMES))
        numbers = [numbers[int(place)] for place in places]
        size = min(size, max(1, most // len(numbers)))
    return np.concatenate([_some(image(number), size, key=number) for number in numbers])


def _some(image: np.ndarray, size: int, *, key: int) -> np.ndarray:
    # Drawn, since equal steps would hit the same columns of the sensor in every row.
    values = image.ravel()
    if size == values.size:
        return values
    return values[np.random.default_rng(key).integers(values.size, size=size)]


def counts16(image: np.ndarray, *, source: str) -> np.ndarray:
    """(H, W) of any real type, finite -> the same counts as uint16.

    source: of the image, for people. Raises UserError for what is no whole number of 16 bits.
    """
    if image.dtype in (np.uint8, np.uint16):
        return image.astype(np.uint16)
    low, high = image.min(), image.max()
    if low >= 0 and high <= 65535 and np.array_equal(image, np.rint(image)):
        return image.astype(np.uint16)
    raise UserError(
        f"{source} has {image.dtype} values from {low:g} to {high:g}, which 16 bits can only keep "
        "where they are whole numbers from 0 to 65535; scale them with --mapping."
    )
