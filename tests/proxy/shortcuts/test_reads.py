"""What is read of a socket at once, on asyncio's real transports."""

import asyncio
import socket
from asyncio import selector_events

import pytest

from seatpool.proxy.shortcuts import reads


class Reader(asyncio.Protocol):
    """Keeps how much came at once."""

    def __init__(self, wanted: int) -> None:
        self.sizes: list[int] = []
        self.wanted = wanted
        self.done = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.sizes.append(len(data))
        if sum(self.sizes) == self.wanted:
            self.done.set_result(None)


async def sizes(total: int) -> list[int]:
    here, there = socket.socketpair()
    there.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, total)
    there.setblocking(False)
    sent = there.send(bytes(total))
    transport, reader = await asyncio.get_running_loop().create_connection(lambda: Reader(sent), sock=here)
    await asyncio.wait_for(reader.done, 10)
    transport.close()
    there.close()
    return reader.sizes


async def test_no_read_takes_more_than_mitmproxy_does_and_everything_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = selector_events._SelectorSocketTransport  # type: ignore[attr-defined]
    monkeypatch.setattr(transport, "max_size", reads.USUAL)
    assert max(await sizes(200_000)) > reads.READ, "asyncio does so by itself: this module is of no use any more"
    assert reads.install() and reads.install()
    assert max(await sizes(200_000)) == reads.READ


def test_it_stands_aside_where_asyncio_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = selector_events._SelectorSocketTransport  # type: ignore[attr-defined]
    monkeypatch.setattr(transport, "max_size", 1000)
    assert not reads.install() and transport.max_size == 1000
    monkeypatch.delattr(selector_events, "_SelectorSocketTransport")
    assert not reads.install()
