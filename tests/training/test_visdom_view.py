"""The view on visdom against small servers on this machine: good, absent, silent, dying."""

import base64
import io
import json
import math
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from training import visdom_view
from training.loss_log import LossLog
from training.position import Position
from training.visdom_view import VisdomView

pytest.importorskip("visdom")
pytestmark = pytest.mark.filterwarnings("ignore:The 'warn' method:DeprecationWarning")  # visdom's

HOST = "http://127.0.0.1"
PATIENCE = 30.0  # seconds; reached only where a test fails
FAKE = "sample 1, fake_B"


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

    def lines(self, kind: str = "losses") -> dict[str, list[tuple[float, float]]]:
        """name -> the (x, y) of the plot's line."""
        traces = self.windows.get(f"run: {kind}", {"data": []})["data"]
        return {t["name"]: list(zip(t["x"], t["y"], strict=True)) for t in traces}

    def has(self, name: str) -> bool:
        """Whether there is a window for this image."""
        return f"run: {name}" in self.windows

    def image(self, name: str) -> np.ndarray:
        """(H, W, 3) uint8, as the browser would show it."""
        content = self.windows[f"run: {name}"]["data"][0]["content"]
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
    monkeypatch.setattr(visdom_view, "sys", SimpleNamespace(stderr=stream))
    return stream


