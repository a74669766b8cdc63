"""The loop over images, and the files it writes."""

import json
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import chain, pairwise
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from data.annotations.write import WRITTEN
from data.datasets import ImageDataset
from data.folders import EVALUATION, TRANSLATIONS
from data.loader import Loader, naming_lost_readers
from data.preview import common_window, windowed
from data.range_use import EndsTally, percent
from data.value_map import Stored, as_image, given_value_map
from data.value_type import UINT8, ValueType
from data.writing import HostCopies, ImageWriter
from models import MODEL_OPTIONS
from models.translation import translate
from options import TestConfig, to_dict
from options.recorded import differences, recorded_options
from translating.annotations import Annotations
from translating.page import PageRow, ResultsPage
from util.batch import Batch
from util.checkpoint import run_path
from util.compute import select_compute
from util.distributed import of_each, of_first, together
from util.errors import UserError, WriteError, naming_want_of_memory
from util.files import remove_leftovers, write_text
from util.ranks import is_first, processes, rank
from util.resume import REMOVE, count_missing, refuse_changed, refuse_other_inputs
from util.seeding import seed_step

SUFFIXES = (".png", ".tiff")  # of --save_format
TRANSLATED = Path("images", TRANSLATIONS)
# Share of the pixels of fake_B, above which saturation is more than a few glints.
WORTH_A_LINE = 0.01
# Without --batch_size, on a GPU: so many images of one size a step, and so many pixels, which is
# what the memory grows with.
GPU_BATCH = 16
GPU_PIXELS = GPU_BATCH * 256 * 256
LIGHTER = (
    "bring it to less pixels (--preprocess with a smaller --load_size or --crop_size), or give a "
    "smaller --batch_size"
)


def _stored(config: TestConfig, dataset: ImageDataset) -> dict[str, Stored]:
    """How each kind of image is stored. Raises UserError for a type that colour cannot have.

    Where neither a run nor images of B tell its type, its --value_range is of --save_bits, and
    without that of the type of A.
    """
    known, ends = dataset.value_maps, config.data.value_range_B
    source = target = known["A"]
    bits = None if config.test.save_bits == "auto" else int(config.test.save_bits)
    if "B" in known:
        target = known["B"]
    elif ends != "auto":
        source_of = f"--save_bits {bits}" if bits else str(dataset.files[0].path)
        found = ValueType.from_bits(bits) if bits else source.type
        target = given_value_map(*ends, found, flag="value_range_B", source=source_of)
    files = target if bits is None else target.at_bits(bits)
    if files.type != UINT8 and config.model.output_nc > 1:
        raise UserError(
            f"fake_B would have {files.type}, which one band alone can have; "
            "use --save_bits 8 or --output_nc 1."
        )
    kinds = {"real_A": Stored(source, source), "fake_B": Stored(target, files)}
    return {**kinds, "real_B": kinds["fake_B"]} if "B" in dataset.domains else kinds


@dataclass(frozen=True)
class Made:
    """What became of one image. files: by folder and kind, as in `Finished`, from the folder of the
    results on; size: of the translation, (H, W); row: of the page.
    """

    name: str
    files: Mapping[tuple[str, str], Path]
    size: tuple[int, int]
    row: PageRow


@dataclass(frozen=True)
class Finished:
    """A translated batch: what becomes of it in files, by the folder and the kind of image.

    files: ("images", "fake_B") -> (B, 1 or 3, H, W), of the type of the files. window: (B, 2), what
    is black and white in the previews of each row; None where images are shown as they are.
    """

    names: tuple[str, ...]
    files: HostCopies[tuple[str, str]]
    window: HostCopies[None] | None


