"""Conversations that only their account can read, through a real mitmdump: each way of moving them, or of not doing so.

The upstream refuses what another account gave out, in the words of copilot.md 4 and codex.md 2.3.
"""

import itertools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
import zstandard

from tests.e2e.conftest import ACCOUNTS, ALONE, CODEX_PATH, Scene, cli_headers, codex_headers
from tests.e2e.test_codex import spoken, turn
from tests.harness import HandshakeRefused, Lab, Mitmdump
from tests.harness.namespace import why_no_namespaces
from tests.upstream import tokens

pytestmark = pytest.mark.asyncio

COPILOT = "api.individual.githubcopilot.com"
LIMIT = {"kind": "usage_limit", "retry_after": 1800, "resets_in_s": 1800}
MODES = ("never", "repair", "ask-upstream")


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Scene]]:
    """One proxy for each mode, before the same upstream."""
    reason = why_no_namespaces()
    if reason is not None:
        pytest.skip(f"end-to-end tests need a namespace of their own: {reason}")
    folder = tmp_path_factory.mktemp("moving")
    scenes: dict[str, Scene] = {}
    with pytest.MonkeyPatch.context() as patch, Lab(folder) as lab:
        patch.setenv("SEATPOOL_KEYRING", "off")
        fakes = lab.upstream({"accounts": ACCOUNTS, "strict": True})

        def house(mode: str) -> Scene:
            if mode not in scenes:
                place = folder / mode
                options = {**ALONE, "pool_move_conversations": mode}
                proxy = Mitmdump(place / "proxy", lab=lab, upstream_ca=fakes.ca, options=options)
                proxy.port += len(scenes)
                scenes[mode] = Scene(lab, fakes, proxy, place)
                place.mkdir()
                proxy.start()
            return scenes[mode]

        yield house
        for scene in scenes.values():
            scene.proxy.stop()


@pytest.fixture
def house(houses: Callable[[str], Scene]) -> Iterator[Callable[[str], Scene]]:
    began: list[tuple[Scene, int]] = []

    def begin(mode: str) -> Scene:
        scene = houses(mode)
        scene.reset()
        for name in ACCOUNTS:
            scene.fakes.behave(name, {"kind": "ok", "reasoning": True})
        began.append((scene, len(scene.proxy.log)))
        return scene

    yield begin
    for scene, since in began:
        assert not [line for line in scene.proxy.log[since:] if "Traceback" in line or "crashed" in line]


NUMBERS = itertools.count()
"""No two conversations are the same: what became of one is remembered."""


@dataclass
class Talk:
    """A client with a history: it sends back everything that it was given."""

    scene: Scene
    dialect: str
    name: str = field(default_factory=lambda: f"talk-{next(NUMBERS)}")
    history: list[dict[str, Any]] = field(default_factory=list)
    asked: int = 0

    @property
    def owners(self) -> tuple[str, str]:
        """Who is asked first, and who then."""
        return ("alice", "bob") if self.dialect == "codex" else ("carol", "dave")

    async def say(self, coding: str = "") -> tuple[int, Any]:
        """One more turn; an answer's text, or a refusal's document."""
        self.history.append({"role": "user", "content": f"{self.name} {len(self.history)}"})
        member = "input" if self.dialect in ("codex", "responses") else "messages"
        body = json.dumps({"model": MODELS[self.dialect], "stream": True, member: self.history}).encode()
        path, headers = PATHS[self.dialect], cli_headers(x_client_session_id=self.name)
        if self.dialect == "codex":
            headers = codex_headers(self.name)
        if coding:
            body, headers["content-encoding"] = zstandard.compress(body), coding
            headers["content-length"] = str(len(body))
        async with await self.scene.network.http2("chatgpt.com" if path == CODEX_PATH else COPILOT) as client:
            incoming = await client.send("POST", path, headers, body)
            said = (await incoming.body()).decode()
        if incoming.status != 200:
            self.history.pop()
            return incoming.status, json.loads(said)
        return 200, "".join(self._hear(event) or "" for event in said.split("\n\n"))

    def _hear(self, event: str) -> str | None:
        _, found, data = event.partition("data: ")
        if not found or data.startswith("[DONE]"):
            return None
        told = json.loads(data)
        return HEAR[self.dialect](self.history, told)

    def sent(self) -> list[tuple[str, int, list[str], list[str]]]:
        """To whom since this was asked last, what came of it, and whose ciphers and item ids it held."""
        entries = [e for e in self.scene.fakes.journal(path=PATHS[self.dialect]) if not e["websocket"]]
        new, self.asked = entries[self.asked :], len(entries)
        return [(e["account"], e["status"], e["ciphers"], e["items"]) for e in new]


