"""Recorded answers of each kind through a real mitmdump: `seatpool usage` adds up to what upstream has said of them."""

import asyncio
import json
import sqlite3
from collections import Counter
from contextlib import closing
from typing import Any

import pytest

from tests.e2e.conftest import CODEX_BODY, CODEX_PATH, Scene, cli_headers, codex_headers
from tests.e2e.test_codex import CREATE, open_socket, turn
from tests.e2e.test_rules import at
from tests.e2e.test_told import COPILOT, SAID, recorded
from tests.e2e.test_why import told as said_by
from tests.harness.incoming import BrokenOff
from tests.proxy.test_recorded import STREAMS, TOLD, of_kind

pytestmark = pytest.mark.asyncio

SITE = {"x_codex_turn_metadata": at("git@github.com:Ann/Site.git")}
ASKED: dict[str, tuple[str, str, dict[str, str], dict[str, Any]]] = {
    "codex": ("chatgpt.com", CODEX_PATH, codex_headers(**SITE), {"model": "gpt-5.3-codex", "input": []}),
    "responses": (COPILOT, "/responses", cli_headers(), {"model": "gpt-5-mini", "input": SAID}),
    "chat-completions": (COPILOT, "/chat/completions", cli_headers(), {"model": "gpt-4.1", "messages": SAID}),
    "messages": (COPILOT, "/v1/messages", cli_headers(), {"model": "claude-sonnet-4.6", "messages": SAID}),
    "embeddings": (COPILOT, "/embeddings", cli_headers(), {"model": "text-embedding-3-small", "input": ["hi"]}),
}
NAMES = {
    "input": "input_tokens",
    "cached": "cached_tokens",
    "written": "cache_written_tokens",
    "output": "output_tokens",
    "reasoning": "reasoning_tokens",
}


@pytest.fixture(autouse=True)
def _nothing_used_yet(scene: Scene) -> None:
    """Sums stay for good, those of other tests as well."""
    with closing(sqlite3.connect(scene.proxy.database, isolation_level=None)) as db:
        db.execute("DELETE FROM usage_days")


def sums(names: list[str]) -> dict[str, int]:
    """What upstream has said of these recordings in all."""
    found: Counter[str] = Counter()
    for name in names:
        told = TOLD[name]["tokens"]
        for counts in told if isinstance(told, list) else [told]:
            found.update(counts or {})
    return dict(found)


async def play(scene: Scene, name: str, **behaviour: Any) -> None:
    """Ask for a recorded answer, and read it."""
    told, body = TOLD[name], (STREAMS / name).read_bytes().decode()
    kind = "text/event-stream" if name.endswith(".sse") else "application/json"
    answer = {"kind": "ok", "headers": {"content-type": kind}, "body": body, **behaviour}
    scene.fakes.behave("alice" if told["provider"] == "codex" else "carol", answer)
    host, path, headers, asked = ASKED["codex" if told["provider"] == "codex" else told["route"]]
    async with await scene.network.http2(host) as client:
        asked = {**asked, "stream": name.endswith(".sse")}
        incoming = await client.send("POST", path, headers, json.dumps(asked).encode())
        assert await incoming.body() == body.encode()


async def play_turns(scene: Scene, name: str) -> None:
    """The same on a socket; its first message tells where it is."""
    turns = [[json.loads(m) for m in t.splitlines()] for t in (STREAMS / name).read_text().split("\n\n")]
    scene.fakes.behave("alice", *({"kind": "ok", "on": ["frame"], "first": 1, "body": events} for events in turns))
    message = {**CREATE, "client_metadata": {"x-codex-turn-metadata": SITE["x_codex_turn_metadata"]}}
    async with open_socket(scene) as socket:
        for number, events in enumerate(turns):
            assert (await turn(socket, CREATE if number else message))[-1] == events[-1]


