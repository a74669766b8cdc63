"""The other kind of run: a fit, at once and in closed form, where others take epochs and steps."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from data.build import build_training_datasets
from data.datasets import Domain
from data.fingerprint import image_fingerprint
from data.raw import RawImages
from data.transforms import Preprocessing
from metrics.sensor_fit import fit_sensor
from metrics.target_fit import fit_targets
from models import flag_of_boxes
from options import DisplayOptions, TrainConfig, TrainingOptions
from training import messages
from training.lock import RunLock
from training.record import TRAINING_IMAGES, range_uses, run_record, this_start
from training.repeat import compared
from training.run_folder import RunFolder
from util.device import hardware
from util.errors import UserError

# Options that mean nothing to a fit.
IDLE = frozenset(item.name for group in (TrainingOptions, DisplayOptions) for item in fields(group))
IDLE |= {"batch_size", "compile", "no_flip", "precision", "serial_batches"}
# Images of a domain that are looked at, spread over the set: they tell deviations between images
# within 3 %, and all else better; each takes a third of a second at 640x512 pixels.
MOST = 500


@dataclass(frozen=True)
class WholeImages:
    """Images of a domain in their order, each (bands, H, W) as test.py shows it to a generator."""

    domain: Domain
    preprocessing: Preprocessing

    @property
    def places(self) -> range:
        """Those of the images that are looked at among all of them."""
        count = len(self.domain.files)
        return range(0, count, -(-count // MOST))

    def __iter__(self) -> Iterator[Tensor]:
        """Raises UserError for a bad image."""
        return (image for image, _ in self.with_boxes())

    def with_boxes(self) -> Iterator[tuple[Tensor, np.ndarray]]:
        """Each with the boxes (N, 4) of its targets, as far as they are read."""
        nothing_random = np.random.default_rng(0)
        for place in self.places:
            raw = self.domain.sample(place, self.preprocessing, nothing_random)
            yield self.domain.prepare(RawImages.of([raw]))[0], raw.boxes


def fit(config: TrainConfig, folder: RunFolder, lock: RunLock) -> None:
    """Fit a sensor to the training images of A and B; it becomes the generator of the run.

    The folder is made once it is there. Raises UserError for a folder with a run in it, flags that
    ask for something else than a fit, and images that it cannot use.
    """
    _require_possible(config)
    folder.require_new()
    dataset, _ = build_training_datasets(
        config.data,
        config.model,
        seed=config.run.seed,
        full_size_after=0,
        value_maps={},
        left_out={},
        boxes_for=flag_of_boxes(config.run.model, config.model),
    )
    preprocessing = Preprocessing.from_options(config.data, training=False)
    images = {role: WholeImages(d, preprocessing) for role, d in dataset.domains.items()}
    messages.say(
        lock.note,
        messages.left_out(dataset.left_out),
        messages.fitted_images(config.run, dataset, {r: len(i.places) for r, i in images.items()}),
        messages.value_ranges(dataset, range_uses(dataset)),
        messages.no_effect(sorted(config.given & IDLE - {"like"})),
    )
    real = dataset.domains["B"].value_map
    # Of whole numbers two grey levels are one apart; floats are not rounded.
    step = 0.0 if real.type.is_float else 2 / (real.high - real.low)
    sensor = fit_sensor(images["A"], images["B"], step=step)
    if config.model.fit_target:
        fit_targets(sensor, images["A"].with_boxes(), images["B"].with_boxes())
    lock.take()
    inputs = {TRAINING_IMAGES: image_fingerprint(dataset)}
    record = run_record(
        config,
        dataset,
        starts=[this_start(hardware(torch.device("cpu")))],
        inputs=inputs,
        left_out=dataset.left_out,
    )
    folder.begin(record, continued=False)
    folder.save_networks("latest", {"G": sensor.state_dict()})
    folder.mark_finished(epochs=0)
    messages.say(
        compared(config, record),
        messages.fitted_sensor(sensor, real),
        messages.finished(folder, config.run, config.data),
    )


def _require_possible(config: TrainConfig) -> None:
    name = config.run.model
    if config.training.continue_train:
        raise UserError(
            f"--model {name} is fitted at once, and there is nothing to go on with; leave "
            "--continue_train out."
        )
    if config.data.dataset_mode != "unaligned":
        raise UserError(
            f"--model {name} cannot learn from --dataset_mode {config.data.dataset_mode}; use "
            "unaligned."
        )
