"""Make training images of ARF videos: the DSIAC ATR database, or recordings of other cameras.

    python datasets/prepare_dsiac.py --arf dsiac/cegr/arf --agt dsiac/cegr/agt \\
        --boxes dsiac/Metric --out data/real --frame_step 30 --bits 16 --test 01927 02007

writes, of every frame_step-th frame of each video, frames counted from 1 and the first kept,

    OUT/<CLASS>/<video>_<frame>.png         without --test
    OUT/{train,test}/<CLASS>/...            with it: whole scenarios or videos are held out
    OUT/labels.csv                          one row an image, with everything that is known of it
    OUT/dataset.json                        the flags that decided how images are made

Videos are named <camera><scenario>_<vehicle>.arf; a vehicle that is not known has its number for a
class. A video of another name has the first folder below --arf for a class, or none. Ground truth
is found by the video's name: --agt for ranges, aspects and centres, --boxes (.bbox_met) for boxes.

Values. --bits 16 keeps the counts. --bits 8 maps a window of them to 0..255; --mapping says which:
    window LO HI              these counts, for all videos
    percentile_set LO HI      percentages of the values of all videos of the run, of the training
                              videos where there are test videos; later runs keep its window
    percentile_video LO HI    of each video by itself: hides the gain, but tells videos apart
With 8 bits and no --mapping it is percentile_set 0.1 99.99, or the values as they are where all
videos have 8 bits. With --bits 16 a mapping stretches its window over 0..65535: for videos whose
values 16 bits cannot keep, negative ones or fractions. labels.csv has the window of each image.

Chips. --chip SIZE cuts SIZE×SIZE pixels about the target's centre, as the sensor has them; at the
border of the frame the square is moved inside. With --margin FACTOR the square is FACTOR times the
longer side of the target's box, and is resized to SIZE. Frames without a target are left out.
Boxes in labels.csv are in pixels of the image, chip or frame.

A run that was interrupted goes on: finished videos are not redone, unless their file changed or
images of theirs are gone. More videos can be added later by the same flags; other flags need
another folder. A video that cannot be read is reported at the end, exit code 2, after all others
are done.
"""

import argparse
import glob
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data.arf import ArfVideo
from data.folders import LABELS_FILE
from data.images import write_image
from data.tables import write_table
from datasets.frames import COLUMNS, Cut, Frames
from datasets.recipe import read_record, state_of, write_record
from datasets.sources import SourceVideo, choose, find_videos
from datasets.windows import MOST_VALUES, Window, WindowRule, counts16
from util.cli import Parser
from util.errors import UserError, run_main
from util.files import write_text

