"""Codex through a real mitmdump, over HTTP/1.1, HTTP/2 and WebSocket."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import zstandard

from tests.e2e.conftest import CODEX_BODY, CODEX_PATH, EDITOR, Scene, codex_headers
from tests.harness import HandshakeRefused, WebSocketClient

pytestmark = pytest.mark.asyncio


async def ask(scene: Scene, version: str = "http2", body: bytes = CODEX_BODY, **headers: str) -> Any:
    async with await getattr(scene.network, version)("chatgpt.com") as client:
        incoming = await client.send("POST", CODEX_PATH, codex_headers(**headers), body)
        events = [event async for event in incoming.events()]
        return incoming, events


def said(events: list[Any]) -> str:
    return "".join(event.delta or "" for event in events)


@pytest.mark.parametrize("version", ["http1", "http2"])
async def test_a_429_moves_to_the_next_account_and_streams(scene: Scene, version: str) -> None:
    scene.pool("alice", "bob")
    scene.fakes.behave("alice", {"kind": "usage_limit"})
    scene.fakes.behave("bob", {"kind": "ok", "deltas": 5, "gap_ms": 100})
    incoming, events = await ask(scene, version)
    assert incoming.status == 200
    assert said(events).startswith("bob0 ")
    assert scene.asked("responses") == ["alice", "bob"]
    first = next(event.at for event in events if event.delta)
    last_sent = scene.fakes.journal(route="responses", account="bob")[0]["last_delta"]
    assert first < last_sent - 0.2, "the first delta came while the upstream was still speaking"
    assert scene.cooldowns()["alice"].reason == "usage_limit_reached"


async def test_the_refused_account_is_not_asked_again_before_its_time(scene: Scene) -> None:
    scene.pool("alice", "bob")
    scene.fakes.behave("alice", {"kind": "usage_limit"})
    for number in range(3):
        await ask(scene, conversation=f"talk-{number}")
    assert scene.asked("responses") == ["alice", "bob", "bob", "bob"]


async def test_only_identity_requests_carry_the_editors_own_token(scene: Scene) -> None:
    scene.pool("alice")
    await ask(scene)
    async with await scene.network.http2("chatgpt.com") as client:
        for path in (
            "/backend-api/wham/accounts/check",
            "/backend-api/codex/models?client_version=1",
            "/backend-api/ps/mcp",
        ):
            await (await client.send("GET", path, codex_headers())).body()
    by_path = {entry["path"].partition("?")[0]: entry["account"] for entry in scene.fakes.journal(host="chatgpt.com")}
    assert by_path[CODEX_PATH] == "alice"
    assert {who for path, who in by_path.items() if "responses" not in path and "accounts/check" not in path} == {
        EDITOR
    }


async def test_what_says_who_is_calling_passes_unchanged(scene: Scene) -> None:
    scene.pool("alice")
    await ask(scene, x_codex_window_id="talk:0", originator="codex_exec")
    entry = scene.fakes.journal(route="responses")[0]
    headers = {name.lower(): value for name, value in entry["headers"]}
    assert headers["user-agent"] == "codex_exec/0.169.0"
    assert headers["originator"] == "codex_exec"
    assert headers["x-codex-window-id"] == "talk:0"
    assert "x-openai-account-routing-override" not in headers


async def test_host_override_and_fedramp_are_those_of_the_serving_account(scene: Scene) -> None:
    scene.fakes.change(
        "alice", origin="https://us.chatgpt.com", override="us", entry={"is_fedramp_compliant_workspace": True}
    )
    scene.pool("alice", "bob")
    await ask(scene)
    scene.fakes.behave("alice", {"kind": "usage_limit"})
    await ask(scene, conversation="other", x_openai_account_routing_override="us_cr")
    entries = scene.fakes.journal(route="responses")
    shown = [(e["account"], e["host"], {n.lower(): v for n, v in e["headers"]}) for e in entries]
    scene.fakes.change("alice", origin="https://chatgpt.com", override="NO_CONSTRAINT", entry={})
    assert [(a, h) for a, h, _ in shown] == [
        ("alice", "us.chatgpt.com"),
        ("alice", "us.chatgpt.com"),
        ("bob", "chatgpt.com"),
    ]
    assert [f.get("x-openai-account-routing-override") for _, _, f in shown] == ["us", "us", None]
    assert [f.get("x-openai-fedramp") for _, _, f in shown] == ["true", "true", None]


@pytest.mark.parametrize(("who", "told"), [(EDITOR, None), ("alice", 'W/"alice"')])
async def test_nothing_is_told_of_another_accounts_list_of_models(scene: Scene, who: str, told: str | None) -> None:
    """Codex would ask for its own account's list in the middle of every answer."""
    scene.pool("alice")
    incoming, _ = await ask(scene, who=who)
    socket = await scene.network.websocket("chatgpt.com", CODEX_PATH, codex_headers(who=who))
    await socket.close()
    assert scene.asked("responses") == ["alice", "alice"]
    assert [answer.headers.get("x-models-etag") for answer in (incoming, socket)] == [told, told]


