"""--sensor: the fit of another run becomes a part of this run's generator."""

from collections.abc import Mapping

from data.value_map import ValueMap, recorded_maps
from models import FITTED, MODEL_OPTIONS
from models.networks import load_weights
from models.networks.sensor import FittedSensor
from options import DataOptions, TrainConfig
from options.recorded import recorded_options
from training import messages
from training.run_folder import RunFolder
from util.errors import UserError


def load_sensor(
    sensor: FittedSensor, name: str, config: TrainConfig, value_maps: Mapping[str, ValueMap]
) -> None:
    """Take over what the run `name` has fitted, for images of these value maps.

    Raises UserError where it is no such run, or one of images with other values.
    """
    source = RunFolder.of(config.run.checkpoints_dir, name, flag="--sensor")
    record = source.record()
    try:
        options = recorded_options(record["options"], MODEL_OPTIONS)
    except ValueError as error:
        raise UserError(f"{source.path}: {error}.") from None
    if options.run.model not in FITTED:
        raise UserError(
            f"--sensor {name} is a run of --model {options.run.model}; name one of --model "
            f"{' or '.join(FITTED)}."
        )
    _require_equal(source, recorded_maps(record), value_maps)
    weights = source.load_networks("latest", ["G"])["G"]
    load_weights(sensor, weights, source=str(source.network_file("latest", "G")))
    same_pixels = _resizing(options.data) == _resizing(config.data)
    messages.say(messages.sensor(source, options.data, same_pixels=same_pixels))


def _require_equal(
    source: RunFolder, fitted: Mapping[str, ValueMap], own: Mapping[str, ValueMap]
) -> None:
    others = [role for role, value_map in own.items() if value_map != fitted[role]]
    if not others:
        return
    if any(own[role].type != fitted[role].type for role in others):
        way = "fit one to images of this type"
    else:
        ends = [(f"--value_range_{role}", fitted[role].low, fitted[role].high) for role in others]
        way = "give " + " ".join(f"{flag} {low:.10g} {high:.10g}" for flag, low, high in ends)
    found = " and ".join(f"{role} with {fitted[role]}, not {own[role]}" for role in others)
    raise UserError(f"the sensor of {source.path} was fitted to images of {found}; {way}.")


def _resizing(data: DataOptions) -> tuple[str, int] | None:
    """What brings images to their size, but for cropping; None where they keep their own."""
    kind = data.preprocess.removesuffix("_and_crop")
    return None if kind in ("none", "crop") else (kind, data.load_size)
