"""--like: an earlier run once more, and what is not as it was there."""

from collections.abc import Iterator, Mapping
from typing import Any

from models import MODEL_OPTIONS
from options import TrainConfig, repeat_options
from options.recorded import differences, recorded_options
from training import messages
from training.run_folder import RunFolder
from util.errors import UserError
from util.resume import other_inputs


def repeated(config: TrainConfig) -> TrainConfig:
    """The options of the run that --like names, but for its name and place and what is given.

    Raises UserError where there is no such run, and for a flag that would make it another kind.
    """
    if config.training.continue_train:
        raise UserError("--like begins another run; leave --continue_train out.")
    source = _source(config)
    try:
        return repeat_options(config, source.record()["options"], MODEL_OPTIONS)
    except ValueError as error:
        raise UserError(f"{source.path}: {error}.") from None


def compared(config: TrainConfig, record: Mapping[str, Any]) -> str:
    """What the run that --like names was made otherwise, for people; "" without --like.

    record: what run.json says of this run, whose options are `config`.
    """
    if not config.training.like:
        return ""
    source = _source(config)
    earlier = source.record()
    options = recorded_options(earlier["options"], MODEL_OPTIONS)
    changes = (c for c in differences(options, config) if c.name != "batch_size")
    other = [f"with {change}" for change in changes]
    was = options.data.batch_size * earlier.get("processes", 1)
    now = config.data.batch_size * record.get("processes", 1)
    other += [f"with {was} images a batch, not {now}"] * (was != now)
    other += other_inputs(earlier.get("inputs", {}), record["inputs"])
    starts = earlier.get("starts", [])
    other += _other_surroundings(starts[-1], record["starts"][-1]) if starts else []
    changed = [change for start in starts for change in start["changed"]]
    return messages.repeated(source, other, changed=changed, dated=bool(starts))


def _source(config: TrainConfig) -> RunFolder:
    return RunFolder.of(config.run.checkpoints_dir, config.training.like or "", flag="--like")


def _other_surroundings(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Of two starts, as words: "with torch 2.10.0, not 2.11.0"."""
    for name in ("version", "commit", *{**before["packages"], **now["packages"]}):
        was, found = ({**start, **start["packages"]}.get(name) or "none" for start in (before, now))
        if was != found:
            yield f"with {name} {was}, not {found}"
    if before["device"] != now["device"]:
        yield f"on {before['device']}, not {now['device']}"
