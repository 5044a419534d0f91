"""The page's own port: what a browser, and what somebody else, gets there."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator

import pytest

from seatpool.page import listener
from seatpool.page.listener import Listener
from seatpool.page.site import Site
from seatpool.page.visit import Answer, Visit

pytestmark = pytest.mark.asyncio


@pytest.fixture
async def at(site: Site) -> AsyncIterator[Listener]:
    opened = Listener(site.answer)
    await opened.open(0)
    yield opened
    await site.board.close()
    await opened.close()


async def talk(at: Listener, *parts: str, host: str = "127.0.0.1") -> str:
    """Everything that comes back of these bytes."""
    reader, writer = await asyncio.open_connection(host, at.port)
    for part in parts:
        writer.write(part.replace("HOST", f"127.0.0.1:{at.port}").encode())
        await writer.drain()
    async with asyncio.timeout(10):
        said = await reader.read()
    writer.close()
    return said.decode()


def get(path: str, *more: str, method: str = "GET") -> str:
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: HOST", *more, "", ""))


async def test_a_connection_is_good_for_several_requests(at: Listener) -> None:
    said = await talk(at, get("/icon.svg"), get("/api/report"), get("/nothing", "Connection: close"))
    assert re.findall(r"HTTP/1.1 (\d+)", said) == ["200", "200", "404"]
    assert said.count("content-length: ") == 3


async def test_a_head_has_no_body_and_says_its_length(at: Listener) -> None:
    said = await talk(at, get("/", "Connection: close", method="HEAD"))
    assert said.startswith("HTTP/1.1 200 OK") and said.endswith("\r\n\r\n") and "<html" not in said
    assert "content-length: 0" not in said


async def test_events_go_on_until_somebody_leaves(at: Listener, site: Site) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", at.port)
    writer.write(get("/api/events").replace("HOST", f"localhost:{at.port}").encode())
    async with asyncio.timeout(10):
        assert b"200 OK" in await reader.readuntil(b"event: requests")
        assert len(site.board) == 1
        writer.close()
        while len(site.board):
            await asyncio.sleep(0.01)


async def test_it_is_there_on_both_loopbacks_and_nowhere_else(at: Listener) -> None:
    assert "421" in await talk(at, "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    addresses = {server.sockets[0].getsockname()[0] for server in at._servers}
    assert "127.0.0.1" in addresses and addresses <= set(listener.ADDRESSES)
    if "::1" in addresses:
        assert "200 OK" in await talk(at, get("/", "Connection: close"), host="::1")


@pytest.mark.parametrize(
    "parts",
    [
        ("NONSENSE\r\n\r\n",),
        ("GET / HTTP/1.1\r\n\r\n",),
        (get("/", "x: " + "y" * 3 * listener.LONGEST_HEAD),),
        (
            get("/api/token", f"Content-Length: {listener.LONGEST_BODY + 1}", method="POST"),
            "z" * (listener.LONGEST_BODY + 1),
        ),
        (get("/", "Transfer-Encoding: chunked", method="POST"), "not a length\r\n"),
    ],
)
async def test_whoever_speaks_nonsense_or_too_much_is_left(at: Listener, parts: tuple[str, ...]) -> None:
    try:
        assert "200 OK" not in await talk(at, *parts)
    except ConnectionError:
        pass  # closed while we were still speaking
    assert "200 OK" in await talk(at, get("/icon.svg", "Connection: close"))


async def test_there_are_never_too_many_connections() -> None:
    release = asyncio.Event()

    async def slowly(_visit: Visit, _hosts: frozenset[str]) -> Answer:
        await release.wait()
        return Answer(200)

    opened = Listener(slowly)
    await opened.open(0)
    waiting = [asyncio.create_task(talk(opened, get("/", "Connection: close"))) for _ in range(listener.MOST)]
    async with asyncio.timeout(10):
        while len(opened._connections) < listener.MOST:
            await asyncio.sleep(0.01)
        assert await talk(opened) == ""
        release.set()
        assert all("200 OK" in said for said in await asyncio.gather(*waiting))
    await opened.close()


async def test_a_port_that_is_taken_is_told(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        await Listener(site.answer).open(taken.getsockname()[1])
