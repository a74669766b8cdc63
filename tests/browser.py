"""A headless Chromium that opens pages, spoken to over a pipe: no driver, no port, no network."""

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

BINARY = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
SECONDS = 60  # for a page and for an answer
# The images in the window are there, lazy ones too, and what they moved is drawn: a frame is asked
# for before the drawing, the next one comes after it.
SETTLED = """(async () => {
    const frame = () => new Promise(requestAnimationFrame);
    await frame();
    const seen = [...document.images].filter(image => {
        const { top, bottom } = image.getBoundingClientRect();
        return image.checkVisibility() && bottom >= 0 && top <= innerHeight;
    });
    await Promise.all(seen.map(image => image.decode().catch(() => null)));
    await frame();
    await frame();
})()"""


class Browser:
    """One page. `console` collects errors and uncaught exceptions, `requests` all addresses."""

    def __init__(self, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        self.profile = TemporaryDirectory(ignore_cleanup_errors=True)
        # Chromium reads commands from descriptor 3 and answers on 4, each message ended by NUL.
        self.from_us, self.to_chromium = os.pipe()
        self.to_us, self.from_chromium = os.pipe()
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
        flags += ["--disable-background-networking", "--no-first-run", "--hide-scrollbars"]
        flags += [f"--user-data-dir={self.profile.name}", "about:blank"]
        self.process = subprocess.Popen(
            [
                *("bash", "-c", f'exec "$@" 3<&{self.from_us} 4>&{self.from_chromium}', "bash"),
                *(BINARY, *flags),
            ],
            pass_fds=(self.from_us, self.from_chromium),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(self.from_us)
        os.close(self.from_chromium)
        self.unread = b""
        self.number = 0
        self.session: str | None = None
        self.console: list[str] = []
        self.requests: list[str] = []
        self.loaded = False
        found = self.call("Target.getTargets")["targetInfos"]
        target = next(t["targetId"] for t in found if t["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.resize(width, height)
        scheme = "dark" if dark else "light"
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer of the DevTools protocol to one command."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to_chromium, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self.unread:
            part = os.read(self.to_us, 1 << 20)
            assert part, "the browser has ended"
            self.unread += part
        text, _, self.unread = self.unread.partition(b"\0")
        message = json.loads(text)
        self._note(message.get("method"), message.get("params", {}))
        return message

    def _note(self, method: str | None, details: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.console.append(str(details["exceptionDetails"].get("exception", details)))
        elif method == "Log.entryAdded" and details["entry"]["level"] == "error":
            self.console.append(details["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(details["request"]["url"])
        elif method == "Page.loadEventFired":
            self.loaded = True

    def open(self, path: Path, *, scripts: bool = True) -> None:
        """Open a page and wait until it is loaded and, with scripts, has settled."""
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.loaded = False
        self.call("Page.navigate", url=path.resolve().as_uri())
        while not self.loaded:
            self._read()
        if scripts:
            self.settle()

    def settle(self) -> None:
        """Wait until the window shows what the page has become."""
        self.run(SETTLED)

    def run(self, script: str) -> Any:
        """The value of an expression on the page, of a promise's end too."""
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """A key, by the name that scripts see: "d", "Enter", "ArrowRight"."""
        text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def resize(self, width: int, height: int) -> None:
        """The window, in CSS pixels."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1}
        self.call("Emulation.setDeviceMetricsOverride", mobile=width < 600, **metrics)

    def screenshot(self, path: Path) -> bytes:
        """PNG of what the window shows, once that has settled."""
        self.settle()
        content = base64.b64decode(self.call("Page.captureScreenshot")["data"])
        path.write_bytes(content)
        return content

    def close(self) -> None:
        """End it, and remove its profile."""
        self.process.terminate()
        self.process.wait(SECONDS)
        os.close(self.to_chromium)
        os.close(self.to_us)
        self.profile.cleanup()
