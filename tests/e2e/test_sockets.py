"""Open WebSockets through a real mitmdump: another upstream within a turn, a quiet end between two, and long lives."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from seatpool.core.model import Attempt
from tests.e2e.conftest import CODEX_PATH, Scene, cli_headers, codex_headers
from tests.harness import BrokenOff, WebSocketClient

pytestmark = pytest.mark.asyncio


@dataclass(frozen=True)
class Side:
    """A provider's client and its two accounts, the first one first."""

    host: str
    path: str
    headers: Callable[[], dict[str, str]]
    first: str
    second: str


CODEX = Side("chatgpt.com", CODEX_PATH, codex_headers, "alice", "bob")
COPILOT = Side("api.individual.githubcopilot.com", "/responses", cli_headers, "carol", "dave")
both = pytest.mark.parametrize("side", [CODEX, COPILOT], ids=["codex", "copilot"])

CREATE = {"type": "response.create", "model": "gpt-5", "input": [{"type": "message", "role": "user", "content": "hi"}]}
SPENT = {"kind": "usage_limit", "retry_after": 900, "on": ["frame"]}


@asynccontextmanager
async def open_socket(scene: Scene, side: Side = COPILOT) -> AsyncIterator[WebSocketClient]:
    socket = await scene.network.websocket(side.host, side.path, side.headers())
    try:
        yield socket
    finally:
        with suppress(OSError):  # it is closed by the proxy
            await socket.close()


async def turn(socket: WebSocketClient, **more: Any) -> list[dict[str, Any]]:
    async with asyncio.timeout(20):
        return [event for _, event in await socket.turn({**CREATE, **more})]


def said(events: list[dict[str, Any]]) -> str:
    return "".join(e.get("delta", "") for e in events if e["type"] == "response.output_text.delta")


def code(events: list[dict[str, Any]]) -> str:
    return str(events[-1]["error"]["code"])


async def hang_up(socket: WebSocketClient) -> int | None:
    """What the socket is closed with, where nothing else is to come."""
    async with asyncio.timeout(20):
        assert await socket.receive() is None
    return socket.close_code


def recorded(scene: Scene, count: int) -> list[tuple[int, str, str]]:
    """Number, account and outcome of the last flow's attempts, once there are so many."""
    deadline = time.monotonic() + 10
    while True:
        with scene.store as store:
            names = {account.id: account.name for account in store.accounts()}
            attempts = sorted(store.past.attempts(limit=99), key=lambda a: (a.started_at, a.number))
        last: list[Attempt] = [a for a in attempts if a.flow_id == attempts[-1].flow_id]
        if len(last) >= count or time.monotonic() > deadline:
            return [(a.number, names[a.account_id], a.outcome) for a in last]
        time.sleep(0.05)


# -- another upstream within a turn


async def test_a_first_frame_that_refuses_is_not_seen_and_the_socket_goes_on_at_the_next_seat(scene: Scene) -> None:
    scene.pool("carol", "dave")
    scene.fakes.behave("carol", SPENT)
    async with open_socket(scene) as socket:
        first = await turn(socket)
        second = await turn(socket, previous_response_id=first[-1]["response"]["id"])
    assert [said(events)[:5] for events in (first, second)] == ["dave0", "dave0"]
    assert first[0]["type"] == "response.created", "nothing of carol's"
    entries = scene.fakes.journal(route="responses")
    assert [(e["account"], e["host"], e["status"]) for e in entries] == [
        ("carol", "api.individual.githubcopilot.com", 101),
        ("dave", "api.business.githubcopilot.com", 101),
    ]
    assert entries[0]["close_code"] == 1000
    assert [t["input"] for t in entries[1]["turns"]] == [1, 1]
    assert scene.cooldowns()["carol"].reason == "user_global_rate_limited"
    assert await asyncio.to_thread(recorded, scene, 5) == [
        (1, "carol", "ok"),
        (2, "carol", "user_global_rate_limited"),
        (3, "dave", "ok"),
        (4, "dave", "ok"),
        (5, "dave", "ok"),
    ]


async def test_the_upstream_that_refuses_may_hang_up_behind_it(scene: Scene) -> None:
    scene.pool("carol", "dave")
    scene.fakes.behave("carol", {**SPENT, "close_after": True})
    async with open_socket(scene) as socket:
        assert said(await turn(socket)).startswith("dave0")
        assert said(await turn(socket)).startswith("dave0")