async def leave(scene: Scene, *, amid: bool) -> None:
    """The client goes away before the answer's head, or amid its text."""
    scene.fakes.behave("alice", {"deltas": 400, "gap_ms": 50, "delay_ms": 0 if amid else 30_000, "route": "responses"})
    async with await scene.network.http2("chatgpt.com") as client:
        incoming = await client.send("POST", CODEX_PATH, codex_headers(), CODEX_BODY)
        if amid:
            async for event in incoming.events():
                if event.delta:
                    break
        else:
            await asyncio.to_thread(scene.fakes.wait, route="responses")
        client.cancel(incoming)


def used(scene: Scene, *arguments: str) -> dict[str, Any]:
    return dict(json.loads(said_by(scene, "usage", "--json", *arguments)))


def requests(row: dict[str, Any]) -> tuple[int, int, int, int]:
    return row["requests"], row["aborted"], row["failed"], row["untold"]


async def test_what_was_used_equals_what_upstream_has_said(scene: Scene) -> None:
    scene.pool("alice", "carol")
    whole = [name for name in of_kind(".sse", ".json") if TOLD[name]["outcome"] == "ok" and "ghost" not in name]
    for name in whole:
        await play(scene, name)
    await play_turns(scene, "turns.jsonl")
    await recorded(scene, len(whole) + 1 + 3)
    codex = [name for name in whole if TOLD[name]["provider"] == "codex"]
    copilot = [name for name in whole if name not in codex]
    rows = {row["account"]: row for row in used(scene)["rows"]}
    for account, names in (("alice", [*codex, "turns.jsonl"]), ("carol", copilot)):
        expected = sums(names)
        nano = expected.pop("nano_credits", None)
        assert {NAMES[key]: count for key, count in expected.items()}.items() <= rows[account].items()
        assert rows[account]["ai_credits"] == (nano / 10**9 if nano is not None else None)
    assert requests(rows["alice"]) == (len(codex) + 3, 0, 0, 1), "a handshake is none"
    assert requests(rows["carol"]) == (len(copilot), 0, 0, 0)
    (site, rest) = used(scene, "--by", "repository")["rows"]
    assert (site["repository"], site["requests"], rest["repository"]) == ("github.com/ann/site", len(codex) + 3, None)
    clients = {row["client"]: row["requests"] for row in used(scene, "--by", "client")["rows"]}
    assert clients == {"codex_exec": len(codex) + 3, "copilot": len(copilot)}
    lines = [json.loads(line) for line in said_by(scene, "tail", "--no-follow", "-n", "200", "--json").splitlines()]
    assert {(line["account"], line["repository"]) for line in lines if line["output_tokens"] is not None} == {
        ("alice", "github.com/ann/site"),
        ("carol", None),
    }


async def test_who_breaks_off_is_counted_as_such_with_what_was_known(scene: Scene) -> None:
    scene.pool("alice", "carol")
    await leave(scene, amid=False)
    scene.fakes.clear()
    await leave(scene, amid=True)
    with pytest.raises(BrokenOff):
        await play(scene, "messages-long.sse", cut_at=30_000)
    scene.fakes.behave("alice", {"kind": "ok", "deltas": 400, "gap_ms": 50, "on": ["frame"]})
    async with open_socket(scene) as socket:
        await socket.send(CREATE)
        while (received := await socket.receive()) is not None and "delta" not in received[1]:
            pass
    scene.fakes.behave("alice", {"kind": "usage_limit"})
    async with await scene.network.http2("chatgpt.com") as client:
        await (await client.send("POST", CODEX_PATH, codex_headers(), CODEX_BODY)).body()
    attempts = await recorded(scene, 6)
    assert [a.outcome for a in attempts] == ["left", "left", "cut", "ok", "left", "usage_limit_reached"]
    assert [a.status for a in attempts] == [None, 200, 200, 101, None, 429]
    rows = {row["account"]: row for row in used(scene)["rows"]}
    assert (requests(rows["alice"]), rows["alice"]["input_tokens"]) == ((3, 3, 1, 3), None)
    begun = {"input_tokens": 3, "cached_tokens": 0, "output_tokens": 1, "ai_credits": None}
    assert requests(rows["carol"]) == (1, 1, 0, 0) and begun.items() <= rows["carol"].items()
