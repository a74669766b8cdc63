"""Packages that are missing are asked for in a sentence."""

import sys

import pytest

from util.errors import UserError
from util.packages import require


def test_what_is_there_is_not_mentioned():
    require("this test", "torch", "scikit-learn")


@pytest.mark.parametrize(("module", "package"), [("visdom", "visdom"), ("sklearn", "scikit-learn")])
def test_a_missing_package_is_named_as_pip_calls_it(module, package, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    words = f"this test needs the package {package}, .* `pip install {package}`"
    with pytest.raises(UserError, match=words):
        require("this test", "torch", package)
