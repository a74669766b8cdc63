"""How a run computes: on which device, in which precision, in which memory layout, compiled or not.

Networks run in the chosen precision; losses, normalisation statistics, the generator's last
convolution and the optimisers stay in fp32.
"""

import ctypes
import os
import sys
from dataclasses import dataclass, replace
from importlib.util import find_spec
from shutil import which
from typing import ClassVar

import torch
from torch import nn

from util.device import select_device
from util.errors import UserError

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}
CXX = {"darwin": "clang++", "win32": "cl"}  # what torch.compile calls, g++ elsewhere
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)
KEPT_BYTES = 2**30  # of free memory, and the size from which a tensor has memory of its own


@dataclass(frozen=True)
class Compute:
    """What networks are placed on and how they are called.

    precision: fp32; tf32 (fp32 whose convolutions CUDA rounds to 10 bits of fraction); bf16 or fp16
    (autocast). compiled: whether torch.compile makes kernels for them.
    """

    precisions: ClassVar[tuple[str, ...]] = ("fp32", "tf32", *HALF)
    device: torch.device
    precision: str = "fp32"
    compiled: bool = False

    def autocast(self) -> torch.autocast:
        """The context that networks are called in. Backward passes belong outside."""
        half = HALF.get(self.precision)
        return torch.autocast(self.device.type, half or torch.bfloat16, enabled=half is not None)

    @property
    def exact(self) -> "Compute":
        """The same without half precision: what validation measures must not hang on rounding."""
        return replace(self, precision="fp32") if self.precision in HALF else self

    def place(self, net: nn.Module) -> nn.Module:
        """The network on the device in the layout that its kernels like best."""
        # MPS has no kernels for channels-last; CUDA's for plain fp32 gain nothing from it.
        plain = self.device.type == "mps" or (self.device.type, self.precision) == ("cuda", "fp32")
        layout = torch.contiguous_format if plain else torch.channels_last
        return net.to(self.device, memory_format=layout)

    def compile(self, net: nn.Module, *methods: str) -> None:
        """With `compiled`, put compiled versions in the place of these methods of the network."""
        # CUDA graphs spare the host, which a step on small images waits for.
        mode = "reduce-overhead" if self.device.type == "cuda" else "default"
        for name in methods if self.compiled else ():
            setattr(net, name, torch.compile(getattr(net, name), mode=mode, dynamic=False))

    def begin_step(self) -> None:
        """Before each training step: what CUDA graphs returned in the last one may be reused."""
        if self.compiled and self.device.type == "cuda":
            torch.compiler.cudagraph_mark_step_begin()

    def __str__(self) -> str:
        compiled = ", compiled" if self.compiled else ""
        return f"{self.device} in {self.precision}{compiled}"


def select_compute(
    gpu_ids: str, precision: str, *, compiled: bool = False, result_bits: int | None = None
) -> Compute:
    """The device of --gpu_ids and the precision of --precision there; sets torch up for both.

    precision: as in Compute, or auto: in training bf16 where the hardware computes in it, else
    fp32; for results fp32, of 8 bits with the TF32 convolutions of CUDA, as the public code has
    them. result_bits: of the images that are made; None for training. Raises UserError for a device
    that is not there or a precision that it lacks.
    """
    device = select_device(gpu_ids)
    if precision == "auto" and result_bits is None:
        precision = "bf16" if _has_bf16(device) else "fp32"
    elif precision == "auto":
        precision = "tf32" if device.type == "cuda" and result_bits == 8 else "fp32"
    if precision in ("tf32", "fp16") and device.type != "cuda":
        raise UserError(
            f"--precision {precision} is for CUDA GPUs, and this run is on {device}; use bf16, "
            "fp32 or auto."
        )
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    if compiled:
        _require_compiler(device)
    if device.type == "cuda":
        torch.cuda.set_device(device)  # what other threads pin is for this one
    if device.type == "cpu" and sys.platform == "linux":
        _keep_freed_memory()
    return Compute(device, precision, compiled)


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        known = torch.cpu.get_capabilities()
        return any(known.get(name, False) for name in ("amx_bf16", "avx512_bf16"))
    return False


def _require_compiler(device: torch.device) -> None:
    """Raises UserError where torch.compile could make no kernels for the device."""
    if device.type == "cuda":
        found = find_spec("triton")
    else:
        found = which(os.environ.get("CXX", CXX.get(sys.platform, "g++")))
    if not found:
        needs = "the package triton" if device.type == "cuda" else "a C++ compiler such as g++"
        raise UserError(f"--compile needs {needs}, which is not here; install it or leave it out.")


def _keep_freed_memory() -> None:
    """Let glibc reuse the memory of large tensors in place of returning it to the system.

    A step frees and takes the same gigabytes again; page by page from the system, that costs as
    much time as the arithmetic of the cheaper layers.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
