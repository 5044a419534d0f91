"""A real Chromium behind the proxy: what it says without trust, what the doctor makes of that, and what mends it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from seatpool.providers.registry import CERTIFIED
from seatpool.setup.authority import Authority
from seatpool.setup.doctor.words import explained
from tests.e2e.authority.believers import environment
from tests.harness import Lab, Mitmdump
from tests.harness.browser import Chromium, find_chromium
from tests.harness.namespace import why_no_namespaces

PAGE = "https://seatpool.test/"
READ = """
new Promise(done => document.readyState === "complete" ? done() : addEventListener("load", done))
  .then(() => document.title)
"""
ECHOED = """
new Promise((done, fail) => {
  const socket = new WebSocket("wss://seatpool.test/echo")
  socket.onopen = () => socket.send("hello")
  socket.onmessage = heard => done(heard.data)
  socket.onerror = () => fail(new Error("no socket"))
})
"""


class Home:
    """A person's machine: an NSS database, a browser, and a shell that finds `certutil` and nothing of the system's."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.authority = Authority(lab.folder / "data" / "seatpool" / "ca")
        self.proxy = Mitmdump(lab.folder, lab=lab, options={"confdir": str(self.authority.folder)})
        self._tools = lab.folder / "bin"
        self._tools.mkdir()
        certutil = shutil.which("certutil")
        assert certutil is not None
        (self._tools / "certutil").symlink_to(certutil)
        database = lab.folder / ".pki" / "nssdb"
        database.mkdir(parents=True)
        subprocess.run([certutil, "-d", f"sql:{database}", "-N", "--empty-password"], check=True, capture_output=True)

    def types(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """A command of seatpool's."""
        env = {**environment(self.lab), "SEATPOOL_DB": str(self.proxy.database)}
        argv = ["env", f"PATH={self._tools}", sys.executable, "-m", "seatpool.cli", *arguments]
        return self.lab.run(argv, env=env)

    def does(self, *arguments: str) -> None:
        """The same, and it works."""
        ran = self.types(*arguments)
        assert ran.returncode == 0, ran.stdout + ran.stderr

    def doctor(self, *arguments: str) -> tuple[int, dict[str, str], list[dict[str, Any]]]:
        """Its exit code, the level of each check, and what it has run."""
        ran = self.types("doctor", "--json", "--only", "trust", "--only", "https", "--only", "distrust", *arguments)
        report = json.loads(ran.stdout)
        return ran.returncode, {row["check"]: row["level"] for row in report["findings"]}, report["mended"]

    def browse(self, url: str = PAGE) -> str:
        """What a freshly started browser says of a page: nothing where it comes."""
        with Chromium(self.lab, verify=True, proxy=self.proxy.url) as browser:
            said = str(browser.call("Page.navigate", url=url).get("errorText", ""))
            if not said:
                for expression, expected in ((READ, "seatpool"), (ECHOED, "hello")):
                    asked = {"expression": expression, "awaitPromise": True, "returnByValue": True}
                    found = browser.call("Runtime.evaluate", **asked)
                    assert found["result"].get("value") == expected, found
            return said


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    if (reason := why_no_namespaces()) is not None:
        pytest.skip(f"a browser's own home needs a namespace: {reason}")
    if find_chromium() is None or shutil.which("certutil") is None:
        pytest.skip("no Chromium, or no certutil, on this machine")
    with Lab(tmp_path / "lab") as lab:
        home = Home(lab)
        home.does("ca", "create")
        with home.proxy:
            yield home


def test_a_browser_that_is_set_up_by_the_doctor_comes_through_and_says_without_what_the_doctor_explains(
    home: Home,
) -> None:
    without = home.browse("https://chatgpt.com/")
    assert without == "net::ERR_CERT_AUTHORITY_INVALID" and explained(without)
    assert home.doctor() == (0, {"trust": "warning", "https": "ok", "distrust": "warning"}, [])
    assert "seatpool ca trust" in home.types("doctor", "--explain", without).stdout

    code, levels, mended = home.doctor("--fix", "--yes")
    assert (code, levels["trust"]) == (0, "ok")
    assert mended == [{"command": "seatpool ca trust", "exit_code": 0}]
    assert home.browse() == "", "over HTTPS, and over a WebSocket"

    home.authority.replace(CERTIFIED, datetime.now(UTC) - timedelta(days=100))
    home.does("ca", "trust", "nss", "--yes")
    over = home.browse()
    assert over == "net::ERR_CERT_DATE_INVALID" and explained(over)
    assert home.doctor()[:2] == (1, {"trust": "ok", "https": "problem", "distrust": "warning"})

    home.does("ca", "rotate", "--now")
    home.does("ca", "untrust", "nss", "--yes")
    assert home.browse() == without, "taken back"

    home.proxy.stop()
    away = home.browse()
    assert away == "net::ERR_PROXY_CONNECTION_FAILED" and explained(away)