MODELS = {"codex": "gpt-x", "responses": "gpt-5-mini", "messages": "claude-sonnet-4.6", "chat": "gpt-4.1"}
PATHS = {"codex": CODEX_PATH, "responses": "/responses", "messages": "/v1/messages", "chat": "/chat/completions"}


def _hear_codex(history: list[dict[str, Any]], told: dict[str, Any]) -> str | None:
    """Codex keeps ids of reasoning only; what they are is not asked."""
    if told["type"] == "response.output_item.done":
        history.append({k: v for k, v in told["item"].items() if k != "id"})
    return told.get("delta")


def _hear_responses(history: list[dict[str, Any]], told: dict[str, Any]) -> str | None:
    if told["type"] == "response.output_item.done":
        history.append(told["item"])
    return told.get("delta")


def _hear_messages(history: list[dict[str, Any]], told: dict[str, Any]) -> str | None:
    kind = told["type"]
    if kind == "message_start":
        history.append({"role": "assistant", "content": []})
    elif kind == "content_block_start":
        history[-1]["content"].append(dict(told["content_block"]))
    elif kind == "content_block_delta":
        delta, block = told["delta"], history[-1]["content"][-1]
        if delta["type"] == "signature_delta":
            block["signature"] = delta["signature"]
        else:
            block["text"] += delta["text"]
            return str(delta["text"])
    return None


def _hear_chat(history: list[dict[str, Any]], told: dict[str, Any]) -> str | None:
    for choice in told["choices"]:
        delta = choice["delta"]
        if history[-1]["role"] == "user":
            history.append({"role": "assistant", "content": ""})
        history[-1] |= {k: v for k, v in delta.items() if k.startswith("reasoning")}
        history[-1]["content"] += delta.get("content") or ""
        return delta.get("content")
    return None


HEAR = {"codex": _hear_codex, "responses": _hear_responses, "messages": _hear_messages, "chat": _hear_chat}


async def limited_elsewhere(talk: Talk, name: str) -> None:
    """Somebody's limit is met in another conversation."""
    talk.scene.fakes.behave(name, LIMIT)
    status, _ = await Talk(talk.scene, talk.dialect).say()
    assert status == 200
    talk.sent()


def pause(scene: Scene, name: str, *, paused: bool) -> None:
    """And wait until the proxy knows."""
    with scene.store as store:
        store.set_paused(name, paused, datetime.now(UTC))
    scene.proxy.wait_last_log(r"action=(?:pool|start) ", r"=1\b" if paused else r"=2\b")


def recovers(scene: Scene, name: str) -> None:
    """Its limit is over."""
    pause(scene, name, paused=True)
    scene.fakes.behave(name, {"kind": "ok", "reasoning": True})
    with scene.store as store:
        store.clear_cooldowns()
    pause(scene, name, paused=False)


def log_of(scene: Scene, action: str, since: int) -> list[str]:
    """What the proxy said since then, without what differs each time."""
    lines = (line for line in scene.proxy.log[since:] if f"action={action} " in line)
    return [re.sub(r".*(account=)|request=\w+|=http.*", r"\1", line).strip() for line in lines]


