"""Make training images of a simulator's exports, and a table of the conditions in their names.

    python datasets/prepare_sim.py --sim oktal/export --out data/sim --test hour 20

reads every image in SIM and below, one band of 8 bits, 16 bits or floats, or 24 bits with three
equal bands, and writes

    OUT/<folders>/<name>.png            one band, values as they are; .tiff where they are floats
    OUT/{train,test}/...                with --test, or where SIM has the folders train and test
    OUT/labels.csv                      one row an image, or one a vehicle where there are several:
                                        file, split, class, group, the conditions: weather, season,
                                        hour, aspect_deg, range_m, and box_x, box_y, box_w, box_h,
                                        box_confidence (0 to 1), box_source, and the further
                                        columns of a table in SIM
    OUT_boxes.png                       images with their boxes, from the least sure to the surest
    OUT/dataset.json                    the flags that decided where images go, the format that
                                        boxes came in, and of which file each image was made

Conditions are read from names such as rain_fall_20hr_70deg_500m_24bit.png; of another name their
cells are empty, which is said. The class is the first folder below SIM, or below its train or test;
without one it is unknown. A group is a scene: images whose conditions differ in aspect alone. What
a table in SIM says of an image goes before its name and folders, but for its split: where an image
lies in OUT is for --test and the folders of SIM to say.

Boxes are those of --masks DIR: images of the same names, 0 where there is no vehicle; else of a
table in SIM (labels.csv, COCO, YOLO or Pascal VOC; see docs/DATA.md). Else the vehicle is what
stands out most in the picture, where that is sure enough (--min_confidence): look at the sheet.

--test COLUMN VALUE ... holds out all images of these conditions: --test hour 20, or --test
aspect_deg 70 80 90. Neighbouring aspects of a scene are much alike, so hold out a sector of them,
not single ones; an hour, a weather or a range leaves nothing alike on both sides.

A run that was interrupted goes on; images that changed since are made anew. Other exports can be
added later by the same flags: earlier images that are still there keep their lines. Two exports of
one name are refused. A colour image is refused: simulators paint temperatures in false colours,
from which they do not come back. What cannot be read is reported at the end, exit code 2, after all
others are done.
"""

import argparse
import os
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data.annotations.find import find_annotations
from data.annotations.forms import form_of, record_of
from data.folders import LABELS_FILE, ImageFile, find_images, unread_note
from data.images import read_image, read_size, read_type, write_image
from data.label_index import Box, fit_box, read_box
from data.labels import by_image, class_of, class_of_folder, common_cell, has_box
from data.splits import spread
from data.tables import (
    BOX_COLUMNS,
    SIZE_COLUMNS,
    Line,
    Row,
    Table,
    number_text,
    read_table,
    write_table,
)
from datasets.recipe import read_record, state_of, write_record
from datasets.sheets import sheet, tile
from datasets.silhouettes import find_silhouette, mask_boxes
from util.cli import Parser
from util.errors import UserError, run_main
from util.files import absolute, check_writable

SCRIPT = Path(__file__).name
CONDITIONS = ("weather", "season", "hour", "aspect_deg", "range_m")
NUMBERS = ("hour", "aspect_deg", "range_m")
SURENESS = ("box_confidence", "box_source")
COLUMNS = ("file", "split", "class", "group", *CONDITIONS, *BOX_COLUMNS, *SURENESS)
# Columns of a table that are found anew for the image that is written.
FOUND = frozenset({"file", "split", *BOX_COLUMNS, *SURENESS, *SIZE_COLUMNS})
SHEET = (8, 6)  # images across and down
SHEET_SIDE = 256  # of its images: smaller ones are enlarged so far, by a whole number
SPLITS = ("train", "val", "test")
NUMBER = r"[0-9]+(?:\.[0-9]+)?"
NAME = re.compile(
    rf"(?P<weather>[^_]+)_(?P<season>[^_]+)_(?P<hour>{NUMBER})hr_(?P<aspect_deg>-?{NUMBER})deg"
    rf"_(?P<range_m>(?=[0.]*[1-9]){NUMBER})m(_.*)?"
)
THREADS = min(8, os.cpu_count() or 1)

