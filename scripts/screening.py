"""What `./scripts/screenshots` does: the demo's fakes and a real proxy, looked at.

Requests, the refusal and the switch are real, as in the demo. What takes days in life, how quota was used up before, is
written into the database first.
"""

import argparse
import base64
import io
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from scripts.demonstration import ROOT, ask, fakes, fill_pool, proxy

from seatpool.cli.status.status import view
from seatpool.core.model import QuotaWindow
from seatpool.service.telling import reporting
from seatpool.store import Store
from tests.harness.browser import Chromium, find_chromium

SCREENS = ROOT / "scripts" / "screens"
NAMES = ("alice", "bob", "carol")
CONVERSATIONS = (("one",), ("one", "two"), ("three", "one"), ("two", "four", "one"), ("one", "three"))
"""Asked one group after the other, those of a group at the same time."""
WINDOWS = (
    ("primary", timedelta(hours=5), timedelta(hours=2)),
    ("secondary", timedelta(days=7), timedelta(days=3)),
)
"""Length, and how long until they reset: as the fakes tell it."""
WIDE, HIGH = 1200, 840
COLUMNS = 150
_FONTS = re.compile(r"\s*@font-face \{[^}]*\}")


def world(served: int) -> dict[str, object]:
    """The fakes' script: alice serves so many requests before she has used up her plan."""
    fine = {"deltas": 6, "gap_ms": 250, "first": served}
    limited = {"kind": "usage_limit", "resets_in_s": 7200}
    return {
        "accounts": {
            "editor": {"provider": "codex"},
            "alice": {"provider": "codex", "behaviours": [fine, limited]},
            "bob": {"provider": "codex", "behaviours": [{"deltas": 8, "gap_ms": 200}]},
            "carol": {"provider": "codex"},
        }
    }


class Outside:
    """What a browser needs of a lab, without one: it may see this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def popen(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, **more: Any
    ) -> "subprocess.Popen[Any]":
        """As a lab's."""
        return subprocess.Popen(argv, env={**os.environ, **(env or {})}, **more)

    def end(self, process: "subprocess.Popen[Any]") -> int:
        """As a lab's."""
        process.terminate()
        return process.wait(10)


def main(argv: Sequence[str] | None = None) -> int:
    """Take them; 1 where they cannot be."""
    parser = argparse.ArgumentParser(prog="./scripts/screenshots", description="Take the README's pictures anew.")
    parser.add_argument("--into", type=Path, default=SCREENS, metavar="FOLDER", help="default: scripts/screens")
    parser.add_argument("--quick", action="store_true", help="with fewer requests")
    arguments = parser.parse_args(argv)
    into: Path = arguments.into
    groups, served = (CONVERSATIONS[:2], 1) if arguments.quick else (CONVERSATIONS, 5)
    if find_chromium() is None:
        print("there is no Chromium on the path", file=sys.stderr)
        return 1
    into.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="seatpool-screens-")))
        os.environ |= {"SEATPOOL_KEYRING": "off", "XDG_DATA_HOME": str(folder / "data")}
        port = stack.enter_context(fakes(folder, world(served)))
        fill_pool(folder / "pool.db", NAMES)
        live_on(folder / "pool.db", datetime.now(UTC))
        port = stack.enter_context(proxy(folder, port, print))
        for conversations in groups:
            together([threading.Thread(target=ask, args=(folder, port, str, each)) for each in conversations])
        for name, picture in look(folder, port):
            (into / f"page-{name}.png").write_bytes(picture)
        (into / "status.svg").write_text(terminal(folder / "pool.db"))
    for picture in sorted(into.iterdir()):
        print(f"{picture.stat().st_size / 1024:5.0f} kB  {picture}")
    return 0


def together(threads: Sequence[threading.Thread]) -> None:
    """Start all, and wait for all."""
    for each in threads:
        each.start()
    for each in threads:
        each.join()


def live_on(database: Path, now: datetime) -> None:
    """A week of use: more by day than by night, and more of the first account's than of the last one's."""
    with Store.open(str(database)) as store:
        for place, name in enumerate(NAMES):
            account = store.account(name)
            for bucket, length, ends in WINDOWS:
                pace = 1.0 - place * 0.3
                seen = [(account.id, each) for each in used(bucket, length, now + ends, now, pace)]
                store.record(history=seen, windows=seen[-1:])
        store.set_paused("carol", True, now)


def used(bucket: str, length: timedelta, ends: datetime, now: datetime, pace: float) -> Iterator[QuotaWindow]:
    """Observations every half hour until now."""
    at, left = now - timedelta(days=7), 1.0
    end = ends - length * ((ends - at) // length)
    while at < now:
        if at >= end:
            left, end = 1.0, end + length
        busy = 1.0 if 8 <= at.hour < 19 else 0.15
        left = max(0.0, left - busy * pace * 0.05 * (18_000 / length.total_seconds()) ** 0.8)
        yield QuotaWindow(bucket, round(left, 2), at, "header", length_s=round(length.total_seconds()), resets_at=end)
        at += timedelta(minutes=30)


def look(folder: Path, port: int) -> Iterator[tuple[str, bytes]]:
    """The page, once it has everything."""
    with Chromium(Outside(folder), proxy=f"http://127.0.0.1:{port}") as browser:  # type: ignore[arg-type]
        browser.call("Emulation.setDeviceMetricsOverride", width=WIDE, height=HIGH, deviceScaleFactor=1, mobile=False)
        browser.call("Emulation.setScrollbarsHidden", hidden=True)
        browser.open("http://seatpool.test/")
        drawn = "document.querySelectorAll('#outlooks figure').length && document.querySelectorAll('#latest tr').length"
        while not browser.evaluate(drawn) or " 0 in flight" not in browser.text():
            threading.Event().wait(0.2)
        for scheme in ("light", "dark"):
            browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            yield scheme, base64.b64decode(browser.call("Page.captureScreenshot", format="png")["data"])


def terminal(database: Path) -> str:
    """`seatpool status`, as a picture that needs nothing from elsewhere."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, highlight=False)
    with Store.open(str(database)) as store:
        console.print(view(reporting.read(store, datetime.now(UTC))))
    drawn = console.export_svg(title="seatpool status", unique_id="seatpool")
    return _FONTS.sub("", drawn).replace("Fira Code, monospace", "ui-monospace, monospace")


if __name__ == "__main__":
    sys.exit(main())
