"""Substitutes for models that nobody can serve, through a real mitmdump: what upstream gets, and what is said of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import pytest
import zstandard

from seatpool.cli.status.status import status_rows, status_table
from seatpool.clock import utcnow
from tests.e2e.conftest import ACCOUNTS, ALONE, CODEX_PATH, Scene, codex_headers
from tests.e2e.test_codex import CREATE, spoken, turn
from tests.e2e.test_copilot import HOST, cli_headers, editor_headers
from tests.e2e.test_copilot import ask as ask_copilot
from tests.harness import HandshakeRefused, Lab, Mitmdump, WebSocketClient
from tests.harness.namespace import why_no_namespaces

pytestmark = pytest.mark.asyncio

ENTRIES = "gpt-x: gpt-longer, gpt-z; claude-*: gpt-4.1; gpt-41-*: gpt-4o-copilot; gpt-4.1: gpt-4o"
TRICKY = b'"\\u00e9 \xc3\xa9 \\"model\\":\\"gpt-x\\""'
BODY = b'{ "model" : "gpt-x",\n "input": [{"role":"user","content":' + TRICKY + b'}], "stream":true }\n'
SUBSTITUTED = BODY.replace(b'"gpt-x"', b'"gpt-longer"', 1)
HINT = "model=gpt-x"


def unsupported(model: str, **more: Any) -> dict[str, Any]:
    return {"kind": "model_not_supported", "model": model, **more}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    reason = why_no_namespaces()
    if reason is not None:
        pytest.skip(f"end-to-end tests need a namespace of their own: {reason}")
    folder = tmp_path_factory.mktemp("fallback")
    rules = folder / "rules.toml"
    rules.write_text('[[rule]]\nname = "dear"\nmodel = "gpt-z"\nonly = ["bob"]\n')
    with pytest.MonkeyPatch.context() as patch, Lab(folder) as lab:
        patch.setenv("SEATPOOL_KEYRING", "off")
        fakes = lab.upstream({"accounts": ACCOUNTS})
        options = {**ALONE, "pool_model_fallback": ENTRIES, "pool_rules": str(rules)}
        with Mitmdump(folder / "proxy", lab=lab, upstream_ca=fakes.ca, options=options) as proxy:
            yield Scene(lab, fakes, proxy, folder)


@pytest.fixture
def scene(office: Scene) -> Iterator[Scene]:
    office.reset()
    since = len(office.proxy.log)
    yield office
    assert not [line for line in office.proxy.log[since:] if "Traceback" in line or "crashed" in line]


async def ask(scene: Scene, version: str = "http2", body: bytes = BODY, **headers: str) -> tuple[int, str]:
    async with await getattr(scene.network, version)("chatgpt.com") as client:
        incoming = await client.send("POST", CODEX_PATH, codex_headers(**headers), body)
        answer = (await incoming.body()).decode()
        return incoming.status, answer


def arrived(scene: Scene) -> list[tuple[str, str | None, int]]:
    return [(e["account"], e["model"], e["status"]) for e in scene.fakes.journal(route="responses")]


def header(entry: dict[str, Any], name: str) -> str | None:
    return next((value for field, value in entry["headers"] if field.lower() == name), None)


@pytest.mark.parametrize("version", ["http1", "http2"])
@pytest.mark.parametrize("coding", [None, "zstd"])
async def test_a_model_that_everybody_refuses_is_replaced_and_no_other_byte_is(
    scene: Scene, version: str, coding: str | None
) -> None:
    """The same account is asked for the substitute; a replay begins with the editor's own bytes."""
    scene.pool("alice")
    scene.fakes.behave("alice", unsupported("gpt-x"))
    sent = zstandard.compress(BODY) if coding else BODY
    more = {"content_encoding": coding} if coding else {}
    if version == "http2":  # where it is told, it has to be right: the other end looks at it
        more["content_length"] = str(len(sent))
    status, answer = await ask(scene, version, sent, x_codex_routing_hint=HINT, **more)
    assert status == 200 and "alice0" in answer
    refused, served = scene.fakes.journal(route="responses")
    assert refused["body_sha256"] == sha256(sent).hexdigest()
    if coding is None:
        assert served["body_sha256"] == sha256(SUBSTITUTED).hexdigest()
    assert (served["model"], header(served, "content-encoding")) == ("gpt-longer", coding)
    assert header(served, "content-length") == str(served["body_length"])
    assert [header(e, "x-codex-routing-hint") for e in (refused, served)] == [HINT, "model=gpt-longer"]
    changed = {"content-length", "x-codex-routing-hint"}
    assert [f for f in refused["headers"] if f[0].lower() not in changed] == [
        f for f in served["headers"] if f[0].lower() not in changed
    ]


