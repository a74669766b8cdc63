"""Packages that are missing are asked for in a sentence."""

import sys

import pytest

from util.errors import UserError
from util.packages import require


def test_what_is_there_is_not_mentioned():
    require("this test", "torch", "scikit-learn")


@pytest.mark.parametrize(
    ("module", "package", "command"),
    [
        ("dominate", "dominate", "pip install dominate"),
        ("sklearn", "scikit-learn", "pip install scikit-learn"),
        ("visdom", "visdom", r"pip install 'setuptools<81' .*-r requirements-visdom\.txt"),
    ],
)
def test_a_missing_package_is_named_as_pip_calls_it(module, package, command, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    words = f"this test needs the package {package}, .* `{command}`"
    with pytest.raises(UserError, match=words):
        require("this test", "torch", package)