Source = list[str | int]  # path, size and time of change of an export


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Arguments, checked. Raises UserError."""
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--sim", type=Path, required=True, metavar="DIR", help="the simulator's images")
    add("--out", type=Path, required=True, metavar="DIR", help="the dataset to make or go on with")
    add("--test", nargs="+", metavar=("COLUMN", "VALUE"), help="conditions of the test set")
    add("--num_threads", type=int, default=THREADS, help="images made at a time")
    add("--masks", type=Path, metavar="DIR", help="masks of the vehicles, of the images' names")
    add("--min_confidence", type=float, default=0.8, help="below it an image gets no box")
    args = parser.parse_args(argv)
    if not 0 <= args.min_confidence <= 1:
        raise UserError(f"--min_confidence is {args.min_confidence}; it lies between 0 and 1.")
    if args.num_threads < 1:
        raise UserError(f"--num_threads is {args.num_threads}; it must be 1 or more.")
    if args.test and (args.test[0] not in CONDITIONS or len(args.test) == 1):
        raise UserError(
            f"--test {' '.join(args.test)} is no condition; give one of {', '.join(CONDITIONS)} "
            "and its values."
        )
    if not args.sim.is_dir():
        raise UserError(f"there is no folder {args.sim}; check --sim.")
    if args.out.resolve().is_relative_to(args.sim.resolve()):
        raise UserError(f"--out {args.out} lies in {args.sim}, among the images; choose another.")
    if args.masks is not None and args.sim.resolve().is_relative_to(args.masks.resolve()):
        raise UserError(
            f"--sim {args.sim} lies in --masks {args.masks}; name the masks' own folder."
        )
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point. Raises UserError."""
    args = parse(argv)
    files = find_images(args.sim)
    if args.masks is not None:  # which may lie among the images
        masks = args.masks.resolve()
        files = [f for f in files if not f.path.parent.resolve().is_relative_to(masks)]
    if note := unread_note(args.sim):
        print(f"{args.sim}: {note}")
    table = find_annotations(args.sim)
    rows = plan(files, args.test, by_image(table.lines) if table else {})
    boxes = Boxes.find(table, args.masks, least=args.min_confidence)
    earlier = begin(args, sources_of(files, rows))

    def convert(job: tuple[ImageFile, Row]) -> list[Row] | UserError:
        file, row = job
        try:
            lines = [row | cells for cells in boxes.cells(file)]
            write_one_band(file.path, args.out / row["file"])
            return lines
        except UserError as error:
            return error

    with ThreadPoolExecutor(args.num_threads) as pool:
        results = pool.map(convert, zip(files, rows, strict=True))
        results = list(tqdm(results, total=len(files), unit="image", disable=None))
    made = {lines[0]["file"]: lines for lines in results if not isinstance(lines, UserError)}
    kept = {file: lines for file, lines in earlier.items() if (args.out / file).is_file()}
    images = [lines for _, lines in sorted((kept | made).items())]
    lines = [row for lines in images for row in lines]
    columns = tuple(dict.fromkeys((*COLUMNS, *(name for row in lines for name in row))))
    write_table(args.out / LABELS_FILE, columns, lines)
    print(summary(args.out, [lines[0] for lines in images], earlier=len(kept.keys() - made.keys())))
    write_sheet(args.out, images)
    failures = [str(error) for error in results if isinstance(error, UserError)]
    if failures:
        raise UserError(
            f"{len(failures)} of {len(files)} images could not be converted: {' '.join(failures)}"
        )


def begin(args: argparse.Namespace, sources: Mapping[str, Source]) -> dict[str, list[Row]]:
    """Write dataset.json, remove images of exports that changed; returns the lines of earlier runs.

    What is there then is of the very files that dataset.json names, whenever a run is stopped.
    sources: as of `sources_of`. Raises UserError for a folder that cannot be gone on with.
    """
    recipe = {"test": " ".join(args.test or [])}
    before = read_record(args.out, script=SCRIPT, recipe=recipe).get("sources", {})
    refuse_taken(args.out, before, sources)
    earlier, form = earlier_lines(args.out), record_of({"": form_of(args.sim)})
    check_writable(args.out / LABELS_FILE)
    for file, source in sources.items():
        if before.get(file) != source:
            (args.out / file).unlink(missing_ok=True)
    known = {**before, **sources}
    write_record(args.out, {"made_by": SCRIPT, "recipe": recipe, **form, "sources": known})
    return earlier


def sources_of(files: Sequence[ImageFile], rows: Sequence[Row]) -> dict[str, Source]:
    """Image, as `rows` call it -> its export, where that is there."""
    sources = {}
    for file, row in zip(files, rows, strict=True):
        with suppress(UserError):  # of what leads nowhere; reported when its turn comes
            sources[row["file"]] = [str(absolute(file.path)), *state_of(file.path)]
    return sources