async def test_a_compressed_body_is_replayed_byte_for_byte(scene: Scene) -> None:
    scene.pool("alice", "bob")
    scene.fakes.behave("alice", {"kind": "rate_limited", "retry_after": 30})
    body = zstandard.compress(CODEX_BODY)
    incoming, _ = await ask(scene, body=body, content_encoding="zstd")
    assert incoming.status == 200
    entries = scene.fakes.journal(route="responses")
    assert [e["account"] for e in entries] == ["alice", "bob"]
    assert len({e["body_sha256"] for e in entries}) == 1
    assert entries[0]["model"] == "gpt-x"


async def test_a_401_is_renewed_once_and_stays_on_the_account(scene: Scene) -> None:
    scene.pool("alice", "bob")
    scene.fakes.behave("alice", {"kind": "unauthorized", "first": 1, "route": "responses"})
    incoming, events = await ask(scene)
    assert incoming.status == 200
    assert said(events).startswith("alice")
    assert scene.asked("responses") == ["alice", "alice"]
    assert scene.asked("oauth-token") == ["alice"]


@pytest.mark.parametrize("version", ["http1", "http2"])
async def test_when_all_are_limited_the_editor_gets_the_refusal_that_ends_soonest(scene: Scene, version: str) -> None:
    scene.pool("alice", "bob")
    scene.fakes.behave("alice", {"kind": "usage_limit", "resets_in_s": 1800})
    scene.fakes.behave("bob", {"kind": "usage_limit", "resets_in_s": 7200})
    async with await getattr(scene.network, version)("chatgpt.com") as client:
        incoming = await client.send("POST", CODEX_PATH, codex_headers(), CODEX_BODY)
        refusal = await incoming.json()
        again = await client.send("POST", CODEX_PATH, codex_headers(), CODEX_BODY)
        synthetic = await again.json()
    assert incoming.status == again.status == 429
    assert refusal["error"]["type"] == synthetic["error"]["type"] == "usage_limit_reached"
    assert abs(refusal["error"]["resets_at"] - time.time() - 1800) < 60
    assert abs(synthetic["error"]["resets_at"] - time.time() - 1800) < 60
    assert scene.asked("responses") == ["alice", "bob"], "the second request asked nobody"


@pytest.mark.parametrize(
    ("failing", "statuses", "last"), [("passthrough", [429, 200, 429], EDITOR), ("block", [429] * 3, "bob")]
)
async def test_what_is_left_when_all_else_is_spent_is_the_editors_own_to_ask_for(
    start: Callable[..., Scene], failing: str, statuses: list[int], last: str
) -> None:
    """Luna Reserve, of which its own look-up has told Codex."""
    scene = start("alice", "bob", pool_on_failure=failing)
    for name in ("alice", "bob"):
        scene.fakes.behave(name, {"kind": "usage_limit"})
    reserve = CODEX_BODY.replace(b"gpt-x", b"gpt-reserve")
    assert [(await ask(scene, body=body))[0].status for body in (CODEX_BODY, reserve, CODEX_BODY)] == statuses
    assert scene.asked("responses")[-1] == last


async def test_refusals_that_are_not_the_accounts_do_not_switch(scene: Scene) -> None:
    scene.pool("alice", "bob")
    for kind, status in (("overloaded", 503), ("cloudflare", 403), ("invalid_encrypted", 400)):
        scene.fakes.behave("alice", {"kind": kind})
        incoming, _ = await ask(scene, conversation=kind)
        assert incoming.status == status, kind
    assert set(scene.asked("responses")) == {"alice"}
    assert scene.cooldowns() == {}


async def test_a_server_error_is_tried_once_more_on_the_same_account(scene: Scene) -> None:
    scene.pool("alice", "bob")
    scene.fakes.behave("alice", {"kind": "server_error", "first": 1, "route": "responses"})
    incoming, events = await ask(scene)
    assert incoming.status == 200
    assert said(events).startswith("alice")
    scene.fakes.behave("alice", {"kind": "server_error"})
    incoming, _ = await ask(scene)
    assert incoming.status == 500
    assert scene.asked("responses") == ["alice"] * 4


