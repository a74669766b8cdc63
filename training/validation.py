"""Which epoch is best: figures of merit on validation images, measured while a model trains."""

import math
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from data.datasets import ImageDataset
from data.loader import Loader
from metrics.attention import gcss
from metrics.distribution import kid
from metrics.paired import SSIM_WINDOW, ssim
from models.gradcam import gradcam
from models.networks.classifiers import Classifier, load_classifier
from models.translation import TranslationModel
from options import DataOptions
from util.batch import Batch, DataFacts
from util.checkpoint import digest
from util.errors import UserError

FEWEST_FOR_KID = 4  # a subset is half of a set, and the estimate is unbiased from two images on

# (B, C, H, W) in [-1, 1] and boxes (B, N, 4) or None -> (B, C', H, W), no gradient
Translate = Callable[[Tensor, Tensor | None], Tensor]


@dataclass(frozen=True)
class HeldOut:
    """Images to validate on: the same batches in the same order, as often as one iterates."""

    dataset: ImageDataset
    batch_size: int
    num_threads: int
    device: torch.device

    @classmethod
    def of(cls, dataset: ImageDataset, data: DataOptions, device: torch.device) -> "HeldOut":
        """In batches as training has them, where images come to one size."""
        # Where images keep their own sizes, two of them may not fit into one batch.
        alike = all(len(sizes) == 1 for sizes in dataset.network_sizes().values())
        return cls(dataset, data.batch_size if alike else 1, data.num_threads, device)

    def __len__(self) -> int:
        return len(self.dataset)

    def __iter__(self) -> Iterator[Batch]:
        # A loader for each pass: its processes would wait for a whole epoch otherwise.
        loader = Loader(
            self.dataset,
            batch_size=self.batch_size,
            shuffle=False,
            seed=0,
            num_threads=self.num_threads,
            device=self.device,
        )
        return loader.epoch(0)


class Validation(ABC):
    """How good a model is in its present state.

    judge: the classifier that it leans on, if any; note: what is measured on how many images, for
    people.
    """

    judge: Classifier | None
    note: str

    @abstractmethod
    def measure(self) -> dict[str, float]:
        """Figures of merit by name. Draws nothing at random, so that epochs can be compared."""

    @abstractmethod
    def score(self, values: Mapping[str, float]) -> float:
        """One number of what `measure` gave: the higher, the better."""

    def closing_words(self) -> str:
        """What of the last measurement is to be read when the run ends; "" for nothing."""
        return ""

    def documents(self) -> dict[str, str]:
        """Name and text of the files that the run's folder then gets."""
        return {}


class PairedValidation(Validation):
    """Mean SSIM of G(A) with its partner B and, with a judge, mean GCSS; the score is their mean.

    pairs: batches with `a` and `b`; judge: a frozen classifier of B's domain. Attention is compared
    for the class that it predicts on B.
    """

    def __init__(
        self, translate: Translate, pairs: HeldOut, *, judge: Classifier | None = None
    ) -> None:
        self.translate, self.pairs, self.judge = translate, pairs, judge
        self.note = f"{'SSIM and GCSS' if judge else 'SSIM'} of {len(pairs)} pairs"

    def measure(self) -> dict[str, float]:
        values: dict[str, list[Tensor]] = defaultdict(list)
        for batch in self.pairs:
            fake = self.translate(batch.a, batch.box_a)
            values["ssim"].append(ssim(_exact(fake), _exact(batch.b), data_range=2.0))
            if self.judge:
                values["gcss"].append(self._gcss(self.judge, fake, batch.b))
        return {name: float(torch.cat(parts).nanmean()) for name, parts in values.items()}

    @staticmethod
    @torch.no_grad()
    def _gcss(judge: Classifier, fake: Tensor, real: Tensor) -> Tensor:
        of_real, label = gradcam(judge, real)
        of_fake, _ = gradcam(judge, fake, label)
        return gcss(_exact(of_fake), _exact(of_real))

    def score(self, values: Mapping[str, float]) -> float:
        # GCSS is not defined where the judge sees nothing in any pair, and SSIM not for NaN.
        return fmean([v for v in values.values() if math.isfinite(v)] or [math.nan])


def _exact(images: Tensor) -> Tensor:
    """In float64, which not every device knows."""
    return images.cpu().double()