async def test_the_next_seats_handshake_may_be_refused_as_any_other(scene: Scene) -> None:
    scene.pool("carol", "dave")
    scene.fakes.behave("carol", SPENT)
    scene.fakes.behave("dave", {"kind": "server_error", "on": ["handshake"], "first": 1})
    async with open_socket(scene) as socket:
        assert said(await turn(socket)).startswith("dave0")
    assert [(e["account"], e["status"]) for e in scene.fakes.journal(route="responses")] == [
        ("carol", 101),
        ("dave", 500),
        ("dave", 101),
    ]


async def test_what_a_client_sends_while_the_next_upstream_opens_gets_there(scene: Scene) -> None:
    scene.pool("carol", "dave")
    scene.fakes.behave("carol", SPENT)
    scene.fakes.behave("dave", {"kind": "ok", "on": ["handshake"], "delay_ms": 600})
    async with open_socket(scene) as socket:
        moving = asyncio.create_task(turn(socket))
        await asyncio.to_thread(scene.fakes.wait, 2, route="responses")
        await socket.ping(b"from the client")
        assert said(await moving).startswith("dave0")
        async with asyncio.timeout(10):
            await socket.pong()
    assert scene.fakes.journal(route="responses")[1]["pings"] == ["from the client"]


@pytest.mark.parametrize("behaviour", [{"kind": "usage_limit", "retry_after": 60}, {"kind": "close"}])
async def test_where_no_other_upstream_opens_the_refusal_comes_and_then_the_end(
    scene: Scene, behaviour: dict[str, Any]
) -> None:
    scene.pool("carol", "dave")
    scene.fakes.behave("carol", {**SPENT, "code": "user_weekly_rate_limited:pro"})
    scene.fakes.behave("dave", {**behaviour, "on": ["handshake"]})
    async with open_socket(scene) as socket:
        assert code(await turn(socket)) == "user_weekly_rate_limited:pro"
        assert await hang_up(socket) == 1000


async def test_when_frames_refuse_everywhere_the_client_gets_the_limit_that_ends_soonest(scene: Scene) -> None:
    scene.pool("carol", "dave")
    scene.fakes.behave("carol", SPENT)
    scene.fakes.behave("dave", {**SPENT, "code": "rate_limited"})
    async with open_socket(scene) as socket:
        assert code(await turn(socket)) == "rate_limited"
    assert scene.asked("responses") == ["carol", "dave"]


async def test_a_turn_is_sent_as_often_as_a_request(start: Callable[..., Scene]) -> None:
    scene = start("carol", "dave", pool_max_attempts="1")
    scene.fakes.behave("carol", {**SPENT, "code": "rate_limited"})
    async with open_socket(scene) as socket:
        assert code(await turn(socket)) == "rate_limited"
    assert scene.asked("responses") == ["carol"]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"previous_response_id": "known"}, "previous_response_not_found"),
        ({"input": [{"type": "reasoning", "id": "rs_1", "encrypted_content": "FAKE"}]}, "websocket_error"),
    ],
)
async def test_what_another_seat_could_not_read_is_asked_for_anew(
    scene: Scene, more: dict[str, Any], told: str
) -> None:
    scene.pool("carol", "dave")
    async with open_socket(scene) as socket:
        before = await turn(socket)
        if "previous_response_id" in more:
            more = {"previous_response_id": before[-1]["response"]["id"]}
        scene.fakes.behave("carol", SPENT)
        assert code(await turn(socket, **more)) == told
    assert scene.asked("responses") == ["carol"]
    async with open_socket(scene) as socket:
        assert said(await turn(socket)).startswith("dave0")


async def test_behind_the_first_words_nothing_is_sent_again(scene: Scene) -> None:
    scene.pool("carol", "dave")
    scene.fakes.behave("carol", {**SPENT, "after": 2})
    async with open_socket(scene) as socket:
        events = await turn(socket)
    assert (said(events), code(events)) == ("carol0 carol1 ", "user_global_rate_limited:pro")
    assert scene.asked("responses") == ["carol"]


# -- a quiet end between two turns


@both
async def test_a_socket_that_idles_on_an_account_that_is_taken_out_is_closed_quietly(scene: Scene, side: Side) -> None:
    """By another process: the proxy follows the database."""
    scene.pool(side.first, side.second)
    async with open_socket(scene, side) as socket:
        assert said(await turn(socket)).startswith(side.first)
        with scene.store as store:
            store.set_paused(side.first, True, datetime.now(UTC))
        assert await hang_up(socket) == 1000
    async with open_socket(scene, side) as socket:
        assert said(await turn(socket)).startswith(side.second)


