"""Training steps of this project, for `benchmarks/train_step.py`."""

import sys
import tempfile
import time
from pathlib import Path

import torch
from protocol import Built, Settings, make_images, serve
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from models import MODEL_OPTIONS, model_class
from models.base import Model
from models.networks.classifiers import ResNet18Classifier
from options import parse_train
from util.batch import Batch, DataFacts
from util.compute import HALF, Compute, select_compute
from util.device import set_repeatability
from util.seeding import seed_step

CLASSES = tuple("abcdefg")
PRODUCT_SIDE = {"cpu": 3072, "cuda": 8192}  # of the matrices whose product shows the peak rate


def build(settings: Settings) -> Built:
    """A step on one batch, over and over."""
    on_cpu = settings["device"] == "cpu"
    if settings["threads"]:
        torch.set_num_threads(settings["threads"])
    set_repeatability(deterministic=False)
    compute = select_compute(
        "-1" if on_cpu else "0", settings["precision"], compiled=settings["compile"]
    )
    a, b = make_images(settings)
    names = tuple(f"{number}" for number in range(len(a)))
    labels = torch.arange(len(a)) % len(CLASSES)
    # A target of a quarter of the side; that of B lies beside that of A.
    box = settings["size"] * torch.tensor([[[0.25, 0.4, 0.5, 0.55]]]).expand(len(a), 1, 4)
    batch = Batch(a, b, labels, names, box, box + box[..., :1]).to(compute.device)
    with tempfile.TemporaryDirectory() as folder:
        model = build_model(settings, compute, Path(folder))
        plain = model
        if compute.compiled:  # whose operations cannot be counted
            plain = build_model(settings, Compute(compute.device, compute.precision), Path(folder))
    with FlopCounterMode(display=False) as counter:
        plain.training_step(batch)
    del plain

    def turn() -> None:
        compute.begin_step()
        model.training_step(batch)

    facts = {
        "precision": compute.precision,
        "compiled": compute.compiled,
        "tf32": tf32(),
        "threads": torch.get_num_threads(),
        "flops": counter.get_total_flops(),
        "product_flops_per_second": product_rate(compute),
        "torch": torch.__version__,
    }
    return turn, facts


def build_model(settings: Settings, compute: Compute, folder: Path) -> Model:
    """With the options of the command line; a classifier for Grad-CAM is drawn at random."""
    name, bands = settings["model"], str(settings["bands"])
    flags = ["--model", name, "--dataroot", ".", "--input_nc", bands, *settings["flags"]]
    if name != "classifier":
        flags += ["--output_nc", bands]
    if name == "pix2pix_gradcam":
        torch.save(ResNet18Classifier(classes=CLASSES, bands=3).export(), folder / "classifier.pth")
        flags += ["--classifier", str(folder / "classifier.pth")]
    options = parse_train(flags, MODEL_OPTIONS).model
    facts = DataFacts(classes=CLASSES, class_counts=(1,) * len(CLASSES))
    seed_step(0, 0)
    return model_class(name)(options, compute=compute, facts=facts)


def product_rate(compute: Compute) -> float:
    """Operations per second of a large matrix product: what the hardware can do at most."""
    side = PRODUCT_SIDE[compute.device.type]
    dtype = HALF.get(compute.precision, torch.float32)
    a, b = torch.randn(2, side, side, device=compute.device).to(dtype)
    rates = []
    for _ in range(5):
        start = time.perf_counter()
        (a @ b)[0, 0].item()
        rates.append(2 * side**3 / (time.perf_counter() - start))
    return max(rates)


def tf32() -> dict[str, bool]:
    """Whether CUDA may round fp32 convolutions and products to TF32."""
    return {
        "convolutions": torch.backends.cudnn.allow_tf32,
        "products": torch.backends.cuda.matmul.allow_tf32,
    }


if __name__ == "__main__":
    serve(build)
