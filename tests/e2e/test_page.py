"""The page in a real Chromium, beside a running pool; and whoever else comes to it."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from seatpool.core import telling
from seatpool.core.report import Report
from seatpool.core.spans import closely, span
from tests.e2e.conftest import CODEX_BODY, CODEX_PATH, Scene, codex_headers
from tests.harness import REPOSITORY
from tests.harness.browser import Chromium, find_chromium
from tests.harness.clients import curl

THROUGH = "http://seatpool.test"
OWN = "http://127.0.0.1:8099"
TURNED = """
new Promise((done, fail) => {
  const row = () => document.querySelector('tr[data-name="%s"]')
  const look = () => { if (row()?.dataset.state === "%s") { done(Date.now()); return true } }
  if (look()) return
  new MutationObserver(look).observe(document.body, {subtree: true, childList: true, attributes: true})
  setTimeout(() => fail(new Error("still " + row()?.dataset.state)), 8000)
})
"""
TOLD = """
new Promise((done, fail) => {
  const look = () => { if (document.body.innerText.includes(%s)) { done(true); return true } }
  if (look()) return
  new MutationObserver(look).observe(document.body, {subtree: true, childList: true, characterData: true})
  setTimeout(() => fail(new Error(document.body.innerText)), 8000)
})
"""
LENGTHS_S = [0, 0.6, 59, 60, 119, 120, 3599, 3600, 7199, 7200, 86_399, 86_400, 90_000, 171_000, 172_800, 300_000]
WORDS = """
Promise.all([import("/words.js"), fetch("/api/report").then(answer => answer.json())]).then(([words, report]) => {
  const now = Date.parse(report.at)
  return [
    report,
    %s.map(length => [words.span(length), words.closely(length)]),
    report.accounts.map(row => words.state(row, now).join("\\n")),
    report.accounts.flatMap(row => row.windows.map(w => words.quota(w, now))),
  ]
})
"""
ELSEWHERE = """
(async (address, token) => {
  const tries = {
    plain: () => fetch(address, {method: "POST", mode: "no-cors"}),
    token: () => fetch(address, {method: "POST", headers: {"x-seatpool-token": token}}),
    read: () => fetch(new URL("/api/report", address)),
    listen: () => new Promise((done, fail) => {
      const source = new EventSource(new URL("/api/events", address))
      source.onopen = () => done({type: "open"}), source.onerror = fail
    }),
  }
  const came = {}
  for (const [name, attempt] of Object.entries(tries))
    came[name] = await attempt().then(answer => answer.type, () => "refused")
  return came
})(%s, %s)
"""


@pytest.fixture
def scene(start: Callable[..., Scene], tmp_path: Path) -> Scene:
    if find_chromium() is None:
        pytest.skip("no Chromium on this machine")
    return start("alice", "bob", pool_page_port="8099", arguments=("-w", str(tmp_path / "flows")))


async def ask(scene: Scene, conversation: str) -> None:
    async with await scene.network.http2("chatgpt.com") as client:
        await (await client.send("POST", CODEX_PATH, codex_headers(conversation), CODEX_BODY)).body()


def types(scene: Scene, *arguments: str) -> str:
    """What a command of seatpool's prints, as the person types it who has started the proxy."""
    places = {f"XDG_{kind}_HOME": str(scene.proxy.folder / kind.lower()) for kind in ("CONFIG", "DATA", "STATE")}
    env = {**places, "PYTHONPATH": str(REPOSITORY / "addon"), "HOME": str(scene.proxy.folder)}
    ran = scene.lab.run([sys.executable, "-m", "seatpool.cli", *arguments], env=env)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def awaited(browser: Chromium, expression: str) -> Any:
    found = browser.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
    assert "exceptionDetails" not in found, found["exceptionDetails"]["exception"]
    return found["result"].get("value")


def press(browser: Chromium, key: str, code: int, text: str = "") -> None:
    for kind in ("keyDown", "keyUp"):
        more = {"text": text} if text and kind == "keyDown" else {}
        browser.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **more)


def tab_to(browser: Chromium, label: str) -> None:
    """Go on with the keyboard alone, until what has it is called so."""
    for _ in range(30):
        press(browser, "Tab", 9)
        if browser.evaluate("document.activeElement.getAttribute('aria-label') ?? document.activeElement.id") == label:
            return
    raise AssertionError(f"the keyboard never comes to {label!r}")


