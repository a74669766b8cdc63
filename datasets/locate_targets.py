"""Find the moving vehicle in videos of a fixed camera that have no ground truth.

    python datasets/locate_targets.py --images DATA/real --out DATA/located

takes the frames of each video (column `video` of labels.csv there, or in the folder above; else
file names less their frame numbers) and writes

    OUT/labels.csv        the table with boxes where there were none: box_x, box_y, box_w, box_h,
                          box_confidence (0 to 1), box_source `motion`
    OUT/<video>.png       frames spread over the video with their boxes, to look at

What the table of --images says is kept, boxes too; without one a first folder train, val or test is
the split, and the first folder below it the class. No program looks for a table in OUT: look at the
boxes, then copy it to the images. Its paths hold there where OUT lies beside them, as above:

    cp DATA/located/labels.csv DATA/real/labels.csv

The frames' difference to the video's median background, less gain, offset and displacement of each
frame, is searched for what is finer than a cloud of dust; the path of least cost through all frames
is the vehicle's. A place below --min_confidence gets no box.

The size of a box is that of known boxes of its class, scaled by range; without any, that of
what moves. Memory is that of one video's frames. Where the truth is known, as of the videos of
make_demo.py, --truth names its table, and the boxes found are compared with it.
"""

import argparse
import os
import re
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data.annotations.find import find_annotations
from data.folders import LABELS_FILE, ImageFile, find_images, unread_note
from data.images import read_image, write_image
from data.label_index import Box, LabelIndex, check_box_columns, read_box, read_range
from data.labeled_images import PHASE_FOLDER
from data.labels import by_image, class_of_folder
from data.splits import spread
from data.tables import BOX_COLUMNS, Line, Row, write_table
from datasets.sheets import sheet, tile
from datasets.tracking.locate import NoTrack, Sighting, locate_vehicle
from util.cli import Parser
from util.errors import UserError, run_main
from util.files import absolute, check_writable

SHEET = (4, 3)  # frames across and down
SHEET_SIDE = 512  # of its frames: smaller ones are enlarged so far, by a whole number
NEW_COLUMNS = (*BOX_COLUMNS, "box_confidence", "box_source")

Size = tuple[float, float]


@dataclass(frozen=True)
class Frame:
    """One image of a video. number: in the video; row: its line of labels.csv, by column.

    others: the lines of further objects, which are handed on.
    """

    file: ImageFile
    number: int
    row: Row
    others: tuple[Row, ...] = ()

    @property
    def box(self) -> Box | None:
        """None where the table has none. Raises UserError for what is no box."""
        return read_box(self.row, f"{LABELS_FILE}, line of {self.file.path}")

    @property
    def range_m(self) -> float | None:
        """None where the table has none. Raises UserError for what is no range."""
        return read_range(self.row, f"{LABELS_FILE}, line of {self.file.path}")


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point. Raises UserError."""
    args = parse(argv)
    videos = find_videos(args.images)
    if note := unread_note(args.images):
        print(f"{args.images}: {note}")
    truth = LabelIndex([args.truth]) if args.truth else None
    check_writable(args.out / LABELS_FILE)
    known = known_sizes(videos)
    lost = []
    for name, frames in tqdm(sorted(videos.items()), unit="video", disable=None):
        if all(frame.box for frame in frames):
            continue
        try:
            located = locate(frames, known)
        except NoTrack as error:
            lost.append(f"{name} {error}")
            continue
        boxed = fill(frames, located, args.min_confidence)
        write_image(args.out / f"{name}.png", contact_sheet(frames))
        print(f"{name}: {boxed} of {len(frames)} frames located")
    write_labels(args.out / LABELS_FILE, [f for frames in videos.values() for f in frames])
    print(f"{args.out / LABELS_FILE}: {sum(map(len, videos.values()))} images")
    if truth:
        print(compare([f for frames in videos.values() for f in frames], truth))
    if lost:
        raise UserError(f"nothing was located in {len(lost)} videos: {' '.join(lost)}")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Arguments. Raises UserError."""
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--images", type=Path, required=True, metavar="DIR", help="frames, any depth of folders")
    add("--out", type=Path, required=True, metavar="DIR", help="folder of what is written")
    add("--min_confidence", type=float, default=0.5, help="below it a frame gets no box")
    add("--truth", type=Path, metavar="TABLE", help="true boxes to compare with")
    args = parser.parse_args(argv)
    if not 0 <= args.min_confidence <= 1:
        raise UserError(f"--min_confidence is {args.min_confidence}; it lies between 0 and 1.")
    if args.out.resolve() == args.images.resolve():
        raise UserError("--out would replace the labels of --images; name another folder.")
    return args


def find_videos(root: Path) -> dict[str, list[Frame]]:
    """Video -> its frames, by number. Raises UserError for a folder without images."""
    listed: dict[Path, list[Line]] = {}
    if table := find_annotations(root):
        check_box_columns(table)
        listed = by_image(table.lines)
    videos: dict[str, list[Frame]] = defaultdict(list)
    for file in find_images(root):
        row, *others = [line.row for line in listed.get(absolute(file.path), [])] or [{}]
        digits = re.search(r"\d+$", file.path.stem)
        number = row.get("frame") or (digits[0] if digits else "")
        if not number.isdecimal():
            raise UserError(f"{file.path} has no frame number in its name; number the frames.")
        name = row.get("video") or _video_of(file.path.relative_to(root))
        plain = {**_of_folders(file), **{k: v for k, v in row.items() if v}}
        videos[name].append(Frame(file, int(number), plain, tuple(others)))
    return {name: sorted(frames, key=lambda f: f.number) for name, frames in videos.items()}


