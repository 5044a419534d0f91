"""An exception in any hook: the flow goes on as the editor sent it, or is blocked, and the log says so once."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mitmproxy import connection, http
from mitmproxy.proxy import layer
from mitmproxy.proxy.layers import modes
from mitmproxy.test import taddons, tflow

from seatpool.providers.codex import CODEX
from seatpool.proxy.addon import Pool
from seatpool.proxy.options import OPTIONS
from seatpool.setup import troubles
from tests.proxy.driver import make_context

URL = "https://chatgpt.com/backend-api/codex/responses"


class Failing:
    """A part of the pool of which everything fails."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"{name} fails")


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[taddons.context]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with taddons.context() as context:
        for option in OPTIONS:
            context.options.add_option(option.name, option.typespec, option.default, option.help, option.choices)
        yield context


@pytest.fixture
def pool(context: taddons.context) -> Pool:
    pool = Pool()
    pool.faults.database = "pool.db"
    return pool


def flow_of(pool: Pool, *, known: bool = True) -> http.HTTPFlow:
    """A request to a pooled host, the answer and the WebSocket with it; `known` to our layer, as all are."""
    flow = tflow.twebsocketflow()
    fields = {"authorization": "Bearer editor-FAKESECRET", "host": "chatgpt.com"}
    flow.request = http.Request.make("POST", URL, b'{"model":"m"}', fields)
    flow.request.timestamp_start = time.time()
    if known:
        exchange = pool.exchanges.begin(flow, CODEX, flow.request.pretty_host)
        provider: Any = Failing()
        exchange.provider, exchange.facts, exchange.trail = provider, provider, provider
        exchange.route = Any
    return flow


def in_next_layer(pool: Pool) -> None:
    certificates: Any = Failing()
    pool.certificates = certificates
    context = make_context()
    context.layers = [modes.HttpProxy(context)]
    pool.next_layer(layer.NextLayer(context))


def in_requestheaders(pool: Pool) -> None:
    guard: Any = Failing()
    pool.guard = guard
    pool.requestheaders(flow_of(pool))


async def in_request(pool: Pool) -> None:
    flow = flow_of(pool)
    flow.response = None
    exchange = pool.exchanges.get(flow)
    assert exchange is not None
    exchange.trail = exchange.facts = None
    await pool.request(flow)


def in_responseheaders(pool: Pool) -> None:
    flow = flow_of(pool)
    flow.response = http.Response.make(200, b"", {"content-type": "text/event-stream"})
    pool.responseheaders(flow)


async def in_pool_recover(pool: Pool) -> None:
    await pool.pool_recover(flow_of(pool))


def in_response(pool: Pool) -> None:
    flow = flow_of(pool)
    flow.websocket = None
    pool.response(flow)


async def in_websocket_message(pool: Pool) -> None:
    flow = flow_of(pool)
    assert flow.websocket is not None
    flow.websocket.messages = [m for m in flow.websocket.messages if not m.from_client]
    await pool.websocket_message(flow)


def in_error(pool: Pool) -> None:
    pool.error(flow_of(pool))


def in_websocket_end(pool: Pool) -> None:
    pool.websocket_end(flow_of(pool))


def in_client_disconnected(pool: Pool) -> None:
    flow = flow_of(pool)
    client: Any = flow.client_conn
    assert isinstance(client, connection.Client)
    pool.client_disconnected(client)


HOOKS = (
    in_next_layer,
    in_requestheaders,
    in_request,
    in_responseheaders,
    in_pool_recover,
    in_response,
    in_websocket_message,
    in_error,
    in_websocket_end,
    in_client_disconnected,
)


@pytest.mark.parametrize("hook", HOOKS)
async def test_no_exception_leaves_a_hook_and_each_is_told_once(
    pool: Pool, hook: Callable[[Pool], Any], caplog: pytest.LogCaptureFixture
) -> None:
    service: Any = Failing()
    pool.serving.service = service
    counts = []
    for _ in range(3):
        ran = hook(pool)
        if ran is not None:
            await ran
        told = [record for record in caplog.records if record.name == "seatpool.proxy.faults"]
        counts.append(len(told))
    assert counts[0] in (1, 2, 3), "what failed, and where its end fails as well"
    assert counts == [counts[0]] * 3
    assert all(record.exc_info for record in told)
    await asyncio_settled(pool)
    left = troubles.read("pool.db")
    assert {trouble.what.split()[0] for trouble in left} == {"RuntimeError"}
    await pool.faults.end()
    assert troubles.read("pool.db") == ()


async def asyncio_settled(pool: Pool) -> None:
    for future in tuple(pool.faults._writing):
        await future


@pytest.mark.parametrize(("on_failure", "blocked"), [("passthrough", False), ("block", True)])
@pytest.mark.parametrize("where", ["request", "requestheaders", "layer"])
async def test_a_fault_blocks_where_the_persons_own_login_is_to_be_kept_out(
    pool: Pool, context: taddons.context, on_failure: str, blocked: bool, where: str
) -> None:
    context.options.update(pool_on_failure=on_failure)
    flow = flow_of(pool, known=where != "layer")
    flow.response = None
    if where == "requestheaders":
        exchange = pool.exchanges.get(flow)
        assert exchange is not None
        exchange.trail, exchange.facts = None, None
        book: Any = Failing()
        pool.guard.book = book
    exchange = pool.exchanges.get(flow)
    if exchange is not None:
        exchange.trail, exchange.facts = None, None
    if where != "request":
        pool.requestheaders(flow)
    if flow.response is None:
        await pool.request(flow)
    assert (flow.response is not None and flow.response.status_code == 503) is blocked
    assert flow.request.pretty_url == URL
