"""From flags to a translation that is ready to run."""

from functools import partial
from pathlib import Path

from torch import Tensor, nn

from data.build import build_test_dataset
from data.fingerprint import image_fingerprint
from models import MODEL_OPTIONS
from models.networks import load_weights
from models.networks.sensor import heeds_boxes, sensor_of
from models.translation import make_generator
from options import TestConfig, tested_options
from training.run_folder import RunFolder
from translating.annotations import Annotations
from translating.loop import Translation
from translating.trained import Trained, require_generator
from util.checkpoint import digest, load
from util.device import require_a_process_a_gpu
from util.distributed import of_first
from util.errors import UserError


def begin(config: TestConfig) -> Translation:
    """The generator of the run, or of --weights, and the images. Raises UserError."""
    require_a_process_a_gpu(config.run.gpu_ids)
    if config.test.weights is None:
        bare = ", or give a bare state dict with --weights"
        folder = RunFolder.of(config.run.checkpoints_dir, config.run.name, otherwise=bare)
        trained = Trained.of(folder, config.run.epoch)
        try:
            config = tested_options(config, trained.record["options"], MODEL_OPTIONS)
        except ValueError as error:
            raise UserError(f"{folder.path}: {error}.") from None
        generator, value_maps = trained.generator, trained.value_maps
        source, teacher = str(trained.source), trained.record.get("teacher")
    else:
        require_generator(config)
        source, value_maps, teacher = config.test.weights, {}, None
        weights = load(Path(source), hint="check --weights")
        generator = make_generator(config.model)
        load_weights(generator, weights, source=source)
    sensor = sensor_of(generator)
    if config.test.no_noise and sensor is None:
        raise UserError(
            f"--no_noise is for a fitted sensor, and --model {config.run.model} without --sensor "
            "adds no noise; leave it out."
        )
    generator.train(not config.test.eval)
    dataset = build_test_dataset(
        config.data,
        config.model,
        seed=config.run.seed,
        value_maps=value_maps,
        asked=config.test.num_test,
        read_boxes=heeds_boxes(generator),
    )
    annotations = Annotations.of(dataset)
    inputs = {
        "weights of the generator": digest(_told(generator)),
        "images": of_first(partial(image_fingerprint, dataset)),
        **({"labels": annotations.digest} if annotations else {}),
    }
    return Translation(
        config,
        generator,
        dataset,
        source=source,
        annotations=annotations,
        teacher=teacher,
        inputs=inputs,
        noisy=sensor is not None and not config.test.no_noise,
    )


def _told(generator: nn.Module) -> dict[str, Tensor]:
    """Its state, without `targets_only` where that says nothing: results of versions that lack it
    are still of the same weights.
    """
    state = generator.state_dict()
    if not state.get("targets_only", True):
        del state["targets_only"]
    return state
