"""Connections that ask and time the answers: raw bytes over TLS, through CONNECT where there is a proxy."""

import asyncio
import itertools
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from scripts.benchmark import wire
from scripts.benchmark.wire import Asking

ANSWER_TIMEOUT_S = 30.0
ENDS = (wire.STREAM_END, wire.JSON_END)
OPENING_AT_ONCE = 10

Connect = Callable[[str, int], socket.socket]


class Broken(Exception):
    """The run cannot go on; the message is for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Of one answer, from the sending of the request, in seconds."""

    first_s: float
    whole_s: float


@dataclass(frozen=True, slots=True)
class Target:
    """Somebody who can be asked."""

    name: str
    address: tuple[str, int]
    proxy: bool
    ca: Path
    connect: Connect
    plain: bool = False
    """Spoken with as it is, without TLS: an endpoint on this machine."""
    first: bytes = b""
    """What has to be in the first part of an answer that counts as such; anything, usually."""

    def context(self) -> ssl.SSLContext | None:
        """What trusts it. Made once for many connections: reading the CA takes a while."""
        return None if self.plain else ssl.create_default_context(cafile=self.ca)


class Connection(asyncio.Protocol):
    """A kept-alive connection; one request at a time."""

    def __init__(self, target: Target) -> None:
        self._target = target.name
        self._mark = target.first
        self._transport: asyncio.Transport
        self._waiting: asyncio.Future[Timing] | None = None
        self._ends: tuple[bytes, ...] = ENDS
        self._sent = 0.0
        self._first = 0.0
        self._told = False
        self._tail = b""
        self.kept: bytearray | None = None
        """Where the answer is kept, for whoever sets it before asking."""

    @classmethod
    async def open(cls, target: Target, context: ssl.SSLContext | None) -> Self:
        """Connect, through a tunnel where the target is a proxy."""
        raw = await asyncio.to_thread(_tunnel, target)
        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(
            lambda: cls(target), sock=raw, ssl=context, server_hostname=wire.HOST if context else None
        )
        return made

    async def ask(self, request: bytes, ends: tuple[bytes, ...] = ENDS) -> Timing:
        """Send a request and wait for one of `ends`. Raises `Broken` for anything but a 200."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[Timing] = loop.create_future()
        self._waiting = waiting
        deadline = loop.call_later(ANSWER_TIMEOUT_S, self._fail, f"did not answer within {ANSWER_TIMEOUT_S:.0f} s")
        self._ends, self._first, self._told, self._tail = ends, 0.0, False, b""
        self._sent = time.perf_counter()
        self._transport.write(request)
        try:
            return await waiting
        finally:
            deadline.cancel()

    def close(self) -> None:
        """Drop the connection, whatever is under way."""
        self._waiting = None
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where requests go."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Look for the beginning and the end of the answer, at nothing between."""
        now = time.perf_counter()
        if not self._told:
            self._told = True
            if not data.startswith(b"HTTP/1.1 200"):
                self._fail("answered " + data[:200].partition(b"\r\n")[0].decode("latin-1"))
                return
        if not self._first and self._mark in data:
            self._first = now
        if self.kept is not None:
            self.kept += data
        self._tail = data if len(data) >= 16 else self._tail[-16:] + data
        if self._tail.endswith(self._ends) and self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(Timing(self._first - self._sent, now - self._sent))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        self._fail("closed the connection")

    def _fail(self, what: str) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(Broken(f"{self._target} {what}"))


class Group:
    """Connections to one target. `async with Group(target, 8) as group:` opens and closes them."""

    def __init__(self, target: Target, size: int) -> None:
        self._target = target
        self._size = size
        self.connections: list[Connection] = []

    async def __aenter__(self) -> Self:
        context = self._target.context()
        try:
            for batch in itertools.batched(range(self._size), OPENING_AT_ONCE):
                opened = (Connection.open(self._target, context) for _ in batch)
                self.connections += await asyncio.gather(*opened)
        except BaseException:
            self._close()
            raise
        return self

    async def __aexit__(self, *_exception: object) -> None:
        self._close()
        await asyncio.sleep(0)

    async def load(self, requests: Asking, count: int) -> list[Timing]:
        """Ask `count` requests, each connection again as soon as it has its answer."""
        todo = itertools.repeat(None, count)
        timings: list[Timing] = []
        await asyncio.gather(*(_work(connection, todo, requests, timings) for connection in self.connections))
        return timings

    async def hold(self, requests: Asking) -> None:
        """Open a stream on every connection, and leave it open."""
        for batch in itertools.batched(self.connections, OPENING_AT_ONCE):
            await asyncio.gather(*(connection.ask(requests.one(), (wire.EVENT_END,)) for connection in batch))

    def _close(self) -> None:
        for connection in self.connections:
            connection.close()
        self.connections.clear()


async def _work(connection: Connection, todo: Iterator[None], requests: Asking, timings: list[Timing]) -> None:
    for _ in todo:
        timing = await connection.ask(requests.one())
        timings.append(timing)


def percentile(values: Iterable[float], share: float) -> float:
    """The value that `share` of all are not above: 0.5 is the median."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _tunnel(target: Target) -> socket.socket:
    """A TCP connection on which TLS to the upstream can begin."""
    opened = target.connect(*target.address)
    try:
        opened.settimeout(ANSWER_TIMEOUT_S)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if target.proxy:
            opened.sendall(f"CONNECT {wire.HOST}:443 HTTP/1.1\r\nhost: {wire.HOST}:443\r\n\r\n".encode())
            reply = b""
            while not reply.endswith(b"\r\n\r\n"):
                if not (more := opened.recv(4096)):
                    raise Broken(f"{target.name} closed the connection instead of opening a tunnel")
                reply += more
            if b" 200 " not in reply.partition(b"\r\n")[0]:
                raise Broken(f"{target.name} opened no tunnel: {reply[:100].decode('latin-1')}")
        opened.setblocking(False)
    except BaseException:
        opened.close()
        raise
    return opened
