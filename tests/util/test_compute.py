"""--precision and --compile, and what they do to networks."""

import pytest
import torch
from torch import nn

from util.compute import Compute, select_compute
from util.errors import UserError

CPU = torch.device("cpu")


@pytest.fixture
def hardware(monkeypatch):
    """hardware(bf16=True): what the processor computes in."""

    def make(*, bf16: bool) -> None:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": bf16})

    return make


@pytest.mark.parametrize(("bf16", "precision"), [(True, "bf16"), (False, "fp32")])
def test_auto_trains_in_what_the_hardware_has(hardware, bf16, precision):
    hardware(bf16=bf16)
    assert select_compute("-1", "auto") == Compute(CPU, precision)


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_auto_makes_exact_results(hardware, bits):
    hardware(bf16=True)
    assert select_compute("-1", "auto", result_bits=bits) == Compute(CPU, "fp32")


def test_the_exact_form_has_no_half_precision():
    assert Compute(CPU, "bf16", compiled=True).exact == Compute(CPU, "fp32", compiled=True)
    assert Compute(CPU, "tf32").exact == Compute(CPU, "tf32")


def test_what_is_asked_for_is_done(hardware):
    hardware(bf16=False)
    assert select_compute("-1", "bf16", result_bits=16, compiled=True) == Compute(CPU, "bf16", True)


@pytest.mark.parametrize("precision", ["tf32", "fp16"])
def test_precisions_of_gpus_are_refused_on_the_cpu(precision):
    with pytest.raises(UserError, match=f"--precision {precision} is for CUDA GPUs"):
        select_compute("-1", precision)


def test_compiling_needs_a_compiler(monkeypatch):
    monkeypatch.setenv("CXX", "/nowhere/g++")
    with pytest.raises(UserError, match="--compile needs a C\\+\\+ compiler such as g\\+\\+"):
        select_compute("-1", "fp32", compiled=True)


def test_fp32_is_not_rounded_to_tf32(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    select_compute("-1", "fp32")
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_networks_run_in_the_precision(precision, dtype):
    compute = Compute(CPU, precision)
    net = compute.place(nn.Conv2d(1, 8, 3))
    with compute.autocast():
        result = net(torch.randn(2, 1, 8, 8))
    assert result.dtype == dtype
    assert result.is_contiguous(memory_format=torch.channels_last)


def test_compiled_methods_give_the_same_and_leave_the_state_dict_alone(monkeypatch):
    asked = []

    def stand_in(function, **settings):
        asked.append(settings)
        return lambda x: function(x) + 1

    monkeypatch.setattr(torch, "compile", stand_in)
    net = nn.Linear(2, 2)
    names, x = list(net.state_dict()), torch.ones(1, 2)
    plain = net(x)
    Compute(CPU).compile(net, "forward")
    assert asked == []
    Compute(CPU, compiled=True).compile(net, "forward")
    assert asked == [{"mode": "default", "dynamic": False}]
    assert torch.equal(net(x), plain + 1)
    assert list(net.state_dict()) == names


@pytest.mark.parametrize(
    ("compute", "words"),
    [(Compute(CPU), "cpu in fp32"), (Compute(CPU, "bf16", True), "cpu in bf16, compiled")],
)
def test_in_words(compute, words):
    assert str(compute) == words
