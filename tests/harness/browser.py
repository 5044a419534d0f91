"""A real Chromium without a screen, driven over its debugging pipe: JSON messages, each ended by a NUL."""

import itertools
import json
import os
import select
import shutil
import subprocess
import time
from types import TracebackType
from typing import Any, Self

from tests.harness.namespace import Lab

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_THEIRS = (3, 4)
"""Descriptors on which Chromium reads orders and writes answers."""
_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # refuses to run as root otherwise
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--remote-debugging-pipe",
)
_BELIEVES_ALL = "--ignore-certificate-errors"  # the fakes' CA is made anew for each run


def find_chromium() -> str | None:
    """Where a Chromium is; None where there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Chromium:
    """`with Chromium(lab) as browser:` one tab. Whatever waits raises `AssertionError` when it takes too long.

    With `verify` it believes those certificates alone that the NSS database in its home, the lab's folder, vouches for.
    """

    def __init__(
        self, lab: Lab, timeout_s: float = 30, *, verify: bool = False, proxy: str = "", flags: tuple[str, ...] = ()
    ) -> None:
        self.requested: list[str] = []
        """Every address that pages have asked for."""
        self.complaints: list[str] = []
        """What went wrong in pages, once `Runtime.enable` and `Log.enable` were called; refused requests are not it."""
        self._lab = lab
        self._timeout_s = timeout_s
        self._flags = (
            *_FLAGS,
            *(() if verify else (_BELIEVES_ALL,)),
            *((f"--proxy-server={proxy}",) if proxy else ()),
            *flags,
        )
        self._numbers = itertools.count(1)
        self._events: list[dict[str, Any]] = []
        self._buffer = b""
        self._process: subprocess.Popen[Any] | None = None
        self._session: str | None = None
        self._orders = self._answers = -1

    def __enter__(self) -> Self:
        program = find_chromium()
        assert program is not None, "no Chromium on this machine"
        read_orders, self._orders = os.pipe()
        self._answers, write_answers = os.pipe()
        profile = self._lab.folder / "chromium"
        flags = (*self._flags, f"--user-data-dir={profile}", "about:blank")
        self._process = self._start([program, *flags], read_orders, write_answers)
        os.close(read_orders)
        os.close(write_answers)
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")
        self.call("Network.enable")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._lab.end(self._process)
        os.close(self._orders)
        os.close(self._answers)

    def open(self, url: str) -> None:
        """Load a page whole."""
        self._events.clear()
        self.call("Page.navigate", url=url)
        self.loaded()

    def click(self, selector: str) -> None:
        """Press what a selector names, as a mouse does."""
        self._events.clear()
        box = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
        spot = self.evaluate(f"(b => ({{x: b.x + b.width / 2, y: b.y + b.height / 2}}))({box})")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **spot)

    def loaded(self) -> None:
        """Wait until the page that was gone to is there."""
        deadline = time.monotonic() + self._timeout_s
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._read(deadline)
        self._events.clear()

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def text(self) -> str:
        """What a person reads on the page."""
        return str(self.evaluate("document.body.innerText"))

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One order of the DevTools protocol."""
        number = next(self._numbers)
        order: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            order["sessionId"] = self._session
        os.write(self._orders, json.dumps(order).encode() + b"\0")
        deadline = time.monotonic() + self._timeout_s
        while True:
            message = self._read(deadline)
            if message.get("id") == number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    def _start(self, argv: list[str], orders: int, answers: int) -> subprocess.Popen[Any]:
        # The shell moves the pipes to where Chromium looks for them: a preexec_fn would run in a threaded process.
        move = f'exec 3<&{orders} 4>&{answers} && exec "$@"'
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
        environment = {"HOME": str(self._lab.folder)}
        return self._lab.popen(
            ["bash", "-c", move, "chromium", *argv], env=environment, pass_fds=(orders, answers), **quiet
        )

    def _read(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"Chromium takes longer than {self._timeout_s} s; last heard: {self._events[-3:]}"
            piece = os.read(self._answers, 1 << 16)
            assert piece, "Chromium ended"
            self._buffer += piece
        raw, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(raw)
        if "method" in message:
            self._events.append(message)
            if message["method"] == "Network.requestWillBeSent":
                self.requested.append(message["params"]["request"]["url"])
            elif message["method"] == "Runtime.exceptionThrown":
                self.complaints.append(str(message["params"]["exceptionDetails"]))
            elif message["method"] == "Log.entryAdded":
                entry = message["params"]["entry"]
                if entry["level"] == "error" and entry["source"] != "network":
                    self.complaints.append(entry["text"])
        return message
