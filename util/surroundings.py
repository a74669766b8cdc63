"""What a program finds around it, made fit before any library asks for it."""

import getpass
import os
import tempfile
from pathlib import Path

from util.ranks import processes


def settle() -> None:
    """Environment variables without which libraries cannot be imported.

    The user id of a container may have neither name nor home, and torch asks for the one,
    matplotlib for the other. Notebooks name a backend for matplotlib that need not be installed
    here, and without which it cannot be imported; drawings that become SVG need none. Each of
    several processes would warn of what models/base.py asks of torch with good reason.
    """
    if processes() > 1:
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    os.environ["MPLBACKEND"] = "agg"
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = f"uid{os.getuid()}"
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(_home())


def _home() -> Path:
    """A folder of this user alone, the same in each start; another one where that is taken."""
    path = Path(tempfile.gettempdir(), f"home-of-uid{os.getuid()}")
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        if path.lstat().st_uid == os.getuid() and not path.is_symlink():
            return path
    except OSError:  # somebody else's file of this name
        pass
    return Path(tempfile.mkdtemp(prefix=f"{path.name}-"))