@pytest.mark.parametrize("kind", ["close", "reset"])
async def test_a_kept_alive_connection_found_dead_is_replaced(scene: Scene, kind: str) -> None:
    scene.pool("alice")
    scene.fakes.behave("alice", {"kind": kind, "reused": True, "route": "responses"})
    async with await scene.network.http1("chatgpt.com") as client:
        for _ in range(2):
            incoming = await client.send("POST", CODEX_PATH, codex_headers(), CODEX_BODY)
            assert (await incoming.text()).startswith("alice0")


async def test_a_connection_that_closes_behind_a_refusal_costs_nothing(start: Callable[..., Scene]) -> None:
    """Unannounced, while the replay is on its way: it goes out once more on a fresh one, beyond max_attempts."""
    scene = start("alice", "bob", pool_max_attempts="2")
    scene.fakes.behave("alice", {"kind": "rate_limited", "retry_after": 60, "close_after": True, "route": "responses"})
    async with await scene.network.http1("chatgpt.com") as client:
        incoming = await client.send("POST", CODEX_PATH, codex_headers(), CODEX_BODY)
        assert (await incoming.text()).startswith("bob0")
    assert scene.asked("responses") == ["alice", "bob"]


async def test_replays_do_not_use_up_the_connections_that_one_client_may_have(scene: Scene) -> None:
    """mitmproxy opens five to one address: a sixth would wait for ever."""
    scene.pool("alice")
    scene.fakes.behave("alice", {"kind": "unauthorized", "reused": True, "route": "responses"})
    async with asyncio.timeout(20), await scene.network.http1("chatgpt.com") as client:
        for _ in range(9):
            incoming = await client.send("POST", CODEX_PATH, codex_headers(), CODEX_BODY)
            assert (await incoming.text()).startswith("alice0")
    assert len(scene.asked("responses")) == 1 + 8 * 2


async def test_a_request_that_went_out_whole_and_got_no_answer_is_not_sent_again(scene: Scene) -> None:
    scene.pool("alice", "bob")
    scene.fakes.behave("alice", {"kind": "close", "route": "responses"})
    async with await scene.network.http1("chatgpt.com") as client:
        incoming = await client.send("POST", CODEX_PATH, codex_headers(), CODEX_BODY)
        answer = await incoming.json()
    assert incoming.status == 502
    assert answer["error"]["code"] == "seatpool_unavailable", "never a page of HTML"
    assert scene.asked("responses") == ["alice"]


async def test_three_streams_of_one_connection_survive_their_refusals_at_once(scene: Scene) -> None:
    scene.pool("alice", "bob")
    scene.fakes.behave("alice", {"kind": "usage_limit", "delay_ms": 150, "route": "responses"})
    scene.fakes.behave("bob", {"kind": "ok", "deltas": 4, "gap_ms": 30})
    async with await scene.network.http2("chatgpt.com") as client:
        sent = [await client.send("POST", CODEX_PATH, codex_headers(f"talk-{n}"), CODEX_BODY) for n in range(3)]
        texts = await asyncio.gather(*(incoming.text() for incoming in sent))
    assert [text.startswith("bob0 bob1 ") for text in texts] == [True] * 3
    assert sorted(scene.asked("responses")) == ["alice"] * 3 + ["bob"] * 3


async def test_a_client_that_leaves_ends_the_attempt_upstream_and_frees_the_slot(scene: Scene) -> None:
    scene.pool("alice")
    scene.fakes.behave("alice", {"kind": "ok", "deltas": 200, "gap_ms": 50})
    async with await scene.network.http2("chatgpt.com") as client:
        incoming = await client.send("POST", CODEX_PATH, codex_headers(), CODEX_BODY)
        async for event in incoming.events():
            if event.delta:
                break
        client.cancel(incoming)
        entry = (await asyncio.to_thread(scene.fakes.wait, 1, 10, route="responses", gone=True))[0]
    assert entry["deltas"] < 200


# -- WebSocket

CREATE = {"type": "response.create", "model": "gpt-x", "input": [{"type": "message"}], "stream": True}


@asynccontextmanager
async def open_socket(scene: Scene) -> AsyncIterator[WebSocketClient]:
    socket = await scene.network.websocket("chatgpt.com", CODEX_PATH, codex_headers())
    try:
        yield socket
    finally:
        await socket.close()


