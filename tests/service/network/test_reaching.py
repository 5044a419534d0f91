"""How connections are made, on real sockets and in the kind of loop that mitmproxy runs."""

import asyncio
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from seatpool.service.network.reaching import for_us, install, reach

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="all of 127.0.0.0/8 is this machine on Linux alone")

POOLED, OTHER = "chatgpt.com", "example.com"
GREETING = b"here\n"
Address = tuple[Any, ...]


@pytest.fixture(autouse=True)
async def eager() -> None:
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)


@pytest.fixture
async def alive() -> AsyncIterator[Address]:
    """An address that greets."""

    def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()


@pytest.fixture
def hole(alive: Address) -> Iterator[Address]:
    """An address that swallows what is sent to it: nobody takes the connections from its full queue."""
    where = ("127.0.0.2", alive[1])
    with ExitStack() as stack:
        stack.enter_context(socket.create_server(where, backlog=0))
        for _ in range(2):
            filling = stack.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(where)
        yield where


@pytest.fixture
def closed(alive: Address) -> Address:
    """An address where nobody listens."""
    return ("127.0.0.3", alive[1])


def mean(monkeypatch: pytest.MonkeyPatch, *where: Address) -> None:
    """Names mean these addresses."""

    found = [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", each) for each in where]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


async def greeted(host: str = POOLED) -> bytes:
    """What comes on a connection that is opened as mitmproxy opens them."""
    reader, writer = await asyncio.open_connection(host, 1, local_addr=None)
    line = await reader.readline()
    writer.close()
    return line


@pytest.mark.parametrize("host", [POOLED, OTHER])
async def test_an_address_that_leads_nowhere_does_not_keep_from_the_next(
    monkeypatch: pytest.MonkeyPatch, alive: Address, hole: Address, closed: Address, host: str
) -> None:
    mean(monkeypatch, hole, closed, alive)
    install()
    install()
    assert await greeted(host) == GREETING


async def test_where_all_fail_the_first_says_why(
    monkeypatch: pytest.MonkeyPatch, closed: Address, hole: Address
) -> None:
    mean(monkeypatch, closed)
    with pytest.raises(ConnectionRefusedError):
        await reach(POOLED, 1)
    mean(monkeypatch)
    with pytest.raises(OSError, match="no address"):
        await reach(POOLED, 1)


async def test_who_stops_waiting_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch, hole: Address) -> None:
    mean(monkeypatch, hole, hole)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.4):  # both are being tried
            await reach(POOLED, 1)
    await asyncio.sleep(0)  # a socket that is left open is a warning, and so an error


async def test_families_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many addresses of the family that leads nowhere there are, the other one's first comes second."""
    asked: list[str] = []

    families = {"::1": socket.AF_INET6, "::2": socket.AF_INET6, "::3": socket.AF_INET6, "127.0.0.1": socket.AF_INET}
    found = [(family, socket.SOCK_STREAM, 0, "", (where, 1)) for where, family in families.items()]

    async def sock_connect(_: socket.socket, where: Address) -> None:
        asked.append(where[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", sock_connect)
    with pytest.raises(ConnectionRefusedError):
        await reach(POOLED, 1)
    assert asked == ["::1", "127.0.0.1", "::2", "::3"]


async def test_names_that_nobody_answers_for_keep_no_other_waiting(
    monkeypatch: pytest.MonkeyPatch, alive: Address
) -> None:
    """Neither the pooled hosts', nor what else is done in asyncio's own threads."""
    found, answered = socket.getaddrinfo(*alive, type=socket.SOCK_STREAM), threading.Event()

    def getaddrinfo(host: str, *_: object, **__: object) -> list[Any]:
        if host == OTHER:
            answered.wait()
        return found

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    install()
    waiting = [asyncio.create_task(greeted(OTHER)) for _ in range(200)]
    assert await greeted() == GREETING
    assert await asyncio.to_thread(lambda: "done") == "done"
    answered.set()
    assert set(await asyncio.gather(*waiting)) == {GREETING}


@pytest.mark.parametrize(("ours", "unacknowledged_ms"), [(True, 30_000), (False, 0)])
async def test_a_connection_that_is_dead_is_noticed(
    monkeypatch: pytest.MonkeyPatch, alive: Address, ours: bool, unacknowledged_ms: int
) -> None:
    mean(monkeypatch, alive)
    with await reach(POOLED, 1, ours=ours) as sock:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
        assert [sock.getsockopt(socket.IPPROTO_TCP, name) for name in names] == [15, 15, 3, unacknowledged_ms]


async def test_an_upstream_proxy_on_the_way_to_a_pooled_host_is_noticed_dead_as_soon(
    monkeypatch: pytest.MonkeyPatch, alive: Address
) -> None:
    mean(monkeypatch, alive)
    install()
    for pooled, unacknowledged_ms in ((False, 0), (True, 30_000)):
        for_us.set(pooled)
        _, writer = await asyncio.open_connection("proxy.example", 8080)
        sock = writer.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == unacknowledged_ms
        writer.close()


async def test_particular_wishes_are_asyncios(alive: Address) -> None:
    install()
    reader, writer = await asyncio.open_connection(*alive, local_addr=("127.0.0.9", 0))
    assert writer.get_extra_info("sockname")[0] == "127.0.0.9"
    assert await reader.readline() == GREETING
    writer.close()
