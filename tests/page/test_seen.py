"""The page as a person has it before them: narrow, printed, left open, with names of any length, with nobody in it."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from seatpool.core.empty import EMPTY_POOL
from seatpool.core.ended import Ended
from seatpool.core.model import WHOLE_ACCOUNT, Cooldown
from seatpool.store import Store
from tests.harness import REPOSITORY, Lab
from tests.harness.browser import Chromium, find_chromium
from tests.harness.namespace import why_no_namespaces
from tests.store.made import attempt, sign_in, window

PORT = 8098
LONG = "a-name-without-an-end-" + "x" * 120
BECOME = """
import("/draw.js").then(({become, element}) => {
  const row = (name, state, what) => element("tr", {"data-name": name, class: state},
    element("td", {}, name), element("td", {}, `${name} is ${state}`),
    element("td", {}, element("button", {"data-name": what}, what)))
  const body = document.createElement("tbody")
  become(body, [row("alice", "ready", "pause"), row("bob", "ready", "pause")])
  const [alice, bob] = body.children, pressed = bob.querySelector("button"), read = bob.children[1].firstChild
  become(body, [row("bob", "cooling", "pause"), row("carol", "ready", "pause"), row("alice", "paused", "resume")])
  return [
    bob === body.children[0] && pressed === bob.querySelector("button") && read === bob.children[1].firstChild,
    alice === body.children[2] && alice.querySelectorAll("button").length,
    body.innerHTML,
  ]
})
"""
BECAME = (
    '<tr data-name="bob" class="cooling"><td>bob</td><td>bob is cooling</td>'
    '<td><button data-name="pause">pause</button></td></tr>'
    '<tr data-name="carol" class="ready"><td>carol</td><td>carol is ready</td>'
    '<td><button data-name="pause">pause</button></td></tr>'
    '<tr data-name="alice" class="paused"><td>alice</td><td>alice is paused</td>'
    '<td><button data-name="resume">resume</button></td></tr>'
)
HIDDEN = """
Object.defineProperty(document, "hidden", {value: %s, configurable: true})
document.dispatchEvent(new Event("visibilitychange"))
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    if find_chromium() is None:
        pytest.skip("no Chromium on this machine")
    if (why := why_no_namespaces()) is not None:
        pytest.skip(why)
    with Lab(tmp_path / "lab") as made:
        yield made


def serve(lab: Lab, database: Path) -> str:
    """The address."""
    env = {"PYTHONPATH": f"{REPOSITORY / 'addon'}:{REPOSITORY}", "SEATPOOL_KEYRING": "off"}
    program = [sys.executable, "-m", "tests.page.serving", str(PORT), str(database)]
    served = lab.popen(program, env=env, stdout=subprocess.PIPE)
    assert served.stdout is not None and served.stdout.readline()
    return f"http://127.0.0.1:{PORT}/"


def awaited(browser: Chromium, expression: str) -> Any:
    found = browser.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
    assert "exceptionDetails" not in found, found["exceptionDetails"]
    return found["result"].get("value")


def until(browser: Chromium, expression: str) -> None:
    """Wait until it holds in the page."""
    deadline = time.monotonic() + 20
    while not browser.evaluate(f"Boolean({expression})"):
        assert time.monotonic() < deadline, browser.text()
        time.sleep(0.05)


def listened(browser: Chromium) -> int:
    """How often the page has asked to be told."""
    browser.evaluate("1")  # reads what has come meanwhile
    return sum(url.endswith("/api/events") for url in browser.requested)


