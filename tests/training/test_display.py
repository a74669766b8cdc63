"""The live view against small servers on this machine: good, absent, silent, dying."""

import base64
import io
import json
import math
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from training import display
from training.display import LiveView
from util.errors import UserError

pytest.importorskip("visdom")
pytestmark = pytest.mark.filterwarnings("ignore:The 'warn' method:DeprecationWarning")  # visdom's

HOST = "http://127.0.0.1"
PATIENCE = 30.0  # seconds; reached only where a test fails


class VisdomServer:
    """Takes what a visdom server takes and keeps the newest content of every window.

    With `busy`, the answer to every request is 503.
    """

    def __init__(self, port: int = 0, busy: bool = False):
        self.windows: dict[str, dict] = {}
        self.changed = threading.Condition()
        self.requests = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with server.changed:
                    server.requests += 1
                    if self.path == "/events" and not busy:
                        server.windows[body["win"]] = body
                    server.changed.notify_all()
                answer = body.get("win", body["eid"]).encode()
                self.send_response(503 if busy else 200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args):
                pass

        self.http = HTTPServer(("127.0.0.1", port), Handler)
        self.port = self.http.server_port
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def wait(self, condition) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, timeout=PATIENCE)

    def lines(self) -> dict[str, list[tuple[float, float]]]:
        """name -> the (x, y) of the plot's line."""
        traces = self.windows["losses"]["data"] if "losses" in self.windows else []
        return {t["name"]: list(zip(t["x"], t["y"], strict=True)) for t in traces}

    def image(self, name: str) -> np.ndarray:
        """(H, W, 3) uint8, as the browser would show it."""
        content = self.windows[f"image {name}"]["data"][0]["content"]
        encoded = content["src"].removeprefix("data:image/png;base64,")
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))))

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join(PATIENCE)


class Stderr(io.StringIO):
    """The view's standard error, which a test can wait for."""

    def __init__(self):
        super().__init__()
        self.written = threading.Condition()

    def write(self, text: str) -> int:
        with self.written:
            self.written.notify_all()
            return super().write(text)

    def wait_for_line(self) -> None:
        with self.written:
            assert self.written.wait_for(lambda: "\n" in self.getvalue(), timeout=PATIENCE)


@pytest.fixture
def stderr(monkeypatch) -> Stderr:
    stream = Stderr()
    # Not sys.stderr itself, which pytest sets anew for every phase of a test.
    monkeypatch.setattr(display, "sys", SimpleNamespace(stderr=stream))
    return stream


