"""Streaming HTTP clients that tell when each piece of an answer came."""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes

from tests.harness.incoming import Incoming

Headers = Mapping[str, str]


class _Client:
    """One TLS connection to one host."""

    def __init__(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.host = host
        self.reader = reader
        self.writer = writer
        self.task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; answers under way are given up."""
        self.writer.close()
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        try:
            await self.writer.wait_closed()
        except OSError:
            pass  # the other side was faster

    def abort(self) -> None:
        """Drop the connection without a word."""
        self.writer.transport.abort()


class Http1Client(_Client):
    """One request at a time; the connection is kept."""

    async def send(self, method: str, path: str, headers: Headers | None = None, body: bytes = b"") -> Incoming:
        """Send a request. The answer comes in the background."""
        if self.task is not None:
            await self.task
        lines = [f"{method} {path} HTTP/1.1", f"host: {self.host}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if body or method in ("POST", "PUT"):
            lines.append(f"content-length: {len(body)}")
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
        incoming = Incoming()
        self.task = asyncio.create_task(self._receive(incoming, bodiless=method == "HEAD"))
        return incoming

    async def _receive(self, incoming: Incoming, *, bodiless: bool) -> None:
        try:
            status, fields = await read_head(self.reader)
            incoming.begin(status, fields)
            if not bodiless and status not in (204, 304):
                await self._body(incoming)
        except (asyncio.IncompleteReadError, OSError) as error:
            incoming.finish(f"{type(error).__name__}")
        else:
            incoming.finish()

    async def _body(self, incoming: Incoming) -> None:
        headers = incoming.headers
        if headers.get("transfer-encoding") == "chunked":
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                incoming.feed((await self.reader.readexactly(size + 2))[:-2])
            await self.reader.readexactly(2)
        elif "content-length" in headers:
            incoming.feed(await self.reader.readexactly(int(headers["content-length"])))
        else:
            while piece := await self.reader.read(1 << 16):
                incoming.feed(piece)


class Http2Client(_Client):
    """Several requests at a time on one connection."""

    def __init__(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(host, reader, writer)
        self.terminated: int | None = None
        """Error code of the GOAWAY, if one came."""
        self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self._streams: dict[int, Incoming] = {}
        self._ids: dict[Incoming, int] = {}
        self._window = asyncio.Event()
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(1 << 24)
        self._flush()
        self.task = asyncio.create_task(self._receive())

    async def send(self, method: str, path: str, headers: Headers | None = None, body: bytes = b"") -> Incoming:
        """Send a request on a stream of its own. The answer comes in the background."""
        number = self._h2.get_next_available_stream_id()
        pseudo = {":method": method, ":scheme": "https", ":authority": self.host, ":path": path}
        incoming = self._streams[number] = Incoming()
        self._ids[incoming] = number
        self._h2.send_headers(number, [*pseudo.items(), *(headers or {}).items()], end_stream=not body)
        view = memoryview(body)
        while view:
            room = min(self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size, len(view))
            if room <= 0:
                self._flush()
                self._window.clear()
                await self._window.wait()
                continue
            self._h2.send_data(number, bytes(view[:room]), end_stream=room == len(view))
            view = view[room:]
        self._flush()
        return incoming

    async def websocket(self, path: str, headers: Headers | None = None) -> Incoming:
        """Ask for a WebSocket as in RFC 8441, whether the server has said that it may be asked or not."""
        number = self._h2.get_next_available_stream_id()
        pseudo = {":method": "CONNECT", ":protocol": "websocket", ":scheme": "https"}
        pseudo |= {":authority": self.host, ":path": path}
        incoming = self._streams[number] = Incoming()
        self._h2.send_headers(number, [*pseudo.items(), *(headers or {}).items()])
        self._flush()
        return incoming

    @property
    def takes_websockets(self) -> bool:
        """Whether the server has said so."""
        return self._h2.remote_settings.get(SettingCodes.ENABLE_CONNECT_PROTOCOL, 0) == 1

    def cancel(self, incoming: Incoming) -> None:
        """Give one answer up; the others go on."""
        self._h2.reset_stream(self._ids[incoming], ErrorCodes.CANCEL)
        self._flush()

    async def _receive(self) -> None:
        try:
            while data := await self.reader.read(1 << 16):
                for event in self._h2.receive_data(data):
                    self._handle(event)
                self._flush()
            reason = "connection closed"
        except (OSError, ProtocolError) as error:
            reason = type(error).__name__
        for incoming in self._streams.values():
            incoming.finish(reason)

    def _handle(self, event: object) -> None:
        match event:
            case ResponseReceived():
                fields = [(str(name), str(value)) for name, value in event.headers]
                status = int(dict(fields)[":status"])
                real = [(name, value) for name, value in fields if not name.startswith(":")]
                self._streams[event.stream_id].begin(status, real)
            case DataReceived():
                self._streams[event.stream_id].feed(event.data)
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case StreamEnded():
                self._streams.pop(event.stream_id).finish()
            case StreamReset():
                self._streams.pop(event.stream_id).finish(f"stream reset {int(event.error_code)}")
            case WindowUpdated():
                self._window.set()
            case ConnectionTerminated():
                self.terminated = int(event.error_code)

    def _flush(self) -> None:
        self.writer.write(self._h2.data_to_send())


async def read_head(reader: asyncio.StreamReader) -> tuple[int, list[tuple[str, str]]]:
    """Status and headers of an HTTP/1.1 answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
    fields = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return int(first.split(" ")[1]), fields
