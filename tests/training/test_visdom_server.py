"""visdom as it is installed: its own server, its page, and what a run shows on it."""

import base64
import io
import json
import os
import select
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from training import visdom_server, visdom_view
from training.monitor import Monitor
from training.position import Position
from training.visdom_server import require_scripts
from training.visdom_view import VisdomView
from util.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore:The 'warn' method:DeprecationWarning")  # visdom's

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0  # seconds; reached only where a test fails
SERVE = "import sys; from training.visdom_server import serve; from util.errors import run_main; "
SERVE += "run_main(lambda: serve(int(sys.argv[1])))"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def wait_for(process: subprocess.Popen, word: bytes) -> None:
    """Until the process has said it."""
    said = b""
    while word not in said:
        assert select.select([process.stdout], [], [], PATIENCE)[0], said
        more = os.read(process.stdout.fileno(), 4096)
        assert more, "it has ended"
        said += more


@contextmanager
def serving(port: int, home: Path):
    """The server in a process, which has nothing of other runs to show."""
    command = [sys.executable, "-c", SERVE, str(port)]
    environment = {**os.environ, "HOME": str(home), "OMP_NUM_THREADS": "1"}
    with (home / "errors").open("wb") as errors:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=errors
        )
    try:
        wait_for(process, b"http://localhost:%d" % port)
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """Where a server listens."""
    pytest.importorskip("visdom")
    found = free_port()
    with serving(found, tmp_path_factory.mktemp("home")):
        yield found


@pytest.fixture(autouse=True)
def nearby(monkeypatch):
    """No proxy on the way to this machine."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setattr(visdom_view, "CLOSE_SECONDS", PATIENCE)


def ask(port: int, path: str, **question) -> bytes:
    """What the server answers, with status 200."""
    body = json.dumps(question).encode() if question else None
    address = f"http://127.0.0.1:{port}{path}"
    with urllib.request.urlopen(address, data=body, timeout=PATIENCE) as answer:
        assert answer.status == 200
        return answer.read()


def windows(port: int, env: str) -> dict:
    """All windows of an environment, by their names."""
    return json.loads(ask(port, "/win_data", eid=env, win=None))


@pytest.mark.parametrize("path", ["/", "/env/mwir_cut"])
def test_its_page_is_there(port, path):
    assert b'<div id="app">' in ask(port, path)


def test_it_shows_what_a_run_has_sent(port, tmp_path):
    logs = {kind: tmp_path / kind for kind in ("losses", "validation")}
    view = VisdomView("http://localhost", port, run="a/run", env=None, logs=logs)
    view.losses(Position(1, step=5), {"G": 0.5, "D": 2.0})
    view.losses(Position(1, step=10), {"G": 0.25, "D": 3.0})
    view.validation(Position(1, step=10), {"ssim": 0.75})
    grey = np.arange(20, dtype=np.uint8).reshape(4, 5)
    view.samples(Position(1, step=10), [{"fake_B": grey}])
    view.close()
    found = windows(port, "a_run")
    assert {window["title"] for window in found.values()} == {
        *("a/run: losses", "a/run: validation", "a/run: sample 1, fake_B")
    }
    curves = found["a/run: losses"]["content"]["data"]
    assert [(c["name"], c["x"], c["y"]) for c in curves] == [
        ("G", [5, 10], [0.5, 0.25]),
        ("D", [5, 10], [2, 3]),
    ]
    (curve,) = found["a/run: validation"]["content"]["data"]
    assert (curve["name"], curve["x"], curve["y"]) == ("ssim", [10], [0.75])
    _, _, encoded = found["a/run: sample 1, fake_B"]["content"]["src"].partition("base64,")
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))))
    np.testing.assert_array_equal(shown, np.repeat(grey[..., None], 3, axis=2))
    assert b"'a_run'" in ask(port, "/")  # the list of environments


@pytest.mark.skipif(sys.platform != "linux", reason="needs all of 127/8 on the loopback")
def test_only_this_machine_reaches_it(port):
    with pytest.raises(ConnectionRefusedError):  # as any address of its network would be
        socket.create_connection(("127.0.0.2", port), PATIENCE)


def test_a_port_that_is_taken_is_named(port, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SERVE, str(port)],
        cwd=ROOT,
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: visdom's server cannot serve port {port} ")
    assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) == 1


# --- a run beside it


def networks(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    """All of a run at its end."""
    return {path.name: torch.load(path) for path in folder.glob("latest_net_*.pth")}


def test_a_server_killed_in_the_midst_of_a_run_changes_no_weight(
    short_run, tmp_path, monkeypatch, capfd
):
    pytest.importorskip("visdom")
    expected = networks(short_run("alone", "--no_html"))
    port = free_port()
    step = Monitor.step
    with serving(port, tmp_path) as server:

        def kill_it(self, position, *args, **more):
            step(self, position, *args, **more)
            if position.step == 3:
                deadline = time.monotonic() + PATIENCE
                while ask(port, "/win_exists", eid="shown", win="shown: losses") != b"true":
                    assert time.monotonic() < deadline
                server.kill()
                server.wait()

        monkeypatch.setattr(Monitor, "step", kill_it)
        found = networks(short_run("shown", "--display_id", "1", "--display_port", str(port)))
    assert server.returncode < 0
    assert capfd.readouterr().err.count(f"no visdom server answers at http://localhost:{port}") == 1
    assert found.keys() == expected.keys() and len(found) == 3
    for name, weights in expected.items():
        assert all(torch.equal(found[name][key], value) for key, value in weights.items())


# --- scripts of its page


@pytest.fixture
def static(tmp_path):
    """visdom's folder, whose page loads two scripts; one of them is there."""
    (tmp_path / "js").mkdir()
    (tmp_path / "js" / "main.js").touch()
    script = "<script src={{{{ static_url({}) }}}}></script>".format
    lines = [script('"js/main.js"'), script("'js/jquery.min.js'"), "<script>var a;</script>"]
    (tmp_path / "index.html").write_text("\n".join(lines))
    return tmp_path


@pytest.mark.parametrize(
    "code", ["raise OSError('no route to host')", "import threading; threading.Event().wait()"]
)
def test_without_scripts_for_its_page_another_way_is_named(static, monkeypatch, code):
    monkeypatch.setattr(visdom_server, "FETCH", code)
    monkeypatch.setattr(visdom_server, "FETCH_SECONDS", 0.5)
    with pytest.raises(UserError, match=r"\(jquery\.min\.js, \.\.\.\)") as error:
        require_scripts(static)
    for words in ("web/index.html", "ssh -L", "python -m http.server", "--bind 127.0.0.1"):
        assert words in str(error.value)


def test_what_its_page_lacks_is_fetched(static, monkeypatch):
    file = static / "js" / "jquery.min.js"
    monkeypatch.setattr(visdom_server, "FETCH", f"open({str(file)!r}, 'w').close()")
    require_scripts(static)
    assert file.exists()
    monkeypatch.setattr(visdom_server, "FETCH", f"open({str(static / 'again')!r}, 'w').close()")
    require_scripts(static)
    assert not (static / "again").exists()


def test_the_page_of_the_installed_visdom_is_understood():
    pytest.importorskip("visdom")
    from visdom.utils.shared_utils import get_visdom_path

    page = Path(get_visdom_path("static")) / "index.html"
    loaded = visdom_server.loaded_scripts(page.parent)
    assert {"js/jquery.min.js", "js/plotly-plotly.min.js", "js/main.js"} <= set(loaded)
    assert len(loaded) == page.read_text().count("<script ") - 1  # the configuration of MathJax