async def test_substitutes_are_asked_for_in_order_and_only_when_nobody_can_serve_the_model(scene: Scene) -> None:
    scene.pool("alice", "bob")
    scene.fakes.behave("alice", unsupported("gpt-x"))
    await ask(scene)
    assert arrived(scene) == [("alice", "gpt-x", 400), ("bob", "gpt-x", 200)], "another account comes first"
    scene.fakes.behave("bob", unsupported("gpt-x"), {"kind": "ok"})
    await ask(scene)
    assert arrived(scene)[2:] == [("bob", "gpt-x", 400), ("bob", "gpt-longer", 200)], "it has the conversation"
    await ask(scene)
    assert arrived(scene)[4:] == [("bob", "gpt-longer", 200)], "nobody is asked in vain"


async def test_the_substitutes_own_rule_binds_it_as_well(scene: Scene) -> None:
    """gpt-z is for bob alone."""
    scene.pool("alice")
    scene.fakes.behave("alice", unsupported("gpt-x"), unsupported("gpt-longer"))
    assert (await ask(scene))[0] == 400
    assert arrived(scene) == [("alice", "gpt-x", 400), ("alice", "gpt-longer", 400)]
    scene.pool("alice", "bob")
    scene.fakes.behave("bob", unsupported("gpt-x"), unsupported("gpt-longer"))
    await ask(scene)
    await ask(scene)
    assert arrived(scene)[-1] == ("bob", "gpt-z", 200)


async def test_where_no_substitute_helps_the_editor_hears_of_the_model_it_asked_for(scene: Scene) -> None:
    scene.pool("alice")
    scene.fakes.behave("alice", *map(unsupported, ("gpt-x", "gpt-longer", "gpt-z")))
    for _ in range(2):
        status, answer = await ask(scene)
        assert status == 400
        assert "The 'gpt-x' model is not supported" in answer
    assert arrived(scene) == [("alice", "gpt-x", 400), ("alice", "gpt-longer", 400)]


async def test_an_account_that_is_limited_as_a_whole_is_left_alone(scene: Scene) -> None:
    scene.pool("alice")
    scene.fakes.behave("alice", {"kind": "usage_limit"})
    for _ in range(2):
        status, answer = await ask(scene)
        assert (status, json.loads(answer)["error"]["type"]) == (429, "usage_limit_reached")
    assert arrived(scene) == [("alice", "gpt-x", 429)]


async def test_the_log_status_and_why_tell_the_substitute(scene: Scene) -> None:
    scene.pool("alice")
    scene.fakes.behave("alice", unsupported("gpt-x"))
    since = len(scene.proxy.log)
    await ask(scene)
    line = next(line for line in scene.proxy.log[since:] if "action=fallback" in line)
    assert "account=alice action=fallback model=gpt-longer asked=gpt-x reason=model_not_supported request=" in line
    with scene.store as store:
        flow_id = await _recorded(store, 2)
        choices, attempts = store.past.request(flow_id)
        (row,) = status_rows(store, utcnow())
        shown = [str(cell) for column in status_table((row,), utcnow()).columns for cell in column.cells]
    assert [(c.model, c.reason) for c in choices] == [
        ("gpt-x", "best"),
        ("gpt-x", "exhausted"),
        ("gpt-longer", "fallback"),
    ]
    assert [(a.model, a.reason, a.outcome) for a in attempts] == [
        ("gpt-x", "best", "model_not_supported"),
        ("gpt-longer", "fallback", "ok"),
    ]
    assert any("gpt-longer for gpt-x: 1 in 24 h" in cell for cell in shown)


async def _recorded(store: Any, count: int) -> str:
    """The newest request, once so many of its attempts are on the disk."""
    async with asyncio.timeout(5):
        while True:
            for flow_id in store.past.requests(limit=1):
                if len(store.past.request(flow_id)[1]) >= count:
                    return str(flow_id)
            await asyncio.sleep(0.02)


# -- sockets


@asynccontextmanager
async def socket(scene: Scene, hint: str = HINT) -> AsyncIterator[WebSocketClient]:
    opened = await scene.network.websocket("chatgpt.com", CODEX_PATH, codex_headers(x_codex_routing_hint=hint))
    try:
        yield opened
    finally:
        await opened.close()