DIALECTS = ("codex", "responses", "messages", "chat")
REFUSED = {"codex": ["cipher"], "responses": ["cipher"], "messages": [], "chat": ["cipher"]}
"""What is repaired only after the other account has refused it."""


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_repaired_a_conversation_goes_on_wherever_there_is_quota(
    house: Callable[[str], Scene], dialect: str
) -> None:
    scene = house("repair")
    talk = Talk(scene, dialect)
    first, second = talk.owners
    scene.pool(first, second)
    since = len(scene.proxy.log)
    ids = dialect == "responses"

    assert await talk.say() == (200, f"{first}0 {first}1 {first}2 ")
    assert talk.sent() == [(first, 200, [], [])]
    await limited_elsewhere(talk, first)
    assert await talk.say() == (200, f"{second}0 {second}1 {second}2 ")
    refused = [(second, 400, [first], [])] if REFUSED[dialect] else []
    assert talk.sent() == [*refused, (second, 200, [], [])], "what upstream may take goes as it is first"
    assert (await talk.say())[0] == 200
    assert talk.sent() == [(second, 200, [second], [second] if ids else [])], "its own stays, and nothing is refused"

    recovers(scene, first)
    scene.fakes.behave(second, LIMIT)
    assert (await talk.say())[1] == f"{first}0 {first}1 {first}2 "
    there, back = talk.sent()
    assert there == (second, 429, [second], [second] if ids else [])
    assert back == (first, 200, [first], [first] if ids else []), "the other way round"
    recovers(scene, second)
    assert (await talk.say())[0] == 200
    assert talk.sent() == [(first, 200, [first], [first] if ids else [])], "whose the newest is serves"
    told = log_of(scene, "repaired", since)
    kinds = {"codex": "encrypted-content", "responses": "item-id", "messages": "thinking-signature"}
    assert f"account={second} action=repaired carriers={kinds.get(dialect, 'thinking-signature')}" in told[0]
    assert len(told) == (6 if ids else 5), "once for each sending"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_asked_for_nothing_is_edited_and_the_owners_limit_is_told(
    house: Callable[[str], Scene], dialect: str
) -> None:
    scene = house("ask-upstream")
    talk = Talk(scene, dialect)
    first, second = talk.owners
    scene.pool(first, second)
    since = len(scene.proxy.log)
    await talk.say()
    await limited_elsewhere(talk, first)
    talk.sent()
    status, told = await talk.say()
    assert (status, told["error"].get("type", told["error"].get("code"))) == (429, LIMIT_CODES[dialect])
    refusal = 401 if dialect == "responses" else 400
    ids = [first] if dialect == "responses" else []
    assert talk.sent() == [(second, refusal, [first], ids)], "as it is, and what is told is not the refusal"
    if dialect == "codex":
        again, repeated = await talk.say()
        for each in (told, repeated):
            del each["error"]["resets_in_seconds"]  # which is counted down
        assert (again, repeated) == (429, told)
    else:
        await talk.say()
    assert talk.sent() == [], "nobody who could not read it is asked again"
    assert len(log_of(scene, "unreadable", since)) == 1
    fresh = Talk(scene, dialect)
    assert await fresh.say() == (200, f"{second}0 {second}1 {second}2 "), "other conversations go on"
    talk.sent()
    recovers(scene, first)
    assert await talk.say() == (200, f"{first}0 {first}1 {first}2 ")
    assert log_of(scene, "repaired", since) == []


LIMIT_CODES = {
    "codex": "usage_limit_reached",
    "responses": "user_global_rate_limited",
    "messages": "user_global_rate_limited",
    "chat": "user_global_rate_limited",
}


async def test_an_upstream_that_takes_it_keeps_it(house: Callable[[str], Scene]) -> None:
    scene = house("ask-upstream")
    talk = Talk(scene, "codex")
    scene.pool("alice", "bob")
    await talk.say()
    scene.fakes.behave("alice", LIMIT)
    scene.fakes.behave("bob", {"kind": "ok", "reasoning": True, "body": None})
    status, _ = await talk.say()
    assert status == 429, "in the very request that meets its owner's limit, that very answer is told"
    assert [(who, what) for who, what, _, _ in talk.sent()] == [("alice", 200), ("alice", 429), ("bob", 400)]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_never_is_never(house: Callable[[str], Scene], dialect: str) -> None:
    scene = house("never")
    talk = Talk(scene, dialect)
    first, second = talk.owners
    scene.pool(first, second)
    await talk.say()
    talk.sent()
    scene.fakes.behave(first, LIMIT)
    for asked in ([first], []):
        status, told = await talk.say()
        assert status == 429
        assert told["error"].get("type", told["error"].get("code")).startswith(LIMIT_CODES[dialect])
        assert [who for who, *_ in talk.sent()] == asked
    assert (await Talk(scene, dialect).say())[1].startswith(second), "what is nobody's yet moves"
    recovers(scene, first)
    talk.sent()
    assert (await talk.say())[1].startswith(first)
    pause(scene, first, paused=True)
    talk.sent()
    status, told = await talk.say()
    assert (status, talk.sent()) == (400, [])
    assert "that one is not in use now" in told["error"]["message"]


async def test_a_repaired_body_stays_compressed(house: Callable[[str], Scene]) -> None:
    scene = house("repair")
    talk = Talk(scene, "codex")
    scene.pool("alice", "bob")
    await talk.say()
    scene.fakes.behave("alice", LIMIT)
    assert (await talk.say("zstd"))[0] == 200
    assert talk.sent()[1:] == [("alice", 429, ["alice"], []), ("bob", 400, ["alice"], []), ("bob", 200, [], [])]
    entry = scene.fakes.journal(route="responses")[-1]
    headers = {name.lower(): value for name, value in entry["headers"]}
    assert headers["content-encoding"] == "zstd"
    assert headers["content-length"] == str(entry["body_length"])


async def test_a_compacted_history_is_never_dropped(house: Callable[[str], Scene]) -> None:
    scene = house("repair")
    talk = Talk(scene, "codex")
    scene.pool("alice", "bob")
    await talk.say()
    talk.history.append({"type": "compaction", "encrypted_content": tokens.carrier("cipher", "alice", 999)})
    await talk.say()
    await limited_elsewhere(talk, "alice")
    for asked in ([("bob", 400, ["alice"], [])], []):
        status, told = await talk.say()
        assert (status, told["error"]["type"]) == (429, "usage_limit_reached")
        assert talk.sent() == asked


