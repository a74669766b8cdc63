"""Networks by the names that the options use, their weights, and their modes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from models.networks.discriminators import PatchDiscriminator, PixelDiscriminator
from models.networks.layers import Norm, init_weights
from models.networks.patch_sampler import PatchSampler, draw_patch_ids
from models.networks.resnet import ResnetGenerator
from models.networks.sensor import LATER_BUFFERS, PAST_BUFFERS
from models.networks.unet import UnetGenerator
from util.errors import UserError

__all__ = [
    "RESNET_BLOCKS",
    "PatchDiscriminator",
    "PatchSampler",
    "PixelDiscriminator",
    "ResnetGenerator",
    "UnetGenerator",
    "build_discriminator",
    "build_generator",
    "draw_patch_ids",
    "evaluating",
    "init_weights",
    "load_weights",
]

RESNET_BLOCKS = {"resnet_9blocks": 9, "resnet_6blocks": 6, "resnet_4blocks": 4}
UNET_DOWNS = {"unet_256": 8, "unet_128": 7}


def build_generator(
    name: str,
    *,
    input_nc: int,
    output_nc: int,
    ngf: int,
    norm: Norm,
    dropout: bool,
    antialias_down: bool,
    antialias_up: bool,
) -> ResnetGenerator | UnetGenerator:
    """Build `resnet_{9,6,4}blocks` or `unet_{256,128}`, which is strided on its way down."""
    shared = {
        "input_nc": input_nc,
        "output_nc": output_nc,
        "ngf": ngf,
        "norm": norm,
        "dropout": dropout,
        "antialias_up": antialias_up,
    }
    if name in UNET_DOWNS:
        return UnetGenerator(num_downs=UNET_DOWNS[name], **shared)
    return ResnetGenerator(n_blocks=RESNET_BLOCKS[name], antialias_down=antialias_down, **shared)


def build_discriminator(
    name: str, *, input_nc: int, ndf: int, n_layers: int, norm: Norm, antialias: bool
) -> PatchDiscriminator | PixelDiscriminator:
    """Build `basic` (three layers), `n_layers` or `pixel`."""
    if name == "pixel":
        return PixelDiscriminator(input_nc=input_nc, ndf=ndf, norm=norm)
    return PatchDiscriminator(
        input_nc=input_nc,
        ndf=ndf,
        n_layers=3 if name == "basic" else n_layers,
        norm=norm,
        antialias=antialias,
    )


def check_state_dict(weights: Any, *, source: str) -> None:
    """Raises UserError for anything but tensors by name."""
    if not isinstance(weights, Mapping) or not all(
        isinstance(key, str) and isinstance(value, Tensor) and not value.is_complex()
        for key, value in weights.items()
    ):
        raise UserError(f"{source} holds no state dict (tensors by name); give another file.")


def load_weights(net: nn.Module, weights: Mapping[str, Tensor], *, source: str) -> None:
    """Load a state dict that this project, CUT or pix2pix wrote.

    Data-parallel prefixes (`module.`) and the running statistics that old instance norms saved are
    dropped, what a fit of earlier versions lacks stays as it is, and what it has besides is dropped
    where it says nothing. Raises UserError, naming
    `source`, where the weights are those of another network, or not finite.
    """
    check_state_dict(weights, source=source)
    weights = {key.removeprefix("module."): value for key, value in weights.items()}
    past = {k: PAST_BUFFERS.get(k.split(".")[-1]) for k in weights}
    weights = {k: v for k, v in weights.items() if past[k] is None or (v != past[k]).any()}
    own = net.state_dict()
    weights = {k: own[k] for k in own if k.endswith(LATER_BUFFERS)} | weights
    stale = ("running_mean", "running_var", "num_batches_tracked")
    extra = sorted(k for k in weights if k not in own and not k.endswith(stale))
    missing = sorted(own.keys() - weights.keys())
    reshaped = [k for k in own if k in weights and own[k].shape != weights[k].shape]
    if extra or missing or reshaped:
        if reshaped:
            key = reshaped[0]
            detail = f"{key} is {tuple(weights[key].shape)}, not {tuple(own[key].shape)}"
        else:
            detail = f"it lacks {missing[0]}" if missing else f"it also holds {extra[0]}"
        raise UserError(
            f"{source} holds the weights of another architecture than {type(net).__name__} with "
            f"these options ({detail}); give the options it was trained with."
        )
    if spoilt := [key for key in own if not weights[key].isfinite().all()]:
        raise UserError(f"{source} holds NaN or infinity ({spoilt[0]}); give another file.")
    net.load_state_dict({key: weights[key] for key in own})


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Eval mode inside the block; afterwards each submodule is in the mode it was in."""
    modes = [(part, part.training) for part in net.modules()]
    net.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode
