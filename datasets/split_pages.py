"""Make a file of each image in files that hold several: TIFF stacks, animations, arrays.

    python datasets/split_pages.py --images recordings --out data/real/train

reads every image file in IMAGES and below and writes

    OUT/<folders>/<name>_0001.png       the images of a file with several, in their order
    OUT/<folders>/<name>.png            the image of a file with one

with values and depth as they are, floats as TIFF with their unit. Without a table of labels, the
images of one file are then of one group (the name less the number), which no split divides, and the
first folder is the class. What cannot be read is reported at the end, exit code 2, after all others
are done.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data.folders import ImageFile, find_images, unread_note
from data.images import count_pages, read_pages, read_type, write_image
from datasets.building import is_free
from util.cli import Parser
from util.errors import UserError, run_main


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Arguments, checked. Raises UserError."""
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--images", type=Path, required=True, metavar="DIR", help="the files to split")
    add("--out", type=Path, required=True, metavar="DIR", help="a new folder for the images")
    args = parser.parse_args(argv)
    if args.out.resolve().is_relative_to(args.images.resolve()):
        raise UserError(
            f"--out {args.out} lies in {args.images}, among the images; choose another."
        )
    if not is_free(args.out):
        raise UserError(f"--out {args.out} exists; delete it or choose another.")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point. Raises UserError."""
    args = parse(argv)
    files = find_images(args.images)
    if note := unread_note(args.images):
        print(f"{args.images}: {note}")
    made: set[Path] = set()
    failures = []
    for file in tqdm(files, unit="file", disable=None):
        try:
            unit = read_type(file.path).unit
            for path, image in split(file, args.out):
                if path in made:
                    raise UserError(f"two images would be {path}; rename {file.path}.")
                write_image(path, image, unit=unit)
                made.add(path)
        except UserError as error:
            failures.append(str(error))
    print(f"{args.out}: {len(made):,} images of {len(files) - len(failures):,} files")
    if failures:
        raise UserError(
            f"{len(failures)} of {len(files)} files could not be split: {' '.join(failures)}"
        )


def split(file: ImageFile, out: Path) -> Iterator[tuple[Path, np.ndarray]]:
    """Each image of a file, and where it goes. Raises UserError where it cannot be read."""
    pages = count_pages(file.path)
    digits = max(4, len(str(pages)))
    for number, image in enumerate(read_pages(file.path), 1):
        end = f"_{number:0{digits}}" if pages > 1 else ""
        suffix = ".tiff" if image.dtype == np.float32 else ".png"
        yield out / f"{file.name}{end}{suffix}", image


if __name__ == "__main__":
    run_main(main)