@pytest.fixture(autouse=True)
def local_and_quick(monkeypatch):
    """No proxy on the way to this machine, and no waiting between attempts."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(visdom_view, "FIRST_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(visdom_view, "LAST_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(visdom_view, "CLOSE_SECONDS", PATIENCE)


@pytest.fixture
def open_view(tmp_path):
    """Builds views, and closes them when the test is over."""
    views = []
    logs = {kind: tmp_path / f"{kind}.csv" for kind in ("losses", "validation")}

    def build(port: int, run: str = "run", env: str | None = None) -> VisdomView:
        views.append(VisdomView(HOST, port, run=run, env=env, logs=logs))
        return views[-1]

    yield build
    for view in views:
        view.close()


@pytest.fixture
def server():
    server = VisdomServer()
    yield server
    server.stop()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def at(step: int) -> Position:
    return Position(1, step=step)


def test_losses_arrive_as_one_line_each(server, open_view, stderr, capfd):
    view = open_view(server.port)
    view.losses(at(5), {"G_GAN": 0.5, "NCE": 2.0})
    view.losses(at(10), {"G_GAN": 0.25, "NCE": 1.5})
    server.wait(lambda: len(server.lines().get("NCE", [])) == 2)
    assert server.lines() == {"G_GAN": [(5, 0.5), (10, 0.25)], "NCE": [(5, 2.0), (10, 1.5)]}

    view.losses(at(15), {"G_GAN": math.inf, "CAM": 3.0})
    server.wait(lambda: len(server.lines()) == 3)
    assert server.lines() == {
        "G_GAN": [(5, 0.5), (10, 0.25), (15, None)],
        "NCE": [(5, 2.0), (10, 1.5), (15, None)],
        "CAM": [(5, None), (10, None), (15, 3.0)],
    }
    window = server.windows["run: losses"]
    assert window["layout"]["xaxis"]["title"] == "step"
    assert stderr.getvalue() == "" and capfd.readouterr() == ("", "")


def test_validation_has_a_plot_of_its_own(server, open_view):
    view = open_view(server.port)
    view.losses(at(5), {"G": 0.5})
    view.validation(at(10), {"ssim": 0.75})
    server.wait(lambda: server.lines() and server.lines("validation"))
    assert server.lines() == {"G": [(5, 0.5)]}
    assert server.lines("validation") == {"ssim": [(10, 0.75)]}


def test_a_run_that_goes_on_is_plotted_whole(server, open_view, tmp_path):
    log = LossLog(tmp_path / "losses.csv")
    for step in (5, 10):
        log.append(1, step, {"lr": 2e-4, "seconds_per_step": 0.1, "G": 0.5 * step, "D": -step})
    view = open_view(server.port)
    view.losses(at(15), {"G": 7.5, "D": -15.0})
    server.wait(lambda: server.lines())
    assert server.lines() == {
        "G": [(5, 2.5), (10, 5), (15, 7.5)],
        "D": [(5, -5), (10, -10), (15, -15)],
    }


@pytest.mark.parametrize(
    ("run", "env", "expected"),
    [
        ("mwir_real2cut", None, "mwir_real2cut"),
        ("v1.2-b", None, "v1.2-b"),
        ("my runs/a+b?", None, "my_runs_a_b_"),
        ("run", "both of them", "both_of_them"),
    ],
)
def test_a_run_has_its_own_environment_and_titles(server, open_view, run, env, expected):
    view = open_view(server.port, run, env)
    view.losses(at(5), {"G": 0.5})
    view.samples(at(5), [{"real_A": np.zeros((4, 4), np.uint8)}])
    view.close()
    assert {window["eid"] for window in server.windows.values()} == {expected}
    titles = {window["opts"]["title"] for window in server.windows.values()}
    assert titles == {f"{run}: losses", f"{run}: sample 1, real_A"} == server.windows.keys()


def test_a_long_run_is_thinned_evenly_and_keeps_its_ends(server, open_view, monkeypatch):
    monkeypatch.setattr(visdom_view, "PLOTTED_POINTS", 11)
    view = open_view(server.port)
    for step in range(101):
        view.losses(at(step), {"G": -step})
    server.wait(lambda: server.lines().get("G", [(0, 0)])[-1] == (100, -100))
    assert server.lines()["G"] == [(x, -x) for x in range(0, 101, 10)]


def test_images_arrive_as_they_are(server, open_view):
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (5, 7), dtype=np.uint8)
    colour = rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    view = open_view(server.port)
    view.samples(at(1), [{"real_A": grey, "cam": colour}, {"real_A": grey + 1}])
    names = "sample 1, real_A", "sample 1, cam", "sample 2, real_A"
    server.wait(lambda: all(map(server.has, names)))
    for name, image in zip(names[::2], (grey, grey + 1), strict=True):
        np.testing.assert_array_equal(server.image(name), np.repeat(image[..., None], 3, axis=2))
    np.testing.assert_array_equal(server.image(names[1]), colour)

    view.samples(at(2), [{"real_A": 255 - grey}])
    server.wait(lambda: (server.image(names[0])[..., 0] == 255 - grey).all())


def test_an_absent_server_is_said_once_and_gets_everything_when_it_comes(open_view, stderr, capfd):
    port = free_port()
    view = open_view(port)
    view.losses(at(5), {"G": 1.0})
    view.samples(at(5), [{"fake_B": np.full((4, 4), 7, np.uint8)}])
    stderr.wait_for_line()
    view.losses(at(10), {"G": 2.0})

    server = VisdomServer(port)
    server.wait(lambda: len(server.lines().get("G", [])) == 2 and server.has(FAKE))
    assert server.lines() == {"G": [(5, 1.0), (10, 2.0)]}
    assert (server.image(FAKE) == 7).all()
    server.stop()

    (line,) = stderr.getvalue().splitlines()
    assert f"{HOST}:{port}" in line and f"bash scripts/visdom.sh {port}" in line
    assert capfd.readouterr() == ("", "")


def test_a_server_that_dies_and_comes_back_shows_the_whole_run(server, open_view, stderr):
    view = open_view(server.port)
    view.losses(at(5), {"G": 1.0})
    view.samples(at(5), [{"fake_B": np.full((4, 4), 7, np.uint8)}])
    server.wait(lambda: server.lines() and server.has(FAKE))
    server.stop()

    view.losses(at(10), {"G": 2.0})
    stderr.wait_for_line()
    restarted = VisdomServer(server.port)
    restarted.wait(lambda: restarted.has(FAKE))
    assert restarted.lines() == {"G": [(5, 1.0), (10, 2.0)]}
    restarted.stop()

    view.losses(at(15), {"G": 3.0})
    view.close()
    assert len(stderr.getvalue().splitlines()) == 1


def test_a_server_that_is_no_visdom_server_counts_as_absent(open_view, stderr):
    server = VisdomServer(busy=True)
    view = open_view(server.port)
    view.losses(at(5), {"G": 1.0})
    stderr.wait_for_line()
    server.wait(lambda: server.requests > 3)
    assert len(stderr.getvalue().splitlines()) == 1
    server.stop()


def test_a_server_that_never_answers_holds_nobody_up(open_view, stderr, monkeypatch):
    monkeypatch.setattr(visdom_view, "ANSWER_SECONDS", 10 * PATIENCE)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(PATIENCE)
        view = open_view(silent.getsockname()[1])
        view.losses(at(5), {"G": 1.0})
        connection, _ = silent.accept()
        # The view's request is under way and never answered: whatever waited for it would hang.
        for step in range(1000):
            view.losses(at(step), {"G": 1.0})
            view.samples(at(step), [{"fake_B": np.zeros((4, 4), np.uint8)}])
        monkeypatch.setattr(visdom_view, "CLOSE_SECONDS", 0.01)
        view.close()
        assert stderr.getvalue() == ""
        (thread,) = (t for t in threading.enumerate() if t.name == "visdom")
        assert thread.daemon, "nor does it keep the process from ending"
    connection.close()
    monkeypatch.setattr(visdom_view, "CLOSE_SECONDS", PATIENCE)
    view.close()
    assert stderr.getvalue() == "", "a run that is over says nothing more"


def test_a_silent_server_is_given_up_and_said(open_view, stderr, monkeypatch):
    monkeypatch.setattr(visdom_view, "ANSWER_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        view = open_view(port)
        view.losses(at(5), {"G": 1.0})
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

    monkeypatch.setattr(visdom_view, "FIRST_RETRY_SECONDS", 1.0)
    monkeypatch.setattr(visdom_view, "LAST_RETRY_SECONDS", 30.0)
    stand_in = SimpleNamespace(Condition=Condition, Thread=threading.Thread)
    monkeypatch.setattr(visdom_view, "threading", stand_in)
    view = open_view(free_port())
    view.losses(at(5), {"G": 1.0})
    assert enough.wait(PATIENCE)
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]


def test_close_sends_what_is_left(server, open_view):
    view = open_view(server.port)
    view.losses(at(5), {"G": 1.0})
    view.samples(at(5), [{"fake_B": np.full((4, 4), 7, np.uint8)}])
    view.close()
    assert server.lines() == {"G": [(5, 1.0)]}
    assert (server.image(FAKE) == 7).all()
    view.close()
