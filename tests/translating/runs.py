"""Runs without training: generators of drawn weights, in folders as train.py leaves them."""

from pathlib import Path

import torch
from torch import nn

from data.value_map import EIGHT_BIT, ValueMap
from data.value_type import UINT16
from models import MODEL_OPTIONS
from models.networks.sensor import KNOTS, sensor_of
from models.translation import make_generator
from options import parse_train, to_dict
from training.run_folder import RunFolder

TARGET = ValueMap(1000.0, 61000.0, UINT16)
DRAWN = "--init_type xavier --init_gain 1 --ngf 4"
RUNS = {
    "resnet": f"--model cut --netG resnet_4blocks {DRAWN}",
    "unet": f"--model pix2pix --netG unet_128 --normG batch {DRAWN}",
    "sensor_inside": f"--model pix2pix --netG resnet_4blocks --sensor fit {DRAWN}",
    "sensor": "--model sensor_fit",
    "target_sensor": "--model sensor_fit --fit_target",
    "classifier": "--model classifier",
}
# No side fits any network but the fitted sensor; one is below what a ResNet needs at least.
SIZES = {"a": (33, 46), "folder/b": (6, 41)}


def make_run(folder: Path, kind: str) -> None:
    """A run of RUNS, from images of 8 bits to those of TARGET."""
    config = parse_train(RUNS[kind].split(), MODEL_OPTIONS)
    torch.manual_seed(0)
    generator = nn.Identity() if kind == "classifier" else make_generator(config.model)
    unsettle(generator, targets=kind == "target_sensor")
    maps = {"A": EIGHT_BIT.record(), "B": TARGET.record()}
    run = RunFolder(folder)
    run.begin({"options": to_dict(config), "value_maps": maps}, continued=False)
    run.save_networks("latest", {"G": generator.state_dict()})


@torch.no_grad()
def unsettle(generator: nn.Module, *, targets: bool) -> None:
    """Statistics, a sensor and a last layer as after training, where a new one's do nothing."""
    for part in generator.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.2)
            part.running_var.uniform_(0.5, 1.5)
    sensor = sensor_of(generator)
    if sensor is None:
        return
    if sensor is not generator:
        *_, last = (part for part in generator.modules() if isinstance(part, nn.Conv2d))
        last.weight.normal_(0, 0.1)
    sensor.curve.copy_(torch.linspace(-1, 1, KNOTS).pow(3) * 0.9)
    sensor.level.fill_(0.1)
    sensor.keep.fill_(0.5)
    sensor.blur.fill_(0.8)
    sensor.noise.copy_(torch.tensor([0.02, 0.01, 0.01]))
    sensor.spread.copy_(torch.tensor([0.05, 0.02]))
    if targets:
        sensor.target.copy_(torch.linspace(-0.2, 0.6, len(sensor.target)))
        sensor.target_keep.fill_(0.3)