async def test_what_is_known_outlasts_a_restart(house: Callable[[str], Scene]) -> None:
    scene = house("repair")
    talk = Talk(scene, "responses")
    scene.pool("carol", "dave")
    await talk.say()
    scene.proxy.stop()
    scene.proxy.start()
    talk.name = "resumed-elsewhere"
    with scene.store as store:
        store.set_priority("dave", -1)
    scene.proxy.stop()
    scene.proxy.start()
    assert (await talk.say())[1].startswith("carol0 ")


# -- sockets


async def socket_turn(talk: Talk) -> list[dict[str, Any]]:
    """One turn on a socket of its own, with the whole history: what a client does that connects again."""
    host, path, headers = SOCKETS[talk.dialect]
    socket = await talk.scene.network.websocket(host, path, headers(talk.name))
    try:
        talk.history.append({"role": "user", "content": f"{len(talk.history)}"})
        events = await turn(socket, {"type": "response.create", "model": "gpt-5-mini", "input": talk.history})
        if events[-1]["type"] == "error":
            talk.history.pop()
        for event in events:
            if "item" in event:
                HEAR[talk.dialect](talk.history, event)
        return events
    finally:
        await socket.close()


def turns(scene: Scene) -> list[tuple[str, str, list[str], list[str]]]:
    entries = scene.fakes.journal(route="responses", websocket=True)
    return [(e["account"], t["answer"], t["ciphers"], t["items"]) for e in entries for t in e["turns"]]


SOCKETS = {
    "codex": ("chatgpt.com", CODEX_PATH, codex_headers),
    "responses": (COPILOT, "/responses", lambda name: cli_headers(x_client_session_id=name)),
}
AGAIN = {"codex": "websocket_connection_limit_reached", "responses": "websocket_error"}
"""With this the client asks anew: Codex connects again, Copilot's clients ask over HTTP."""


@pytest.mark.parametrize("dialect", SOCKETS)
async def test_on_a_socket_it_is_repaired_as_well(house: Callable[[str], Scene], dialect: str) -> None:
    scene = house("repair")
    talk = Talk(scene, dialect)
    first, second = talk.owners
    scene.pool(first, second)
    assert spoken(await socket_turn(talk)).startswith(first)
    await limited_elsewhere(talk, first)
    told = (await socket_turn(talk))[-1]
    assert told["error"]["code"] == AGAIN[dialect]
    assert spoken(await socket_turn(talk)).startswith(second)
    ids = [second] if dialect == "responses" else []
    assert spoken(await socket_turn(talk)).startswith(second)
    assert turns(scene)[1:] == [
        (second, "invalid_encrypted", [first], []),
        (second, "ok", [], []),
        (second, "ok", [second], ids),
    ]


@pytest.mark.parametrize("dialect", SOCKETS)
async def test_on_a_socket_a_refusal_is_not_delivered_either(house: Callable[[str], Scene], dialect: str) -> None:
    scene = house("ask-upstream")
    talk = Talk(scene, dialect)
    first, second = talk.owners
    scene.pool(first, second)
    await socket_turn(talk)
    await limited_elsewhere(talk, first)
    told = (await socket_turn(talk))[-1]
    assert told["error"]["code"] == AGAIN[dialect]
    if dialect == "codex":
        with pytest.raises(HandshakeRefused) as refused:
            await socket_turn(talk)
        assert refused.value.status == 426, "so the client posts, and reads the limit"
        talk.history.pop()
    talk.sent()
    assert (await talk.say())[0] == 429
    assert talk.sent() == []
    kind = "invalid_encrypted" if dialect == "codex" else "item_id"
    assert [(who, what) for who, what, *_ in turns(scene)] == [(first, "ok"), (second, kind)]


async def test_what_goes_on_from_another_accounts_answer_is_asked_anew(house: Callable[[str], Scene]) -> None:
    scene = house("repair")
    talk = Talk(scene, "codex")
    scene.pool("alice", "bob")
    host, path, headers = SOCKETS["codex"]
    events = await socket_turn(talk)
    previous = next(e["response"]["id"] for e in events if e["type"] == "response.created")
    await limited_elsewhere(talk, "alice")
    socket = await scene.network.websocket(host, path, headers(talk.name))
    try:
        message = {"type": "response.create", "model": "gpt-x", "input": [], "previous_response_id": previous}
        told = (await turn(socket, message))[-1]
    finally:
        await socket.close()
    assert told["error"]["code"] == AGAIN["codex"]
    assert [who for who, *_ in turns(scene)] == ["alice"], "nobody was asked what nobody can know"