def refuse_taken(out: Path, before: Mapping[str, Source], sources: Mapping[str, Source]) -> None:
    """Raises UserError for images that would replace those of other exports, which are there yet.

    before, sources: as of `sources_of`, of earlier runs and of this one.
    """
    taken = [
        (source[0], before[file][0])
        for file, source in sources.items()
        if file in before and (out / file).exists() and _is_another(before[file][0], source[0])
    ]
    if taken:
        raise UserError(
            f"{len(taken)} images would replace those that {out} has of other exports, such as "
            f"{taken[0][0]} that of {taken[0][1]}; rename them or choose another --out."
        )


def _is_another(known: str, new: str) -> bool:
    return known != new and Path(known).is_file() and not Path(known).samefile(new)


def earlier_lines(out: Path) -> dict[str, list[Row]]:
    """Image -> its lines in the labels.csv of earlier runs. Raises UserError for a broken table."""
    table = out / LABELS_FILE
    images: dict[str, list[Row]] = {}
    for line in read_table(table).lines if table.is_file() else ():
        images.setdefault(line.row["file"], []).append(dict.fromkeys(COLUMNS, "") | line.row)
    return images


@dataclass(frozen=True)
class Boxes:
    """Where boxes come from. known: image -> lines of a table; masks: by the image's name.

    least: confidence below which an image gets no box.
    """

    known: Mapping[Path, Sequence[Line]]
    masks: Mapping[str, Path] | None
    least: float

    @classmethod
    def find(cls, table: Table | None, masks: Path | None, *, least: float) -> "Boxes":
        """table: of the exports. Raises UserError for a folder without masks."""
        lines = by_image(table.lines) if table else {}
        # A labels.csv may tell other things; other formats tell of every image that they list.
        known = {
            file: of
            for file, of in lines.items()
            if table.format != "csv" or any(has_box(line.row) for line in of)
        }
        found = None if masks is None else {m.name: m.path for m in find_images(masks)}
        return cls(known, found, least)

    def cells(self, file: ImageFile) -> list[Row]:
        """Of each box of an image: those that labels.csv has for it, one of no box for none.

        Raises UserError for a missing mask.
        """
        if self.masks is not None:
            if file.name not in self.masks:
                raise UserError(f"{file.path} has no mask of its name in --masks; add it.")
            boxes = mask_boxes(read_image(self.masks[file.name]))
            return [box_cells(box) | {"box_source": "mask"} for box in boxes] or [{}]
        lines = self.known.get(absolute(file.path))
        return [_told(line) for line in lines] if lines else [self._segmented(file)]

    def _segmented(self, file: ImageFile) -> Row:
        image = read_image(file.path)
        found = find_silhouette(image if image.ndim == 2 else image[..., 0])
        if found is None:
            return {}
        told = {"box_confidence": f"{found.confidence:.3f}"}
        if found.confidence < self.least:
            return told
        return told | box_cells(found.box) | {"box_source": "segmentation"}


def _told(line: Line) -> Row:
    """The cells of a table's line that are for labels.csv, its box in pixels of the image.

    Of its further columns empty ones too: another line of the image may tell of another vehicle.
    """
    size = read_size(line.file)
    box = read_box(fit_box(line.row, line.place, size, size), line.place)
    cells = {
        c: text for c, text in line.row.items() if c not in FOUND and (text or c not in COLUMNS)
    }
    if box is None:
        return cells
    source = line.row.get("box_source") or "table"
    sureness = {"box_confidence": line.row.get("box_confidence", ""), "box_source": source}
    return cells | box_cells(box) | sureness


def box_cells(box: Box) -> Row:
    """As labels.csv has them."""
    return dict(zip(BOX_COLUMNS, map(number_text, box), strict=True))


def write_sheet(out: Path, images: Sequence[Sequence[Row]]) -> None:
    """OUT_boxes.png, spread over all images, and a line on how many have a box."""
    boxed = [found for lines in images if (found := list(filter(has_box, lines)))]
    sources = Counter(lines[0]["box_source"] or "table" for lines in boxed)
    kinds = ", ".join(f"{count} by {source}" for source, count in sources.items())
    told = f" ({kinds})" if kinds else ""
    if boxed:
        boxed.sort(key=lambda lines: _confidence(lines[0]))
        across, down = SHEET
        chosen = [boxed[place] for place in spread(range(len(boxed)), across * down)]
        tiles = [
            tile(
                read_image(out / lines[0]["file"]),
                [read_box(row, LABELS_FILE) for row in lines],
                side=SHEET_SIDE,
            )
            for lines in chosen
        ]
        path = absolute(out).with_name(f"{absolute(out).name}_boxes.png")
        write_image(path, sheet(tiles, columns=across))
        told += f"; look at {path}"
    print(f"{len(boxed)} of {len(images)} images have a box{told}")