@pytest.fixture(autouse=True)
def local_and_quick(monkeypatch):
    """No proxy on the way to this machine, and no waiting between attempts."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(display, "FIRST_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(display, "LAST_RETRY_SECONDS", 0.01)


@pytest.fixture
def open_view():
    """Builds views, and closes them when the test is over."""
    views = []

    def build(port: int, env: str = "run") -> LiveView:
        views.append(LiveView(HOST, port, env))
        return views[-1]

    yield build
    for view in views:
        view.close(timeout=PATIENCE)


@pytest.fixture
def server():
    server = VisdomServer()
    yield server
    server.stop()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def test_losses_arrive_as_one_line_each(server, open_view, stderr, capfd):
    view = open_view(server.port, "mwir_real2cut")
    view.losses(0.5, {"G_GAN": 0.5, "NCE": 2.0})
    view.losses(1.0, {"G_GAN": 0.25, "NCE": 1.5})
    server.wait(lambda: len(server.lines().get("NCE", [])) == 2)
    assert server.lines() == {"G_GAN": [(0.5, 0.5), (1.0, 0.25)], "NCE": [(0.5, 2.0), (1.0, 1.5)]}

    view.losses(1.5, {"G_GAN": math.inf, "CAM": 3.0})
    server.wait(lambda: len(server.lines()) == 3)
    assert server.lines() == {
        "G_GAN": [(0.5, 0.5), (1.0, 0.25), (1.5, None)],
        "NCE": [(0.5, 2.0), (1.0, 1.5), (1.5, None)],
        "CAM": [(0.5, None), (1.0, None), (1.5, 3.0)],
    }
    window = server.windows["losses"]
    assert window["eid"] == "mwir_real2cut"
    assert window["layout"]["xaxis"]["title"] == "epoch"
    assert stderr.getvalue() == "" and capfd.readouterr() == ("", "")


def test_a_long_run_is_thinned_evenly_and_keeps_its_ends(server, open_view, monkeypatch):
    monkeypatch.setattr(display, "PLOTTED_POINTS", 11)
    view = open_view(server.port)
    for step in range(101):
        view.losses(step, {"G": -step})
    server.wait(lambda: server.lines().get("G", [(0, 0)])[-1] == (100, -100))
    assert server.lines()["G"] == [(x, -x) for x in range(0, 101, 10)]


def test_images_arrive_as_they_are(server, open_view):
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (5, 7), dtype=np.uint8)
    colour = rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    view = open_view(server.port)
    view.images({"real_A": grey, "cam": colour})
    server.wait(lambda: {"image real_A", "image cam"} <= server.windows.keys())
    np.testing.assert_array_equal(server.image("real_A"), np.repeat(grey[..., None], 3, axis=2))
    np.testing.assert_array_equal(server.image("cam"), colour)
    assert server.windows["image real_A"]["opts"]["title"] == "real_A"

    view.images({"real_A": 255 - grey})
    server.wait(lambda: (server.image("real_A")[..., 0] == 255 - grey).all())


def test_a_16_bit_image_fills_the_screen_s_range(server, open_view):
    # 100 x 101 pixels from 9000 to 9100, uniformly: the 1st and 99th percentiles are 9001 and 9099.
    counts = np.tile(np.arange(9000, 9101, dtype=np.uint16), (100, 1))
    view = open_view(server.port)
    view.images({"real_A": counts, "flat": np.full((3, 3), 9000, np.uint16)})
    server.wait(lambda: {"image real_A", "image flat"} <= server.windows.keys())
    expected = np.clip((np.arange(101) - 1) / 98, 0, 1) * 255
    shown = server.image("real_A")[0, :, 0]
    assert shown[0] == shown[1] == 0 and shown[99] == shown[100] == 255
    np.testing.assert_allclose(shown, expected, atol=0.5)
    assert (server.image("flat") == 0).all()


def test_an_absent_server_is_said_once_and_gets_everything_when_it_comes(open_view, stderr, capfd):
    port = free_port()
    view = open_view(port)
    view.losses(0.5, {"G": 1.0})
    view.images({"fake_B": np.full((4, 4), 7, np.uint8)})
    stderr.wait_for_line()
    view.losses(1.0, {"G": 2.0})

    server = VisdomServer(port)
    server.wait(lambda: len(server.lines().get("G", [])) == 2 and "image fake_B" in server.windows)
    assert server.lines() == {"G": [(0.5, 1.0), (1.0, 2.0)]}
    assert (server.image("fake_B") == 7).all()
    server.stop()

    (line,) = stderr.getvalue().splitlines()
    assert f"{HOST}:{port}" in line and "python -m visdom.server -bind_local" in line
    assert capfd.readouterr() == ("", "")


def test_a_server_that_dies_and_comes_back_shows_the_whole_run(server, open_view, stderr):
    view = open_view(server.port)
    view.losses(0.5, {"G": 1.0})
    view.images({"fake_B": np.full((4, 4), 7, np.uint8)})
    server.wait(lambda: server.lines() and "image fake_B" in server.windows)
    server.stop()

    view.losses(1.0, {"G": 2.0})
    stderr.wait_for_line()
    restarted = VisdomServer(server.port)
    restarted.wait(lambda: "image fake_B" in restarted.windows)
    assert restarted.lines() == {"G": [(0.5, 1.0), (1.0, 2.0)]}
    restarted.stop()

    view.losses(1.5, {"G": 3.0})
    view.close(timeout=PATIENCE)
    assert len(stderr.getvalue().splitlines()) == 1


def test_a_server_that_is_no_visdom_server_counts_as_absent(open_view, stderr):
    server = VisdomServer(busy=True)
    view = open_view(server.port)
    view.losses(0.5, {"G": 1.0})
    stderr.wait_for_line()
    server.wait(lambda: server.requests > 3)
    assert len(stderr.getvalue().splitlines()) == 1
    server.stop()


def test_a_server_that_never_answers_holds_nobody_up(stderr, monkeypatch):
    monkeypatch.setattr(display, "ANSWER_SECONDS", 10 * PATIENCE)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(PATIENCE)
        view = LiveView(HOST, silent.getsockname()[1], "run")
        view.losses(0.5, {"G": 1.0})
        connection, _ = silent.accept()
        # The view's request is under way and never answered: whatever waited for it would hang.
        for step in range(1000):
            view.losses(step, {"G": 1.0})
            view.images({"fake_B": np.zeros((4, 4), np.uint8)})
        view.close(timeout=0.01)
        assert stderr.getvalue() == ""
        (thread,) = (t for t in threading.enumerate() if t.name == "live view")
        assert thread.daemon, "nor does it keep the process from ending"
    connection.close()
    view.close(timeout=PATIENCE)
    assert stderr.getvalue() == "", "a run that is over says nothing more"


def test_a_silent_server_is_given_up_and_said(open_view, stderr, monkeypatch):
    monkeypatch.setattr(display, "ANSWER_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        view = open_view(port)
        view.losses(0.5, {"G": 1.0})
        stderr.wait_for_line()
    assert f"{HOST}:{port}" in stderr.getvalue()


def test_attempts_become_rare(open_view, stderr, monkeypatch):
    waits = []
    enough = threading.Event()

    class Condition(threading.Condition):
        def wait_for(self, predicate, timeout=None):
            if timeout:
                waits.append(timeout)
                if len(waits) == 8:
                    enough.set()
                timeout = 0.0 if len(waits) < 8 else None
            return super().wait_for(predicate, timeout)

    monkeypatch.setattr(display, "FIRST_RETRY_SECONDS", 1.0)
    monkeypatch.setattr(display, "LAST_RETRY_SECONDS", 30.0)
    stand_in = SimpleNamespace(Condition=Condition, Thread=threading.Thread)
    monkeypatch.setattr(display, "threading", stand_in)
    view = open_view(free_port())
    view.losses(0.5, {"G": 1.0})
    assert enough.wait(PATIENCE)
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]


def test_close_sends_what_is_left(server):
    view = LiveView(HOST, server.port, "run")
    view.losses(0.5, {"G": 1.0})
    view.images({"fake_B": np.full((4, 4), 7, np.uint8)})
    view.close(timeout=PATIENCE)
    assert server.lines() == {"G": [(0.5, 1.0)]}
    assert (server.image("fake_B") == 7).all()
    view.close(timeout=PATIENCE)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "visdom", None)
    with pytest.raises(UserError, match=r"pip install .*requirements-visdom\.txt"):
        LiveView(HOST, 8097, "run")
