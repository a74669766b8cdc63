"""Shared fixtures. One thread: for small tensors, threads that wait for each other cost more."""

import random
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

# The same examples in every run, and none remembered: a failure is everybody's.
settings.register_profile("project", derandomize=True, database=None, deadline=None)
settings.load_profile("project")
torch.set_num_threads(1)

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(autouse=True)
def seeded():
    """What a test draws without a seed of its own does not hang on the tests before it."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def no_lite0(monkeypatch):
    """As if its packages were not there: its features take longer than most tests as a whole."""
    monkeypatch.setattr("metrics.instruments.LITE0_PACKAGES", ("not-installed",))


@pytest.fixture
def reference():
    """Load one file of recorded inputs and outputs of the public networks, or skip."""

    def load(name: str):
        path = SHARED / "reference" / f"{name}.npz"
        if not path.exists():
            pytest.skip(f"reference outputs of the public networks are not here ({name}.npz)")
        return {key: torch.from_numpy(value) for key, value in np.load(path).items()}

    return load


@pytest.fixture
def shared_data():
    """Folder of real MWIR images that cannot be redistributed, or skip."""

    def find(name: str) -> Path:
        path = SHARED / "data" / name
        if not path.exists():
            pytest.skip(f"real MWIR images are not here ({name})")
        return path

    return find


@pytest.fixture
def signals_heard():
    """As in a terminal: a suite in the background ignores some, and so would its programs."""
    plain = {signal.SIGHUP: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
    before = {number: signal.signal(number, handler) for number, handler in plain.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def limit_files():
    """limit_files(n): from now on no file grows beyond n bytes; None gives back what was."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size: int | None) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft if size is None else size, hard))

    yield limit
    limit(None)


@pytest.fixture
def limit_memory():
    """limit_memory(n): from now on this process may take n bytes more; None gives back what was."""
    resource = pytest.importorskip("resource")
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("needs Linux's /proc")
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)

    def limit(more: int | None) -> None:
        taken = int(statm.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (soft if more is None else taken + more, hard))

    yield limit
    limit(None)


@pytest.fixture(scope="session")
def chromium():
    """One headless browser for all pages, or skip."""
    from tests.browser import BINARY, Browser

    if BINARY is None:
        pytest.skip("pages are looked at with chromium, which is not here")
    browser = Browser(width=800, height=700)
    yield browser
    browser.close()


@pytest.fixture
def browser(chromium):
    """The browser at the size of a desktop; afterwards nothing has failed or left the machine."""
    chromium.resize(800, 700)
    chromium.console.clear()
    chromium.requests.clear()
    yield chromium
    assert chromium.console == []
    assert all(address.startswith(("file:", "data:")) for address in chromium.requests)