async def turn(socket: Any, message: dict[str, Any] = CREATE) -> list[dict[str, Any]]:
    await socket.send(message)
    events = []
    while (received := await socket.receive()) is not None:
        events.append(received[1])
        if received[1]["type"] in ("response.completed", "response.failed", "error"):
            break
    return events


def spoken(events: list[dict[str, Any]]) -> str:
    return "".join(e.get("delta", "") for e in events if e["type"] == "response.output_text.delta")


@pytest.mark.parametrize("refusal", ["usage_limit", "rate_limited", "not_included"])
async def test_a_refused_handshake_is_replayed_before_the_client_sees_it(scene: Scene, refusal: str) -> None:
    scene.pool("alice", "bob")
    scene.fakes.behave("alice", {"kind": refusal, "retry_after": 60})
    async with open_socket(scene) as socket:
        assert spoken(await turn(socket)).startswith("bob0 ")
        assert spoken(await turn(socket)).startswith("bob0 ")
    assert scene.asked("responses") == ["alice", "bob"]


async def test_a_limit_frame_before_output_becomes_the_silent_reconnect(scene: Scene) -> None:
    scene.pool("alice", "bob")
    scene.fakes.behave("alice", {"kind": "usage_limit", "on": ["frame"]})
    async with open_socket(scene) as socket:
        frame = (await turn(socket))[-1]
    assert frame["error"]["code"] == "websocket_connection_limit_reached"
    async with open_socket(scene) as socket:
        assert spoken(await turn(socket)).startswith("bob0 ")


async def test_a_limit_frame_passes_verbatim_when_nobody_else_is_left(scene: Scene) -> None:
    scene.pool("alice")
    scene.fakes.behave("alice", {"kind": "usage_limit", "on": ["frame"]})
    async with open_socket(scene) as socket:
        frame = (await turn(socket))[-1]
    assert frame["error"]["type"] == "usage_limit_reached"
    with pytest.raises(HandshakeRefused) as refused:
        await scene.network.websocket("chatgpt.com", CODEX_PATH, codex_headers())
    assert refused.value.status == 426, "the client then posts, and reads the limit in the answer"


async def test_when_frames_limit_everybody_the_one_that_ends_soonest_is_delivered(scene: Scene) -> None:
    scene.pool("alice", "bob")
    scene.fakes.behave("alice", {"kind": "usage_limit", "on": ["frame"], "resets_in_s": 1800})
    scene.fakes.behave("bob", {"kind": "usage_limit", "on": ["frame"], "resets_in_s": 7200})
    async with open_socket(scene) as socket:
        assert (await turn(socket))[-1]["error"]["code"] == "websocket_connection_limit_reached"
    async with open_socket(scene) as socket:
        error = (await turn(socket))[-1]["error"]
    assert error["type"] == "usage_limit_reached"
    assert abs(error["resets_at"] - time.time() - 1800) < 60


async def test_a_foreign_turn_state_does_not_travel_to_another_account(scene: Scene) -> None:
    scene.pool("alice", "bob")
    incoming, _ = await ask(scene)
    state = incoming.headers["x-codex-turn-state"]
    await ask(scene, x_codex_turn_state=state)
    scene.fakes.behave("alice", {"kind": "usage_limit"})
    await ask(scene, x_codex_turn_state=state)
    shown = [(e["account"], e["turn_state"]) for e in scene.fakes.journal(route="responses")]
    assert shown == [("alice", None), ("alice", "alice"), ("alice", "alice"), ("bob", None)]
    message = {**CREATE, "client_metadata": {"x-codex-turn-state": state, "other": "kept"}}
    async with open_socket(scene) as socket:
        await turn(socket, message)
    turns = scene.fakes.journal(route="responses", websocket=True)[0]["turns"]
    assert [each["turn_state"] for each in turns] in ([None], ["bob"])


async def test_quota_is_learnt_from_headers_and_frames(scene: Scene) -> None:
    scene.fakes.change("alice", quota={"primary": 25, "secondary": 60})
    scene.pool("alice")
    await ask(scene)
    async with open_socket(scene) as socket:
        await turn(socket)

    def seen() -> dict[str, float]:
        with scene.store as store:
            return {window.bucket: window.left for _, window in store.changes(None).windows}

    async with asyncio.timeout(5):
        while seen() != {"primary": 0.75, "secondary": 0.4}:
            await asyncio.sleep(0.05)