SCRIPT = Path(__file__).name
# The flags that decide how an image is made or labelled: a folder holds images of one choice.
RECIPE = ("frame_step", "bits", "mapping", "chip", "margin", "test", "agt", "boxes")
# A vehicle takes few pixels and its hottest parts fewer: the upper end must leave them alone.
DEFAULT_MAPPING = WindowRule("percentile_set", 0.1, 99.99)
AS_THEY_ARE = WindowRule("window", 0, 255)
WINDOW_COLUMNS = ("window_low", "window_high")
# More would wait for the disk, and each holds a frame in memory.
THREADS = min(8, os.cpu_count() or 1)
# Of each finished video a file: its rows, what its window clipped, and the video's state.
FINISHED = ".finished"
# Values that a window over the set is found from, at most.
MOST_OF_SET = 16 * MOST_VALUES


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Arguments, checked. Raises UserError."""
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--arf", type=Path, required=True, metavar="FILE|DIR", help="a video, or a folder of them")
    add("--out", type=Path, required=True, metavar="DIR", help="the dataset to make or go on with")
    add("--agt", type=Path, metavar="DIR", help="ground truth, <video>.agt, in it or below")
    add("--boxes", type=Path, metavar="DIR", help="box metrics, <video>.bbox_met; needs --agt")
    add("--frame_step", type=int, default=1, metavar="N", help="keep each N-th frame (default: 1)")
    add("--bits", type=int, default=16, choices=(8, 16), help="of the images (default: 16)")
    add("--mapping", nargs=3, metavar=("NAME", "LO", "HI"), help="see above")
    add("--scenarios", nargs="+", metavar="NAME", help="only these, such as 01923")
    add("--classes", nargs="+", metavar="NAME", help="only these, such as T72 or 0014")
    add("--test", nargs="+", metavar="NAME", help="scenarios or videos of the test set")
    add("--chip", type=int, metavar="SIZE", help="cut squares about the target, this wide")
    add("--margin", type=float, metavar="FACTOR", help="of the square round the target's box")
    add("--num_threads", type=int, default=THREADS, help="frames made at a time")
    args = parser.parse_args(argv)
    for name, least in (("frame_step", 1), ("num_threads", 1), ("chip", 1), ("margin", 1)):
        value = getattr(args, name)
        if value is not None and not least <= value < float("inf"):
            raise UserError(f"--{name} is {value}; it must be {least} or more.")
    given = {name for name, value in vars(args).items() if value is not None}
    for name, needed in (("margin", {"chip", "boxes"}), ("chip", {"agt"}), ("boxes", {"agt"})):
        if name in given and not needed <= given:
            raise UserError(f"--{name} needs --{' and --'.join(sorted(needed))} too.")
    args.mapping = args.mapping and WindowRule.parse(args.mapping)
    args.test = sorted(args.test or [])
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point. Raises UserError."""
    args = parse(argv)
    videos = videos_of(args)
    if args.mapping is None and args.bits == 8:
        args.mapping = default_mapping(videos)
    recipe = recipe_of(args)
    record = read_record(args.out, script=SCRIPT, recipe=recipe)
    todo = [r for r in videos if not is_finished(args.out, r)]
    if len(todo) < len(videos):
        print(f"{len(videos) - len(todo)} of {len(videos)} videos are finished: skipped")
    window = Window(**record["window"]) if record.get("window") else common_window(todo, args)
    record = {"made_by": SCRIPT, "recipe": recipe, "window": window and asdict(window)}
    failures = []
    for video in todo:
        try:
            frames = Frames(video, cut_of(args))
            write_record(args.out, record)
            print(convert(frames, args, window))
        except UserError as error:
            failures.append(str(error))
    write_labels(args)
    if failures:
        raise UserError(
            f"{len(failures)} of {len(videos)} videos could not be converted; run the same "
            f"command again once they are mended: {' '.join(dict.fromkeys(failures))}"
        )


def videos_of(args: argparse.Namespace) -> list[SourceVideo]:
    """The videos that the flags choose. Raises UserError for none."""
    found = find_videos(args.arf, agt=args.agt, boxes=args.boxes, test=args.test)
    chosen = choose(found, scenarios=args.scenarios, classes=args.classes)
    for flag in ("agt", "boxes"):
        without = [r.name for r in chosen if getattr(r, flag) is None]
        if getattr(args, flag) and without:
            print(f"--{flag} has no file for {', '.join(without)}")
    idle = set(args.test).difference(*({r.name, r.parsed.scenario} for r in chosen))
    if idle:
        print(f"--test {' '.join(sorted(idle))} fits none of the videos of this run")
    return chosen


def default_mapping(videos: Sequence[SourceVideo]) -> WindowRule:
    """For 8 bits: nothing where all videos have 8 bits already."""
    types = set()
    for video in videos:
        with suppress(UserError):  # reported when its turn comes
            types.add(ArfVideo(video.path).dtype)
    return AS_THEY_ARE if types == {np.dtype(np.uint8)} else DEFAULT_MAPPING


def recipe_of(args: argparse.Namespace) -> dict[str, Any]:
    """What dataset.json keeps of the flags. Where ground truth lies may change, not its use."""
    given = {name: getattr(args, name) for name in RECIPE}
    given |= {"agt": args.agt is not None, "boxes": args.boxes is not None}
    mapping = None if args.mapping is None else str(args.mapping)
    return given | {"mapping": mapping, "test": " ".join(args.test)}


def cut_of(args: argparse.Namespace) -> Cut:
    """What the flags take of each video."""
    return Cut(args.frame_step, args.chip, args.margin)


