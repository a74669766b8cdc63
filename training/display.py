"""Losses and sample images of a running training in the browser, through a visdom server."""

import logging
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from util.packages import require

if TYPE_CHECKING:
    import visdom

CONNECT_SECONDS, ANSWER_SECONDS = 3.0, 10.0  # a server that takes longer counts as failed
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 1.0, 30.0  # doubled with every failure
PLOTTED_POINTS = 1000  # more cannot be told apart on a screen


class _Point(NamedTuple):
    """What one call of LiveView.losses said."""

    epoch_progress: float
    values: Mapping[str, float]


class LiveView:
    """The live view of one run: a plot of the losses, and a window for each sample image.

    The training hands over what there is to show and goes on at once; a thread of its own talks to
    the server. Only the newest state is sent: what changed while the server was slow or away is
    shown in one go when it answers (the plot whole, the images the latest), so nothing piles up.
    A server that is absent, hangs or dies costs one line on stderr and is tried again quietly.
    """

    def __init__(self, server: str, port: int, env: str):
        """Start showing. Returns at once, whether or not there is a server.

        server: its address without the port, such as `http://localhost`.
        env: the visdom environment, which the browser lists: the name of the run.

        Raises UserError where the package visdom is missing.
        """
        require("the live view (which --display_id 0 leaves out)", "visdom")
        # visdom reports every failed attempt; this view reports the first one, in one line.
        logging.getLogger("visdom").setLevel(logging.CRITICAL)
        self._server, self._port, self._env = server, port, env
        self._state = threading.Condition()  # guards the four below
        self._points: list[_Point] = []
        self._images: dict[str, np.ndarray] = {}
        self._unsent: set[str] = set()  # "losses", "images"
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="live view", daemon=True)
        self._thread.start()

    def losses(self, epoch_progress: float, values: Mapping[str, float]) -> None:
        """Add a point to the line of each loss.

        epoch_progress: epochs trained, with the fraction of the one in progress.
        values: name -> loss; a value that is not finite leaves a gap.
        """
        point = _Point(epoch_progress, dict(values))
        with self._state:
            self._points.append(point)
            self._unsent.add("losses")
            self._state.notify_all()

    def images(self, named: Mapping[str, np.ndarray]) -> None:
        """Show images, each in the window of its name, in place of the ones before.

        named: name -> (H, W) or (H, W, 3) uint8, or (H, W) uint16, which is stretched between its
            1st and 99th percentile. The arrays are read later: they must not be written to again.
        """
        with self._state:
            self._images.update(named)
            self._unsent.add("images")
            self._state.notify_all()

    def close(self, timeout: float) -> None:
        """Send what is still to be sent, for at most `timeout` seconds, and stop."""
        with self._state:
            self._closing = True
            self._state.notify_all()
        self._thread.join(timeout)

    def _run(self) -> None:
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
                points = list(self._points) if "losses" in self._unsent else []
                images = dict(self._images) if "images" in self._unsent else {}
                self._unsent.clear()
            try:
                client = client or _connect(self._server, self._port, self._env)
                _send(client, points, images)
                retry_seconds = 0.0
            except OSError:  # all that visdom and requests raise where no visdom server answers
                retry_seconds = min(max(2 * retry_seconds, FIRST_RETRY_SECONDS), LAST_RETRY_SECONDS)
                with self._state:
                    self._unsent |= {"losses", "images"}  # a new server knows nothing
                if not (warned or self._closing):
                    self._warn()
                    warned = True

    def _warn(self) -> None:
        """Say what is wrong and how to mend it."""
        print(
            f"live view: no visdom server answers at {self._server}:{self._port}; the run goes on "
            # Without -bind_local visdom serves, and takes orders from, the whole network.
            f"without it. To start one: python -m visdom.server -bind_local -port {self._port}",
            file=sys.stderr,
            flush=True,
        )


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


def _send(client: "visdom.Visdom", points: list[_Point], images: Mapping[str, np.ndarray]) -> None:
    """Bring the browser up to date: the whole plot, so that a restarted server shows it too."""
    if points:
        shown = (
            np.linspace(0, len(points) - 1, min(len(points), PLOTTED_POINTS)).round().astype(int)
        )
        names = list(dict.fromkeys(name for i in shown for name in points[i].values))
        losses = np.array(
            [[float(points[i].values.get(name, np.nan)) for name in names] for i in shown]
        )
        losses[~np.isfinite(losses)] = np.nan  # a browser reads no infinity
        client.line(
            X=np.array([points[i].epoch_progress for i in shown]),
            Y=losses,
            win="losses",
            opts={"title": "losses", "xlabel": "epoch", "ylabel": "loss", "legend": names},
        )
    for name, image in images.items():
        client.image(_displayable(image), win=f"image {name}", opts={"title": name})


def _displayable(image: np.ndarray) -> np.ndarray:
    """(H, W) or (H, W, 3) uint8, or (H, W) uint16 -> (H, W) or (3, H, W) uint8, as visdom takes it.

    A 16-bit image fills a small part of its range: without the stretch it would be black.
    """
    if image.dtype == np.uint16:
        low, high = np.percentile(image, (1, 99))
        stretched = (image - low) / max(high - low, 1.0)
        image = (stretched.clip(0, 1) * 255).round().astype(np.uint8)
    return np.moveaxis(image, -1, 0) if image.ndim == 3 else image
