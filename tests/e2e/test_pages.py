"""No page of mitmproxy's reaches a client of a pooled host, over real connections."""

import json
from collections.abc import Callable

import pytest

from tests.e2e.conftest import CODEX_BODY, CODEX_PATH, EDITOR, Scene, codex_headers

pytestmark = pytest.mark.asyncio

FILES = "/backend-api/files"


async def test_what_is_malformed_or_too_large_is_told_in_the_providers_words(start: Callable[..., Scene]) -> None:
    scene = start("alice", body_size_limit="10k", stream_large_bodies="5k")
    for version in ("http1", "http2"):
        async with await getattr(scene.network, version)("chatgpt.com") as client:
            incoming = await client.send("POST", FILES, codex_headers(), b"x" * 20_000)
            assert await incoming.head() == 413
            assert "body_size_limit" in (await incoming.json())["error"]["message"]
        async with await getattr(scene.network, version)("nowhere.chatgpt.com") as client:
            incoming = await client.send("POST", FILES, codex_headers(), b"x" * 7_000)
            assert (await incoming.head(), (await incoming.json())["error"]["type"]) == (502, "seatpool")
    async with await scene.network.http1("chatgpt.com") as client:
        client.writer.write(b"GET / HTTP/1.1\r\nhost: chatgpt.com\r\nno colon\r\n\r\n")
        head, _, body = (await client.reader.read()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ") and b"mitmproxy" not in head
        assert json.loads(body)["error"]["type"] == "seatpool"


async def test_what_an_upstream_does_not_have_is_told_in_the_providers_words_and_costs_nobody(scene: Scene) -> None:
    scene.pool("alice", "bob")
    page = {"kind": "status", "status": 404, "body": "<html>Not Found</html>", "headers": {"content-type": "text/html"}}
    scene.fakes.behave("alice", {**page, "route": "responses"})
    async with await scene.network.http2("chatgpt.com") as client:
        incoming = await client.send("POST", CODEX_PATH, codex_headers("absent"), CODEX_BODY)
        assert await incoming.head() == 404
        assert "no such surface (responses)" in (await incoming.json())["error"]["message"]
    assert scene.asked("responses") == ["alice"]
    assert scene.cooldowns() == {}


async def test_what_nobody_has_thought_of_passes_and_is_told_once(scene: Scene) -> None:
    since = len(scene.proxy.log)
    scene.pool("alice")
    async with await scene.network.http2("chatgpt.com") as client:
        for number in range(3):
            await (await client.send("GET", f"/backend-api/brand/new/{number}", codex_headers())).body()
    scene.proxy.wait_log(
        r"action=passed request='GET chatgpt.com/backend-api/brand/new/\*' reason=unknown-path", since=since
    )
    assert sum("unknown-path" in line for line in scene.proxy.log[since:]) == 1
    passed = [e for e in scene.fakes.journal(host="chatgpt.com") if "/brand/" in e["path"]]
    assert {e["account"] for e in passed} <= {EDITOR, None}
    assert len(passed) == 3