def _of_folders(file: ImageFile) -> Row:
    """Split and class of a frame, as the folders tell them that it lies in."""
    first, _, rest = file.name.partition("/")
    phase = PHASE_FOLDER.fullmatch(first) if rest else None
    below = ImageFile(file.path, rest) if phase else file
    return {"split": phase[1] if phase else "", "class": class_of_folder(below)}


def _video_of(file: Path) -> str:
    """What a table would call the video: the folders of a frame, and its name without number."""
    return (file.parent / re.sub(r"[_-]?\d+$", "", file.stem)).as_posix()


def known_sizes(videos: Mapping[str, Sequence[Frame]]) -> dict[str, Size]:
    """Class -> median size of its boxes, width and height in pixels, as seen from 1 metre."""
    sizes: dict[str, list[np.ndarray]] = defaultdict(list)
    for frame in (frame for frames in videos.values() for frame in frames):
        if frame.box and frame.range_m:
            sizes[frame.row["class"]].append(np.array(frame.box[2:]) * frame.range_m)
    return {name: tuple(np.median(found, axis=0).tolist()) for name, found in sizes.items()}


def _expected_box(frame: Frame, known: Mapping[str, Size]) -> Size | None:
    size, metres = known.get(frame.row["class"]), frame.range_m
    return (size[0] / metres, size[1] / metres) if size and metres else None


def locate(frames: Sequence[Frame], known: Mapping[str, Size]) -> list[Sighting]:
    """The vehicle in each frame. Raises NoTrack, in words, where a video does not show one."""
    images = [read_image(frame.file.path) for frame in frames]
    if images[0].dtype == np.float32:
        images = _as_counts(images)
    images = [image if image.ndim == 2 else image.mean(axis=2) for image in images]
    if len({image.shape for image in images}) > 1:
        raise NoTrack("has frames of several sizes.")
    times = np.array([frame.number for frame in frames], dtype=np.float64)
    if (np.diff(times) <= 0).any():
        raise NoTrack("has two frames of one number.")
    return locate_vehicle(images, times, _expected_box(frames[0], known))


def _as_counts(images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Floats of any unit over the range of 16 bits: what moves is told from the noise of counts."""
    low, high = min(image.min() for image in images), max(image.max() for image in images)
    return [(image - low) * (65535 / ((high - low) or 1)) for image in images]


def fill(frames: Sequence[Frame], sightings: Sequence[Sighting], least: float) -> int:
    """Write the boxes into the rows that have none; returns how many were sure enough."""
    count = 0
    for frame, sighting in zip(frames, sightings, strict=True):
        if frame.box:
            continue
        frame.row["box_confidence"] = f"{sighting.confidence:.3f}"
        if sighting.confidence >= least:
            x, y, width, height = sighting.box
            corner = x - width / 2, y - height / 2
            numbers = (f"{value:.1f}" for value in (*corner, width, height))
            frame.row.update(zip(BOX_COLUMNS, numbers, strict=True))
            frame.row["box_source"] = "motion"
            count += 1
    return count


def compare(frames: Sequence[Frame], truth: LabelIndex) -> str:
    """How far the boxes found are from the true ones, in words."""
    errors, inside = [], []
    for frame in frames:
        label = truth.find(frame.file)
        if (
            frame.box is None
            or frame.row.get("box_source") != "motion"
            or not (label and label.box)
        ):
            continue
        (x, y, w, h), (true_x, true_y, true_w, true_h) = frame.box, label.box
        away = np.array([x + w / 2 - true_x - true_w / 2, y + h / 2 - true_y - true_h / 2])
        errors.append(np.hypot(*away))
        inside.append((np.abs(away) <= np.array([true_w, true_h]) / 2).all())
    if not errors:
        return "there is no frame with both a box found and a true one"
    return (
        f"against the truth: centres {np.median(errors):.2f} pixels away (median), "
        f"{np.mean(inside):.1%} of them inside the true box, {len(errors)} frames"
    )


def contact_sheet(frames: Sequence[Frame]) -> np.ndarray:
    """Frames spread over the video, each stretched to 8 bits, boxes in white: (H, W) uint8."""
    columns, rows = SHEET
    chosen = [frames[place] for place in spread(range(len(frames)), columns * rows)]
    tiles = [
        tile(read_image(f.file.path), [f.box] if f.box else [], side=SHEET_SIDE) for f in chosen
    ]
    return sheet(tiles, columns=columns)


def write_labels(path: Path, frames: Sequence[Frame]) -> None:
    """One row an image or object, files relative to the table; columns of the input first."""
    told = (column for f in frames for row in (f.row, *f.others) for column in ("file", *row))
    columns = (*(c for c in dict.fromkeys(told) if c not in NEW_COLUMNS), *NEW_COLUMNS)
    rows = []
    for frame in sorted(frames, key=lambda frame: frame.file.name):
        file = Path(os.path.relpath(frame.file.path, absolute(path).parent)).as_posix()
        for row in (frame.row, *frame.others):
            rows.append({**dict.fromkeys(columns, ""), **row, "file": file})
    write_table(path, columns, rows)


if __name__ == "__main__":
    run_main(main)