def _confidence(row: Row) -> float:
    """Of its box; 1 where none is told in numbers."""
    with suppress(ValueError):
        return float(row["box_confidence"])
    return 1.0


def plan(
    files: Sequence[ImageFile], test: Sequence[str] | None, told: Mapping[Path, Sequence[Line]]
) -> list[Row]:
    """The lines of labels.csv, without boxes.

    told: the lines of a table on each image. Raises UserError where `test` makes no split, and for
    lines that contradict each other on an image.
    """
    of = [told.get(absolute(file.path), ()) for file in files]
    rows = [row_of(file, lines) for file, lines in zip(files, of, strict=True)]
    if not test:
        for row, lines in zip(rows, of, strict=True):
            row["split"] = row["split"] or common_cell(lines, "split").lower()
        return rows
    column, *words = test
    values = {cell(column, word) for word in words}
    if any(row["split"] for row in rows):
        raise UserError("the folders train and test split the images already; leave --test out.")
    held_out = sum(cell(column, row[column]) in values for row in rows)
    if not 0 < held_out < len(rows):
        found = ", ".join(sorted({row[column] for row in rows} - {""}))
        raise UserError(
            f"--test {' '.join(test)} holds out {held_out} of {len(rows)} images, which leaves one "
            f"side empty; the images have {column} {found or 'nowhere'}."
        )
    for row in rows:
        row["split"] = "test" if cell(column, row[column]) in values else "train"
        row["file"] = f"{row['split']}/{row['file']}"
    return rows


def row_of(file: ImageFile, lines: Sequence[Line]) -> Row:
    """The line of an image, by its folders, its name, and the lines of a table on it."""
    first, _, rest = file.name.partition("/")
    split, name = (first, rest) if rest and first in SPLITS else ("", file.name)
    row = dict.fromkeys(COLUMNS, "")
    row |= {"file": f"{file.name}{_suffix(file.path)}", "split": split}
    row["class"] = class_of_folder(ImageFile(file.path, name))
    match = NAME.fullmatch(name.split("/")[-1])
    if match:
        row |= {column: cell(column, match[column]) for column in CONDITIONS}
        row["group"] = "{weather}_{season}_{hour}hr_{range_m}m".format(**row)
    return row | cells_of(lines) | {"class": class_of(lines) or row["class"]}


def cells_of(lines: Sequence[Line]) -> Row:
    """What a table's lines on an image fill, the first of each column, but for those of FOUND."""
    cells = (item for line in reversed(lines) for item in line.row.items())
    return {column: text for column, text in cells if text and column not in FOUND}


def _suffix(source: Path) -> str:
    """Of the image that is made; one that cannot be read is for `prepare` to tell of."""
    with suppress(UserError):
        return ".tiff" if read_type(source).is_float else ".png"
    return ".png"


def cell(column: str, text: str) -> str:
    """A condition as labels.csv has it: numbers in one way of writing."""
    try:
        return number_text(float(text)) if column in NUMBERS else text
    except ValueError:
        return text


def write_one_band(source: Path, target: Path) -> None:
    """Write the image's one band, unless that was done.

    Raises UserError for an unreadable image and for one in colour.
    """
    if target.exists():
        return
    image = read_image(source)
    if image.ndim == 3:
        difference = int(np.ptp(image, axis=2).max())
        if difference:
            raise UserError(
                f"{source} is in colour (its bands differ by up to {difference}); export grey."
            )
        image = image[..., 0]
    write_image(target, np.ascontiguousarray(image), unit=read_type(source).unit)


def summary(out: Path, rows: Sequence[Row], *, earlier: int) -> str:
    """How many images there are, what is unknown, and what training and test images share.

    earlier: how many of them are of earlier runs alone.
    """
    counts = Counter(row["split"] for row in rows)
    splits = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()) if name)
    parts = [f"{out}: {len(rows)} images" + (f" ({splits})" if splits else "")]
    if earlier:
        parts.append(f"{earlier} of them are of earlier runs")
    unknown = [row["file"] for row in rows if not row["group"]]
    if unknown:
        parts.append(f"the names of {len(unknown)} tell no conditions, such as {unknown[0]}")
    scenes = {name: {row["group"] for row in rows if row["split"] == name} for name in counts}
    shared = (scenes.get("train", set()) & scenes.get("test", set())) - {""}
    if shared:
        parts.append(f"{len(shared)} scenes are in both train and test, by other aspects")
    return "; ".join(parts)


if __name__ == "__main__":
    run_main(main)
