"""What becomes a sentence, and what stays the error that it is."""

import numpy as np
import pytest
import torch

from util.errors import UserError, naming_want_of_memory, run_main

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