def accessible(browser: Chromium) -> set[tuple[str, str]]:
    """Roles and names, as assistive programs are told."""
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    return {(node["role"]["value"], node["name"]["value"]) for node in nodes if "role" in node and "name" in node}


async def test_it_shows_a_429_within_a_second_and_pauses_by_keyboard_and_obeys_nobody_else(scene: Scene) -> None:
    token = json.loads(types(scene, "page", "--json"))["token"]
    with Chromium(scene.lab, proxy=scene.proxy.url) as browser:
        browser.call("Runtime.enable")
        browser.call("Log.enable")
        browser.open(f"{THROUGH}/")
        awaited(browser, TURNED % ("alice", "ready"))

        # what it does
        await ask(scene, "first")
        browser.evaluate("document.getElementById('requests-title').scrollIntoView()")
        tab_to(browser, "token")
        browser.call("Input.insertText", text="not the token, and long enough to be one by its looks")
        press(browser, "Enter", 13, "\r")
        awaited(browser, TOLD % json.dumps("This is not the token"))
        browser.evaluate("document.getElementById('token').select()")
        browser.call("Input.insertText", text=token)
        press(browser, "Enter", 13, "\r")
        awaited(browser, TOLD % json.dumps("The token is right."))
        tab_to(browser, "pause alice")
        press(browser, "Enter", 13, "\r")
        awaited(browser, TURNED % ("alice", "paused"))
        await ask(scene, "second")
        assert scene.asked("responses") == ["alice", "bob"], "who is paused is not asked"
        assert browser.evaluate("document.activeElement.getAttribute('aria-label')") == "resume alice"
        press(browser, "Enter", 13, "\r")
        awaited(browser, TURNED % ("alice", "ready"))
        assert token not in browser.evaluate("location.href + document.documentElement.outerHTML")

        # what it shows
        scene.fakes.behave("alice", {"kind": "usage_limit", "resets_in_s": 7200})
        began = datetime.now(UTC).timestamp()
        await ask(scene, "third")
        # Within a second by itself; a machine that has other things to do is given more.
        assert awaited(browser, TURNED % ("alice", "cooling")) / 1000 - began < 4.0
        awaited(browser, TOLD % json.dumps("ok, after alice usage_limit_reached"))
        assert browser.evaluate("document.querySelectorAll('#timeline .switch').length") == 1
        awaited(browser, TOLD % json.dumps("bob primary"))
        assert browser.evaluate("document.querySelectorAll('#outlooks figure polyline.likely').length") == 4
        assert browser.evaluate("document.querySelector('tr[data-name=bob] rect.good').getAttribute('width')") == "80.0"

        # how
        grounds = set()
        for scheme in ("light", "dark"):
            browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            grounds.add(browser.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert grounds == {"rgb(255, 255, 255)", "rgb(13, 17, 23)"}
        told = accessible(browser)
        assert {
            ("main", ""),
            ("banner", ""),
            ("contentinfo", ""),
            ("rowheader", "alice"),
            ("columnheader", "state"),
        } <= told
        assert {("button", "pause bob"), ("button", "clear cooldowns alice"), ("heading", "Forecasts")} <= told
        assert any(role in ("image", "img") and "1 switches" in name for role, name in told)
        assert {url.split("/")[2] for url in browser.requested} == {"seatpool.test"}
        assert browser.complaints == [], "nothing failed, and the policy forbade nothing"
        report, lengths, states, windows = awaited(browser, WORDS % json.dumps(LENGTHS_S))
        assert lengths == [[span(timedelta(seconds=s)), closely(timedelta(seconds=s))] for s in LENGTHS_S]
        report = msgspec.convert(report, Report)
        assert states == ["\n".join(telling.state(row, report.at).splitlines()) for row in report.accounts]
        assert windows == [telling.window(w, report.at) for row in report.accounts for w in row.windows]
        seen = browser.evaluate("document.querySelector('tr[data-name=alice] th').innerText")
        browser.call("Emulation.setScriptExecutionDisabled", value=True)
        browser.open(f"{THROUGH}/")
        document = browser.call("DOM.getDocument")["root"]["nodeId"]
        rows = browser.call("DOM.querySelector", nodeId=document, selector="#rows")["nodeId"]
        static = browser.call("DOM.getOuterHTML", nodeId=rows)["outerHTML"]
        assert seen in static and re.search(r"cooling (2 h|1\d\d min)", static) and "primary (5 h) 80%" in static
        browser.call("Emulation.setScriptExecutionDisabled", value=False)

        # whom it does not obey
        scene.lab.popen([sys.executable, "-m", "http.server", "8077", "--bind", "127.0.0.1"], cwd=made_for(scene))
        until(lambda: reached(scene, 8077))
        browser.open("http://127.0.0.1:8077/elsewhere.html")
        for address in (THROUGH, OWN):
            came = awaited(browser, ELSEWHERE % (json.dumps(f"{address}/api/accounts/bob/pause"), json.dumps(token)))
            assert set(came.values()) == {"refused"}, came
        posted = [
            i for i, line in enumerate(scene.proxy.log) if line.endswith(f"POST {THROUGH}/api/accounts/bob/pause")
        ]
        assert "403" in scene.proxy.log[posted[-1] + 1], "it came, and was not obeyed"
        states = json.loads(ask_page(scene, f"{OWN}/api/report")[1])["accounts"]
        assert [row["state"] for row in states] == ["cooling", "ready"]
    until(lambda: json.loads(ask_page(scene, f"{THROUGH}/about")[1])["viewers"] == 0)

    # and without a browser
    pause = f"{OWN}/api/accounts/bob/pause"
    right = ("-X", "POST", "-H", f"x-seatpool-token: {token}")
    for expected, url, more in (
        (200, f"{OWN}/", ()),
        (421, f"{OWN}/", ("-H", "host: evil.example:8099")),
        (421, f"{OWN}/", ("-H", "host: 127.0.0.1")),
        (403, f"{OWN}/api/report", ("-H", "sec-fetch-site: same-site")),
        (401, pause, ("-X", "POST")),
        (403, pause, ("-X", "POST", "-H", "x-seatpool-token: guessed")),
        (403, pause, (*right, "-H", "origin: http://evil.example")),
        (403, pause, (*right, "-H", "origin: null")),
        (405, pause, ("-H", f"x-seatpool-token: {token}")),
        (404, f"{OWN}/api/accounts/nobody/pause", right),
        (204, pause, (*right, "-H", f"origin: {OWN}")),
        (204, f"{THROUGH}/api/accounts/alice/clear-cooldowns", right),
    ):
        assert (ask_page(scene, url, *more)[0], expected, more) == (expected, expected, more)
    scene.fakes.behave("alice")
    await ask(scene, "fourth")
    assert scene.asked("responses")[-1] == "alice"
    assert not [line for line in scene.proxy.log if token in line or "Traceback" in line]
    kept = (scene.folder / "flows").read_bytes()
    assert token.encode() not in kept and b"/api/accounts/bob/pause" in kept
    assert (scene.proxy.folder / "data" / "seatpool" / "page-token").stat().st_mode & 0o777 == 0o600
    events = [
        scene.lab.popen(
            curl(
                f"{THROUGH.replace('http', scheme)}/api/events",
                *more,
                "-m",
                "2",
                ca=scene.proxy.ca,
                proxy=scene.proxy.url,
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for scheme, *more in (("http",), ("https", "--http1.1"), ("https", "--http2"))
    ]
    until(lambda: json.loads(ask_page(scene, f"{THROUGH}/about")[1])["viewers"] == len(events))
    assert ask_page(scene, pause.replace("pause", "resume"), *right)[0] == 204
    for each in events:
        first, *later = re.findall(r"event: report\ndata: (.*)\n", each.communicate()[0])
        assert [row["state"] for row in json.loads(first)["accounts"]] == ["ready", "paused"]
        assert [row["state"] for row in json.loads(later[-1])["accounts"]] == ["ready", "ready"]


def made_for(scene: Scene) -> str:
    """A folder with another origin's page."""
    folder = scene.folder / "elsewhere"
    folder.mkdir()
    (folder / "elsewhere.html").write_text("<!doctype html><title>elsewhere</title>")
    return os.fspath(folder)


def ask_page(scene: Scene, url: str, *more: str) -> tuple[int, str]:
    """Status and body, by curl: through the proxy where the page's name is asked for."""
    proxy = {"proxy": scene.proxy.url} if "seatpool.test" in url else {}
    said = scene.lab.run(curl(url, "-s", "-w", "\n%{http_code}", *more, ca=scene.proxy.ca, **proxy)).stdout
    body, _, status = said.rpartition("\n")
    return int(status), body


def reached(scene: Scene, port: int) -> bool:
    """Whether somebody listens there."""
    try:
        scene.lab.connect("127.0.0.1", port).close()
    except ConnectionError:
        return False
    return True


def until(holds: Callable[[], bool]) -> None:
    """Wait for it."""
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
