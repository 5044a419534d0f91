"""What a rule binds stays bound when something fails: an answer of ours, never the editor's own login."""

import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from mitmproxy import flow as flows
from mitmproxy import http, websocket
from mitmproxy.test import taddons, tflow
from wsproto.frame_protocol import Opcode

from seatpool.core.policy import Policy
from seatpool.providers.codex import CODEX
from seatpool.proxy.addon import Pool
from seatpool.proxy.options import OPTIONS
from seatpool.service.pool import PoolService
from seatpool.store import Store
from tests.service.conftest import Issuer, sign_in

ACME = {"associated_remote_urls": {"origin": "git@github.com:acme/widgets.git"}}
AT_WORK = json.dumps({"request_kind": "turn", "workspaces": {"/w": ACME}})
RULES = """\
[[rule]]
name = "work code"
provider = "codex"
repository = "github.com/acme/*"
only = ["bob"]
"""


class Broken:
    """Codex's dialect with methods that fail."""

    def __init__(self, *broken: str) -> None:
        self._broken = broken

    def __getattr__(self, name: str) -> Any:
        if name in self._broken:
            raise RuntimeError(f"{name} fails")
        return getattr(CODEX, name)


@pytest.fixture
def injected() -> list[bytes]:
    return []


@pytest.fixture(autouse=True)
def _context(injected: list[bytes]) -> Iterator[None]:
    with taddons.context() as context:
        for option in OPTIONS:
            context.options.add_option(option.name, option.typespec, option.default, option.help, option.choices)

        def inject(flow: flows.Flow, to_client: bool, message: bytes) -> None:
            injected.append(message)

        context.master.commands.add("inject.websocket", inject)
        yield


@pytest.fixture
def broken() -> tuple[str, ...]:
    """Methods of the dialect that fail inside the service."""
    return ()


@pytest.fixture
async def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: tuple[str, ...]) -> AsyncIterator[Pool]:
    """Alice is asked first; the rule is about bob."""
    monkeypatch.setenv("SEATPOOL_KEYRING", "off")
    issuer = Issuer()
    with Store.open(str(tmp_path / "pool.db")) as store:
        for priority, person in enumerate(("alice", "bob")):
            sign_in(store, issuer, person)
            store.set_priority(person, priority)
        rules = tmp_path / "rules.toml"
        rules.write_text(RULES)
        pool = Pool()
        pool.guard.book.load(str(rules))
        dialect: Any = Broken(*broken)
        service = pool.serving.service = PoolService(store, issuer, Policy(learn=False), {CODEX.name: dialect})
        service.load()
        yield pool
        await service.stop()


