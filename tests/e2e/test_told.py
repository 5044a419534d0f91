"""What answers tell of their tokens, through a real mitmdump: in every dialect, streamed, whole and on a socket."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from seatpool.core.model import Attempt, Tokens
from tests.e2e.conftest import CODEX_BODY, CODEX_PATH, Scene, cli_headers, codex_headers
from tests.e2e.test_codex import CREATE, open_socket, turn
from tests.e2e.test_why import told
from tests.harness.incoming import BrokenOff

pytestmark = pytest.mark.asyncio

COUNTED: dict[str, Any] = {"kind": "ok", "input_tokens": 12_000, "cached_tokens": 11_000, "output_tokens": 77}
TOLD = {
    "responses of Codex": Tokens(12_000, 11_000, 77, reasoning=38),
    "responses of Copilot": Tokens(12_000, 11_000, 77, reasoning=38, written=0, nano_credits=1_250_000),
    "chat": Tokens(12_000, 11_000, 77, written=0, nano_credits=1_250_000),
    "messages": Tokens(12_000, 11_000, 77, written=0, nano_credits=1_250_000),
}
LONG: dict[str, Any] = {**COUNTED, "deltas": 200, "size": 500}
SAID = [{"role": "user", "content": "hi"}]

CODEX = ("chatgpt.com", CODEX_PATH, codex_headers)
COPILOT = "api.individual.githubcopilot.com"
ROUTES: dict[str, tuple[str, str, Callable[..., dict[str, str]], dict[str, Any]]] = {
    "responses of Codex": (*CODEX, {"model": "gpt-x", "input": []}),
    "responses of Copilot": (COPILOT, "/responses", cli_headers, {"model": "gpt-5-mini", "input": SAID}),
    "chat": (COPILOT, "/chat/completions", cli_headers, {"model": "gpt-4.1", "messages": SAID}),
    "messages": (COPILOT, "/v1/messages", cli_headers, {"model": "claude-sonnet-4.6", "messages": SAID}),
}


async def recorded(scene: Scene, count: int = 1) -> list[Attempt]:
    """The attempts, once there are so many, in order."""
    async with asyncio.timeout(10):
        while True:
            with scene.store as store:
                attempts = store.past.attempts(limit=99)
            if len(attempts) >= count:
                return sorted(attempts, key=lambda a: (a.started_at, a.number))
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("behaviour", [{**COUNTED, "gap_ms": 50}, LONG], ids=["short", "long"])
async def test_the_end_of_a_stream_is_read(scene: Scene, route: str, behaviour: dict[str, Any]) -> None:
    host, path, headers, body = ROUTES[route]
    scene.pool("alice", "carol")
    for name in ("alice", "carol"):
        scene.fakes.behave(name, behaviour)
    async with await scene.network.http2(host) as client:
        incoming = await client.send("POST", path, headers(), json.dumps({**body, "stream": True}).encode())
        assert await incoming.body()
        assert incoming.headers.get("content-type", "text/event-stream") == "text/event-stream"
    (attempt,) = await recorded(scene)
    assert (attempt.outcome, attempt.status, attempt.tokens) == ("ok", 200, TOLD[route])
    assert attempt.first_byte_ms is not None and attempt.total_ms is not None
    assert attempt.first_byte_ms < attempt.total_ms


@pytest.mark.parametrize("route", [route for route in ROUTES if "Codex" not in route])
async def test_an_answer_that_comes_whole_is_read(scene: Scene, route: str) -> None:
    host, path, headers, body = ROUTES[route]
    scene.pool("carol")
    scene.fakes.behave("carol", COUNTED)
    async with await scene.network.http2(host) as client:
        incoming = await client.send("POST", path, headers(), json.dumps({**body, "stream": False}).encode())
        assert "usage" in await incoming.json()
    (attempt,) = await recorded(scene)
    told = TOLD[route]
    assert (attempt.outcome, attempt.tokens) == (
        "ok",
        told._replace(nano_credits=None) if route == "messages" else told,
    )


async def test_each_turn_on_a_socket_is_told_beside_its_handshake(scene: Scene) -> None:
    scene.pool("alice")
    scene.fakes.behave("alice", {**COUNTED, "on": ["frame"], "first": 1}, {"kind": "usage_limit", "on": ["frame"]})
    async with open_socket(scene) as socket:
        await turn(socket)
        await turn(socket)
    attempts = await recorded(scene, 3)
    assert [(a.number, a.reason, a.outcome, a.status, a.tokens) for a in attempts] == [
        (1, "best", "ok", 101, None),
        (2, "socket", "ok", None, TOLD["responses of Codex"]),
        (3, "socket", "usage_limit_reached", None, None),
    ]
    assert len({a.flow_id for a in attempts}) == 1
    said = await asyncio.to_thread(told, scene, "why")
    assert "12,000 in (11,000 cached), 77 out" in said
    assert "a turn on its open socket" in said


async def test_who_leaves_amid_an_answer_is_recorded_then(scene: Scene) -> None:
    scene.pool("alice")
    scene.fakes.behave("alice", {"kind": "ok", "deltas": 400, "gap_ms": 50})
    async with await scene.network.http2("chatgpt.com") as client:
        incoming = await client.send("POST", CODEX_PATH, codex_headers(), CODEX_BODY)
        async for event in incoming.events():
            if event.delta:
                break
        with scene.store as store:
            assert store.past.attempts(limit=9) == (), "it is not over"
        client.cancel(incoming)
        (attempt,) = await recorded(scene)
    assert (attempt.outcome, attempt.status, attempt.tokens) == ("left", 200, None)


@pytest.mark.parametrize("version", ["http1", "http2"])
async def test_what_the_upstream_broke_off_is_recorded_as_cut(scene: Scene, version: str) -> None:
    host, path, headers, body = ROUTES["messages"]
    scene.pool("carol")
    scene.fakes.behave("carol", {**COUNTED, "kind": "cut", "after": 2, "route": "messages"})
    async with await getattr(scene.network, version)(host) as client:
        incoming = await client.send("POST", path, headers(), json.dumps({**body, "stream": True}).encode())
        with pytest.raises(BrokenOff):
            await incoming.body()
    (attempt,) = await recorded(scene)
    assert (attempt.outcome, attempt.status, attempt.tokens) == ("cut", 200, Tokens(12_000, 11_000, 1, written=0))


async def test_an_answer_under_way_when_the_proxy_ends_is_recorded(start: Callable[..., Scene]) -> None:
    scene = start("alice")
    scene.fakes.behave("alice", {"kind": "ok", "deltas": 400, "gap_ms": 50, "route": "responses"})
    async with await scene.network.http2("chatgpt.com") as client:
        incoming = await client.send("POST", CODEX_PATH, codex_headers(), CODEX_BODY)
        assert await incoming.head() == 200
        await asyncio.to_thread(scene.proxy.stop)
    (attempt,) = await recorded(scene)
    assert attempt.outcome in ("cut", "left")


async def test_a_conversation_weighs_what_was_told(scene: Scene) -> None:
    scene.pool("alice")
    scene.fakes.behave("alice", COUNTED)
    async with await scene.network.http2("chatgpt.com") as client:
        await (await client.send("POST", CODEX_PATH, codex_headers("heavy"), CODEX_BODY)).body()
    async with open_socket(scene) as socket:
        await turn(socket, CREATE)

    def weights() -> dict[str, int | None]:
        with scene.store as store:
            return {held.conversation: held.cached_tokens for held in store.changes(None).affinities}

    async with asyncio.timeout(10):
        while weights() != {"heavy": 12_000, "talk": 12_000}:
            await asyncio.sleep(0.05)