@both
async def test_a_socket_amid_a_turn_is_closed_right_behind_it(scene: Scene, side: Side) -> None:
    """Its account's limit came by another flow."""
    scene.pool(side.first, side.second)
    scene.fakes.behave(side.first, {"kind": "ok", "deltas": 8, "gap_ms": 100})
    async with open_socket(scene, side) as socket, open_socket(scene, side) as other:
        await socket.send(CREATE)
        while (received := await socket.receive()) is not None and "delta" not in received[1]:
            pass
        scene.fakes.behave(side.first, {**SPENT})
        await turn(other, previous_response_id=None, input=[])
        events = []
        while (received := await socket.receive()) is not None:
            events.append(received[1])
        assert said(events).endswith(f"{side.first}7 "), "to its last word"
        assert events[-1]["type"] == "response.completed"
        assert socket.close_code == 1000


async def test_where_nobody_else_could_serve_the_socket_stays_open(scene: Scene) -> None:
    scene.pool("alice")
    async with open_socket(scene, CODEX) as socket, open_socket(scene, CODEX) as other:
        assert said(await turn(socket)).startswith("alice0")
        scene.fakes.behave("alice", {**SPENT, "first": 1})
        await turn(other)
        assert scene.cooldowns()["alice"].reason == "usage_limit_reached"
        assert said(await turn(socket)).startswith("alice0")


@both
async def test_a_close_of_the_upstreams_between_turns_passes_with_its_code(scene: Scene, side: Side) -> None:
    scene.pool(side.first)
    scene.fakes.behave(side.first, {"kind": "ok", "on": ["frame"], "close_after": True, "code": 1001})
    async with open_socket(scene, side) as socket:
        assert said(await turn(socket)).startswith(side.first)
        assert await hang_up(socket) == 1001


# -- what a socket may be

LARGE = 16 * 1024 * 1024
"""Codex takes messages up to here (codex.md 5)."""


@both
async def test_sixteen_mebibytes_pass_in_one_message_either_way(scene: Scene, side: Side) -> None:
    scene.pool(side.first)
    scene.fakes.behave(side.first, {"kind": "ok", "deltas": 1, "size": LARGE - 4096})
    async with open_socket(scene, side) as socket:
        events = await turn(socket, instructions="x" * (LARGE - 4096))
    assert max(len(event.get("delta", "")) for event in events) == LARGE - 4096
    entry = scene.fakes.journal(route="responses")[0]
    assert [t["size"] > LARGE - 4096 for t in entry["turns"]] == [True]
    assert "permessage-deflate" in {n.lower(): v for n, v in entry["headers"]}["sec-websocket-extensions"]


async def test_a_turn_may_be_silent_for_longer_than_a_connection_may(start: Callable[..., Scene]) -> None:
    """mitmproxy drops whoever was silent for `tcp_timeout` seconds, 600 unless told otherwise."""
    scene = start("alice", tcp_timeout="1")
    scene.fakes.behave("alice", {"kind": "ok", "deltas": 2, "gap_ms": 3000})
    async with open_socket(scene, CODEX) as socket:
        assert said(await turn(socket)) == "alice0 alice1 "


@both
async def test_pings_and_their_answers_pass_both_ways(scene: Scene, side: Side) -> None:
    scene.pool(side.first)
    scene.fakes.behave(side.first, {"kind": "ok", "on": ["frame"], "ping": True})
    async with open_socket(scene, side) as socket:
        await socket.ping(b"from the client")
        await turn(socket)
        assert socket.pings == [b"from the upstream"]
        async with asyncio.timeout(10):
            await socket.pong()
    assert socket.pongs == [b"from the client"]
    entry = scene.fakes.journal(route="responses")[0]
    assert (entry["pings"], entry["pongs"]) == (["from the client"], ["from the upstream"])


async def test_a_client_that_speaks_http2_is_told_at_once_that_it_has_no_websockets(scene: Scene) -> None:
    """RFC 8441 is not offered; who asks all the same has an answer before any time-out could be over."""
    scene.pool("carol")
    async with asyncio.timeout(3), await scene.network.http2(COPILOT.host) as client:
        assert await (await client.send("GET", "/models", cli_headers())).head() == 200
        assert not client.takes_websockets
        refused = await client.websocket(COPILOT.path, {"sec-websocket-version": "13"})
        with pytest.raises(BrokenOff):
            await refused.body()
    assert scene.asked("responses") == []


@pytest.mark.parametrize(("offered", "spoken"), [(["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1"), ([], None)])
async def test_what_is_spoken_is_told_in_the_handshake(scene: Scene, offered: list[str], spoken: str | None) -> None:
    """Who wants a WebSocket does not offer HTTP/2: so the last two are what its client hears."""
    assert await scene.network.spoken(COPILOT.host, offered) == spoken
