"""Who waits for whom, on mitmproxy's own handler of connections between real sockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from mitmproxy import options
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.proxy.layers import TCPLayer
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.proxy.server import ConnectionHandler, SimpleConnectionHandler

from seatpool.proxy.shortcuts import draining

LARGE = bytes(64 * 1024 * 1024)
"""More than what waits in the buffers of both systems."""
WORDS = (b"stop", b"no", b"goodbye")

Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Upstream = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ConnectionHandler, "drain_writers", ConnectionHandler.drain_writers)
    assert draining.install()


@asynccontextmanager
async def through_a_proxy(upstream: Upstream) -> AsyncIterator[Peer]:
    """A client whose bytes go to this upstream."""
    opts = options.Options()
    Proxyserver().load(opts)  # type: ignore[no-untyped-call] # options take declarations as a loader does

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler = SimpleConnectionHandler(reader, writer, opts, ProxyMode.parse("regular"), {})
        context = handler.layer.context
        context.server.address = there.sockets[0].getsockname()
        handler.layer = TCPLayer(context, ignore=True)  # type: ignore[assignment] # in place of the first one
        await handler.handle_client()

    async with (
        await asyncio.start_server(upstream, "127.0.0.1", 0) as there,
        await asyncio.start_server(relay, "127.0.0.1", 0) as here,
    ):
        reader, writer = await asyncio.open_connection(*here.sockets[0].getsockname())
        try:
            yield reader, writer
        finally:
            writer.transport.abort()


async def nothing_moves(writer: asyncio.StreamWriter) -> None:
    left = -1
    while left != (left := writer.transport.get_write_buffer_size()):
        await asyncio.sleep(0.2)


async def test_an_upstream_that_reads_no_more_is_heard() -> None:
    turn, over = asyncio.Semaphore(0), asyncio.Event()

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        for word in WORDS:
            await turn.acquire()
            writer.write(word)
        await over.wait()
        writer.transport.abort()

    async with asyncio.timeout(10), through_a_proxy(upstream) as (reader, writer):
        writer.write(LARGE)
        await nothing_moves(writer)
        try:
            for word in WORDS:
                turn.release()
                assert await reader.readexactly(len(word)) == word
        finally:
            over.set()
            for _ in WORDS:
                turn.release()


async def test_a_client_that_reads_slowly_slows_down_its_upstream() -> None:
    full, over = asyncio.Event(), asyncio.Event()

    async def upstream(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(LARGE)
        with pytest.raises(TimeoutError):  # it is not taken
            await asyncio.wait_for(writer.drain(), 0.5)
        full.set()
        await writer.drain()
        await over.wait()
        writer.transport.abort()

    async with asyncio.timeout(30), through_a_proxy(upstream) as (reader, _):
        await full.wait()
        assert len(await reader.readexactly(len(LARGE))) == len(LARGE)
        over.set()


def test_what_mitmproxy_has_changed_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async def other(_: ConnectionHandler) -> None:
        """As a later version might do it."""

    monkeypatch.setattr(ConnectionHandler, "drain_writers", other)
    assert not draining.install()
    assert ConnectionHandler.drain_writers is other
