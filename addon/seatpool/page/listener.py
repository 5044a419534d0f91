"""The page's own port on loopback: HTTP/1.1 for browsers of this machine, with the answers that the proxy has as well.

mitmproxy's servers are not used for it: one that is not a proxy cannot be made to be one.
"""

import asyncio
import errno
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import h11

from seatpool.page.visit import TOKEN_HEADER, Answer, Stream, Visit

logger = logging.getLogger(__name__)

ADDRESSES = ("127.0.0.1", "::1")
IDLE_S = 60.0
"""Between two requests of a connection, and for the whole of one."""
MOST = 64
"""Connections at the same time."""
LONGEST_HEAD = 16_384
LONGEST_BODY = 65_536
_NO_IPV6 = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})

Answering = Callable[[Visit, frozenset[str]], Coroutine[Any, Any, Answer]]


class Listener:
    """Listens from `open` to `close`."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._servers: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()
        self.port = 0
        self._hosts: frozenset[str] = frozenset()

    async def open(self, port: int) -> None:
        """0: any that is free. Raises `OSError` where it cannot be had on all of loopback."""
        try:
            for address in ADDRESSES:
                try:
                    server = await asyncio.start_server(self._serve, address, self.port or port, limit=LONGEST_HEAD)
                except OSError as error:
                    if not self._servers or error.errno not in _NO_IPV6:
                        raise
                else:
                    self._servers.append(server)
                    self.port = server.sockets[0].getsockname()[1]
        except BaseException:
            await self.close()
            raise
        suffix = f":{self.port}" if self.port != 80 else ""
        self._hosts = frozenset(f"{name}{suffix}" for name in ("localhost", "127.0.0.1", "[::1]"))

    async def close(self) -> None:
        """End every connection."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            if len(self._connections) <= MOST:
                await _Talk(reader, writer, lambda visit: self._answering(visit, self._hosts)).go_on()
        except (TimeoutError, OSError, h11.RemoteProtocolError):
            pass  # it left, or took too long, or is no browser
        except asyncio.CancelledError:
            writer.transport.abort()  # and no more: asyncio 3.12 logs a handler that ends as cancelled
        except Exception:
            logger.exception("action=page-failed")
        finally:
            self._connections.discard(task)
            writer.close()


class _Talk:
    """One connection."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answering: Callable[[Visit], Coroutine[Any, Any, Answer]],
    ) -> None:
        self._reader, self._writer, self._answering = reader, writer, answering
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=LONGEST_HEAD)

    async def go_on(self) -> None:
        """Answer one request after the other."""
        while True:
            async with asyncio.timeout(IDLE_S):
                request = await self._request()
                if request is None:
                    return
                answer = await self._answering(_visit(request))
            await self._say(answer, request.method)
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                return
            self._http.start_next_cycle()

    async def _request(self) -> h11.Request | None:
        """A whole one; None where there is none any more. Nothing here reads a body."""
        request: h11.Request | None = None
        length = 0
        while True:
            match await self._event():
                case h11.Request() as head:
                    request = head
                    if self._http.they_are_waiting_for_100_continue:
                        await self._send(h11.InformationalResponse(status_code=100, headers=[]))
                case h11.Data(data=body):
                    length += len(body)
                    if length > LONGEST_BODY:
                        return None
                case h11.EndOfMessage():
                    return request
                case _:
                    return None

    async def _event(self) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._reader.read(LONGEST_HEAD))
        return event

    async def _say(self, answer: Answer, method: bytes) -> None:
        headers = [(name, value) for name, value in answer.headers.items()]
        if answer.stream is not None:
            headers.append(("connection", "close"))
        elif answer.status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            headers.append(("content-length", str(len(answer.body))))
        reason = HTTPStatus(answer.status).phrase
        await self._send(h11.Response(status_code=answer.status, headers=headers, reason=reason))
        if answer.stream is not None:
            await self._stream(answer.stream)
        elif answer.body and method != b"HEAD" and answer.status != HTTPStatus.NOT_MODIFIED:
            await self._send(h11.Data(data=answer.body))
        await self._send(h11.EndOfMessage())

    async def _stream(self, stream: Stream) -> None:
        leaving = asyncio.create_task(self._farewell())
        leaving.add_done_callback(lambda _: stream.close())
        try:
            while (piece := await stream.next()) is not None:
                await self._send(h11.Data(data=piece))
        finally:
            leaving.cancel()
            stream.close()

    async def _farewell(self) -> None:
        """A browser that has asked for a stream says nothing more but goodbye."""
        with suppress(OSError):
            await self._reader.read(1)

    async def _send(self, event: Any) -> None:
        self._writer.write(self._http.send(event) or b"")
        async with asyncio.timeout(IDLE_S):
            await self._writer.drain()


def _visit(request: h11.Request) -> Visit:
    headers: dict[str, str] = {}
    hosts: list[str] = []
    for raw_name, raw_value in request.headers:
        name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
        if name == "host":
            hosts.append(value)
        else:
            headers[name] = value
    token = headers.pop(TOKEN_HEADER, "")
    return Visit(request.method.decode("ascii"), request.target.decode("latin-1"), "http", tuple(hosts), headers, token)
