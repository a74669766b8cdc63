"""Frames of a video as training images: which ones, what part, what is known of each."""

import math
from dataclasses import dataclass

import numpy as np

from data.arf import ArfVideo
from data.ground_truth import Target, ground_truth
from data.tables import BOX_COLUMNS, number_text
from datasets.chips import Chip
from datasets.sources import SourceVideo
from datasets.windows import MOST_VALUES, sample
from util.errors import UserError

COLUMNS = ("file", "split", "class", "group", "video", "scenario", "night", "range_m", "frame")
COLUMNS += ("time", "aspect_deg", *BOX_COLUMNS, "box_source")


@dataclass(frozen=True)
class Cut:
    """What is taken of a video: each frame_step-th frame, whole or the chip about its target.

    chip: side of the images in pixels, None for whole frames. margin: None for the frame's own
    pixels about the target; else the chip shows `margin` times the longer side of the target's box.
    """

    frame_step: int
    chip: int | None = None
    margin: float | None = None


class Frames:
    """The frames of a video that become images.

    numbers: of the chosen frames, counted from 1; skipped: how many more there would be if each had
    a target to cut a chip about. Raises UserError for files that cannot be read, for a chip larger
    than the frame, and where no frame is left.
    """

    def __init__(self, source: SourceVideo, cut: Cut) -> None:
        self.source, self.cut = source, cut
        self.video = ArfVideo(source.path)
        self._truth = ground_truth(source.agt, source.boxes)
        stepped = range(1, len(self.video) + 1, cut.frame_step)
        self.numbers = [number for number in stepped if self._is_usable(number)]
        self.skipped = len(stepped) - len(self.numbers)
        if not self.numbers:
            what = "centre" if cut.margin is None else "box"
            raise UserError(
                f"{source.path} has no ground truth with the {what} of a target in the chosen "
                "frames, and chips need it; give its files or leave the video out."
            )
        height, width = self.video.rows, self.video.columns
        if cut.chip is not None and cut.margin is None and cut.chip > min(height, width):
            raise UserError(
                f"--chip {cut.chip} does not fit into the {width}×{height} pixels of "
                f"{source.path}; choose a smaller one."
            )

    def _is_usable(self, number: int) -> bool:
        if self.cut.chip is None:
            return True
        target = self._target(number) or Target()
        return (target.centre if self.cut.margin is None else target.box) is not None

    def _target(self, number: int) -> Target | None:
        """The vehicle that the video is named after, or else the only one in the frame."""
        targets = self._truth.get(number, [])
        own = [target for target in targets if target.class_name == self.source.class_name]
        return own[0] if own else targets[0] if len(targets) == 1 else None

    def _chip(self, number: int) -> Chip | None:
        """The chip of a usable frame; None for whole frames."""
        size, margin = self.cut.chip, self.cut.margin
        if size is None:
            return None
        target, rows, columns = self._target(number), self.video.rows, self.video.columns
        if margin is None:
            x, y, side = *target.centre, size
        else:
            x, y, width, height = target.box
            side = min(math.ceil(margin * max(width, height)), rows, columns)
        return Chip.about(x, y, side=side, size=size, rows=rows, columns=columns)

    def image(self, number: int) -> np.ndarray:
        """Frame `number` or its chip, (H, W), in the video's own values and type.

        Raises UserError for values that are not finite.
        """
        frame = self.video.frame(number - 1)
        if frame.dtype.kind == "f" and not np.isfinite(frame).all():
            raise UserError(
                f"frame {number} of {self.video.path} holds values that are not finite; mend them."
            )
        chip = self._chip(number)
        return frame if chip is None else chip.cut(frame)

    def sample(self, *, most: int = MOST_VALUES) -> np.ndarray:
        """At most `most` values of the images, flat. Raises as `image` does."""
        return sample(self.numbers, self.image, most=most)

    def row(self, number: int) -> dict[str, str]:
        """The image's line of labels.csv."""
        source, name = self.source, self.source.parsed
        target = self._target(number) or Target()
        row = {
            "file": source.file(number),
            "split": source.split,
            "class": source.class_name,
            # All vehicles of a scenario drive over the same terrain.
            "group": name.scenario or source.name,
            "video": source.name,
            "scenario": name.scenario,
            "night": "" if name.night is None else str(int(name.night)),
            "range_m": number_text(target.range_m or name.range_m),
            "frame": str(number),
            "time": target.time.isoformat(timespec="milliseconds") if target.time else "",
            "aspect_deg": number_text(target.aspect_deg),
        }
        return dict.fromkeys(COLUMNS, "") | row | self._box_cells(number)

    def _box_cells(self, number: int) -> dict[str, str]:
        """The box in pixels of the image; {} where none is known or in sight."""
        target, chip = self._target(number), self._chip(number)
        if target is None or target.box is None:
            return {}
        if chip is None:
            box, rows, columns = target.box, self.video.rows, self.video.columns
        else:
            box, rows, columns = chip.box(target.box), chip.size, chip.size
        x, y, width, height = box
        if abs(2 * x - columns) >= columns + width or abs(2 * y - rows) >= rows + height:
            return {}
        corner = x - width / 2, y - height / 2, width, height
        cells = zip(BOX_COLUMNS, map(number_text, corner), strict=True)
        return {**dict(cells), "box_source": "ground_truth"}
