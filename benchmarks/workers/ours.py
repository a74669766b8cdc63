"""Training steps of this project, for `benchmarks/train_step.py`."""

import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import torch
from protocol import Built, Settings, make_images, serve
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.made_up import make_batch, make_model
from util.compute import HALF, Compute, select_compute
from util.device import set_repeatability

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
    batch = make_batch(*make_images(settings)).to(compute.device)
    with tempfile.TemporaryDirectory() as folder:
        build = partial(
            make_model,
            settings["model"],
            settings["flags"],
            bands=settings["bands"],
            folder=Path(folder),
        )
        plain = model = build(compute=compute)
        if compute.compiled:  # whose operations cannot be counted
            plain = build(compute=Compute(compute.device, compute.precision))
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


def product_rate(compute: Compute) -> float:
    """Operations per second of a large matrix product: what the hardware can do at most."""
    side = PRODUCT_SIDE[compute.device.type]
    dtype = HALF.get(compute.precision, torch.float32)
    a, b = torch.randn(2, side, side, device=compute.device).to(dtype)
    # Networks round their convolutions alone.
    torch.backends.cuda.matmul.allow_tf32 = compute.precision == "tf32"
    rates = []
    for _ in range(5):
        start = time.perf_counter()
        (a @ b)[0, 0].item()
        rates.append(2 * side**3 / (time.perf_counter() - start))
    torch.backends.cuda.matmul.allow_tf32 = False
    return max(rates)


def tf32() -> dict[str, bool]:
    """Whether CUDA may round fp32 convolutions and products to TF32."""
    return {
        "convolutions": torch.backends.cudnn.allow_tf32,
        "products": torch.backends.cuda.matmul.allow_tf32,
    }


if __name__ == "__main__":
    serve(build)
