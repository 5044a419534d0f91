"""Fast mode through a real mitmdump: which requests ask for it, and that nothing else of them is changed."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import pytest
import zstandard

from tests.e2e.conftest import ACCOUNTS, ALONE, CODEX_PATH, Scene, codex_headers
from tests.e2e.test_codex import spoken, turn
from tests.e2e.test_copilot import CHAT, editor_headers
from tests.e2e.test_copilot import ask as ask_copilot
from tests.e2e.test_fallback import header
from tests.harness import Lab, Mitmdump, WebSocketClient
from tests.harness.namespace import why_no_namespaces

pytestmark = pytest.mark.asyncio

BODY = b'{"model": "gpt-x", "input": ["\\u00e9"], "stream": true }\n'
FAST = b'{"model": "gpt-x", "input": ["\\u00e9"], "stream": true,"service_tier":"priority" }\n'
HINT = "model=gpt-x"
FAST_HINT = "model=gpt-x;tier=priority"
BEHIND = {"primary": 40, "secondary": 60}
"""Half of each window's time is over: with this, less is left of the long one than of its time."""


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    reason = why_no_namespaces()
    if reason is not None:
        pytest.skip(f"end-to-end tests need a namespace of their own: {reason}")
    folder = tmp_path_factory.mktemp("fast")
    with pytest.MonkeyPatch.context() as patch, Lab(folder) as lab:
        patch.setenv("SEATPOOL_KEYRING", "off")
        fakes = lab.upstream({"accounts": ACCOUNTS})
        options = {**ALONE, "pool_fast_mode": "auto"}
        with Mitmdump(folder / "proxy", lab=lab, upstream_ca=fakes.ca, options=options) as proxy:
            yield Scene(lab, fakes, proxy, folder)


@pytest.fixture
def scene(office: Scene) -> Iterator[Scene]:
    office.reset()
    for name in ("alice", "bob"):
        office.fakes.change(name, quota={})
    since = len(office.proxy.log)
    yield office
    assert not [line for line in office.proxy.log[since:] if "Traceback" in line or "crashed" in line]


async def ask(scene: Scene, version: str = "http2", body: bytes = BODY, hint: str = HINT, **headers: str) -> int:
    async with await getattr(scene.network, version)("chatgpt.com") as client:
        told = codex_headers(x_codex_routing_hint=hint, **headers)
        incoming = await client.send("POST", CODEX_PATH, told, body)
        await incoming.body()
        return int(incoming.status)


def arrived(scene: Scene) -> list[tuple[str, Any, str | None]]:
    entries = scene.fakes.journal(route="responses")
    return [(e["account"], e["tier"], header(e, "x-codex-routing-hint")) for e in entries]


@pytest.mark.parametrize("version", ["http1", "http2"])
async def test_an_account_with_room_serves_fast_once_its_quota_is_known(scene: Scene, version: str) -> None:
    scene.pool("alice")
    for _ in range(2):
        assert await ask(scene, version) == 200
    assert arrived(scene) == [("alice", None, HINT), ("alice", "priority", FAST_HINT)]
    first, second = scene.fakes.journal(route="responses")
    assert first["body_sha256"] == sha256(BODY).hexdigest()
    assert second["body_sha256"] == sha256(FAST).hexdigest()


async def test_a_compressed_request_stays_compressed(scene: Scene) -> None:
    scene.pool("alice")
    await ask(scene)
    sent = zstandard.compress(BODY)
    assert await ask(scene, body=sent, content_encoding="zstd", content_length=str(len(sent))) == 200
    entry = scene.fakes.journal(route="responses")[-1]
    assert (entry["tier"], header(entry, "content-encoding")) == ("priority", "zstd")
    assert header(entry, "content-length") == str(entry["body_length"])


async def test_what_the_caller_said_stays(scene: Scene) -> None:
    scene.pool("alice")
    await ask(scene)
    body = BODY.replace(b'"stream"', b'"service_tier":"flex","stream"')
    await ask(scene, body=body, hint="model=gpt-x;tier=flex")
    assert arrived(scene)[-1] == ("alice", "flex", "model=gpt-x;tier=flex")
    assert scene.fakes.journal(route="responses")[-1]["body_sha256"] == sha256(body).hexdigest()


async def test_an_account_that_is_behind_its_time_is_spared(scene: Scene) -> None:
    scene.fakes.change("alice", quota=BEHIND)
    scene.pool("alice")
    for _ in range(2):
        await ask(scene)
    assert arrived(scene) == [("alice", None, HINT)] * 2


async def test_each_account_decides_for_itself_also_in_the_middle_of_a_replay(scene: Scene) -> None:
    scene.fakes.change("bob", quota=BEHIND)
    scene.pool("alice", "bob")
    await ask(scene)
    scene.fakes.behave("alice", {"kind": "rate_limited", "retry_after": 60})
    await ask(scene)
    assert arrived(scene)[1:] == [("alice", "priority", FAST_HINT), ("bob", None, HINT)]
    assert scene.fakes.journal(route="responses")[-1]["body_sha256"] == sha256(BODY).hexdigest()


async def test_copilot_knows_no_such_thing(scene: Scene) -> None:
    scene.pool("carol")
    for _ in range(2):
        await ask_copilot(scene, editor_headers())
    sent = {e["body_sha256"] for e in scene.fakes.journal(route="chat-completions")}
    assert sent == {sha256(CHAT).hexdigest()}


@asynccontextmanager
async def socket(scene: Scene) -> AsyncIterator[WebSocketClient]:
    opened = await scene.network.websocket("chatgpt.com", CODEX_PATH, codex_headers(x_codex_routing_hint=HINT))
    try:
        yield opened
    finally:
        await opened.close()


async def test_a_sockets_handshake_and_messages_say_the_same_until_there_is_no_room(scene: Scene) -> None:
    scene.pool("alice")
    await ask(scene)
    async with socket(scene) as opened:
        assert spoken(await turn(opened)).startswith("alice0 ")
        scene.fakes.change("alice", quota=BEHIND)
        assert spoken(await turn(opened)).startswith("alice0 ")
        told = (await turn(opened))[-1]
        assert told["error"]["code"] == "websocket_connection_limit_reached", "as the client reconnects silently"
    async with socket(scene) as opened:
        assert spoken(await turn(opened)).startswith("alice0 ")
    fast, slow = scene.fakes.journal(route="responses", websocket=True)
    assert [t["tier"] for t in fast["turns"]] == ["priority", "priority"]
    assert header(fast, "x-codex-routing-hint") == FAST_HINT
    assert ([t["tier"] for t in slow["turns"]], header(slow, "x-codex-routing-hint")) == ([None], HINT)


async def test_always_asks_whatever_is_known(start: Callable[..., Scene]) -> None:
    scene = start("alice", pool_fast_mode="always")
    scene.fakes.change("alice", quota=BEHIND)
    for _ in range(2):
        await ask(scene, "http1")
    assert arrived(scene) == [("alice", "priority", FAST_HINT)] * 2