def common_window(videos: Sequence[SourceVideo], args: argparse.Namespace) -> Window | None:
    """The window that all videos share; None where counts are kept or each video has its own.

    Raises UserError where percentiles coincide, and where no video can be read.
    """
    mapping: WindowRule | None = args.mapping
    if mapping is None or mapping.kind == "percentile_video":
        return None
    if mapping.kind == "window":
        return Window(mapping.low, mapping.high)
    # What the test images look like is not for training to know.
    training = [r for r in videos if r.split != "test"] or videos
    most, values, failures = min(MOST_VALUES, MOST_OF_SET // len(training)), [], []
    for video in tqdm(training, desc="percentiles", unit="video", disable=None):
        try:
            values.append(Frames(video, cut_of(args)).sample(most=most))
        except UserError as error:  # reported once more when the video's turn comes
            failures.append(str(error))
    if not values:
        raise UserError(f"there is no video to find percentiles of: {' '.join(failures)}")
    return mapping.window(np.concatenate(values), source=f"the {len(values)} videos")


def finished_file(out: Path, video: SourceVideo) -> Path:
    """Where the rows of a finished video are kept."""
    return out / FINISHED / f"{video.name}.json"


def is_finished(out: Path, video: SourceVideo) -> bool:
    """Whether all images of a video are there, made of the file that it is now."""
    file = finished_file(out, video)
    if not file.is_file():
        return False
    record = json.loads(file.read_text())
    there = all((out / row["file"]).is_file() for row in record["rows"])
    return there and record.get("source") == state_of(video.path)


def forget(out: Path, video: SourceVideo) -> None:
    """Remove what an earlier run made of a video.

    Its mark goes last: if this is stopped, it tells the next run what is left to remove.
    """
    file = finished_file(out, video)
    if file.is_file():
        for row in json.loads(file.read_text())["rows"]:
            (out / row["file"]).unlink(missing_ok=True)
        file.unlink()


def convert(frames: Frames, args: argparse.Namespace, window: Window | None) -> str:
    """Write the images of one video, then the mark that it is finished; returns a line for people.

    Raises UserError where a frame or the disk fails; none of its images is left then.
    """
    video = frames.source
    source = state_of(video.path)
    if window is None and args.mapping is not None:
        window = args.mapping.window(frames.sample(), source=str(video.path))

    forget(args.out, video)
    folder = (args.out / video.file(1)).parent
    for leftover in folder.glob(f".{glob.escape(video.name)}_*.part"):
        leftover.unlink()  # of a run that was killed while it wrote

    def make(number: int) -> tuple[float, float]:
        image = frames.image(number)
        place = f"frame {number} of {video.path}"
        values = window.apply(image, bits=args.bits) if window else counts16(image, source=place)
        write_image(args.out / video.file(number), values)
        return window.clipped(image) if window else (0.0, 0.0)

    try:
        with (
            ThreadPoolExecutor(args.num_threads) as pool,
            tqdm(total=len(frames.numbers), desc=video.name, unit="image", disable=None) as bar,
        ):
            clipped = []
            for shares in pool.map(make, frames.numbers):
                clipped.append(shares)
                bar.update()
    except UserError:
        remove_images(frames, args.out)
        raise
    below, above = np.mean(clipped, axis=0).tolist()
    limits = (f"{window.low:.12g}", f"{window.high:.12g}") if window else ("", "")
    ends = dict(zip(WINDOW_COLUMNS, limits, strict=True))
    rows = [frames.row(number) | ends for number in frames.numbers]
    record = {"rows": rows, "below": below, "above": above, "source": source}
    write_text(finished_file(args.out, video), json.dumps(record) + "\n")
    left_out = f", {frames.skipped} frames without a target left out" if frames.skipped else ""
    return f"{video.name}: {len(rows)} images{left_out}"


def remove_images(frames: Frames, out: Path) -> None:
    """What was written of a video, and its folders where nothing else is in them."""
    files = [out / frames.source.file(number) for number in frames.numbers]
    for file in files:
        file.unlink(missing_ok=True)
    for folder in files[0].relative_to(out).parents:
        with suppress(OSError):
            (out / folder).rmdir()


def write_labels(args: argparse.Namespace) -> None:
    """labels.csv of what is there of all finished videos, and what that is in words."""
    out: Path = args.out
    finished = {file.stem: json.loads(file.read_text()) for file in (out / FINISHED).glob("*.json")}
    if not finished:
        return
    rows = [row for name in sorted(finished) for row in finished[name]["rows"]]
    rows = [row for row in rows if (out / row["file"]).is_file()]
    write_table(out / LABELS_FILE, (*COLUMNS, *WINDOW_COLUMNS), rows)
    counts = Counter(f"{row['split']} {row['class']}".strip() or "no class" for row in rows)
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()))
    videos = len({row["video"] for row in rows})
    print(f"{out}: {len(rows)} images of {videos} videos ({kinds})")
    if args.mapping is not None:
        for end in ("below", "above"):
            shares = {name: record[end] for name, record in finished.items()}
            worst = max(shares, key=shares.__getitem__)
            mean = sum(shares.values()) / len(shares)
            print(f"{mean:.2%} of the pixels lie {end} the window, {shares[worst]:.2%} in {worst}")


if __name__ == "__main__":
    run_main(main)
