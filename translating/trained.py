"""What a run has learnt to do: its generator, and what the values of its images are."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from data.value_map import ValueMap, recorded_maps
from models import MODEL_OPTIONS
from models.networks import load_weights
from models.translation import make_generator
from options import TrainConfig, TranslationOptions
from options.recorded import recorded_options
from training.run_folder import RunFolder
from util.errors import UserError


@dataclass(frozen=True)
class Trained:
    """The generator of a run.

    generator: on the CPU, in eval mode, with --ema the average; source: its file; options: that the
    run was trained with; value_maps: of domain A and B; record: what run.json says.
    """

    generator: nn.Module
    source: Path
    options: TrainConfig
    value_maps: Mapping[str, ValueMap]
    record: Mapping[str, Any]

    @classmethod
    def of(cls, folder: RunFolder, epoch: str) -> "Trained":
        """epoch: latest, best or an epoch's number.

        Raises UserError where there is no such run or epoch, and for a run that translates nothing.
        """
        record = folder.record()
        try:
            options = recorded_options(record["options"], MODEL_OPTIONS)
        except ValueError as error:
            raise UserError(f"{folder.path}: {error}.") from None
        require_generator(options)
        networks = folder.load_networks(epoch, ["G", "G_ema"])
        name = "G_ema" if "G_ema" in networks else "G"
        source = folder.network_file(epoch, name)
        generator = make_generator(options.model)
        load_weights(generator, networks[name], source=str(source))
        return cls(generator.eval(), source, options, recorded_maps(record), record)


def require_generator(config: TrainConfig) -> None:
    """Raises UserError where these options make none."""
    if not isinstance(config.model, TranslationOptions):
        raise UserError(f"--model {config.run.model} translates nothing; name another run.")
