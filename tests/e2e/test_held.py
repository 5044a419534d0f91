"""Everybody is limited for a moment: requests are held through a real mitmdump, and go on."""

import asyncio
import json
import time
from typing import Any

import pytest

from tests.e2e.conftest import CODEX_BODY, CODEX_PATH, Scene, codex_headers
from tests.e2e.test_codex import ask, said
from tests.e2e.test_copilot import ON_CHAT, editor_headers
from tests.e2e.test_copilot import ask as ask_copilot
from tests.e2e.test_why import told

pytestmark = pytest.mark.asyncio

MOMENT_S = 1


def limited_once(scene: Scene, *names: str, **more: Any) -> None:
    """Each refuses one request, and is itself again a moment later."""
    refusal = {"kind": "rate_limited", "message": "later", "retry_after": MOMENT_S, "first": 1}
    for name in names:
        scene.fakes.behave(name, {**refusal, **more})


async def says(scene: Scene, pattern: str, since: int) -> None:
    await asyncio.to_thread(scene.proxy.wait_log, pattern, since=since)


@pytest.mark.parametrize("version", ["http1", "http2"])
async def test_a_request_that_everybody_refuses_for_a_moment_is_answered_after_it(scene: Scene, version: str) -> None:
    since = len(scene.proxy.log)
    scene.pool("alice", "bob")
    limited_once(scene, "alice", "bob", route="responses")
    before = time.time()
    incoming, events = await ask(scene, version, conversation=f"held-{version}")
    assert (incoming.status, said(events)[:5]) == (200, "alice")
    assert MOMENT_S <= time.time() - before < MOMENT_S + 4
    assert scene.asked("responses") == ["alice", "bob", "alice"]
    await says(scene, r"action=waiting provider=codex route=responses reason=rate_limit_exceeded until=\S+", since)
    if version == "http1":
        return
    request = scene.proxy.wait_log(r"action=waited .* result=served .* (request=\w+)$", since=since)[1]
    listed = ""
    while "attempt 3: alice" not in listed:
        listed = await asyncio.to_thread(told, scene, "why", request)
    assert "nobody yet, so it waited for" in listed


async def test_those_who_come_meanwhile_are_answered_as_well_and_nobody_is_asked_before_the_time(scene: Scene) -> None:
    since = len(scene.proxy.log)
    scene.pool("alice", "bob")
    limited_once(scene, "alice", "bob", route="responses")
    first = asyncio.create_task(ask(scene, conversation="many-0"))
    await says(scene, "action=waiting ", since)
    others = await asyncio.gather(*(ask(scene, conversation=f"many-{n}") for n in range(1, 6)))
    assert [incoming.status for incoming, _ in (await first, *others)] == [200] * 6
    entries = scene.fakes.journal(route="responses")
    assert [e["status"] for e in entries] == [429, 429, *[200] * 6]
    assert entries[2]["time"] >= entries[0]["time"] + MOMENT_S


async def test_a_handshake_waits(scene: Scene) -> None:
    scene.pool("alice", "bob")
    limited_once(scene, "alice", "bob", on=["handshake"])
    client = await scene.network.websocket("chatgpt.com", CODEX_PATH, codex_headers("held-socket"))
    turn = await client.turn({"type": "response.create", "model": "gpt-x", "input": []})
    assert turn[-1][1]["type"] == "response.completed"
    await client.close()
    assert scene.asked("responses") == ["alice", "bob", "alice"]


async def test_a_socket_whose_account_is_limited_for_a_moment_is_opened_anew_and_waits(scene: Scene) -> None:
    scene.pool("alice")
    limited_once(scene, "alice", on=["frame"])
    create = {"type": "response.create", "model": "gpt-x", "input": []}
    client = await scene.network.websocket("chatgpt.com", CODEX_PATH, codex_headers("held-frame"))
    turn = await client.turn(create)
    await client.close()
    assert turn[-1][1]["error"]["code"] == "websocket_connection_limit_reached"
    client = await scene.network.websocket("chatgpt.com", CODEX_PATH, codex_headers("held-frame"))
    turn = await client.turn(create)
    assert turn[-1][1]["type"] == "response.completed"
    await client.close()


async def test_a_chat_is_held_and_ghost_text_is_not(scene: Scene) -> None:
    scene.pool("carol", "dave")
    for name in ("carol", "dave"):
        scene.fakes.behave(name, {"kind": "rate_limited", "retry_after": MOMENT_S, "first": 1, **ON_CHAT})
    typed = json.dumps({"prompt": "def", "stream": True}).encode()
    incoming, body = await ask_copilot(scene, editor_headers())
    assert incoming.status == 200
    assert b"carol0" in body or b"dave0" in body
    for name in ("carol", "dave"):
        scene.fakes.behave(name, {"kind": "rate_limited", "retry_after": MOMENT_S, "route": "engine"})
    since = len(scene.proxy.log)
    incoming, body = await ask_copilot(
        scene, editor_headers(), "/v1/engines/gpt-41-copilot/completions", typed, "proxy.individual.githubcopilot.com"
    )
    assert (incoming.status, incoming.headers["retry-after"]) == (429, str(MOMENT_S))
    assert not [line for line in scene.proxy.log[since:] if "action=waiting" in line]


async def test_who_leaves_while_held_is_never_sent(scene: Scene) -> None:
    since = len(scene.proxy.log)
    scene.pool("alice")
    limited_once(scene, "alice", route="responses")
    async with await scene.network.http2("chatgpt.com") as client:
        held = await client.send("POST", CODEX_PATH, codex_headers("leaves"), CODEX_BODY)
        await says(scene, "action=waiting ", since)
        client.cancel(held)
        await says(scene, "action=waited .* result=left", since)
    incoming, _ = await ask(scene, conversation="stays")
    assert incoming.status == 200
    assert len(scene.fakes.journal(route="responses")) == 2
