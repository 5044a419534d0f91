"""No page of mitmproxy's reaches a client of a pooled host, over real connections."""

import json
from collections.abc import Callable

import pytest

from tests.e2e.conftest import Scene, codex_headers

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
