"""Find the images that training would stop at, or learn nothing from, before it starts.

    python datasets/scan.py --images data/trainA data/trainB --out bad.csv

decodes every image in these folders and below, with the reader that training uses, and lists

    empty           a file of no bytes
    unreadable      no image, of a kind that is not supported, or one that may not be read
    truncated       an image that breaks off or cannot be decoded
    several images  a TIFF stack, an animation and the like; see split_pages.py
    not finite      floats with NaN or infinite pixels
    constant        all pixels have one value
    wrong size      not --size or, without it, not the size of most images of its folder
    wrong depth     not --bits or, without it, not the type of most; floats of another unit, too
    bytes swapped   counts of 16 bits that are much smoother with their bytes swapped
    counts inside   a JPEG of a FLIR camera: the picture is read, the counts inside are not

Files of kinds that are not read are counted, and are no fault. The exit code is 0 where there is
none, 1 where there is one, 2 for a folder that cannot be searched. Training with --on_bad_image
skip leaves out what it would stop at: what is empty, unreadable, truncated, not finite, several
images or of another depth; sizes only where a pair or the crop needs others; the others never.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data.folders import find_images, unread_note
from data.tables import write_table
from util.cli import Parser
from util.errors import run_main
from util.files import check_writable

if TYPE_CHECKING:
    from data.faults import Fault, Size

COLUMNS = ("file", "fault", "reason")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Arguments. Raises UserError."""
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--images", type=Path, nargs="+", required=True, metavar="DIR", help="folders, each a set")
    add("--size", type=_size, metavar="WxH", help="that all images must have, such as 640x512")
    add("--bits", type=int, choices=(8, 16, 32), help="that all images must have; 32: floats")
    add("--out", type=Path, metavar="CSV", help="table to write: file, fault, reason")
    return parser.parse_args(argv)


def _size(text: str) -> "Size":
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"'{text}' is no size such as 640x512")
    return int(height), int(width)


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point. Leaves with 1 where there are faults. Raises UserError."""
    args = parse(argv)
    # Only now, as it takes seconds: --help and a wrong flag are answered without.
    from data.faults import find_faults

    if args.out:
        check_writable(args.out)
    sets = {folder: [file.path for file in find_images(folder)] for folder in args.images}
    faults = [
        fault
        for paths in sets.values()
        for fault in find_faults(paths, size=args.size, bits=args.bits)
    ]
    if args.out:
        rows = (dict(zip(COLUMNS, (str(f.path), f.kind, f.reason), strict=True)) for f in faults)
        write_table(args.out, COLUMNS, rows)
    for fault in faults:
        print(f"{fault.kind + ':':15} {fault.reason}")
    for folder in sets:
        if note := unread_note(folder):
            print(f"{folder}: {note}")
    print(_summary(sum(map(len, sets.values())), faults))
    if faults:
        raise SystemExit(1)


def _summary(images: int, faults: "Sequence[Fault]") -> str:
    kinds = Counter(fault.kind for fault in faults)
    found = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    files = len({fault.path for fault in faults})
    return f"{images:,} images: " + (f"{files:,} with faults ({found})" if faults else "no fault")


if __name__ == "__main__":
    run_main(main)