def begin(pool: Pool, provider: Any = CODEX, *, socket: bool = False, **headers: str) -> http.HTTPFlow:
    flow = tflow.tflow()
    fields = {"authorization": "Bearer editor-FAKESECRET", "host": "chatgpt.com", "session-id": "talk"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    if socket:
        fields |= {"upgrade": "websocket", "connection": "upgrade"}
    url = "https://chatgpt.com/backend-api/codex/responses"
    flow.request = http.Request.make("GET" if socket else "POST", url, b"" if socket else b'{"model":"m"}', fields)
    flow.request.timestamp_start = time.time()
    pool.exchanges.begin(flow, provider, flow.request.pretty_host)
    pool.requestheaders(flow)
    return flow


def refusal(flow: http.HTTPFlow) -> tuple[int, str]:
    assert flow.response is not None, "it would have gone out"
    return flow.response.status_code, json.loads(flow.response.content or b"")["error"]["message"]


async def test_what_no_rule_is_about_goes_its_way(pool: Pool) -> None:
    flow = begin(pool)
    await pool.request(flow)
    assert (flow.response, flow.comment) == (None, "account=alice")


async def test_what_a_rule_binds_goes_to_its_account(pool: Pool) -> None:
    flow = begin(pool, x_codex_turn_metadata=AT_WORK)
    await pool.request(flow)
    assert (flow.response, flow.comment) == (None, "account=bob")


async def test_a_fault_in_reading_a_request_ends_in_an_answer(pool: Pool) -> None:
    flow = begin(pool, Broken("facts"), x_codex_turn_metadata=AT_WORK)
    await pool.request(flow)
    assert refusal(flow)[0] == 503


@pytest.mark.parametrize("broken", [("client_headers",), ("edits",), ("ready",)])
async def test_a_fault_in_choosing_ends_in_an_answer_that_names_the_rule(pool: Pool) -> None:
    flow = begin(pool, x_codex_turn_metadata=AT_WORK)
    await pool.request(flow)
    status, message = refusal(flow)
    assert status == 503
    assert 'the rule "work code" (rules.toml:1) allows only bob' in message


async def test_the_same_fault_lets_through_what_no_rule_binds(pool: Pool) -> None:
    pool.guard.book.path.write_text("")
    pool.guard.book.load(str(pool.guard.book.path))
    flow = begin(pool, Broken("facts"))
    await pool.request(flow)
    assert flow.response is None


async def test_without_a_database_the_rule_still_binds(pool: Pool) -> None:
    service, pool.serving.service = pool.service, None
    flow, other = begin(pool, x_codex_turn_metadata=AT_WORK), begin(pool, session_id="another")
    await pool.request(flow)
    await pool.request(other)
    pool.serving.service = service
    assert refusal(flow) == (
        503,
        'seatpool: the rule "work code" (rules.toml:1) allows only bob; the pool\'s database is away',
    )
    assert other.response is None


async def test_a_login_that_cannot_be_replaced_is_not_let_through(pool: Pool) -> None:
    flow = begin(pool, authorization="Bearer sk-FAKESECRET", x_codex_turn_metadata=AT_WORK)
    await pool.request(flow)
    assert refusal(flow)[0] == 403


async def test_whatever_sends_it_on_all_the_same_it_goes_without_the_editors_login(pool: Pool) -> None:
    flow = begin(pool, Broken("facts"), x_codex_turn_metadata=AT_WORK)
    await pool.request(flow)
    exchange = pool.exchanges.get(flow)
    assert exchange is not None
    sent = exchange.wire(flow.request, "https://elsewhere.example:443")
    assert "authorization" not in sent.headers
    assert not [value for value in sent.headers.values() if "FAKESECRET" in value or "redacted" in value]


# -- open sockets


async def opened(pool: Pool, provider: Any = CODEX) -> http.HTTPFlow:
    """A socket whose handshake told no repository; nobody else has been asked yet."""
    flow = begin(pool, provider, socket=True)
    await pool.request(flow)
    flow.websocket = websocket.WebSocketData()
    return flow


async def say(pool: Pool, flow: http.HTTPFlow, told: str | None = AT_WORK, **more: Any) -> websocket.WebSocketMessage:
    assert flow.websocket is not None
    metadata = {"x-codex-turn-metadata": told}
    content = {"type": "response.create", "model": "m", "client_metadata": metadata, **more}
    message = websocket.WebSocketMessage(Opcode.TEXT, True, json.dumps(content).encode())
    flow.websocket.messages.append(message)
    await pool.websocket_message(flow)
    return message


async def test_a_turn_on_another_accounts_socket_is_asked_anew(pool: Pool, injected: list[bytes]) -> None:
    flow = await opened(pool)
    assert flow.comment == "account=alice"
    assert not (await say(pool, flow, None)).dropped
    assert (await say(pool, flow)).dropped
    assert [json.loads(frame)["error"]["code"] for frame in injected] == ["websocket_connection_limit_reached"]
    assert (await say(pool, flow, None)).dropped, "the conversation is known to be at work by now"
    again = await opened(pool)
    assert again.comment == "account=bob"
    assert not (await say(pool, again)).dropped


async def test_a_turn_on_a_socket_of_the_editors_own_login_is_asked_anew(pool: Pool, injected: list[bytes]) -> None:
    service, pool.serving.service = pool.service, None
    flow = await opened(pool)
    assert flow.response is None, "passed through, as nothing was known of it"
    assert (await say(pool, flow)).dropped
    assert len(injected) == 1
    pool.serving.service = service


async def test_a_fault_while_a_turn_is_looked_at_keeps_it_back(pool: Pool, injected: list[bytes]) -> None:
    flow = await opened(pool, Broken("turn"))
    assert (await say(pool, flow)).dropped
    assert len(injected) == 1


async def test_an_edit_of_the_rules_counts_for_open_sockets(pool: Pool, injected: list[bytes]) -> None:
    flow = await opened(pool)
    pool.guard.book.path.write_text('[[rule]]\nclient = ""\nonly = "bob"\n')
    pool.guard.book.load(str(pool.guard.book.path))
    assert (await say(pool, flow, None)).dropped
    assert len(injected) == 1


PREFERRED = RULES.replace('only = ["bob"]', 'prefer = ["bob"]')
CIPHER = {"type": "reasoning", "encrypted_content": "gAAAA"}


@pytest.mark.parametrize(
    ("more", "moved"),
    [({}, True), ({"previous_response_id": "resp_1"}, True), ({"input": [CIPHER]}, False)],
    ids=["new", "after its own pre-warming", "from before"],
)
async def test_a_preferred_account_takes_over_only_what_it_can_read(
    pool: Pool, injected: list[bytes], more: dict[str, Any], moved: bool
) -> None:
    pool.guard.book.path.write_text(PREFERRED)
    pool.guard.book.load(str(pool.guard.book.path))
    flow = await opened(pool)
    assert flow.comment == "account=alice"
    assert (await say(pool, flow, **more)).dropped == moved
    assert len(injected) == moved


async def test_our_own_message_to_the_client_is_not_taken_for_the_upstreams(pool: Pool) -> None:
    flow = await opened(pool)
    assert flow.websocket is not None
    frame = CODEX.reconnect_frame(None)
    assert frame is not None
    flow.websocket.messages.append(websocket.WebSocketMessage(Opcode.TEXT, False, frame, injected=True))
    await pool.websocket_message(flow)
    assert flow.websocket.messages[-1].content == frame
    assert pool.service is not None and pool.service.knowledge.state.cooldowns == {}
