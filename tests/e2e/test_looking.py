"""What a person can see and steer from outside: a real mitmweb with the pool, and `seatpool` beside it."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from mitmproxy import http as mitmhttp
from mitmproxy.io import FlowReader

from seatpool.core.tail import Line
from tests.cli.schema import problems
from tests.e2e.conftest import Scene
from tests.e2e.test_codex import ask
from tests.harness import REPOSITORY
from tests.upstream.tokens import MARKER

pytestmark = pytest.mark.asyncio
PASSWORD, PORT = "let-me-look", 8081
HEADER = "x-seatpool-account"


class Web:
    """mitmweb's own interface, as its page uses it."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def ask(self, method: str, path: str, body: object = None) -> bytes:
        client = http.client.HTTPConnection("127.0.0.1", PORT)
        client.sock = self.scene.lab.connect("127.0.0.1", PORT)
        client.sock.settimeout(10)
        headers = {
            "Authorization": f"Bearer {PASSWORD}",
            "Cookie": "_mitmproxy_xsrf=00ff",
            "X-XSRFToken": "00ff",
            "Content-Type": "application/json",
        }
        client.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = client.getresponse()
        read = answer.read()
        client.close()
        assert answer.status == 200, (answer.status, read)
        return read

    def flows(self) -> list[dict[str, Any]]:
        return json.loads(self.ask("GET", "/flows.json"))  # type: ignore[no-any-return]

    def command(self, name: str, *arguments: str) -> dict[str, Any]:
        return json.loads(self.ask("POST", f"/commands/{name}", {"arguments": arguments}))  # type: ignore[no-any-return]


@contextmanager
def seatpool(scene: Scene, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """One that goes on, and is ended by Ctrl-C."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "addon"), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "seatpool.cli", "--db", str(scene.proxy.database), *arguments]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
        assert (process.returncode, err) == (130, ""), out
    finally:
        process.kill()
        process.communicate()


def line(process: subprocess.Popen[str], *words: str) -> str:
    """The next line that has all the words."""
    assert process.stdout is not None
    return next(text for text in process.stdout if all(word in text for word in words))


async def until_about(scene: Scene, name: str, conversation: str = "talk") -> int:
    """Ask until an answer is about this account: what a command has changed is heard of within 250 ms."""
    until = time.monotonic() + 10
    while True:
        incoming, _ = await ask(scene, conversation=conversation)
        if incoming.headers[HEADER] == name or time.monotonic() > until:
            assert incoming.headers[HEADER] == name
            return incoming.status  # type: ignore[no-any-return]


async def test_it_is_shown_as_it_happens_and_steered_from_mitmweb_and_no_token_is_seen(
    start: Callable[..., Scene], tmp_path: Path
) -> None:
    written, exported = tmp_path / "flows", tmp_path / "curl"
    scene = start(
        "alice",
        "bob",
        program="mitmweb",
        arguments=("-w", str(written), "--no-web-open-browser", "--web-port", str(PORT)),
        web_password=PASSWORD,
        pool_account_header="true",
    )
    web = Web(scene)
    scene.fakes.behave("alice", {"kind": "usage_limit", "resets_in_s": 7200, "route": "responses"})
    with seatpool(scene, "tail", "--json") as tail, seatpool(scene, "status", "--watch") as watch:
        line(watch, "alice: ready")
        incoming, _ = await ask(scene, conversation="switches")
        assert (incoming.status, incoming.headers[HEADER]) == (200, "bob")
        told = json.loads(line(tail))
        line(watch, "alice: cooling, all cooling until", "usage_limit_reached")
    assert problems(told, Line) == []
    assert (told["account"], told["outcome"], told["status"], told["model"]) == ("bob", "ok", 200, "gpt-x")
    assert told["why"] == "first in the order, after alice usage_limit_reached"
    assert [(a["account"], a["status"]) for a in told["attempts"]] == [("alice", 429), ("bob", 200)]
    assert 0 < told["first_byte_ms"] <= told["total_ms"]
    assert told["output_tokens"] is not None

    (flow,) = web.flows()
    assert (flow["id"], flow["comment"]) == (told["request"], "account=bob")
    assert dict(flow["request"]["headers"])["authorization"] == "[redacted]"
    assert HEADER not in dict(flow["response"]["headers"]), "the flow is as upstream answered"
    found = FlowReader(BytesIO(web.ask("GET", f"/flows/dump?filter={quote('~comment bob')}")))
    assert [f.id for f in found.stream()] == [flow["id"]]
    assert web.ask("GET", f"/flows/dump?filter={quote('~comment alice')}") == b""

    status = web.command("pool.status")["value"]
    assert status[0] == ["account", "state", "quota left", "today", "last used"]
    alice, bob = (dict(zip(status[0], row, strict=True)) for row in status[1:])
    assert re.fullmatch(r"cooling (2 h|1\d\d min): usage_limit_reached", alice["state"])
    assert (bob["state"], bob["today"]) == ("ready", "100% (1)")
    assert bob["quota left"].startswith("primary (5 h) 80%, resets in ")
    why = [row[0] for row in web.command("pool.why", f"@{flow['id']}")["value"]]
    assert why[0].startswith(f"request {flow['id']}: codex ")
    assert f"  bob: chosen: {told['why'].partition(',')[0]}" in why
    for wrong, says in (("pool.pause", "no account 'carol'; there are: alice, bob"), ("pool.why", "matched 0")):
        assert says in web.command(wrong, "carol" if wrong == "pool.pause" else "~comment carol")["error"]

    assert web.command("pool.cooldown.clear", "alice") == {"value": "cleared 1 cooldown"}
    assert web.command("pool.pause", "bob") == {"value": "paused bob"}
    scene.fakes.behave("alice")
    assert await until_about(scene, "alice") == 200
    for name in ("alice", "bob"):
        scene.fakes.behave(name, {"kind": "usage_limit", "resets_in_s": 7200 if name == "alice" else 600})
    assert await until_about(scene, "alice", "all") == 429
    assert web.command("pool.resume", "bob") == {"value": "resumed bob"}
    assert await until_about(scene, "bob", "all") == 429, "a refusal of bob's"
    asked = len(scene.asked("responses"))
    assert await until_about(scene, "bob", "all") == 429, "an answer of ours, about the limit that ends soonest"
    assert len(scene.asked("responses")) == asked
    comments = [flow["comment"] for flow in web.flows()]
    assert comments[-1] == "account=none reason=usage_limit_reached"

    web.command("export.file", "curl", f"@{flow['id']}", str(exported))
    assert "authorization: [redacted]" in exported.read_text()
    seen = [json.dumps(web.flows()), web.ask("GET", "/flows/dump").decode("latin-1"), exported.read_text()]
    seen += [json.dumps(web.command("export", form, f"@{flow['id']}")) for form in ("raw", "httpie", "raw_request")]
    scene.proxy.stop()
    with written.open("rb") as file:
        stored = [flow for flow in FlowReader(file).stream() if isinstance(flow, mitmhttp.HTTPFlow)]
    assert [flow.comment for flow in stored] == comments
    assert all(flow.request.headers["authorization"] == "[redacted]" for flow in stored)
    assert not [text for text in (*seen, written.read_bytes().decode("latin-1")) if MARKER in text]