def test_it_fits_any_screen_and_stays_whole_on_paper(lab: Lab, store: Store, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    account = sign_in(store, LONG, identity=LONG)
    seen = msgspec.structs.replace(window(0, 0.5), observed_at=now, resets_at=now + timedelta(hours=1))
    began = now - timedelta(days=2)
    sent = msgspec.structs.replace(attempt(account, 0), started_at=began)
    store.record(
        windows=[(account.id, seen)],
        attempts=[sent],
        ended=[Ended(sent.flow_id, 1, 1, account.id, began, 9.0, 20.0, began + timedelta(milliseconds=1))],
    )
    address = serve(lab, tmp_path / "pool.db")
    with Chromium(lab) as browser:
        browser.call("Runtime.enable")
        browser.call("Log.enable")
        browser.call("Emulation.setDeviceMetricsOverride", width=320, height=800, deviceScaleFactor=1, mobile=False)
        browser.open(address)
        until(browser, "document.querySelector('#outlooks figure') && document.querySelector('#timeline svg')")
        assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
        drawn, there = browser.evaluate(
            "[document.querySelector('#timeline svg').viewBox.baseVal.width, "
            "document.querySelector('#timeline svg').clientWidth]"
        )
        assert drawn <= there * 1.2, "its letters are as large as everywhere"
        assert browser.evaluate("document.querySelector('#latest time').textContent.includes('/')"), "another day's"
        name = "document.querySelector('#accounts tbody th')"
        assert browser.evaluate(f"[{name}.scrollWidth <= {name}.clientWidth, {name}.clientWidth < 300]") == [True, True]
        browser.call("Emulation.setEmulatedMedia", media="print")
        assert browser.evaluate("getComputedStyle(document.querySelector('.wide')).overflowX") == "visible"
        browser.call("Emulation.setEmulatedMedia", features=[{"name": "forced-colors", "value": "active"}])
        colours = "[...document.querySelectorAll('.key')].map(key => getComputedStyle(key, '::before').backgroundColor)"
        assert len(set(browser.evaluate(colours))) >= 4, "a legend whose colours are taken away says nothing"
        assert awaited(browser, BECOME) == [True, 1, BECAME]
        assert browser.complaints == []


def test_what_a_person_presses_is_in_sight_on_a_usual_screen(lab: Lab, store: Store, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    account = sign_in(store, "alice", identity="alice")
    long_ago = {"observed_at": now - timedelta(hours=2), "resets_at": now + timedelta(days=3), "length_s": 604_800}
    seen = msgspec.structs.replace(window(0, 0.5), bucket="premium_interactions", **long_ago)
    store.record(windows=[(account.id, seen)])
    store.cool(Cooldown(account.id, WHOLE_ACCOUNT, "user_global_rate_limited", now + timedelta(hours=2), now))
    address = serve(lab, tmp_path / "pool.db")
    with Chromium(lab) as browser:
        browser.call("Emulation.setDeviceMetricsOverride", width=1200, height=800, deviceScaleFactor=1, mobile=False)
        browser.open(address)
        until(browser, "document.querySelector('#accounts td button')")
        assert browser.evaluate("(t => t.scrollWidth <= t.clientWidth)(document.querySelector('#accounts .wide'))")


def test_left_open_it_asks_for_nothing_unseen_and_anew_after_a_silence(lab: Lab, tmp_path: Path) -> None:
    address = serve(lab, tmp_path / "empty.db")
    with Chromium(lab) as browser:
        browser.call("Emulation.setScriptExecutionDisabled", value=True)
        browser.open(address)
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
        assert EMPTY_POOL in browser.text()
        browser.open(address)
        live = "document.getElementById('live').textContent === 'live'"
        until(browser, f"{live} && document.body.innerText.includes({json.dumps(EMPTY_POOL)})")
        asked = listened(browser)
        browser.evaluate("EventSource.prototype.close = function () { window.left = true }")
        browser.evaluate(HIDDEN % "true")
        assert browser.evaluate("window.left")
        assert listened(browser) == asked
        browser.evaluate(HIDDEN % "false")
        until(browser, live)
        assert listened(browser) == asked + 1
        browser.evaluate("(real => { performance.now = () => real() * 1000 })(performance.now.bind(performance))")
        deadline = time.monotonic() + 20
        while listened(browser) == asked + 1:
            assert time.monotonic() < deadline, "what has said nothing for minutes is believed to live"
            time.sleep(0.05)
        until(browser, live)
