"""Training steps of a checkout of the public code, for `benchmarks/train_step.py`.

cut: taesungp/contrastive-unpaired-translation. pix2pix_gradcam: dicerobotics/deep-synthetic, which
needs the packages captum and matplotlib; torchvision's ResNet-18 stands in for its own classifier,
whose module is not in the repository.
"""

import os
import sys
import tempfile
import types

import torch
from protocol import Built, Settings, make_images, serve
from torchvision.models import resnet18

CLASSES = 7


def build(settings: Settings) -> Built:
    """A step on one batch, over and over, as its own train.py takes it."""
    if settings["threads"]:
        torch.set_num_threads(settings["threads"])
    sys.path.insert(0, settings["directory"])
    mend_instance_norm()
    stand_in_for_classifier()
    sys.argv = ["train.py", *flags(settings)]

    from options.train_options import TrainOptions

    from models import create_model

    options = TrainOptions().parse()
    a, b = make_images(settings)
    paths = [""] * len(a)
    data = {"A": a, "B": b, "A_paths": paths, "B_paths": paths}
    model = create_model(options)
    if settings["model"] == "cut":
        model.data_dependent_initialize(data)
    model.setup(options)
    if settings["model"] == "cut":
        model.parallelize()

    def turn() -> None:
        model.set_input(data)
        model.optimize_parameters()

    facts = {
        "precision": "fp32",
        "tf32": {
            "convolutions": torch.backends.cudnn.allow_tf32,
            "products": torch.backends.cuda.matmul.allow_tf32,
        },
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    return turn, facts


def flags(settings: Settings) -> list[str]:
    """Of its train.py."""
    bands = str(settings["bands"])
    found = ["--dataroot", ".", "--checkpoints_dir", tempfile.mkdtemp()]
    found += [
        "--model",
        settings["model"],
        "--gpu_ids",
        "-1" if settings["device"] == "cpu" else "0",
    ]
    found += ["--batch_size", str(settings["batch_size"]), "--crop_size", str(settings["size"])]
    found += ["--input_nc", bands, "--output_nc", bands]
    if settings["model"] == "pix2pix_gradcam":
        found += ["--resnet18_path", os.devnull]
    return found


def mend_instance_norm() -> None:
    """Give torch's instance norm on the CPU its right gradient.

    Torch 2.11 has it wrong for a batch of one where the incoming gradient is channels-last, which
    oneDNN's convolutions hand back as they like; docs/PERFORMANCE.md.
    """
    plain = torch.nn.InstanceNorm2d.forward

    def forward(norm: torch.nn.InstanceNorm2d, x: torch.Tensor) -> torch.Tensor:
        y = plain(norm, x)
        if y.requires_grad and y.device.type == "cpu":
            y.register_hook(torch.Tensor.contiguous)
        return y

    torch.nn.InstanceNorm2d.forward = forward


def stand_in_for_classifier() -> None:
    """Put torchvision's network in the place of a module that the checkout lacks."""
    stand_in = types.ModuleType("checkpoints.classifiers.resnet18_mwir")
    stand_in.get_trained_resnet18 = lambda weights_path, num_classes: resnet18(num_classes=CLASSES)
    for name in ("checkpoints", "checkpoints.classifiers"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules[stand_in.__name__] = stand_in


if __name__ == "__main__":
    serve(build)
