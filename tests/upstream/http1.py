"""HTTP/1.1, the few hundred bytes of it that a fake upstream needs."""

import asyncio
import base64
import hashlib
import socket
import struct
from http import HTTPStatus

from wsproto.extensions import PerMessageDeflate

from tests.upstream.websocket import Socket
from tests.upstream.wire import App, Connection, Fields, Reply, Request

_ACCEPT_KEY = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_REASONS = {status.value: status.phrase for status in HTTPStatus}


def reset_transport(transport: asyncio.Transport) -> None:
    """Close with a TCP RST instead of a FIN."""
    raw = transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class Http1:
    """One connection: requests one after the other, each answered by a task."""

    def __init__(self, transport: asyncio.Transport, connection: Connection, app: App) -> None:
        self.transport = transport
        self.connection = connection
        self.writable = asyncio.Event()
        self.writable.set()
        self.socket: Socket | None = None
        self._app = app
        self._buffer = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._continued = False

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        if self.socket is not None:
            self.socket.feed(data)
            return
        self._buffer += data
        self._advance()

    def connection_lost(self) -> None:
        """The client is gone, or we closed."""
        self.writable.set()
        if self._task is not None:
            self._task.cancel()

    def upgraded(self, accepted: Socket) -> None:
        """From here on the bytes are WebSocket frames."""
        self.socket = accepted
        if self._buffer:
            accepted.feed(bytes(self._buffer))
            self._buffer.clear()

    def _advance(self) -> None:
        if self._task is None and (request := self._take()) is not None:
            self._task = asyncio.create_task(self._serve(request))

    async def _serve(self, request: Request) -> None:
        reply = Http1Reply(self, request)
        try:
            await self._app(request, reply)
        finally:
            self._task = None
        if not reply.ended:
            self.transport.close()
        elif not self.transport.is_closing():
            self._advance()

    def _take(self) -> Request | None:
        """The next whole request in the buffer."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        fields = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        known = {name.lower(): value for name, value in reversed(fields)}
        found = self._take_body(end + 4, known)
        if found is None:
            if "expect" in known and not self._continued:
                self._continued = True
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return None
        body, consumed = found
        del self._buffer[:consumed]
        self._continued = False
        self.connection.requests += 1
        host = known.get("host", "").lower().partition(":")[0]
        return Request(method, target, host, fields, body, "1.1", self.connection, self.connection.requests)

    def _take_body(self, start: int, known: dict[str, str]) -> tuple[bytes, int] | None:
        if known.get("transfer-encoding", "").lower() == "chunked":
            return self._take_chunks(start)
        end = start + int(known.get("content-length", "0"))
        return (bytes(self._buffer[start:end]), end) if len(self._buffer) >= end else None

    def _take_chunks(self, at: int) -> tuple[bytes, int] | None:
        body = bytearray()
        while (line_end := self._buffer.find(b"\r\n", at)) >= 0:
            size = int(self._buffer[at:line_end].split(b";")[0], 16)
            at = line_end + 2
            if len(self._buffer) < at + size + 2:
                return None
            body += self._buffer[at : at + size]
            at += size + 2
            if size == 0:
                return bytes(body), at
        return None


class Http1Reply(Reply):
    """An answer over HTTP/1.1."""

    def __init__(self, engine: Http1, request: Request) -> None:
        self._engine = engine
        self._request = request
        self._chunked = False
        self._bodiless = request.method == "HEAD"

    async def head(self, status: int, fields: Fields, length: int | None = None) -> None:
        self.started = True
        self._bodiless |= status in (204, 304)
        self._chunked = length is None and not self._bodiless
        framing = "transfer-encoding: chunked" if self._chunked else f"content-length: {length or 0}"
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}", framing]
        lines += [f"{name}: {value}" for name, value in fields]
        await self._write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))

    async def data(self, chunk: bytes) -> None:
        if self._bodiless or not chunk:
            return
        await self._write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if self._chunked else chunk)

    async def end(self) -> None:
        if self._chunked:
            await self._write(b"0\r\n\r\n")
        self.ended = True

    def cut(self) -> None:
        self.close()

    def close(self) -> None:
        self._engine.transport.close()

    def reset(self) -> None:
        reset_transport(self._engine.transport)

    def half_head(self) -> None:
        self._engine.transport.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/ev")

    def bad_head(self) -> None:
        self._engine.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nno colon in here\r\n\r\n")

    def junk(self) -> None:
        self._engine.transport.write(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")

    async def websocket(self, fields: Fields = (), *, proof: bool = True) -> Socket:
        headers = self._request.headers
        key = headers["sec-websocket-key"] if proof else ""
        digest = hashlib.sha1((key + _ACCEPT_KEY).encode()).digest()
        extensions = []
        lines = [
            "HTTP/1.1 101 Switching Protocols",
            "upgrade: websocket",
            "connection: Upgrade",
            f"sec-websocket-accept: {base64.b64encode(digest).decode()}",
        ]
        offered = headers.get("sec-websocket-extensions", "")
        if PerMessageDeflate.name in offered:
            deflate = PerMessageDeflate()
            accepted = deflate.accept(offered.split(",")[0].strip())
            extensions.append(deflate)
            lines.append(f"sec-websocket-extensions: {deflate.name}" + (f"; {accepted}" if accepted else ""))
        lines += [f"{name}: {value}" for name, value in fields]
        self.started = True
        await self._write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        made = Socket(self._engine.transport, extensions)
        self._engine.upgraded(made)
        return made

    async def _write(self, data: bytes) -> None:
        if self._engine.transport.is_closing():
            raise asyncio.CancelledError  # the client is gone, and we heard of it before our task did
        self._engine.transport.write(data)
        if not self._engine.writable.is_set():
            await self._engine.writable.wait()
