"""Signing in with a real browser, which ends on our own page."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.login.conftest import Desk, Terminal
from tests.harness import Chromium, Lab, find_chromium
from tests.upstream import Control

WAITING = r"waiting for the browser .*?(\d+:\d\d) left"
FAVICON = {"http://localhost:1455/favicon.ico"}
"""Asked for by Chromium whenever it likes, whatever the page says."""
needs_chromium = pytest.mark.skipif(
    find_chromium() is None, reason="no Chromium on this machine (Debian: apt-get install chromium)"
)


@pytest.fixture(scope="module")
def chromium(issuers: tuple[Lab, Control]) -> Iterator[Chromium]:
    with Chromium(issuers[0]) as browser:
        yield browser


@pytest.fixture
def opened(desk: Desk) -> Path:
    """The person's browser, for once, is a program that hands its address on: reading here waits for that."""
    program, address = desk.home / "browser", desk.home / "address"
    os.mkfifo(address)
    program.write_text(f'#!/bin/sh\nprintf %s "$1" > "{address}"\n')
    program.chmod(0o755)
    desk.env = {"BROWSER": str(program)}
    return address


def printed_address(terminal: Terminal) -> str:
    """The address that the terminal shows, of any length."""
    return terminal.see(r"(https://auth\.openai\.com/oauth/authorize\?\S+)\s")


@needs_chromium
def test_allowing_it_in_the_browser_signs_in_and_the_page_says_so(desk: Desk, chromium: Chromium, opened: Path) -> None:
    desk.fakes.sign_in("alice")
    terminal = desk.type("login", "codex", "--name", "work")
    address = printed_address(terminal)
    terminal.see(WAITING)
    assert opened.read_text() == address, "what is opened is what is shown"
    chromium.open(address)
    assert "You are alice" in chromium.text()
    chromium.requested.clear()
    chromium.click("#allow")
    chromium.loaded()
    assert chromium.evaluate("location.href").startswith("http://localhost:1455/auth/callback?")
    assert "Signed in as work (plus)" in chromium.text() and "close this tab" in chromium.text()
    assert terminal.end() == 0
    assert "added work (codex, plus)" in terminal.seen and "primary (5 h) 80%" in terminal.seen
    asked = {url.partition("?")[0] for url in chromium.requested}
    assert {url for url in asked if "//localhost" in url} - FAVICON == {"http://localhost:1455/auth/callback"}, (
        "the page loads nothing"
    )
    assert look(chromium, "light") != look(chromium, "dark"), "its own style is let in, for light and dark"
    for shown in (terminal.seen, str(chromium.evaluate("document.documentElement.outerHTML"))):
        assert "FAKESECRET" not in shown


def look(chromium: Chromium, scheme: str) -> tuple[str, str]:
    """The colours of the page's mark and text."""
    chromium.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    of = "getComputedStyle(document.querySelector('{}')).color"
    return tuple(chromium.evaluate(of.format(each)) for each in (".mark", "h1"))  # type: ignore[return-value]


@needs_chromium
def test_it_signs_in_by_the_other_registered_port_where_1455_is_taken(desk: Desk, chromium: Chromium) -> None:
    desk.fakes.sign_in("alice")
    with desk.lab.listen("127.0.0.1", 1455):
        terminal = desk.type("login", "codex", "--no-browser")
        chromium.open(printed_address(terminal))
        chromium.click("#allow")
        chromium.loaded()
        assert terminal.end() == 0, terminal.seen
    assert "Signed in as alice (plus)" in chromium.text()


@needs_chromium
def test_denying_it_is_one_line_and_works_from_another_port_when_1455_is_taken(desk: Desk, chromium: Chromium) -> None:
    desk.fakes.sign_in("alice")
    first = desk.type("login", "codex", "--no-browser")
    first.see(WAITING)
    second = desk.type("login", "codex", "--no-browser")
    second.see(r"Port 1455 is taken.* comes back to port 1457 instead")
    chromium.open(printed_address(second))
    chromium.click("#deny")
    chromium.loaded()
    assert chromium.evaluate("location.href").startswith("http://localhost:1457/auth/callback?")
    assert "Sign-in denied" in chromium.text()
    assert second.end() == 1
    last = second.seen.strip().splitlines()[-1]
    assert last.startswith("Error: ") and re.search("did not grant|declined", last)
    first.press_ctrl_c()
    assert first.end() == 130
    assert desk.accounts() == ()


def test_ctrl_c_while_the_browser_is_away_frees_the_port(desk: Desk) -> None:
    terminal = desk.type("login", "codex")
    terminal.see("There is no display here")
    terminal.see("seatpool login codex --device")
    terminal.see("ssh -L 1455:localhost:1455 ")
    printed_address(terminal)
    terminal.see(WAITING)
    desk.lab.connect("127.0.0.1", 1455).close()
    terminal.press_ctrl_c()
    assert terminal.end() == 130
    assert "Traceback" not in terminal.seen
    with pytest.raises(ConnectionError):
        desk.lab.connect("127.0.0.1", 1455)
    assert desk.accounts() == ()
