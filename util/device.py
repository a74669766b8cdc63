"""From --gpu_ids to a torch device, and how exactly it repeats itself."""

import os
import platform
import shlex
import sys

import torch

from util.errors import UserError
from util.ranks import local_processes, local_rank, processes


def select_device(gpu_ids: str) -> torch.device:
    """Device for `gpu_ids`: "auto" (CUDA, else MPS, else CPU), "-1" (CPU) or a CUDA number.

    With "auto" each process of a host takes a GPU of its own. Raises UserError for a device that is
    not there.
    """
    if gpu_ids == "auto":
        if torch.cuda.is_available():
            return _own_gpu()
        alone = processes() == 1
        return torch.device("mps" if alone and torch.backends.mps.is_available() else "cpu")
    if gpu_ids == "-1":
        return torch.device("cpu")
    if processes() > 1:
        raise UserError(
            f"--gpu_ids {gpu_ids} would be that of all processes, and each takes a GPU of its own: "
            "leave the flag out, or give -1 for the CPU."
        )
    if "," in gpu_ids:
        raise UserError(f"--gpu_ids {gpu_ids} names several GPUs; a run uses one: give one number.")
    if not gpu_ids.isdecimal():
        raise UserError(f"--gpu_ids {gpu_ids} is not understood; give auto, -1 or a GPU's number.")
    count = torch.cuda.device_count()
    if int(gpu_ids) < count:
        return torch.device(f"cuda:{gpu_ids}")
    if gpu_ids == "0" and torch.backends.mps.is_available():
        return torch.device("mps")
    raise UserError(
        f"--gpu_ids {gpu_ids} cannot be used: {_found(count)}; give --gpu_ids -1 for the CPU."
    )


def hardware(device: torch.device) -> str:
    """What the last digits of a result hang on beside the programs."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        kernels = torch.backends.cpu.get_cpu_capability()
        return f"{platform.machine()} ({kernels}, {torch.get_num_threads()} threads)"
    return device.type


def _found(count: int) -> str:
    """count: of CUDA GPUs."""
    if count:
        found = f"{count} CUDA GPUs are" if count > 1 else "one CUDA GPU is"
        return f"{found} here, numbered from 0"
    if torch.backends.mps.is_available():
        return "the GPU here, of MPS, has the number 0"
    built = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    chosen = "" if visible is None else f" with CUDA_VISIBLE_DEVICES={visible}"
    return f"torch {torch.__version__}, built {built}, finds no GPU here{chosen}"


def _own_gpu() -> torch.device:
    found, wanted = torch.cuda.device_count(), local_processes()
    if wanted > found:
        raise UserError(
            f"{wanted} processes are here, each for a GPU of its own, and {found} CUDA GPUs; start "
            "as many as there are GPUs (--nproc_per_node), or give --gpu_ids -1 for the CPU."
        )
    return torch.device(f"cuda:{local_rank()}")


def require_a_process_a_gpu(gpu_ids: str) -> None:
    """Raises UserError, with the line to type, where several GPUs are named."""
    gpus = [number for number in gpu_ids.split(",") if number]
    if len(gpus) > 1:
        words = [word for word in sys.argv if word != gpu_ids and "--gpu_ids" not in word]
        words = ["torchrun", f"--nproc_per_node={len(gpus)}", *words]
        raise UserError(
            f"--gpu_ids {gpu_ids} names {len(gpus)} GPUs, which take a process each: "
            f"CUDA_VISIBLE_DEVICES={','.join(gpus)} {shlex.join(words)}"
        )


def set_repeatability(*, deterministic: bool) -> None:
    """For a training run; call before the GPU is first used.

    deterministic: the same numbers in every run on the same GPU. Operations without such an
    algorithm raise RuntimeError (torch's list is in the help of
    `torch.use_deterministic_algorithms`; the models here need none of them). Otherwise cuDNN tries
    its algorithms on the first images of each size, and keeps the one that was fastest this time.
    """
    torch.backends.cudnn.benchmark = not deterministic
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts
        torch.use_deterministic_algorithms(True)
