"""From flags to a translation that is ready to run."""

from pathlib import Path

from data.build import build_test_dataset
from data.fingerprint import image_fingerprint
from data.value_map import recorded_maps
from models import MODEL_OPTIONS
from models.networks import load_weights
from models.networks.sensor import FittedSensor, SensorGenerator
from models.translation import make_generator
from options import TestConfig, TranslationOptions, tested_options
from training.run_folder import RunFolder
from translating.annotations import Annotations
from translating.loop import Translation
from util.checkpoint import digest, load
from util.errors import UserError


def begin(config: TestConfig) -> Translation:
    """The generator of the run, or of --weights, and the images. Raises UserError."""
    if config.test.weights is None:
        folder = RunFolder.of(config.run.checkpoints_dir, config.run.name)
        record = folder.record()
        try:
            config = tested_options(config, record["options"], MODEL_OPTIONS)
        except ValueError as error:
            raise UserError(f"{folder.path}: {error}.") from None
        _require_generator(config)
        value_maps = recorded_maps(record)
        networks = folder.load_networks(config.run.epoch, ["G", "G_ema"])
        name = "G_ema" if "G_ema" in networks else "G"
        weights, source = networks[name], str(folder.network_file(config.run.epoch, name))
        teacher = record.get("teacher")
    else:
        _require_generator(config)
        source, value_maps, teacher = config.test.weights, {}, None
        weights = load(Path(source), hint="check --weights")
    generator = make_generator(config.model)
    noisy = isinstance(generator, FittedSensor | SensorGenerator)
    if config.test.no_noise and not noisy:
        raise UserError(
            f"--no_noise is for a fitted sensor, and --model {config.run.model} without --sensor "
            "adds no noise; leave it out."
        )
    load_weights(generator, weights, source=source)
    generator.train(not config.test.eval)
    sensor = generator.sensor if isinstance(generator, SensorGenerator) else generator
    dataset = build_test_dataset(
        config.data,
        config.model,
        seed=config.run.seed,
        value_maps=value_maps,
        asked=config.test.num_test,
        read_boxes=isinstance(sensor, FittedSensor) and sensor.controls_targets,
    )
    annotations = Annotations.of(dataset)
    inputs = {
        "weights of the generator": digest(generator.state_dict()),
        "images": image_fingerprint(dataset),
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
        noisy=noisy and not config.test.no_noise,
    )


def _require_generator(config: TestConfig) -> None:
    if not isinstance(config.model, TranslationOptions):
        raise UserError(f"--model {config.run.model} translates nothing; name another run.")
