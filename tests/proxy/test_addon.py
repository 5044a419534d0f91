"""The addon between mitmproxy and the service: slots are freed on every way out, also when the client does not wait."""

import asyncio
import io
import sqlite3
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from mitmproxy import connection, http
from mitmproxy.addons.proxyauth import ProxyAuth, mkauth
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.io import FlowWriter
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.test import taddons, tflow

from seatpool.clock import utcnow
from seatpool.core.policy import Policy
from seatpool.providers.codex import CODEX
from seatpool.providers.http import HttpReply, HttpRequest
from seatpool.proxy.addon import Pool
from seatpool.service.network import reaching
from seatpool.service.pool import PoolService
from seatpool.store import Store
from tests.service.conftest import Issuer, sign_in


class SlowIssuer(Issuer):
    """Answers when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()

    async def send(self, request: HttpRequest) -> HttpReply:
        self.asked.set()
        await self.go_on.wait()
        return await super().send(request)


@pytest.fixture
async def issuer() -> SlowIssuer:
    return SlowIssuer()


@pytest.fixture
async def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, issuer: SlowIssuer) -> AsyncIterator[Pool]:
    monkeypatch.setenv("SEATPOOL_KEYRING", "off")
    with Store.open(str(tmp_path / "pool.db")) as store:
        for person in ("alice", "bob"):
            sign_in(store, issuer, person, timedelta(minutes=-1))
        pool = Pool()
        pool.serving.service = PoolService(store, issuer, Policy())
        pool.service.load()
        yield pool
        issuer.go_on.set()
        await pool.service.stop()


async def test_the_proxys_own_password_is_in_no_flow(pool: Pool) -> None:
    auth, flow, kept = ProxyAuth(), tflow.tflow(), io.BytesIO()
    flow.request.headers["proxy-authorization"] = mkauth("me", "FAKESECRET")
    with taddons.context(auth) as context:
        context.configure(auth, proxyauth="me:FAKESECRET")
        auth.requestheaders(flow)
        pool.requestheaders(flow)
    FlowWriter(kept).add(flow)
    assert flow.response is None and b"me" in kept.getvalue()
    assert b"FAKESECRET" not in kept.getvalue()


def flow_of(pool: Pool) -> http.HTTPFlow:
    flow = tflow.tflow()
    flow.request = http.Request.make(
        "POST",
        "https://chatgpt.com/backend-api/codex/responses",
        b"{}",
        {"authorization": "Bearer editor-FAKESECRET", "host": "chatgpt.com"},
    )
    flow.request.timestamp_start = time.time()
    pool.exchanges.begin(flow, CODEX, flow.request.pretty_host)
    pool.requestheaders(flow)
    return flow


@pytest.mark.parametrize(
    ("authority", "host", "goes"),
    [
        (b"", b"chatgpt.com", True),
        (b"", b"ChatGPT.com:443", True),
        (b"chatgpt.com", b"chatgpt.com", True),
        (b"elsewhere.example", b"chatgpt.com", False),
        (b"chatgpt.com@elsewhere.example", b"chatgpt.com", False),
        (b"chatgpt.com.", b"chatgpt.com", False),
        (b"api.githubcopilot.com", b"chatgpt.com", False),
        (b"", b"chatgpt.com\x1b[2J", False),
    ],
)
async def test_a_credential_goes_where_the_whole_head_says_its_issuers_name(
    pool: Pool, issuer: SlowIssuer, caplog: pytest.LogCaptureFixture, authority: bytes, host: bytes, goes: bool
) -> None:
    """The target of HTTP/1 can name a host of its own, and a server that stands for many may believe that one."""
    issuer.go_on.set()
    flow = flow_of(pool)
    await pool.request(flow)
    flow.request.data.authority = authority
    flow.request.headers.fields = tuple((n, host if n == b"host" else v) for n, v in flow.request.headers.fields)
    exchange = pool.exchanges.get(flow)
    assert exchange is not None
    sent = exchange.wire(flow.request, "https://chatgpt.com:443")
    assert (sent.headers["authorization"] != "Bearer editor-FAKESECRET") is goes
    assert ("action=withheld" in caplog.text) is not goes
    assert "\x1b" not in caplog.text


async def test_no_slot_is_left_by_a_client_that_leaves_while_a_token_is_renewed(pool: Pool, issuer: SlowIssuer) -> None:
    flow = flow_of(pool)
    deciding = asyncio.create_task(pool.request(flow))
    await issuer.asked.wait()
    pool.client_disconnected(flow.client_conn)
    issuer.go_on.set()
    await deciding
    assert pool.service is not None
    assert pool.service.knowledge.state.in_flight == {}
    assert len(pool.exchanges) == 0


async def test_no_slot_is_left_by_a_client_that_leaves_during_a_decision(pool: Pool, issuer: SlowIssuer) -> None:
    assert pool.service is not None
    issuer.go_on.set()
    flow = flow_of(pool)
    await pool.request(flow)
    assert sum(pool.service.knowledge.state.in_flight.values()) == 1
    issuer.go_on.clear()
    issuer.asked.clear()
    flow.response = http.Response.make(429, b'{"error":{"type":"usage_limit_reached"}}')
    deciding = asyncio.create_task(pool.pool_recover(flow))
    await issuer.asked.wait()
    pool.client_disconnected(flow.client_conn)
    issuer.go_on.set()
    await deciding
    assert pool.service.knowledge.state.in_flight == {}


async def test_the_ordinary_end_frees_the_slot_once(pool: Pool, issuer: SlowIssuer) -> None:
    assert pool.service is not None
    issuer.go_on.set()
    flow = flow_of(pool)
    await pool.request(flow)
    pool.response(flow)
    pool.error(flow)
    pool.client_disconnected(flow.client_conn)
    assert pool.service.knowledge.state.in_flight == {}


async def test_an_answer_waits_until_the_refusal_before_it_is_stored(
    pool: Pool, issuer: SlowIssuer, tmp_path: Path
) -> None:
    """The request is sent on at once; but nobody is shown what no restart would know the reason of."""
    assert pool.service is not None
    issuer.go_on.set()
    flow = flow_of(pool)
    for each in (flow, flow_of(pool)):  # whose accounts' tokens are renewed by that
        await pool.request(each)
    with sqlite3.connect(tmp_path / "pool.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        flow.response = http.Response.make(429, b'{"error":{"type":"usage_limit_reached","resets_in_seconds":60}}')
        await pool.pool_recover(flow)
        exchange = pool.exchanges.get(flow)
        assert exchange is not None
        assert exchange.again is not None
        flow.response = http.Response.make(200, b"", {"content-type": "text/event-stream"})
        with taddons.context(Proxyserver()):
            waiting = pool.responseheaders(flow)
        assert waiting is not None
        shown = asyncio.ensure_future(waiting)
        await asyncio.sleep(0.05)
        assert not shown.done()
        other.execute("COMMIT")
    await shown
    with Store.open(str(tmp_path / "pool.db")) as store:
        assert [c.reason for c in store.cooldowns(utcnow())] == ["usage_limit_reached"]


@pytest.mark.parametrize(("asked_for", "ours"), [("chatgpt.com", True), ("example.com", False), (None, False)])
async def test_a_connection_to_an_upstream_proxy_is_made_for_whom_it_is(asked_for: str | None, *, ours: bool) -> None:
    client = tflow.tflow().client_conn
    client.sni = asked_for
    Pool().server_connect(ServerConnectionHookData(connection.Server(address=("proxy.example", 8080)), client))
    assert reaching.for_us.get() is ours
