"""What only its owner can read stays with its owner, through a real mitmdump: bodies of both dialects, and sockets."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import zstandard

from tests.e2e.conftest import CODEX_PATH, Scene, cli_headers, codex_headers
from tests.e2e.test_codex import ask, open_socket, spoken, turn
from tests.upstream.tokens import carrier

pytestmark = pytest.mark.asyncio

Start = Callable[..., Scene]
LOOSE = {"pool_affinity": "disabled", "pool_strategy": "round-robin"}
"""Nothing but a bond keeps a conversation where it is."""
COPILOT = "api.individual.githubcopilot.com"
SAID = {"role": "user", "content": "hi"}


def codex_body(*items: dict[str, Any]) -> bytes:
    return json.dumps(
        {"model": "gpt-x", "stream": True, "include": ["reasoning.encrypted_content"], "input": items}
    ).encode()


def thought_of(name: str) -> dict[str, Any]:
    return {"type": "reasoning", "summary": [], "encrypted_content": carrier("cipher", name, 1)}


@pytest.mark.parametrize("coding", ["", "zstd"])
async def test_reasoning_goes_back_to_whoever_thought_it(start: Start, coding: str) -> None:
    scene = start("alice", "bob", **LOOSE)

    async def send(*items: dict[str, Any]) -> str:
        body = codex_body(*items)
        if coding:
            incoming, events = await ask(scene, body=zstandard.compress(body), content_encoding=coding)
        else:
            incoming, events = await ask(scene, body=body)
        assert incoming.status == 200
        return "".join(event.delta or "" for event in events).partition("0")[0]

    assert [await send() for _ in range(4)] == ["alice", "bob", "alice", "bob"]
    assert [await send(thought_of("bob")) for _ in range(3)] == ["bob"] * 3
    scene.fakes.behave("bob", {"kind": "usage_limit"})
    assert await send(thought_of("bob")) == "alice", "it is unavailable: somebody else is better than nobody"
    entries = scene.fakes.journal(route="responses")
    assert [(e["account"], e["ciphers"]) for e in entries[4:]] == [("bob", ["bob"])] * 4 + [("alice", ["bob"])]


async def test_a_socket_comes_back_to_its_conversations_owner(start: Start) -> None:
    scene = start("alice", "bob", **LOOSE)
    for name in ("alice", "bob"):
        scene.fakes.behave(name, {"kind": "ok", "on": ["frame"], "reasoning": True})
    who = []
    for number in range(4):
        async with open_socket(scene) as socket:
            message = {"type": "response.create", "model": "gpt-x", "input": [thought_of(who[0])] if number else []}
            who.append(spoken(await turn(socket, message)).partition("0")[0])
    assert len(set(who)) == 1
    elsewhere = await scene.network.websocket("chatgpt.com", CODEX_PATH, codex_headers("another"))
    try:
        assert spoken(await turn(elsewhere)).partition("0")[0] not in who, "who is new goes where it is due"
    finally:
        await elsewhere.close()


THINKING = {"type": "thinking", "thinking": "hm", "signature": "ErUBCkYIBxgC"}
COPILOT_BODIES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "an item's id": (
        "/responses",
        {"model": "gpt-5-mini", "input": [SAID]},
        {"input": [SAID, {"type": "message", "role": "assistant", "id": "msg_x", "content": []}]},
    ),
    "a thought's signature": (
        "/v1/messages",
        {"model": "claude-sonnet-4.6", "messages": [SAID]},
        {"messages": [SAID, {"role": "assistant", "content": [THINKING]}, SAID]},
    ),
    "opaque reasoning": (
        "/chat/completions",
        {"model": "gpt-4.1", "messages": [SAID]},
        {"messages": [SAID, {"role": "assistant", "content": "x", "reasoning_opaque": "abc"}, SAID]},
    ),
}


@pytest.mark.parametrize("case", COPILOT_BODIES)
async def test_so_do_copilots_carriers(start: Start, case: str) -> None:
    path, first, later = COPILOT_BODIES[case]
    scene = start("carol", "dave", **LOOSE)

    async def send(body: dict[str, Any]) -> str:
        async with await scene.network.http2(COPILOT) as client:
            incoming = await client.send("POST", path, cli_headers(), json.dumps(body).encode())
            assert await incoming.body()
            assert incoming.status == 200
        return str(scene.fakes.journal(path=path)[-1]["account"])

    assert [await send(first) for _ in range(3)] == ["carol", "dave", "carol"]
    assert [await send({**first, **later}) for _ in range(3)] == ["carol"] * 3