async def test_a_socket_is_opened_for_the_substitute_and_its_messages_say_so(scene: Scene) -> None:
    scene.pool("alice")
    scene.fakes.behave("alice", unsupported("gpt-x", on=["frame"]))
    async with socket(scene) as opened:
        frame = (await turn(opened))[-1]
    assert frame["error"]["code"] == "websocket_connection_limit_reached", "as the client reconnects silently"
    async with socket(scene) as opened:
        assert spoken(await turn(opened)).startswith("alice0 ")
        assert spoken(await turn(opened, {**CREATE, "model": "gpt-other"})).startswith("alice0 ")
    _, entry = scene.fakes.journal(route="responses")
    assert header(entry, "x-codex-routing-hint") == "model=gpt-longer"
    assert [t["model"] for t in entry["turns"]] == ["gpt-longer", "gpt-other"], "what nobody asked to replace stays"


async def test_a_socket_is_left_as_soon_as_somebody_can_serve_the_model_itself(scene: Scene) -> None:
    scene.pool("alice")
    scene.fakes.behave("alice", unsupported("gpt-x"))
    await ask(scene)
    async with socket(scene) as opened:
        await turn(opened)
        scene.fakes.behave("alice")
        scene.pool("alice", "bob")
        assert (await turn(opened))[-1]["error"]["code"] == "websocket_connection_limit_reached"
    async with socket(scene) as opened:
        assert spoken(await turn(opened)).startswith("bob0 ")


async def test_without_substitutes_a_handshake_is_refused_as_ever(scene: Scene) -> None:
    scene.pool("alice")
    scene.fakes.behave("alice", unsupported("gpt-other"))
    await ask(scene, body=b'{"model":"gpt-other","input":[],"stream":true}')
    with pytest.raises(HandshakeRefused) as refused:
        async with socket(scene, "model=gpt-other"):
            pass
    assert refused.value.status == 426


# -- Copilot


CLAUDE = {"model": "claude-9", "max_tokens": 5, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
COPILOT = {
    "chat": ("/chat/completions", {"model": "gpt-4.1", "stream": True, "messages": CLAUDE["messages"]}, "gpt-4o"),
    "messages": ("/v1/messages", CLAUDE, "gpt-4.1"),
    "responses": ("/responses", {"model": "gpt-4.1", "stream": True, "input": []}, "gpt-4o"),
}


@pytest.mark.parametrize(("path", "body", "substitute"), COPILOT.values(), ids=COPILOT)
async def test_every_kind_of_copilots_requests_can_ask_for_another_model(
    scene: Scene, path: str, body: dict[str, Any], substitute: str
) -> None:
    scene.pool("carol", "dave")
    refuse = unsupported(body["model"], on=["request"])
    for name in ("carol", "dave"):
        scene.fakes.behave(name, refuse)
    incoming, _ = await ask_copilot(scene, editor_headers(), path, json.dumps(body).encode())
    assert incoming.status == 200
    asked = [(e["account"], e["model"]) for e in scene.fakes.journal() if e["path"] == path]
    assert asked == [("carol", body["model"]), ("dave", body["model"]), ("carol", substitute)]


async def test_the_engine_of_ghost_text_stands_in_the_path(scene: Scene) -> None:
    scene.pool("carol")
    scene.fakes.behave("carol", unsupported("gpt-41-copilot"))
    body = json.dumps({"prompt": "def f(", "stream": True}).encode()
    path = "/v1/engines/gpt-41-copilot/completions"
    incoming, _ = await ask_copilot(scene, editor_headers(), path, body, "proxy.individual.githubcopilot.com")
    assert incoming.status == 200
    refused, served = scene.fakes.journal(route="engine")
    assert [e["path"] for e in (refused, served)] == [path, "/v1/engines/gpt-4o-copilot/completions"]
    assert refused["body_sha256"] == served["body_sha256"]


async def test_auto_mode_and_embeddings_keep_their_model(scene: Scene) -> None:
    scene.pool("carol")
    scene.fakes.behave("carol", unsupported("gpt-4.1"))
    chosen = json.dumps(COPILOT["chat"][1]).encode()
    incoming, _ = await ask_copilot(scene, editor_headers(copilot_session_token="x"), body=chosen)
    vectors, _ = await ask_copilot(scene, cli_headers(), "/embeddings", b'{"model":"gpt-4.1","input":["a"]}', HOST)
    assert (incoming.status, vectors.status) == (400, 400)
    assert {e["model"] for e in scene.fakes.journal() if e["model"]} == {"gpt-4.1"}
