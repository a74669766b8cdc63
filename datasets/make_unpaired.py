"""Make the unpaired datasets of CUT from real and simulated images, as links.

    python datasets/make_unpaired.py --real data/real --sim data/sim --out datasets

reads REAL/{train,test}/... and SIM/{train,test}/..., val too, folders below kept, and makes

    OUT/mwir_real2cut/{train_A,train_B,test_A,test_B}    A real, B simulated
    OUT/mwir_sim2cut/{train_A,train_B,test_A,test_B}     A simulated, B real
    .../labels.csv      one row an image: file, split, class and whatever the images' own tables say
    .../dataset.json    what the dataset was made from

A labels.csv is looked for in REAL and in the folder above it, or boxes in another format (see
docs/DATA.md), likewise for SIM. It decides where it lists images of that folder: an image that it
leaves out has no class. Where it lists none, or is one of boxes without a column class, or there is
no table, the first folder below train or test is the class. Lines of images that are not there are
told; a table of which no line fits is refused.

Both domains need train images. A test folder may be missing: what would come from it is left out,
which is said; and a val folder is for `--val_freq`. Images are linked relatively, so that images
and datasets can be moved together; on a file system without symbolic links they are hard links or
copies, which is said too. Another run brings the datasets up to date with the images.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data.annotations.forms import form_of, record_of
from data.folders import LABELS_FILE, ImageFile, find_images, unread_note
from data.tables import Row
from datasets.building import (
    build,
    check_table,
    copy,
    hard_link,
    items_in,
    label_rows,
    refuse_foreign,
    symbolic_link,
)
from util.cli import Parser
from util.errors import UserError, run_main
from util.files import absolute

SCRIPT = Path(__file__).name
SPLITS = ("train", "val", "test")
# Dataset -> the domains that are its A and its B.
DATASETS = {"mwir_real2cut": ("real", "sim"), "mwir_sim2cut": ("sim", "real")}


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point. Raises UserError."""
    args = parse(argv)
    roots = {"real": absolute(args.real), "sim": absolute(args.sim)}
    if roots["real"].resolve() == roots["sim"].resolve():
        raise UserError(f"--real and --sim are one folder, {args.real}; name two.")
    folders = {name: args.out / f"{args.prefix}{name}" for name in DATASETS}
    for folder in folders.values():
        refuse_foreign(folder, script=SCRIPT, sources=list(roots.values()))
    found = {domain: find_domain(root, flag=f"--{domain}") for domain, root in roots.items()}
    record = {"made_by": SCRIPT, **{domain: str(root) for domain, root in roots.items()}}
    forms = {domain: form_of(root) for domain, root in roots.items()}
    for name, domains in DATASETS.items():
        items = [
            item
            for letter, domain in zip("AB", domains, strict=True)
            for split, (files, rows) in found[domain].items()
            for item in items_in(split, letter, files, rows)
        ]
        of = record_of(
            {letter: forms[domain] for letter, domain in zip("AB", domains, strict=True)}
        )
        ways = (symbolic_link, hard_link, copy)
        print(build(folders[name], items, ways=ways, record=record | of))


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Arguments. Raises UserError."""
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--real", type=Path, required=True, metavar="DIR", help="real images: train/ and test/")
    add("--sim", type=Path, required=True, metavar="DIR", help="simulated images, likewise")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for the two datasets")
    add("--prefix", default="", metavar="TEXT", help="how the names of the datasets begin")
    return parser.parse_args(argv)


def find_domain(
    root: Path, *, flag: str
) -> dict[str, tuple[list[ImageFile], list[tuple[Row, ...]]]]:
    """Split -> the images of one domain and the lines of each in labels.csv.

    Raises UserError where there are no train images.
    """
    found = {}
    for split in SPLITS:
        folder = root / split
        if folder.is_dir():
            files = find_images(folder)
            found[split] = files, label_rows(root, folder, files)
            if note := unread_note(folder):
                print(f"{folder}: {note}")
            if (folder / LABELS_FILE).is_file():
                print(
                    f"{folder / LABELS_FILE} is not read: one table in {root}, or above it, lists "
                    "the images of train/ and test/"
                )
        elif split == "train":
            raise UserError(
                f"there is no folder {folder}; divide the images of {flag}, by whole recordings, "
                "into train/ and test/ (docs/DATA.md says how)."
            )
        elif split == "test":
            print(f"there is no folder {folder}: the datasets have no {split} images of {flag}")
    note = check_table(root, [file for files, _ in found.values() for file in files])
    if note:
        print(note)
    return found


if __name__ == "__main__":
    run_main(main)
