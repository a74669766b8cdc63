"""--gpu_ids, with and without GPUs in the machine."""

import pytest
import torch

from util.device import hardware, require_a_process_a_gpu, select_device
from util.errors import UserError


@pytest.fixture
def machine(monkeypatch):
    """machine(gpus=2, mps=False): what torch finds."""

    def make(*, gpus: int = 0, mps: bool = False) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return make


@pytest.mark.parametrize(
    ("gpus", "mps", "gpu_ids", "device"),
    [
        (0, False, "auto", "cpu"),
        (0, True, "auto", "mps"),
        (2, False, "auto", "cuda:0"),
        (2, True, "auto", "cuda:0"),
        (0, False, "-1", "cpu"),
        (2, True, "-1", "cpu"),
        (2, False, "1", "cuda:1"),
        (1, False, "0", "cuda:0"),
        (0, True, "0", "mps"),
    ],
)
def test_device(machine, gpus, mps, gpu_ids, device):
    machine(gpus=gpus, mps=mps)
    assert select_device(gpu_ids) == torch.device(device)


@pytest.mark.parametrize(
    ("gpus", "gpu_ids", "words"),
    [
        (2, "2", "2 CUDA GPUs are here, numbered from 0; give --gpu_ids -1 for the CPU"),
        (1, "1", "one CUDA GPU is here"),
        (2, "99999999999999999999", "2 CUDA GPUs"),
        (2, "0,1", "one number"),
        (2, "-2", "not understood"),
        (2, "cuda", "not understood"),
        (2, "1.5", "not understood"),
        (2, "", "not understood"),
    ],
)
def test_what_is_not_there_is_an_error_in_a_sentence(machine, gpus, gpu_ids, words):
    machine(gpus=gpus)
    with pytest.raises(UserError, match=words) as caught:
        select_device(gpu_ids)
    assert f"--gpu_ids {gpu_ids}" in str(caught.value)


@pytest.mark.parametrize(
    ("built", "mps", "visible", "words"),
    [
        (
            None,
            False,
            None,
            "torch 9.1, built without CUDA, finds no GPU here; give --gpu_ids -1 fo",
        ),
        ("12.8", False, None, "built for CUDA 12.8, finds no GPU here; give"),
        ("12.8", False, "", "finds no GPU here with CUDA_VISIBLE_DEVICES=; give"),
        (None, True, None, "the GPU here, of MPS, has the number 0; give"),
    ],
)
def test_without_cuda_it_says_what_it_found(machine, monkeypatch, built, mps, visible, words):
    machine(mps=mps)
    monkeypatch.setattr(torch, "__version__", "9.1")
    monkeypatch.setattr(torch.version, "cuda", built)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with pytest.raises(UserError, match=words):
        select_device("1" if mps else "0")


def test_hardware_of_the_cpu_names_its_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert hardware(torch.device("cpu")).endswith(", 3 threads)")
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(("local", "device"), [("0", "cuda:0"), ("1", "cuda:1")])
def test_each_process_of_a_host_takes_a_gpu_of_its_own(machine, monkeypatch, local, device):
    machine(gpus=2)
    for name, value in {"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "LOCAL_RANK": local}.items():
        monkeypatch.setenv(name, value)
    assert select_device("auto") == torch.device(device)
    assert select_device("-1") == torch.device("cpu")
    with pytest.raises(UserError, match="leave the flag out"):
        select_device("0")
    machine(gpus=1)
    with pytest.raises(UserError, match=r"2 processes are here, .*, and 1 CUDA"):
        select_device("auto")


@pytest.mark.parametrize("flag", [["--gpu_ids", "0,2"], ["--gpu_ids=0,2"]])
def test_several_gpus_are_answered_with_the_line_to_type(flag, monkeypatch):
    monkeypatch.setattr("sys.argv", ["test.py", "--name", "x y", *flag])
    line = r"CUDA_VISIBLE_DEVICES=0,2 torchrun --nproc_per_node=2 test\.py --name 'x y'$"
    with pytest.raises(UserError, match=line):
        require_a_process_a_gpu("0,2")
    for one in ("auto", "-1", "1"):
        require_a_process_a_gpu(one)
