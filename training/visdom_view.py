"""Losses, validation and samples of a running training in the browser, through a visdom server."""

import logging
import re
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from training.display import Display
from training.loss_log import read_log
from training.position import Position

if TYPE_CHECKING:
    import visdom

CONNECT_SECONDS, ANSWER_SECONDS = 3.0, 10.0  # a server that takes longer counts as failed
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 1.0, 30.0  # doubled with every failure
CLOSE_SECONDS = 5.0  # of the end of a run, for what is still to be sent
PLOTTED_POINTS = 1000  # more cannot be told apart on a screen


class _Point(NamedTuple):
    """What was measured at one step."""

    step: int
    values: Mapping[str, float]


class VisdomView(Display):
    """One run in its own environment: plots of its logs, and a window for each image of a sample.

    The training hands over what there is to show and goes on at once; a thread of its own talks to
    the server. Only the newest state is sent: what changed while the server was slow or away is
    shown in one go when it answers (a plot whole, of an image the latest), so nothing piles up.
    A server that is absent, hangs or dies costs one line on stderr and is tried again quietly.
    """

    name = "visdom"

    def __init__(
        self, server: str, port: int, *, run: str, env: str | None, logs: Mapping[str, Path]
    ):
        """Start showing. Returns at once, whether or not there is a server.

        server: its address without the port, such as `http://localhost`.
        run: its name, which stands in the title of each window.
        env: the environment, which the browser lists; None for the one of the run.
        logs: files of `LossLog` by what is in them, whose plots go on with their rows.
        """
        # visdom reports every failed attempt; this view reports the first one, in one line.
        logging.getLogger("visdom").setLevel(logging.CRITICAL)
        self._server, self._port, self._run = server, port, run
        self._env = environment(env or run)
        self._plots = {kind: _read_points(log) for kind, log in logs.items()}
        self._state = threading.Condition()  # guards these, and the plots
        self._images: dict[str, np.ndarray] = {}
        self._unsent: set[str] = set()  # keys of either
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="visdom", daemon=True)
        self._thread.start()

    def losses(self, position: Position, values: Mapping[str, float]) -> None:
        """As of Display; a value that is not finite leaves a gap."""
        self._plot("losses", position, values)

    def validation(self, position: Position, values: Mapping[str, float]) -> None:
        """As of Display; a value that is not finite leaves a gap."""
        self._plot("validation", position, values)

    def samples(self, position: Position, samples: Sequence[Mapping[str, np.ndarray]]) -> None:
        """As of Display, each in place of the one before."""
        images = {
            f"sample {number}, {name}": image
            for number, named in enumerate(samples, start=1)
            for name, image in named.items()
        }
        with self._state:
            self._images |= images
            self._unsent |= images.keys()
            self._state.notify_all()

    def close(self) -> None:
        """Send what is still to be sent, for at most CLOSE_SECONDS, and stop."""
        with self._state:
            self._closing = True
            self._state.notify_all()
        self._thread.join(CLOSE_SECONDS)

    def _plot(self, kind: str, position: Position, values: Mapping[str, float]) -> None:
        point = _Point(position.step, dict(values))
        with self._state:
            self._plots[kind].append(point)
            self._unsent.add(kind)
            self._state.notify_all()

    def _work(self) -> None:
        """The thread: wait for something new, send it, and back off while that fails."""
        client = None
        retry_seconds = 0.0
        warned = False
        while True:
            with self._state:
                # After a failure nothing but closing ends the wait early.
                self._state.wait_for(lambda: self._closing, timeout=retry_seconds)
                self._state.wait_for(lambda: self._unsent or self._closing)
                if self._closing and (retry_seconds or not self._unsent):
                    return
                plots = {k: list(p) for k, p in self._plots.items() if k in self._unsent}
                images = {k: image for k, image in self._images.items() if k in self._unsent}
                self._unsent.clear()
            try:
                client = client or _connect(self._server, self._port, self._env)
                _send(client, self._run, plots, images)
                retry_seconds = 0.0
            except OSError:  # all that visdom and requests raise where no visdom server answers
                retry_seconds = min(max(2 * retry_seconds, FIRST_RETRY_SECONDS), LAST_RETRY_SECONDS)
                with self._state:  # a new server knows nothing
                    self._unsent |= {kind for kind, points in self._plots.items() if points}
                    self._unsent |= self._images.keys()
                if not (warned or self._closing):
                    self._warn()
                    warned = True

    def _warn(self) -> None:
        """Say what is wrong and how to mend it."""
        print(
            f"no visdom server answers at {self._server}:{self._port}; the run goes on without it. "
            f"To start one: bash scripts/visdom.sh {self._port}",
            file=sys.stderr,
            flush=True,
        )


def environment(name: str) -> str:
    """The visdom environment of this name, less what the address of its page cannot carry."""
    return re.sub(r"[^\w.-]+", "_", name)


def _read_points(log: Path) -> list[_Point]:
    names, rows = read_log(log)
    return [_Point(int(step), dict(zip(names, values, strict=True))) for step, *values in rows]


def _connect(server: str, port: int, env: str) -> "visdom.Visdom":
    """A visdom client that raises OSError, where visdom's own hangs, prints or ignores."""
    import visdom

    class Client(visdom.Visdom):
        def _handle_post(self, url: str, data: str | None = None) -> str:
            # visdom waits for an answer for ever, and takes any answer for a visdom server's.
            answer = self.session.post(url, data=data, timeout=(CONNECT_SECONDS, ANSWER_SECONDS))
            answer.raise_for_status()
            return answer.text

    return Client(
        server=server, port=port, env=env, raise_exceptions=True, use_incoming_socket=False
    )


def _send(
    client: "visdom.Visdom",
    run: str,
    plots: Mapping[str, Sequence[_Point]],
    images: Mapping[str, np.ndarray],
) -> None:
    """Bring the browser up to date: plots whole, so that a restarted server shows them too."""
    for kind, points in plots.items():
        count = min(len(points), PLOTTED_POINTS)
        shown = [points[i] for i in np.linspace(0, len(points) - 1, count).round().astype(int)]
        names = list(dict.fromkeys(name for point in shown for name in point.values))
        values = np.array([[float(p.values.get(name, np.nan)) for name in names] for p in shown])
        values[~np.isfinite(values)] = np.nan  # a browser reads no infinity
        title = f"{run}: {kind}"
        client.line(
            X=np.array([point.step for point in shown]),
            Y=values,
            win=title,
            opts={"title": title, "xlabel": "step", "legend": names},
        )
    for name, image in images.items():
        title = f"{run}: {name}"
        shown = image if image.ndim == 2 else np.moveaxis(image, -1, 0)  # visdom's: colours first
        client.image(shown, win=title, opts={"title": title})
