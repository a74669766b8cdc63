"""visdom's server for runs with --display_id 1: `bash scripts/visdom.sh [PORT]`."""

import argparse
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from util.errors import UserError, run_main
from util.packages import require

# What the server does at its first start: it asks for each of 30 files, however long that takes
# and however many have failed. So the first is tried beforehand, and then all have an end.
FETCH = """
import urllib.request
urllib.request.urlopen("https://unpkg.com/jquery@3.1.1/dist/jquery.min.js", timeout=5)
from visdom.server.build import download_scripts
download_scripts()
"""
FETCH_SECONDS = 120.0


def main() -> None:
    """Serve until Ctrl-C. Raises UserError where that cannot be done."""
    parser = argparse.ArgumentParser(prog="scripts/visdom.sh", description=__doc__)
    parser.add_argument("port", type=int, nargs="?", default=8097, help="as of --display_port")
    port = parser.parse_args().port
    require("scripts/visdom.sh", "visdom")
    from visdom.utils.shared_utils import get_visdom_path

    require_scripts(Path(get_visdom_path("static")))
    serve(port)


def require_scripts(static: Path) -> None:
    """Fetch what visdom's page loads and does not bring along. Raises UserError without it.

    static: visdom's folder of that name.
    """
    if missing_scripts(static):
        print("fetching the scripts of visdom's page, this once ...", flush=True)
        with suppress(subprocess.TimeoutExpired):
            command = [sys.executable, "-c", FETCH]
            subprocess.run(command, capture_output=True, check=False, timeout=FETCH_SECONDS)
    if missing := missing_scripts(static):
        raise UserError(
            f"visdom's page cannot load its scripts ({', '.join(missing[:2])}, ...), which are not "
            "here and cannot be fetched; look at the training page, checkpoints/NAME/web/"
            "index.html, from another machine by `python -m http.server 8000 --bind 127.0.0.1 "
            "--directory checkpoints` here, `ssh -L 8000:localhost:8000 HOST` there, and "
            "http://localhost:8000/NAME/web/ in its browser."
        )


def missing_scripts(static: Path) -> list[str]:
    """Names of the scripts that visdom's page loads from this folder and that are not in it."""
    return [Path(name).name for name in loaded_scripts(static) if not (static / name).is_file()]


def loaded_scripts(static: Path) -> list[str]:
    """The scripts that visdom's page loads from this folder, as paths in it."""
    page = (static / "index.html").read_text(encoding="utf-8")
    return re.findall(r"""<script[^>]*\bsrc=\{\{ ?static_url\(["'](.+?)["']\)""", page)


def serve(port: int) -> None:
    """Serve this machine alone, for ever. Raises UserError where the port is taken."""
    from visdom.server.run_server import start_server

    try:
        start_server(port=port, base_url="", bind_local=True, print_func=_greet)
    except (OSError, OverflowError) as error:
        raise UserError(
            f"visdom's server cannot serve port {port} ({error}); name another to it, as in "
            "scripts/visdom.sh 8098, and to the runs, as in --display_port 8098."
        ) from None


def _greet(port: int) -> None:
    print(f"http://localhost:{port} shows runs with --display_id 1; Ctrl-C ends it", flush=True)


if __name__ == "__main__":
    run_main(main)
