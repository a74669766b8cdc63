"""What becomes a sentence, and what stays the error that it is."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from data.images import write_image
from util.errors import UserError, naming_want_of_memory, run_main

ROOT = Path(__file__).resolve().parents[2]
REFUSALS = {
    "a GPU's": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has"),
    "cuBLAS's": RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"),
    "the C++ library's": RuntimeError("std::bad_alloc"),
    "Python's": MemoryError(),
    "a fork's": OSError(12, "Cannot allocate memory"),
}


@pytest.mark.parametrize("error", REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_of_memory_is_a_sentence(error):
    words = (
        r"^there is not enough memory for a step on 2 images( \(2.00 GiB were refused\))?; less\.$"
    )
    with (
        pytest.raises(UserError, match=words),
        naming_want_of_memory("a step on 2 images", lighter="less"),
    ):
        raise error


@pytest.mark.parametrize("library", [torch.empty, np.empty])
def test_what_torch_and_numpy_say_is_known(library):
    with (
        pytest.raises(UserError, match=r"for it \([\d.]+ \w+ were refused\); less\.$"),
        naming_want_of_memory("it", lighter="less"),
    ):
        library(2**50)


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), OSError(28, "No space left")])
def test_other_errors_stay_what_they_are(error):
    with (
        pytest.raises(type(error), match=str(error.args[-1])),
        naming_want_of_memory("it", lighter="less"),
    ):
        raise error


def test_any_program_says_so(capsys):
    def main():
        raise MemoryError

    with pytest.raises(SystemExit, match=r"^2$"):
        run_main(main, lighter="measure fewer images")
    assert capsys.readouterr().err == (
        "error: there is not enough memory for this; measure fewer images.\n"
    )


HEAD = """
import sys
from util.errors import run_main
lines = lambda: [print("a line", flush=True) for _ in range(10**6)]
run_main(lines, patient=sys.argv[1] == "patient")
"""


@pytest.mark.parametrize(("patience", "code"), [("patient", 0), ("none", 141)])
def test_a_reader_that_has_read_enough_leaves_no_traceback(patience, code):
    with subprocess.Popen(
        [sys.executable, "-c", HEAD, patience],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        assert started.stdout.readline() == "a line\n"
        started.stdout.close()
        assert started.wait(300) == code
        assert started.stderr.read() == ""


def test_a_closed_pipe_loses_no_result(tmp_path):
    """evaluate.py writes its files, though nobody reads what it prints."""
    for number, folder in enumerate(("fake", "real")):
        write_image(tmp_path / folder / "1.png", np.full((16, 16), 90 + number, np.uint8))
    places = ["--fake", tmp_path / "fake", "--real", tmp_path / "real"]
    with subprocess.Popen(
        [sys.executable, ROOT / "evaluate.py", *places, "--out", tmp_path / "means.json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        started.stdout.close()
        assert started.wait(300) == 0, started.stderr.read()
    assert (tmp_path / "means.json").exists()