class Translation:
    """The loop over images, and the files it writes.

    Several processes take turns at the batches, and each writes the images of its own; the first
    one writes and says all else.
    source: file of the generator; annotations: of the images, None for none; teacher: digest of
    the classifier that took part in its training, if any; inputs: digests of all that the results
    are made from, by their names for people; noisy: whether the generator, a fitted sensor or one
    with such in it, adds its noise.
    """

    def __init__(
        self,
        config: TestConfig,
        generator: nn.Module,
        dataset: ImageDataset,
        *,
        source: str,
        annotations: Annotations | None,
        teacher: str | None,
        inputs: Mapping[str, str],
        noisy: bool,
    ) -> None:
        self.config, self.dataset, self.source, self.teacher = config, dataset, source, teacher
        self.annotations, self.inputs, self.noisy = annotations, inputs, noisy
        results = run_path(config.test.results_dir, config.run.name, flag="--name")
        phase = f"{config.data.phase}_{config.run.epoch}"
        self.folder = run_path(results, phase, flag="--phase")
        self.stored = _stored(config, dataset)
        run, bits = config.run, self.stored["fake_B"].files.type.bits
        self.compute = select_compute(
            run.gpu_ids, run.precision, compiled=run.compile, result_bits=bits
        )
        self.generator = self.compute.place(generator)
        self.compute.compile(self.generator, "forward")
        self.beyond = EndsTally(self.stored["real_A"].domain, beyond=True)
        self.at_ends = EndsTally(self.stored["fake_B"].domain, beyond=False)
        self.page = ResultsPage(dataset, self.stored, paired=bool(self.paired()))

    @property
    def count(self) -> int:
        """How many images are translated, the first ones."""
        total = len(self.dataset)
        return min(total, self.config.test.num_test or total)

    def expected_files(self) -> Iterator[Path]:
        """The images of all kinds, without previews."""
        for file in self.dataset.files[: self.count]:
            for kind in self.stored:
                yield self.folder / self.file_of(file.name, folder="images", kind=kind)

    def is_done(self) -> bool:
        """Whether results of these inputs and flags are there, perhaps without some images.

        Raises UserError for others in their place.
        """
        file = self.folder / "result.json"
        if not file.exists():
            return False
        way = f"choose another --results_dir or --name (NAME_PREFIX of the scripts), {REMOVE}"
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
            recorded = record.get("inputs")
            refuse_other_inputs(self.folder, recorded, self.inputs, way=way)
            options = recorded_options(record["options"], MODEL_OPTIONS)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise UserError(f"{file} cannot be read; {way}.") from None
        refuse_changed(self.folder, differences(options, self.config), way=way)
        return True

    def run(self) -> None:
        """Translate up to --num_test images and write the page; once only, with --resume."""
        if self.config.run.resume and of_first(self.is_complete):
            print(f"{self.folder} is of the same data, flags and generator: left as it is")
            return
        batch_size, most_pixels = self.batches()
        if most_pixels is None:
            self.dataset.check_batches(batch_size)
        of_first(self.clear_folder)
        print(self.values_in_words())
        total, count = len(self.dataset), self.count
        if count < total:
            more = "; --num_test all takes all" if "num_test" not in self.config.given else ""
            print(f"{count} of {total} images{more}")
        made = self.make_images()
        for tally in (self.beyond, self.at_ends):
            tally.add_others()
        of_first(partial(self.write_documents, made))
        notes = [self.page.note, *(image.row.note for image in made)]
        for note in filter(None, [next(filter(None, notes), ""), *self.range_notes()]):
            print(note)
        print(f"{count} images in {self.folder / 'images'}, page {self.folder / 'index.html'}")
        print(f"next: python evaluate.py --results {shlex.quote(str(self.folder))}")

    def is_complete(self) -> bool:
        """Whether these results are there, with all images. Raises UserError as `is_done`."""
        missing = count_missing(self.expected_files()) if self.is_done() else None
        if missing:
            print(f"{self.folder} lacks {missing} of its images: they are translated again")
        return missing == 0

    def clear_folder(self) -> None:
        """Before anything is written: what is there is no result any more.

        Raises UserError where it holds images that are to be read.
        """
        place = self.folder.resolve()
        for domain in self.dataset.domains.values():
            inside = (f.path for f in domain.files if place in f.path.resolve().parents)
            if source := next(inside, None):
                raise UserError(
                    f"{source} lies in {self.folder}, where the results go; name another "
                    "--results_dir."
                )
        try:
            (self.folder / "result.json").unlink(missing_ok=True)
        except OSError as error:
            raise WriteError(
                f"cannot write into {self.folder} ({error.strerror}); choose another --results_dir."
            ) from None
        remove_leftovers(self.folder)

    def make_images(self) -> list[Made]:
        """All of them, in their order, those of other processes too."""
        made: list[Made] = []
        bar = tqdm(
            total=self.count,
            desc=self.config.run.name,
            unit="image",
            leave=False,
            disable=None if is_first() else True,
        )
        with together(), naming_lost_readers(), bar, ImageWriter() as writer:
            batches = self.written(writer)
            while found := list(chain.from_iterable(of_each(lambda: next(batches, [])))):
                made += found
                bar.update(len(found))
        order = {file.name: place for place, file in enumerate(self.dataset.files)}
        return sorted(made, key=lambda image: order[image.name])

    def written(self, writer: ImageWriter) -> Iterator[list[Made]]:
        """The batches of this process, each once its files are on their way."""
        # A batch is fetched and written once the next is under way on the device.
        for finished, _ in pairwise(chain(self.translated(), [None])):
            yield list(self.write(finished, writer))

    def write_documents(self, made: Sequence[Made]) -> None:
        """All that is not an image, once all images are there; what is not of them is removed."""
        written = {file for image in made for file in image.files.values()}
        if self.annotations is not None:
            images = [(x.name, x.files["images", TRANSLATIONS], x.size) for x in made]
            files = self.annotations.write(self.folder, TRANSLATED, images)
            written.update(file.relative_to(self.folder) for file in files)
        self.remove_stale(written)
        total, count = len(self.dataset), self.count
        facts = {"images": f"{count} of {total}", "data": str(self.config.data.dataroot)}
        if self.paired() is False:
            facts["real_B"] = "of another scene: the images are no pairs"
        title = f"{self.config.run.name}: {self.config.data.phase}, {self.config.run.epoch}"
        rows = [image.row for image in made]
        self.page.write(self.folder / "index.html", title, facts, rows)
        self.write_record(count, total)

    def translated(self) -> Iterator[Finished]:
        """The batches of this process; nothing in it waits for a GPU."""
        batch_size, most_pixels = self.batches()
        loader = Loader(
            self.dataset,
            length=self.count,
            batch_size=batch_size,
            shuffle=False,
            seed=self.config.run.seed,
            num_threads=self.config.data.num_threads,
            device=self.compute.device,
            most_pixels=most_pixels,
            every=processes(),
        )
        with closing(loader):
            batches = loader.epoch(0, first_batch=rank())
            for number, batch in enumerate(batches):
                if self.generator.training:  # only dropout is random
                    seed_step(self.config.run.seed, rank() + number * processes())
                with naming_want_of_memory(f"{batch}, {batch.names[0]}", lighter=LIGHTER):
                    finished = self.finish(batch, self.translate(batch))
                yield finished

    def translate(self, batch: Batch) -> torch.Tensor:
        """fake_B of a batch, with the noise of the sensor where there is one."""
        fake = translate(self.generator, batch.a, self.compute, batch.box_a)
        if self.noisy:
            fake = self.generator.add_noise(fake, seed=self.config.run.seed, names=batch.names)
        return fake

    def batches(self) -> tuple[int, int | None]:
        """Images a batch, and pixels a batch if images of other sizes begin another one.

        One image without --batch_size: on the CPU, which more of them do not make faster, and where
        an image's result would depend on its batch (--no_eval).
        """
        if "batch_size" in self.config.given:
            return self.config.data.batch_size, None
        if self.compute.device.type != "cuda" or self.generator.training:
            return 1, None
        return GPU_BATCH, GPU_PIXELS

    def values_in_words(self) -> str:
        """A line for each domain, and one where --save_bits changes what a count means."""
        source, target = self.stored["real_A"], self.stored["fake_B"]
        lines = [f"{role}: {s.domain} -> [-1, 1]" for role, s in (("A", source), ("B", target))]
        if target.files != target.domain:
            lines.append(f"--save_bits: of B, {target.domain} become {target.files}")
        lines += self.dataset.box_notes()
        lines.append(f"{self.source} on {self.compute}")
        if self.compute.exact != self.compute:
            lines.append(
                f"--precision {self.compute.precision} rounds: pixels can be several of 255 counts "
                "off those of fp32, the default"
            )
        return "\n".join(lines)

    def range_notes(self) -> Iterator[str]:
        """What lies outside the value ranges, a sentence each."""
        if self.beyond.share:
            yield (
                f"{percent(self.beyond.share)} of the pixels of real_A lie beyond the value range "
                "of training: the generator has not seen such values"
            )
        if self.at_ends.share > WORTH_A_LINE:
            yield (
                f"{percent(self.at_ends.share)} of the pixels of fake_B are at the ends of its "
                "value range: they are saturated"
            )

    def remove_stale(self, written: Collection[Path]) -> None:
        """Images and annotations that are not among those `written`, figures of earlier images,
        and folders left empty.
        """
        (self.folder / EVALUATION).unlink(missing_ok=True)
        ours = [f"{kind}/**/*{suffix}" for kind in ("images", "previews") for suffix in SUFFIXES]
        for path in (path for pattern in (*ours, *WRITTEN) for path in self.folder.glob(pattern)):
            if path.relative_to(self.folder) not in written:
                path.unlink()
        for path in sorted(self.folder.rglob("*"), reverse=True):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()

    def paired(self) -> bool | None:
        """Whether real_B is the true partner of real_A; None where there is no real_B."""
        aligned = self.config.data.dataset_mode == "aligned"
        return aligned if "B" in self.dataset.domains else None

    def write_record(self, count: int, total: int) -> None:
        """result.json: where the images come from, for evaluate.py and make_pseudo_pairs.py.

        paired: whether real_B is the true partner; null where there is no real_B. teacher: of the
        generator; it must not be its judge. values: what the counts of each kind of image mean.
        beyond_range: share of real_A's pixels past the ends of its value range; at_range_ends: of
        fake_B's at the ends, where the generator saturates. inputs, options: for --resume.
        """
        record = {
            "name": self.config.run.name,
            "model": self.config.run.model,
            "epoch": self.config.run.epoch,
            "dataroot": str(self.dataset.selection.root),
            "phase": self.config.data.phase,
            "count": count,
            "total": total,
            "paired": self.paired(),
            "teacher": self.teacher,
            "values": {kind: stored.record() for kind, stored in self.stored.items()},
            "beyond_range": self.beyond.share,
            "at_range_ends": self.at_ends.share,
            "inputs": self.inputs,
            "options": to_dict(self.config),
        }
        text = json.dumps(record, indent=1) + "\n"
        write_text(self.folder / "result.json", text)

    def finish(self, batch: Batch, fake: torch.Tensor) -> Finished:
        """What the files hold is made on the device, and on its way to the host."""
        self.beyond.add(batch.a)
        self.at_ends.add(fake)
        kinds = {"real_A": batch.a, "fake_B": fake, "real_B": batch.b}
        kinds = {kind: images for kind, images in kinds.items() if images is not None}
        files = {("images", k): self.stored[k].files.counts(x) for k, x in kinds.items()}
        # Browsers show 16-bit counts as near black, and no TIFF at all.
        types = {self.stored[kind].files.type for kind in kinds}
        if types == {UINT8} and self.config.test.save_format == "png":
            return Finished(batch.names, HostCopies(files), None)
        window = common_window(list(kinds.values()))
        files |= {("previews", kind): windowed(images, window) for kind, images in kinds.items()}
        return Finished(batch.names, HostCopies(files), HostCopies({None: window}))

    def write(self, finished: Finished, writer: ImageWriter) -> Iterator[Made]:
        """Files of one batch, and their rows of the page, which shows previews if there are any."""
        files = finished.files.get()
        windows = finished.window.get()[None].tolist() if finished.window else None
        for number, name in enumerate(finished.names):
            paths, shown = {}, {}
            for (folder, kind), counts in files.items():
                path = self.file_of(name, folder=folder, kind=kind)
                image = as_image(counts[number])
                unit = self.stored[kind].files.type.unit
                writer.write(self.folder / path, image, unit=unit)
                paths[folder, kind] = path
                shown[kind] = path, image
            row = self.page.row(name, shown, window=windows[number] if windows else None)
            yield Made(name, paths, tuple(files["images", TRANSLATIONS].shape[-2:]), row)

    def file_of(self, name: str, *, folder: str, kind: str) -> Path:
        """Of one image, below the folder of the results; PNG holds no floats."""
        is_float = self.stored[kind].files.type.is_float
        suffix = "tiff" if is_float else self.config.test.save_format
        return Path(folder, kind, f"{name}.{suffix if folder == 'images' else 'png'}")
