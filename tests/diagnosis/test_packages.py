"""Which packages will do, and whether a visdom server answers."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from diagnosis import packages
from diagnosis.finding import Setting
from diagnosis.packages import Requirement, check_packages, check_visdom, read_requirements

SETTING = Setting((), None, "-1", "http://localhost:1")


@pytest.mark.parametrize(
    ("installed", "limits", "old", "new"),
    [
        ("2.11.0+cu130", "==2.11.0", False, False),
        ("2.11", "==2.11.0", False, False),
        ("2.9.1", "==2.11.0", True, False),
        ("2.12.0", "==2.11.0", False, True),
        ("1.26.4", ">=1.26,<3", False, False),
        ("1.25", ">=1.26,<3", True, False),
        ("3.0.0", ">=1.26,<3", False, True),
        ("10.0", ">=9.1", False, False),
    ],
)
def test_versions_are_compared_by_number(installed, limits, old, new, tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "version", lambda name: installed)
    (tmp_path / "wanted.txt").write_text(f"# some\n--flag\nscikit-learn{limits}  # a reason\n")
    (found,) = read_requirements(tmp_path / "wanted.txt")
    assert (found.package, found.wanted) == ("scikit-learn", limits)
    assert (found.is_old, found.is_new) == (old, new)


@pytest.mark.parametrize(
    ("file", "limit", "installed", "state", "words"),
    [
        ("requirements", "==2.0", "2.0", "ok", "all 1 of"),
        ("requirements", "==2.0", None, "to do", "there is no x; run `pip install"),
        ("requirements", "==2.0", "1.0", "to do", "x 1.0 is not ==2.0; run `pip install"),
        ("requirements", "==2.0", "3.0", "optional", "newer than tested: x 3.0 beside ==2.0"),
        ("requirements-floors", ">=2.0", "1.0", "to do", "x 1.0 is not >=2.0"),
        ("requirements-floors", ">=2.0", None, "ok", "all 0 of"),
    ],
)
def test_what_is_missing_or_of_another_version_is_named(
    file, limit, installed, state, words, monkeypatch
):
    found = Requirement("x", ((limit[:2], limit[2:]),), installed)
    monkeypatch.setattr(packages, "read_requirements", lambda f: [found] * (f.stem == file))
    (finding,) = check_packages(SETTING)
    assert finding.state == state and words in finding.text


@pytest.fixture
def server(monkeypatch):
    """A server that answers with the code that is asked for: server(200) -> its address."""
    running = []

    def start(code):
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(code)
                self.end_headers()

            def log_message(self, *_):
                pass

        running.append(ThreadingHTTPServer(("127.0.0.1", 0), Answer))
        threading.Thread(target=running[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{running[-1].server_port}"

    monkeypatch.setattr(packages, "read_requirements", lambda _: [])
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # which is not asked
    yield start
    for one in running:
        one.shutdown()
        one.server_close()


@pytest.mark.parametrize(
    ("code", "state", "words"),
    [(200, "ok", "a server answers at"), (404, "optional", "answers 404")],
)
def test_a_visdom_server_is_asked(server, code, state, words):
    (finding,) = check_visdom(Setting((), None, "-1", server(code)))
    assert finding.state == state and words in finding.text


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "no address"])
def test_where_no_server_is_it_is_said_how_to_start_one(server, address):
    (finding,) = check_visdom(Setting((), None, "-1", address))
    assert finding.state == "optional" and "bash scripts/visdom.sh" in finding.text
