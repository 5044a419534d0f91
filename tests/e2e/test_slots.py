"""Places at an account, through a real mitmdump: one request waits for another's end, on every way out."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import CODEX_BODY, CODEX_PATH, Scene, codex_headers

pytestmark = pytest.mark.asyncio

SLOW: dict[str, Any] = {"kind": "ok", "deltas": 8, "gap_ms": 100, "route": "responses"}
LONG: dict[str, Any] = {"kind": "ok", "deltas": 400, "gap_ms": 100, "route": "responses"}


async def post(scene: Scene, conversation: str, version: str = "http2") -> tuple[int, str]:
    async with await getattr(scene.network, version)("chatgpt.com") as client:
        incoming = await client.send("POST", CODEX_PATH, codex_headers(conversation), CODEX_BODY)
        return await incoming.head(), await incoming.text()


async def says(scene: Scene, pattern: str, since: int = 0) -> None:
    await asyncio.to_thread(scene.proxy.wait_log, pattern, since=since)


async def under_way(scene: Scene, count: int = 1) -> None:
    await asyncio.to_thread(scene.fakes.wait, count, 20, route="responses")


async def test_with_one_place_requests_follow_each_other(start: Callable[..., Scene]) -> None:
    scene = start("alice", pool_max_in_flight="1")
    scene.fakes.behave("alice", SLOW)
    first = asyncio.create_task(post(scene, "first"))
    await under_way(scene)
    second = asyncio.create_task(post(scene, "second", "http1"))
    await says(scene, "action=waiting provider=codex route=responses reason=full")
    assert {status for status, _ in await asyncio.gather(first, second)} == {200}
    one, two = scene.fakes.journal(route="responses")
    assert two["time"] >= one["last_delta"], "the second went out when the first was over"
    await says(scene, "action=waited provider=codex route=responses result=served")


@pytest.mark.parametrize("leave", ["stream", "connection", "http1"])
async def test_who_leaves_while_waiting_is_never_sent(start: Callable[..., Scene], leave: str) -> None:
    scene = start("alice", pool_max_in_flight="1")
    scene.fakes.behave("alice", LONG)
    async with (
        await scene.network.http2("chatgpt.com") as holder,
        await getattr(scene.network, "http1" if leave == "http1" else "http2")("chatgpt.com") as client,
    ):
        held = await holder.send("POST", CODEX_PATH, codex_headers("first"), CODEX_BODY)
        await under_way(scene)
        waiting = await client.send("POST", CODEX_PATH, codex_headers("second"), CODEX_BODY)
        await says(scene, "action=waiting ")
        if leave == "stream":
            client.cancel(waiting)
        else:
            client.abort()
        await says(scene, "action=waited .* result=left")
        scene.fakes.behave("alice")
        holder.cancel(held)
        assert (await post(scene, "third"))[0] == 200, "the place of one that was broken off is free"
    assert sessions(scene) == ["first", "third"]


def sessions(scene: Scene) -> list[str]:
    headers = ({n.lower(): v for n, v in entry["headers"]} for entry in scene.fakes.journal(route="responses"))
    return [fields["session-id"] for fields in headers]


async def test_one_request_too_many_goes_out_again_when_another_is_over(start: Callable[..., Scene]) -> None:
    scene = start("alice")
    scene.fakes.behave("alice", SLOW)
    first = asyncio.create_task(post(scene, "first"))
    await under_way(scene)
    crowded = {"kind": "status", "status": 429, "body": {"error": {"code": "too_many_concurrent_requests"}}}
    scene.fakes.behave("alice", {**crowded, "first": 1, "route": "responses"})
    status, text = await post(scene, "second")
    assert (status, "alice" in text) == (200, True)
    assert (await first)[0] == 200
    assert scene.asked("responses") == ["alice"] * 3
    one, _, three = scene.fakes.journal(route="responses")
    assert three["time"] >= one["last_delta"]
    await says(scene, r"account=alice action=cap in_flight=2 limit=1 reason=rate-limited")
    assert scene.cooldowns() == {}


async def test_a_bound_below_none_is_refused_in_words(start: Callable[..., Scene]) -> None:
    with pytest.raises(RuntimeError, match="0 for no bound"):
        start(pool_max_in_flight="-1")