class UnpairedValidation(Validation):
    """KID between G(A) and B on the judge's features, a vector an image; the score is its negative.

    sources, targets: batches whose `a` are images of A, and of B; judge: a frozen classifier of B's
    domain. Raises UserError for too few images and without a judge.
    """

    def __init__(
        self,
        translate: Translate,
        sources: HeldOut,
        targets: HeldOut,
        *,
        judge: Classifier | None = None,
    ) -> None:
        if judge is None:
            raise UserError(
                "--val_freq compares unpaired images by the features of a classifier; name its "
                "file with --val_classifier (train one on images like B with --model classifier)."
            )
        fewest = min(len(sources), len(targets))
        if fewest < FEWEST_FOR_KID:
            raise UserError(
                f"--val_freq has {len(sources)} images of A and {len(targets)} of B, and KID needs "
                f"{FEWEST_FOR_KID} of each; add images or name others with --val_phase."
            )
        self.translate, self.judge = translate, judge
        self.sources, self.targets = sources, targets
        self.note = f"KID of {len(sources)} translations and {len(targets)} images of B"

    def measure(self) -> dict[str, float]:
        fakes = self._features(self.translate(batch.a, batch.box_a) for batch in self.sources)
        return {"kid_mwir": kid(fakes, self._target_features).mean}

    @cached_property
    def _target_features(self) -> np.ndarray:
        """They stay the same while the translation learns."""
        return self._features(batch.a for batch in self.targets)

    @torch.no_grad()
    def _features(self, images: Iterable[Tensor]) -> np.ndarray:
        """(n, D): what the judge makes of each image as a whole."""
        parts = [self.judge.embedding(self.judge.features(batch)).cpu() for batch in images]
        return torch.cat(parts).numpy()

    def score(self, values: Mapping[str, float]) -> float:
        return -values["kid_mwir"]


@dataclass
class Best:
    """The best epoch so far, as best.json and the checkpoint keep it; epoch 0: none yet.

    measured_by: phase of the images and digest of the judge; scores compare under equal ones only.
    """

    epoch: int = 0
    score: float = -math.inf
    values: dict[str, float] = field(default_factory=dict)
    measured_by: dict[str, str | None] = field(default_factory=dict)

    def offer(self, epoch: int, values: Mapping[str, float], score: float) -> bool:
        """Whether this epoch is better than all before, and from now on the best. NaN never is."""
        better = score > self.score
        if better:
            # What is undefined has no place in a JSON file.
            finite = {name: value for name, value in values.items() if math.isfinite(value)}
            self.epoch, self.score, self.values = epoch, score, finite
        return better

    def go_on(self, *, phase: str, judge: Classifier | None) -> "Best":
        """The same, to be compared with what is measured from now on.

        Raises UserError where that is measured on other images or by another judge.
        """
        by = {"phase": phase, "classifier": judge and digest(judge.net.state_dict())}
        if self.epoch and self.measured_by != by:
            raise UserError(
                f"epoch {self.epoch} of this run was found best with another --val_phase or "
                "--val_classifier; give the same, or go on without validation (--val_freq 0)."
            )
        return replace(self, measured_by=by)


def build_validation(
    model: TranslationModel,
    datasets: Sequence[ImageDataset],
    data: DataOptions,
    *,
    judge_file: str | None,
) -> Validation:
    """A validation of a translation on all images of `datasets`, as suits --dataset_mode.

    datasets: one of pairs, or one of A and one of B; judge_file: that of --val_classifier. Raises
    UserError for images that cannot be measured.
    """
    images = [HeldOut.of(found, data, model.device) for found in datasets]
    judge = None
    if judge_file:
        judge = load_judge(Path(judge_file), model.facts, device=model.device)
    if data.dataset_mode != "aligned":
        return UnpairedValidation(model.translate, *images, judge=judge)
    for (height, width), name in datasets[0].network_sizes()["A"].items():
        if min(height, width) < SSIM_WINDOW:
            raise UserError(
                f"--val_freq measures SSIM, which needs {SSIM_WINDOW} pixels a side, and {name} "
                f"comes to {width}x{height}; leave it out or choose larger sizes."
            )
    return PairedValidation(model.translate, *images, judge=judge)


def load_judge(path: Path, facts: DataFacts, *, device: torch.device) -> Classifier:
    """A trained classifier that takes images whose -1 and 1 stand for the file values of B.

    Raises UserError for a file that holds none, and for one that knows other file values.
    """
    judge, source = load_classifier(path), f"--val_classifier {path}"
    judge.require_frames(source)
    judge.expect_range(*facts.value_range, value_type=facts.value_type, source=source)
    return judge.to(device)
