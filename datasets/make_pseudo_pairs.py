"""Make the aligned dataset of Pix2Pix from results of mwir_real2cut: sim-style -> real.

    python datasets/make_pseudo_pairs.py --train results/mwir_real2cut/train_latest \\
        --test results/mwir_real2cut/test_latest --out datasets/mwir_pix2pix

takes each real image and its translation to the simulator's style, and makes

    OUT/{train_A,test_A}/...    the translations (fake_B of the results)
    OUT/{train_B,test_B}/...    the real images (real_A of the results), equal names
    OUT/labels.csv              one row an image: both of a pair have the label of the real image
    OUT/dataset.json            what the dataset was made from

The results must cover all images: `test.py --num_test all`, once with --phase train. Labels are
looked up by name in the dataset that the results were made from (--labels, or where the results say
that it is): in its labels.csv, or its class folders where the table lists nothing or is missing.
Where test.py resized the images, boxes are scaled likewise.

Images are hard links: they cost no space, and stay what they are when results are deleted or made
anew. On another disk, or where hard links are refused, they are copies, which is said. Another run
replaces the dataset; with --resume it leaves a whole one of the same images and labels as it is,
and refuses one of others.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data.annotations.forms import form_of, record_of
from data.fingerprint import digests, fingerprint
from data.folders import MARKER, ImageFile, find_images, pair_by_name, phase_folder
from data.images import read_image, read_size
from data.label_index import fit_box
from data.tables import Row
from datasets.building import (
    Item,
    build,
    copy,
    hard_link,
    items_in,
    labelled_files,
    read_marker,
    refuse_foreign,
)
from util.cli import Parser
from util.errors import UserError, run_main
from util.files import absolute
from util.resume import REMOVE, count_missing, refuse_other_inputs

SCRIPT = Path(__file__).name
RECORD_FIELDS = {"name": str, "epoch": str, "phase": str, "dataroot": str, "count": int}
Pairs = list[tuple[ImageFile, ImageFile]]


@dataclass(frozen=True)
class Result:
    """A folder that test.py wrote: result.json and images/{real_A,fake_B,...}."""

    folder: Path
    record: dict[str, Any]

    @classmethod
    def read(cls, folder: Path, *, phase: str) -> "Result":
        """Raises UserError for a folder that does not hold all images of this phase."""
        file = folder / "result.json"
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
            fits = all(isinstance(record[name], kind) for name, kind in RECORD_FIELDS.items())
            complete = fits and record["count"] >= record["total"]
        except FileNotFoundError:
            raise UserError(
                f"there is no {file}: no finished results of test.py; run test.py with "
                f"--phase {phase} --num_test all, or name the right folder with --{phase}."
            ) from None
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            fits = False
        if not fits:
            raise UserError(f"{file} cannot be read; run test.py again to write it anew.")
        if record["phase"] != phase:
            raise UserError(
                f"{folder} has results of --phase {record['phase']}, not of {phase}; "
                f"name another folder with --{phase}."
            )
        if not complete:
            raise UserError(
                f"{folder} holds {record['count']} of {record['total']} images; "
                f"run test.py with --phase {phase} --num_test all first."
            )
        return cls(folder, record)

    def pairs(self) -> Pairs:
        """(translation, real image) of equal names. Raises UserError where they do not match."""
        images = self.folder / "images"
        for kind in ("fake_B", "real_A"):
            if not (images / kind).is_dir():
                raise UserError(f"there is no folder {images / kind}; run test.py again.")
        try:
            pairs = pair_by_name(find_images(images / "fake_B"), find_images(images / "real_A"))
        except UserError as error:
            raise UserError(f"in {images}, fake_B as A and real_A as B: {error}") from None
        if len(pairs) != self.record["count"]:
            raise UserError(
                f"{images} holds {len(pairs)} images where its last run wrote "
                f"{self.record['count']}; delete {self.folder} and run test.py again."
            )
        _check_sizes(images, pairs)
        return pairs

    def labelled(self, labels: Path | None) -> Path:
        """The dataset with the labels, given or the one that the results were made from."""
        return absolute(labels or Path(self.record["dataroot"]))

    def items(self, labels: Path | None) -> list[Item]:
        """The pairs at their places in the aligned dataset. labels: see `labelled`."""
        phase, pairs, root = self.record["phase"], self.pairs(), self.labelled(labels)
        if not root.is_dir():
            raise UserError(
                f"there is no folder {root} to look labels up in; name the dataset that "
                f"{self.folder} was made from with --labels."
            )
        # As test.py finds images: of domain A, or of the folder itself.
        folder = phase_folder(root, phase, "A") or root
        fakes, reals = zip(*pairs, strict=True)
        labelled = labelled_files(root, folder, reals)
        rows = [fit_boxes(of, s, r.path) for (s, of), r in zip(labelled, reals, strict=True)]
        return items_in(phase, "A", fakes, rows) + items_in(phase, "B", reals, rows)


def _check_sizes(images: Path, pairs: Pairs) -> None:
    """Read every pair. Raises UserError for unequal sizes, listing names, or an unreadable file."""

    def sizes(pair: tuple[ImageFile, ImageFile]) -> list[str]:
        return ["{1}x{0}".format(*read_image(image.path).shape) for image in pair]

    with ThreadPoolExecutor() as pool:
        found = zip(pairs, pool.map(sizes, pairs), strict=True)
        unequal = [f"{fake.name}: {a} and {b}" for (fake, _), (a, b) in found if a != b]
    if unequal:
        raise UserError(
            f"{len(unequal)} pairs of {images} have fake_B and real_A of unequal size "
            f"({', '.join(unequal[:10])}{', ...' * (len(unequal) > 10)}); run test.py again."
        )


def fit_boxes(rows: Sequence[Row], source: Path | None, result: Path) -> tuple[Row, ...]:
    """The lines of a labelled image, with boxes in pixels of a result, which shows all of it.

    Where `source` is gone, and its size with it, boxes are unknown. Raises UserError for a box
    that is none.
    """
    size = read_size(source) if source is not None and source.is_file() else None
    return tuple(fit_box(row, f"labels of {source}", size, read_size(result)) for row in rows)


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point. Raises UserError."""
    args = parse(argv)
    named = {phase: getattr(args, phase) for phase in ("train", "test") if getattr(args, phase)}
    results = [Result.read(absolute(folder), phase=phase) for phase, folder in named.items()]
    _refuse_mixture(results)
    refuse_foreign(args.out, script=SCRIPT, sources=[result.folder for result in results])
    items = [item for result in results for item in result.items(args.labels)]
    if "test" not in named:
        print("no --test results are named: the dataset has no test images")
    inputs = {"results or labels": _fingerprint(items)}
    if args.resume and (args.out / MARKER).exists():
        way = f"choose another --out (NAME_PREFIX of the scripts), {REMOVE}"
        refuse_other_inputs(args.out, read_marker(args.out).get("inputs"), inputs, way=way)
        missing = count_missing(args.out / item.file for item in items)
        if not missing:
            print(f"{args.out} is of the same results and labels: left as it is")
            return
        print(f"{args.out} lacks {missing} of its images: it is made anew")
    record = {"made_by": SCRIPT, "results": [str(result.folder) for result in results]}
    record |= {"inputs": inputs}
    form = form_of(results[0].labelled(args.labels), "A")
    record |= record_of({"A": form, "B": form})
    print(build(args.out, items, ways=(hard_link, copy), record=record))


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Arguments. Raises UserError."""
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--train", type=Path, required=True, metavar="DIR", help="results of all train images")
    add("--test", type=Path, metavar="DIR", help="results of all test images")
    add("--out", type=Path, required=True, metavar="DIR", help="the dataset to make")
    add("--labels", type=Path, metavar="ROOT", help="dataset with the labels, if it was moved")
    add("--resume", action="store_true", help="leave pairs of the same images; refuse others")
    return parser.parse_args(argv)


def _fingerprint(items: Sequence[Item]) -> str:
    """Of place, label and content of each image."""
    contents = digests([item.source for item in items])
    labels = ["\n".join(json.dumps(row, sort_keys=True) for row in item.rows) for item in items]
    return fingerprint(
        (item.file, item.split, label, content)
        for item, label, content in zip(items, labels, contents, strict=True)
    )


def _refuse_mixture(results: Sequence[Result]) -> None:
    """Raises UserError where the results come from more than one generator."""
    made_by = {f"{r.record['name']}, epoch {r.record['epoch']}" for r in results}
    if len(made_by) > 1:
        raise UserError(
            f"the results come from several generators ({' and '.join(sorted(made_by))}); "
            "train and test pairs need one: run test.py again with one --name and --epoch."
        )


if __name__ == "__main__":
    run_main(main)
